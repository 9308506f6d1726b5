"""Snowplow: enriched events, as TSV or as the JSON that the analytics SDKs make of it.

Fields: https://docs.snowplow.io/docs/fundamentals/canonical-event/ ; the order of the TSV's
columns: https://docs.snowplow.io/docs/pipeline/enriched-tsv-format/ . `derived_tstamp` is
corrected for the device's clock, https://docs.snowplow.io/docs/events/timestamps/ .
The user is who Snowplow's dbt packages count, https://docs.snowplow.io/docs/events/identifiers/ :
the browser's cookie `domain_userid`, or in an app the `userId` of the client session. Events of
servers have neither: `--user user_id`.
Active: who sent any event, also a page_ping of a page that stays open. The dbt packages count users
by their page and screen views, and may leave out bots: `--valuable-events page_view,screen_view
--skip-bots`.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable

import msgspec

from headcount.filters.rejects import Reject
from headcount.pipelines.active_users.events.source import Source

_NAMES = """
app_id platform etl_tstamp collector_tstamp dvce_created_tstamp event event_id txn_id
name_tracker v_tracker v_collector v_etl user_id user_ipaddress user_fingerprint domain_userid
domain_sessionidx network_userid geo_country geo_region geo_city geo_zipcode geo_latitude
geo_longitude geo_region_name ip_isp ip_organization ip_domain ip_netspeed page_url page_title
page_referrer page_urlscheme page_urlhost page_urlport page_urlpath page_urlquery
page_urlfragment refr_urlscheme refr_urlhost refr_urlport refr_urlpath refr_urlquery
refr_urlfragment refr_medium refr_source refr_term mkt_medium mkt_source mkt_term mkt_content
mkt_campaign contexts se_category se_action se_label se_property se_value unstruct_event
tr_orderid tr_affiliation tr_total tr_tax tr_shipping tr_city tr_state tr_country ti_orderid
ti_sku ti_name ti_category ti_price ti_quantity pp_xoffset_min pp_xoffset_max pp_yoffset_min
pp_yoffset_max useragent br_name br_family br_version br_type br_renderengine br_lang
br_features_pdf br_features_flash br_features_java br_features_director br_features_quicktime
br_features_realplayer br_features_windowsmedia br_features_gears br_features_silverlight
br_cookies br_colordepth br_viewwidth br_viewheight os_name os_family os_manufacturer
os_timezone dvce_type dvce_ismobile dvce_screenwidth dvce_screenheight doc_charset doc_width
doc_height tr_currency tr_total_base tr_tax_base tr_shipping_base ti_currency ti_price_base
base_currency geo_timezone mkt_clickid mkt_network etl_tags dvce_sent_tstamp refr_domain_userid
refr_device_tstamp derived_contexts domain_sessionid derived_tstamp event_vendor event_name
event_format event_version event_fingerprint true_tstamp
"""
COLUMNS = tuple(_NAMES.split())
_TABS = len(COLUMNS) - 1
_DOMAIN_USER, _CONTEXTS = COLUMNS.index("domain_userid"), COLUMNS.index("contexts")
_AT_ONCE = 64 << 10  # bytes, which stay in the processor's cache while they are taken apart
_HEADER = COLUMNS[0] + "\t" + COLUMNS[1] + "\t"
_CLIENT_SESSION = "com.snowplowanalytics.snowplow/client_session/"
_SESSION_USER = "contexts_com_snowplowanalytics_snowplow_client_session_1.0.userId"  # as in JSON


class _Entity(msgspec.Struct, gc=False):
    schema: str
    data: msgspec.Raw


class _Contexts(msgspec.Struct, gc=False):
    data: list[_Entity]


class _Session(msgspec.Struct, gc=False):
    userId: str | None = None


_contexts = msgspec.json.Decoder(_Contexts).decode
_session = msgspec.json.Decoder(_Session).decode


def text(line: bytes) -> dict[str, str | None] | Reject | None:
    """The columns of a line of TSV, by their names; None for a header."""
    try:
        values = line.decode().split("\t")
    except UnicodeDecodeError as error:
        return Reject("not UTF-8", f"byte {error.start + 1} of the line")
    if len(values) < len(COLUMNS):
        return Reject("not an enriched event", f"{len(values)} columns, not {len(COLUMNS)}")
    if line.startswith(_HEADER.encode()):
        return None
    event = dict(zip(COLUMNS, values, strict=False))  # more may be added at the end
    if not event["domain_userid"]:
        event[_SESSION_USER] = _user_of_session(event["contexts"])
    return event


def _user_of_session(contexts: str) -> str | None:
    """The user that the client session names, an entity among the contexts of an app's event."""
    if _CLIENT_SESSION not in contexts:
        return None
    try:
        for entity in _contexts(contexts).data:
            if _CLIENT_SESSION in entity.schema:
                return _session(entity.data).userId
    except (msgspec.DecodeError, RecursionError):
        pass
    return None


def table(names: tuple[str, ...]) -> Callable[[bytes], list[tuple[str, ...]]]:
    """What gets these columns of many lines; a line with more columns than there are is unusual."""
    known = [name for name in names if name != _SESSION_USER]
    places = sorted({COLUMNS.index(name) for name in known}) or [0]
    # Few columns are looked at: split off the left ones and the right ones, not those between.
    gaps = [(b - a, a) for a, b in itertools.pairwise(places)]
    last_left = max(gaps)[1] if gaps else places[-1]
    left = last_left + 1
    right = len(COLUMNS) - next((place for place in places if place > last_left), len(COLUMNS))

    def index(name: str) -> int:
        """Where a column is among those parts; what is not there is the empty one behind them."""
        place = COLUMNS.index(name) if name != _SESSION_USER else len(COLUMNS)
        return place if place <= last_left else place - len(COLUMNS) - 1

    first, *others = list(map(index, names)) or [0]
    get = operator.itemgetter(first, *others) if others else lambda parts: (parts[first],)
    unusual = ("",) * len(names)
    wants_session = _SESSION_USER in names  # which is the last of them
    user = names.index("domain_userid") if "domain_userid" in names else None

    def rows_of(lines: bytes) -> list[tuple[str, ...]]:
        try:
            text = lines.decode()
        except UnicodeDecodeError:
            alone = lines.removesuffix(b"\n").split(b"\n")
            return [unusual] if len(alone) == 1 else [row for it in alone for row in rows_of(it)]
        found = []
        for line in text.removesuffix("\n").split("\n"):
            parts = line.split("\t", left)
            if line.count("\t") != _TABS or (parts[0] == COLUMNS[0] and line.startswith(_HEADER)):
                found.append(unusual)
                continue
            if right:
                parts += parts.pop().rsplit("\t", right)
            parts.append("")
            row = get(parts)
            # the session's user is looked for where there is no other
            if wants_session and (user is None or not row[user]) and _CLIENT_SESSION in line:
                columns = line.split("\t", _CONTEXTS + 1)
                session = None if columns[_DOMAIN_USER] else _user_of_session(columns[_CONTEXTS])
                row = (*row[:-1], session or "")
            found.append(row)
        return found

    def rows(lines: bytes) -> list[tuple[str, ...]]:
        found, start = [], 0
        while start < len(lines):
            end = lines.find(b"\n", start + _AT_ONCE) + 1 or len(lines)
            found += rows_of(lines[start:end])
            start = end
        return found

    return rows


SOURCE = Source(
    title="Snowplow",
    user=("domain_userid", _SESSION_USER),
    time=("derived_tstamp", "collector_tstamp"),
    name=("event_name", "event"),
    signs=(
        frozenset(("collector_tstamp", "event")),
        frozenset(("collector_tstamp", "event_name")),
        frozenset(("collector_tstamp", "event_id")),
    ),
    text=text,
    columns=(*COLUMNS, _SESSION_USER),
    table=table,
    agent=("useragent",),
    usual=("app_id", "platform", "geo_country", "page_urlpath"),
)
