r"""snowplow - make a shop's enriched events as Snowplow writes them

TSV with the 131 columns of an enriched event, about 1.2 KB a line; with
--format json what the analytics SDKs make of it. The web site's events have a
domain_userid, those of its app a client session; some have no derived_tstamp,
some more columns than there are; events are out of order; a clock change is
among the days, 2024-03-10 in the default zone.

With --truth, also the answer: date and number of the distinct users of each
local day, by domain_userid, or the client session's userId.

Example:
  $ make-data snowplow --events 1000 --seed 7 | cut -f 127 | sort -u | head -1
  add_to_cart
"""

from collections.abc import Callable

import msgspec

from headcount.cli import types
from headcount.cli.parser import Parser
from headcount.pipelines.active_users.sources.snowplow import COLUMNS
from headcount.testdata import tracker
from headcount.testdata.tracker import ADD, BUY, CLICK, LOG_IN, NOTICE, SEARCH, VIEW, iso, uuid

_NAMES = {  # event, event_name
    VIEW: ("page_view", "page_view"),
    CLICK: ("page_ping", "page_ping"),
    SEARCH: ("struct", "event"),
    ADD: ("unstruct", "add_to_cart"),
    LOG_IN: ("unstruct", "login"),
    NOTICE: ("unstruct", "screen_view"),  # in the app
    BUY: ("transaction", "transaction"),
}
_SCHEMA = "iglu:com.snowplowanalytics.snowplow"


def _at(micros: int) -> str:
    return iso(micros, 3, between=" ")


def _spelled(event: tracker.Event) -> tuple[dict[str, str], str]:
    """The columns that are not empty, and the user."""
    kind, name = _NAMES[event.action]
    device = uuid(event.device)
    told = {
        "app_id": "shop",
        "platform": "web",
        "etl_tstamp": _at(event.arrived + 900_000),
        "collector_tstamp": _at(event.arrived),
        "dvce_created_tstamp": _at(event.at - 1_700_000),
        "event": kind,
        "event_id": uuid(event.id),
        "name_tracker": "sp",
        "v_tracker": "js-3.20.0",
        "v_collector": "ssc-3.0.1-kinesis",
        "v_etl": "snowplow-enrich-kinesis-4.1.0",
        "user_id": str(event.account) if event.account else "",
        "user_ipaddress": event.address,
        "domain_userid": device,
        "domain_sessionidx": str(1 + event.person % 9),
        "network_userid": uuid(event.device >> 3),
        "geo_country": "US",
        "geo_city": "San Francisco",
        "page_url": f"https://shop.example.com{event.page}?utm_source=newsletter",
        "page_title": f"Shop {event.page}",
        "page_urlscheme": "https",
        "page_urlhost": "shop.example.com",
        "page_urlport": "443",
        "page_urlpath": event.page,
        "page_urlquery": "utm_source=newsletter",
        "contexts": _json("contexts", [_entity("web_page", {"id": uuid(event.bits)})]),
        "useragent": event.agent,
        "br_lang": "en-US",
        "br_cookies": "1",
        "br_viewwidth": "1280",
        "br_viewheight": "720",
        "os_timezone": "America/Chicago",
        "dvce_screenwidth": "1920",
        "dvce_screenheight": "1080",
        "doc_charset": "UTF-8",
        "dvce_sent_tstamp": _at(event.arrived - 40_000),
        "domain_sessionid": uuid(event.device ^ event.at // 3_600_000_000),
        "derived_tstamp": _at(event.at),
        "event_vendor": "com.snowplowanalytics.snowplow",
        "event_name": name,
        "event_format": "jsonschema",
        "event_version": "1-0-0",
        "event_fingerprint": f"{event.id:032x}",
    }
    if event.action == NOTICE:
        session = {"userId": device, "sessionId": uuid(event.id >> 1), "sessionIndex": 3}
        entities = [
            _entity("mobile_context", {"osType": "ios"}),
            _entity("client_session", session),
        ]
        told |= {"platform": "mob", "domain_userid": "", "contexts": _json("contexts", entities)}
    if event.is_unusual:
        told |= {"derived_tstamp": "", "collector_tstamp": _at(event.at)}
    return told, device


def _entity(name: str, data: dict) -> dict:
    return {"schema": f"{_SCHEMA}/{name}/jsonschema/1-0-2", "data": data}


def _json(name: str, data) -> str:
    told = {"schema": f"{_SCHEMA}/{name}/jsonschema/1-0-0", "data": data}
    return msgspec.json.encode(told).decode()


def _tsv(event: tracker.Event) -> tuple[bytes, str]:
    told, user = _spelled(event)
    values = [told.get(name, "") for name in COLUMNS]
    if event.is_unusual and event.bits % 2:
        values.append("a later version's column")
    return "\t".join(values).encode() + b"\n", user


def _sdk(event: tracker.Event) -> tuple[dict, str]:
    """What the SDKs make of it: times in ISO 8601, entities by the names of their schemas."""
    told, user = _spelled(event)
    told = {name: value for name, value in told.items() if value}
    for name in told:
        if name.endswith("_tstamp"):
            told[name] = told[name].replace(" ", "T") + "Z"
    for entity in msgspec.json.decode(told.pop("contexts"))["data"]:
        name = entity["schema"].split("/")[1]
        told[f"contexts_com_snowplowanalytics_snowplow_{name}_1"] = [entity["data"]]
    return told, user


def _spoilt(line: bytes, random: Callable[[], float]) -> bytes:
    """A line that is not an event any more, or that names no user."""
    kind, values = random(), line.rstrip(b"\n").split(b"\t")
    if kind < 0.4:
        values = values[: 1 + int(random() * (len(COLUMNS) - 2))]  # cut short
    elif kind < 0.6:
        values[COLUMNS.index("page_title")] = b"Caf\xe9"
    elif kind < 0.8:
        for name in ("derived_tstamp", "collector_tstamp"):
            values[COLUMNS.index(name)] = b"soon" if random() < 0.5 else b""
    else:
        for name in ("domain_userid", "contexts"):
            values[COLUMNS.index(name)] = b""
    return b"\t".join(values) + b"\n"


_SESSION = "contexts_com_snowplowanalytics_snowplow_client_session_1"
_TRACKERS = {
    "tsv": tracker.Tracker(_tsv, 1300, spoil=_spoilt),
    "json": tracker.Tracker(
        _sdk,
        1600,
        needed=(
            ("domain_userid", _SESSION),
            ("event", "event_name"),
            ("derived_tstamp", "collector_tstamp"),
        ),
    ),
}


def add_options(parser: Parser) -> None:
    tracker.add_options(parser)
    parser.add_argument(
        "--format",
        metavar="NAME",
        type=types.one_of(*_TRACKERS),
        default="tsv",
        help=f"how events are written: {', '.join(_TRACKERS)} (default: tsv)",
    )


def run(parser: Parser, options) -> int:
    """Print the events, then write the truth; returns the exit status."""
    return tracker.run(parser, options, _TRACKERS[options.format])
