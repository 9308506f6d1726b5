r"""amplitude - make events of a shop's web site as Amplitude exports them

JSON Lines of about 1.7 KB with all documented fields of the Export API. Users
keep their amplitude_id over a login; a second device has one of its own until
then; events are out of order; a clock change is among the days, 2024-03-10 in
the default zone.

With --truth, also the answer: date and number of the distinct amplitude_ids of
each local day.

Example:
  $ make-data amplitude --events 1000 --seed 7 | grep -c event_time
  1000
"""

from headcount.cli.parser import Parser
from headcount.testdata import tracker
from headcount.testdata.tracker import ADD, BUY, CLICK, LOG_IN, NOTICE, SEARCH, VIEW, iso, uuid

_NAMES = {
    VIEW: "[Amplitude] Page Viewed",
    CLICK: "product clicked",
    SEARCH: "search",
    ADD: "add to cart",
    LOG_IN: "login",
    NOTICE: "push notification sent",
    BUY: "purchase",
}


def _at(micros: int) -> str:
    return iso(micros, 6, between=" ")


def _spelled(event: tracker.Event) -> tuple[dict, str]:
    user = event.merged % 10**12
    name = _NAMES[event.action]
    told = {
        "$insert_id": uuid(event.id),
        "$insert_key": None,
        "$schema": None,
        "adid": None,
        "amplitude_attribution_ids": None,
        "amplitude_event_type": None,
        "amplitude_id": user,
        "app": 123_456,
        "city": "San Francisco",
        "client_event_time": _at(event.at - 1_500),
        "client_upload_time": _at(event.arrived),
        "country": "United States",
        "data": {"path": "/2/httpapi", "group_first_event": {}},
        "data_type": "event",
        "device_brand": None,
        "device_carrier": None,
        "device_family": "Windows",
        "device_id": uuid(event.device),
        "device_manufacturer": None,
        "device_model": "Windows",
        "device_type": "Windows",
        "dma": "San Francisco-Oakland-San Jose, CA",
        "event_id": event.bits % 5000,
        "event_properties": {
            "[Amplitude] Page Path": event.page,
            "[Amplitude] Page URL": f"https://shop.example.com{event.page}",
            "price": event.bits % 9999 / 100,
        },
        "event_time": _at(event.at),
        "event_type": name,
        "global_user_properties": {},
        "group_properties": {},
        "groups": {},
        "idfa": None,
        "ip_address": event.address,
        "is_attribution_event": False,
        "language": "English",
        "library": "amplitude-ts/2.6.1",
        "location_lat": None,
        "location_lng": None,
        "os_name": "Chrome",
        "os_version": "122",
        "partner_id": None,
        "paying": None,
        "plan": {},
        "platform": "Web",
        "processed_time": _at(event.arrived + 2_000_000),
        "region": "California",
        "sample_rate": None,
        "server_received_time": _at(event.arrived),
        "server_upload_time": _at(event.arrived + 1_000_000),
        "session_id": event.at // 1000 - event.at // 1000 % 1_800_000,
        "source_id": None,
        "start_version": None,
        "user_creation_time": _at(event.at - event.person % 90 * 86_400_000_000),
        "user_id": f"user-{event.account}" if event.account else None,
        "user_properties": {"plan": "free", "initial_referrer": "https://www.example.org/"},
        "uuid": uuid(event.id >> 1),
        "version_name": None,
    }
    if event.is_unusual:
        told["event_time"] = iso(event.at) + "Z"
        told["amplitude_id"] = str(user)
        del told["user_id"], told["event_properties"]
    return told, str(user)


_TRACKER = tracker.Tracker(
    _spelled, 1700, needed=(("amplitude_id",), ("event_type",), ("event_time",))
)


def add_options(parser: Parser) -> None:
    tracker.add_options(parser)


def run(parser: Parser, options) -> int:
    """Print the events, then write the truth; returns the exit status."""
    return tracker.run(parser, options, _TRACKER)
