r"""posthog - make events of a shop's web site as PostHog exports them

JSON Lines of about 1.4 KB as batch exports have them. Users keep their
person_id over a login, while their distinct_id changes; a second device has a
person of its own until then; events are out of order; a clock change is among
the days, 2024-03-10 in the default zone.

With --truth, also the answer: date and number of the distinct person_ids of
each local day.

Example:
  $ make-data posthog --events 1000 --seed 7 | grep -c person_id
  1000
"""

from headcount.cli.parser import Parser
from headcount.testdata import tracker
from headcount.testdata.tracker import ADD, BUY, CLICK, LOG_IN, NOTICE, SEARCH, VIEW, iso, uuid

_NAMES = {
    VIEW: "$pageview",
    CLICK: "$autocapture",
    SEARCH: "search",
    ADD: "cart_item_added",
    LOG_IN: "$identify",
    NOTICE: "email_sent",
    BUY: "order_completed",
}


def _spelled(event: tracker.Event) -> tuple[dict, str]:
    person = uuid(event.merged * 0x1000193_00000001_00000007)
    anonymous = uuid(event.device)
    told = {
        "uuid": uuid(event.id),
        "event": _NAMES[event.action],
        "distinct_id": str(event.account) if event.account else anonymous,
        "person_id": person,
        "properties": {
            "$browser": "Chrome",
            "$browser_version": 122,
            "$current_url": f"https://shop.example.com{event.page}",
            "$device_id": anonymous,
            "$device_type": "Desktop",
            "$geoip_city_name": "San Francisco",
            "$geoip_time_zone": "America/Los_Angeles",
            "$host": "shop.example.com",
            "$insert_id": f"{event.bits:016x}",
            "$ip": event.address,
            "$lib": "web",
            "$lib_version": "1.112.0",
            "$os": "Windows",
            "$pathname": event.page,
            "$raw_user_agent": event.agent,
            "$referrer": "$direct",
            "$session_id": uuid(event.device ^ event.at // 1_800_000_000),
            "$time": event.at / 1_000_000,
            "$user_id": str(event.account) if event.account else None,
            "distinct_id": str(event.account) if event.account else anonymous,
            "price": event.bits % 9999 / 100,
            "token": "phc_000000000000000000000000000000000000000000",
        },
        "person_properties": {"$initial_referrer": "$direct", "plan": "free"},
        "elements_chain": "",
        "set": None,
        "set_once": None,
        "team_id": 2,
        "timestamp": iso(event.at) + "+00:00",
        "created_at": iso(event.arrived) + "+00:00",
    }
    if event.is_unusual:
        told["timestamp"] = tracker.unusual_iso(event)
        del told["team_id"], told["elements_chain"], told["person_properties"]
    return told, person


_TRACKER = tracker.Tracker(
    _spelled, 1400, needed=(("person_id", "distinct_id"), ("event",), ("timestamp",))
)


def add_options(parser: Parser) -> None:
    tracker.add_options(parser)


def run(parser: Parser, options) -> int:
    """Print the events, then write the truth; returns the exit status."""
    return tracker.run(parser, options, _TRACKER)
