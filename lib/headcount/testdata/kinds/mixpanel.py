r"""mixpanel - make events of a shop's web site as Mixpanel exports them

JSON Lines of about 1 KB as the Raw Event Export API sends them. A device that
somebody logs in on has that user's distinct_id in all of its events, any other
a $device ID; events are out of order; a clock change is among the days,
2024-03-10 in the default zone.

With --truth, also the answer: date and number of the distinct distinct_ids of
each local day.

Example:
  $ make-data mixpanel --events 1000 --seed 7 | grep -c distinct_id
  1000
"""

from headcount.cli.parser import Parser
from headcount.testdata import tracker
from headcount.testdata.tracker import ADD, BUY, CLICK, LOG_IN, NOTICE, SEARCH, VIEW, uuid

_NAMES = {
    VIEW: "$mp_web_page_view",
    CLICK: "Product Clicked",
    SEARCH: "Search",
    ADD: "Added to Cart",
    LOG_IN: "Logged In",
    NOTICE: "Message Sent",
    BUY: "Purchase",
}


def _spelled(event: tracker.Event) -> tuple[dict, str]:
    device = uuid(event.device)
    user = str(event.owner) if event.owner else f"$device:{device}"
    properties = {
        "time": event.at // 1_000_000,
        "distinct_id": user,
        "$browser": "Chrome",
        "$browser_version": 122,
        "$city": "San Francisco",
        "$current_url": f"https://shop.example.com{event.page}",
        "$device_id": device,
        "$distinct_id_before_identity": str(event.account)
        if event.account
        else f"$device:{device}",
        "$initial_referrer": "$direct",
        "$initial_referring_domain": "$direct",
        "$insert_id": uuid(event.id).replace("-", ""),
        "$lib_version": "2.49.0",
        "$mp_api_endpoint": "api-js.mixpanel.com",
        "$mp_api_timestamp_ms": event.arrived // 1000,
        "$os": "Windows",
        "$region": "California",
        "$screen_height": 1080,
        "$screen_width": 1920,
        "$user_id": str(event.account),
        "mp_country_code": "US",
        "mp_lib": "web",
        "mp_processing_time_ms": event.arrived // 1000 + 900,
        "mp_sent_by_lib_version": "2.49.0",
        "price": event.bits % 9999 / 100,
    }
    if not event.account:
        del properties["$user_id"]
    if event.is_unusual:
        if event.owner:
            properties["distinct_id"] = event.owner
        properties["time"] = event.at / 1_000_000
        del properties["$insert_id"]
    return {"event": _NAMES[event.action], "properties": properties}, user


_TRACKER = tracker.Tracker(
    _spelled, 950, needed=(("properties.distinct_id",), ("event",), ("properties.time",))
)


def add_options(parser: Parser) -> None:
    tracker.add_options(parser)


def run(parser: Parser, options) -> int:
    """Print the events, then write the truth; returns the exit status."""
    return tracker.run(parser, options, _TRACKER)
