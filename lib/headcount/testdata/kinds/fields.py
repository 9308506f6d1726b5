r"""fields - make events of a shop that has a format of its own, as --source fields reads them

JSON Lines of about 0.3 KB: who did it is at who.id, or who.device if nobody is
logged in; what at what.kind; when at when.at, a number of milliseconds, or what
--time-unit says. The agent is at how.agent. Events are out of order; a clock
change is among the days, 2024-03-10 in the default zone.

With --truth, also the answer: date and number of the distinct users of each
local day.

Example:
  $ make-data fields --events 500 --truth truth.tsv >events.jsonl
  $ count-active-users --source fields --field user=who.id,who.device \
      --field time=when.at --time-unit ms --field name=what.kind events.jsonl |
      cmp - truth.tsv
"""

from headcount.cli import types
from headcount.cli.parser import Parser
from headcount.testdata import tracker
from headcount.testdata.tracker import iso, uuid
from headcount.values import instants


def _tracker(unit: str) -> tracker.Tracker:
    def at(micros: int) -> int | str:
        if unit == instants.ISO:
            return iso(micros, 6) + "Z"
        power = instants.UNITS[unit]
        return micros // 10**power if power >= 0 else micros * 10**-power

    def spelled(event: tracker.Event) -> tuple[dict, str]:
        device, account = uuid(event.device), f"customer {event.account}"
        told = {
            "v": 3,
            "when": {"at": at(event.at), "day": "2024-01-01"},
            "who": {"id": account if event.account else None, "device": device},
            "what": {"kind": event.action, "page": event.page, "price": event.bits % 9999 / 100},
            "how": {"agent": event.agent, "address": event.address},
        }
        if event.is_unusual:
            told["when"]["at"] = str(told["when"]["at"])
            told["who"]["id"] = account if event.account else ""
        return told, account if event.account else device

    return tracker.Tracker(spelled, 400, needed=(("who",), ("what.kind",), ("when.at",)))


def add_options(parser: Parser) -> None:
    tracker.add_options(parser)
    units = (*instants.UNITS, instants.ISO)
    parser.add_argument(
        "--time-unit",
        metavar="UNIT",
        type=types.one_of(*units),
        default="ms",
        help=f"what times are: {', '.join(units)} (default: ms)",
    )


def run(parser: Parser, options) -> int:
    """Print the events, then write the truth; returns the exit status."""
    return tracker.run(parser, options, _tracker(options.time_unit))
