r"""segment - make calls of a shop's web site as Segment delivers them

JSON Lines of about 1 KB, as a Segment archive, RudderStack or Jitsu has them:
page, track and identify calls. Visitors are anonymous until they log in, some
on two devices, some with a clock that is hours off (timestamp is corrected);
events are out of order; a clock change is among the days, 2024-03-10 in the
default zone.

With --truth, also the answer: date and number of the distinct users of each
local day, by userId, or by anonymousId of calls without one.

Example:
  $ make-data segment --events 1000 --seed 7 | grep -c anonymousId
  1000
"""

from headcount.cli.parser import Parser
from headcount.testdata import tracker
from headcount.testdata.tracker import ADD, BUY, CLICK, LOG_IN, NOTICE, SEARCH, VIEW, iso, uuid

_CALLS = {
    VIEW: ("page", None),
    CLICK: ("track", "Product Clicked"),
    SEARCH: ("track", "Products Searched"),
    ADD: ("track", "Product Added"),
    LOG_IN: ("identify", None),
    NOTICE: ("track", "Email Delivered"),
    BUY: ("track", "Order Completed"),
}
_SITE = "https://shop.example.com"


def _spelled(event: tracker.Event) -> tuple[dict, str]:
    kind, name = _CALLS[event.action]
    anonymous = uuid(event.device)
    skew = (event.device % 10 == 0) * 3 * 3600 * 1_000_000
    call = {
        "anonymousId": anonymous,
        "channel": "client",
        "context": {
            "ip": event.address,
            "library": {"name": "analytics.js", "version": "next-1.64.0"},
            "locale": "en-US",
            "page": {
                "path": event.page,
                "referrer": "https://www.example.org/",
                "search": "?utm_source=newsletter",
                "title": f"Shop {event.page}",
                "url": f"{_SITE}{event.page}?utm_source=newsletter",
            },
            "timezone": "America/Chicago",
            "userAgent": event.agent,
        },
        "event": name,
        "integrations": {"All": True},
        "messageId": f"ajs-next-{uuid(event.id)}",
        "originalTimestamp": iso(event.at + skew) + "Z",
        "properties": {"product_id": f"sku-{event.bits % 977}", "price": event.bits % 9999 / 100},
        "receivedAt": iso(event.arrived) + "Z",
        "sentAt": iso(event.arrived + skew) + "Z",
        "timestamp": iso(event.at) + "Z",
        "type": kind,
        "userId": str(event.account) if event.account else None,
        "version": 2,
    }
    if name is None:
        del call["event"]
    if kind == "identify":
        call["traits"] = {"plan": "free"} | call.pop("properties")
    if event.is_unusual:
        call["timestamp"] = tracker.unusual_iso(event)
        call["userId"] = event.account or ""
        del call["sentAt"], call["channel"]
    return call, str(event.account) if event.account else anonymous


_TRACKER = tracker.Tracker(
    _spelled,
    1100,
    needed=(
        ("userId", "anonymousId"),
        ("event", "type"),
        ("timestamp", "originalTimestamp", "receivedAt"),
    ),
)


def add_options(parser: Parser) -> None:
    tracker.add_options(parser)


def run(parser: Parser, options) -> int:
    """Print the events, then write the truth; returns the exit status."""
    return tracker.run(parser, options, _TRACKER)
