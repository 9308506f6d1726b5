r"""cloudevents - make a shop's events as CloudEvents in JSON

JSON Lines of about 0.5 KB. The user is in data, as userId, user_id or user.id;
events of services, which have a subject and no user, are rejected; events are
out of order; a clock change is among the days, 2024-03-10 in the default zone.

With --truth, also the answer: date and number of the distinct users of each
local day.

Example:
  $ make-data cloudevents --events 1000 --seed 7 | grep -c specversion
  1000
"""

from headcount.cli.parser import Parser
from headcount.testdata import common, tracker
from headcount.testdata.tracker import ACTIONS, iso, uuid

_TYPES = {action: f"com.example.shop.{action.replace('-', '_')}" for action in ACTIONS}


def _spelled(event: tracker.Event) -> tuple[dict, str]:
    user = str(event.key)
    data = {"page": event.page, "price": event.bits % 9999 / 100, "sku": event.bits % 977}
    told = {
        "specversion": "1.0",
        "id": uuid(event.id),
        "source": "/shop/web",
        "type": _TYPES[event.action],
        "subject": f"order-{event.bits % 99_991}",
        "time": iso(event.at, 6) + "Z",
        "datacontenttype": "application/json",
        "traceparent": f"00-{event.id:032x}-{event.bits & (1 << 64) - 1:016x}-01",
        "data": {"userId": user, **data},
    }
    if event.is_unusual:
        told["time"] = tracker.unusual_iso(event)
        told["data"] = [{"user": {"id": user}}, {"user_id": event.key}][event.bits % 2] | data
        del told["subject"], told["traceparent"]
    return told, user


_USERS = ("data.userId", "data.user_id", "data.user")
_TRACKER = tracker.Tracker(_spelled, 450, needed=(_USERS, ("type",), ("time",)))


def _with_services(part: float) -> tracker.Tracker:
    """Some of the events are a service's: nobody's."""

    def spelled(event: tracker.Event) -> tuple[dict, str | None]:
        told, user = _spelled(event)
        if event.id % 1000 >= part * 1000:
            return told, user
        told["source"], told["data"] = "/shop/stock", {"sku": event.bits % 977, "left": 3}
        return told, None

    return _TRACKER._replace(spell=spelled)


def add_options(parser: Parser) -> None:
    tracker.add_options(parser)
    common.add_fractions(parser, ("--services", 0.0, "this part is by services, without a user"))


def run(parser: Parser, options) -> int:
    """Print the events, then write the truth; returns the exit status."""
    return tracker.run(parser, options, _with_services(options.services))
