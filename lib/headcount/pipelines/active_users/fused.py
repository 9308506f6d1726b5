"""The filters of the active users' pipe in one: events → day, user, signals → counts.

How count-active-users and import-active-users run them.
It calls the filters' own functions, and spares what their rows cost in between. An import takes the
rows, a count the counts.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

from stringzilla import Str

from headcount.cli.main import note, start_as
from headcount.cli.parser import Parser
from headcount.filters import runner
from headcount.filters.account import Account
from headcount.filters.distinct import Counts
from headcount.filters.results import Result
from headcount.io import workers
from headcount.io.blocks import All, Block, Some
from headcount.pipelines.active_users import options as engagement_options
from headcount.pipelines.active_users import pseudonym_options
from headcount.pipelines.active_users.definitions import (
    ANY_EVENT,
    ENGAGED,
    ENGAGED_SESSION,
    SUMMED,
    VALUABLE,
    needed,
)
from headcount.pipelines.active_users.events import identity, look, parsers, qualify, record
from headcount.pipelines.active_users.events.plain import Plain
from headcount.pipelines.active_users.events.repeats import Repeats
from headcount.values import decimals, pseudonyms, zones
from headcount.values.search import NameSearch
from headcount.values.tsv import escape

REJECTER = "parse-engagement"  # in whose name lines are rejected
_REMEMBERED = 200_000  # rows: enough to spare most repetitions, in bounded memory


class ActiveRows:
    """Finds, parses and dates the events of a block; a row that it remembers is a duplicate.

    With a `search` it parses only the lines that hold a name; where most do, all but those that
    repeat a row.
    """

    def __init__(
        self,
        parser: parsers.Parser,
        days,
        search: NameSearch | None,
        name: Callable[[str], str] = escape,
        *,
        daily: bool = False,
        tells_inputs: bool = False,
    ):
        """`name` is what a row calls a user; if `daily`, another name on each local day.

        If it `tells_inputs`, rows of each input follow a line that names it.
        """
        # of a by_fields.Parser columns, where it can
        self._parse = getattr(parser, "parse_plain", parser.parse_all)
        self._name = (lambda day, user: name(f"{day} {user}")) if daily else _the_same(name)
        self._span = days.span
        self._search = search
        self._dense = False  # most lines held a name
        self._repeats = _repeats(parser.definition) if search else None
        self._remembers = not parser.definition.summed and not qualify.may_be_pending(
            parser.definition
        )
        # beside that of the user
        wanted = parser.definition
        self._has_names = wanted.stitched or ENGAGED_SESSION in needed(wanted.named)
        self._seen: dict[str, dict[str, set[str]]] = {}  # day: signals: users
        self._size = 0  # how many they are
        self._input = ""  # whose rows it remembers
        self._tally = identity.Tally(parser, days.span) if tells_inputs else None
        self._latest = 0, 0, ""  # from when until before when it was lately which local day

    def __call__(self, block: Block) -> Result:
        """Rows: the local day, the user, the signals, and with sums what belongs to them."""
        if not self._tally:
            return self._of_block(block)
        if block.name != self._input:
            self._input = block.name
            self._seen.clear()
            self._size, self._latest = 0, (0, 0, "")
        result = self._of_block(block)
        self._tally.add_rejects(result.rejects)
        rows = result.rows + self._tally.take()
        return result._replace(rows=runner.from_input(block.name) + rows) if rows else result

    def _of_block(self, block: Block) -> Result:
        if self._size > _REMEMBERED:
            self._seen.clear()
            self._size = 0
        lines, kept = self._lines(block)
        passed = block.lines() - lines.count - kept
        found = self._parse(lines)
        if type(found) is Plain:
            rows = self._plain_rows(found)
            self._size += len(rows)
            kept += len(found.users)
            duplicate = kept - len(rows)
            filtered = block.lines() - kept
            text = "".join(rows).encode()
            return Result(text, len(rows), filtered, duplicate, passed=passed)
        rows, rejects = [], []
        since, until, day = 0, 0, ""
        told = kept, 0  # of how many events, and rows, the tally knows
        if self._tally:
            self._tally.add(self._latest[2], kept)
        for i, event in enumerate(found):
            if type(event) is tuple:
                micros, offset, user, signals = event
                if not since <= micros < until:
                    if self._tally and day:
                        self._tally.add(day, kept - told[0] - len(rows) + told[1])
                        told = kept, len(rows)
                    since, until, day = self._span(micros, offset)
                    seen = self._seen.setdefault(day, {})
                kept += 1
                if self._remembers:
                    users = seen.get(signals)
                    if users is None:
                        users = seen[signals] = set()
                    if user in users:
                        continue
                    users.add(user)
                if self._has_names and "\t" in signals:
                    signals = record.with_names(signals, partial(self._name, day))
                rows.append(f"{day}\t{self._name(day, user)}\t{signals}\n")
            elif event is not None and self._matters(line := lines[i]):
                rejects.append((event, block.name, lines.number(i), line))
        self._size += len(rows)
        if until:
            self._latest = since, until, day
        if self._tally and day:
            self._tally.add(day, kept - told[0] - len(rows) + told[1])
        filtered = block.lines() - kept - len(rejects)
        self._dense = kept > filtered
        text = "".join(rows).encode()
        return Result(text, len(rows), filtered, kept - len(rows), rejects, passed=passed)

    def _plain_rows(self, found: Plain) -> list[str]:
        """Rows of events that are in columns, without those that it remembers."""
        rows = []
        for day, users in found.pieces(self._span):
            seen = self._seen.setdefault(day, {}).setdefault(ANY_EVENT, set())
            new = [user for user in dict.fromkeys(users) if user not in seen]
            seen.update(new)
            rows += [f"{day}\t{self._name(day, user)}\t{ANY_EVENT}\n" for user in new]
            if self._tally:
                self._tally.add(day, len(users) - len(new))
        return rows

    def _lines(self, block: Block) -> tuple[All | Some, int]:
        """The lines to parse, and how many of the others repeat a row."""
        if self._search and not self._dense:
            return Some(block, self._search.spans(block.text)), 0
        since, until, day = self._latest
        users = self._seen.get(day, {}).get(VALUABLE)
        if self._repeats and users:
            others = self._repeats.others(block.text, block.lines(), since, until, users)
            if others:
                return Some(block, others.spans), others.repeated
        return All(block), 0

    def _matters(self, line: bytes) -> bool:
        """Whether a bad line is one that parse-engagement would get to see, and not blank."""
        if self._search:
            return bool(self._search.spans(Str(line)))
        return bool(line.strip(runner.BLANKS))


def _the_same(name: Callable[[str], str]) -> Callable[[str, str], str]:
    return lambda _day, user: name(user)


def _repeats(definition: record.Definition) -> Repeats | None:
    """None where one event is not as good as many, or where a user has several fields, or a bot.

    (Of an engagement one has to know more than its name.)
    """
    names = definition.valuable_events - {record.ENGAGEMENT}
    users, unit = definition.fields.user, definition.fields.unit
    if not names or definition.summed or definition.named or len(users) > 1 or unit != "us":
        return None
    if definition.fields.agent:
        return None
    return Repeats(names, names | {record.ENGAGEMENT}, *users)


def _counts(definition: record.Definition, name: str):
    """What adds up the rows of a definition."""
    if name == ANY_EVENT and not definition.stitched:
        return Counts([ANY_EVENT.encode()])
    if definition.named:
        from headcount.pipelines.active_users.days.collect import (
            ActiveUsers,  # knows the database, which others need not
        )

        return ActiveUsers(name, definition.min_msec)
    least = decimals.shifted(definition.min_msec, -3) if definition.summed else None
    return Counts([ENGAGED.encode(), VALUABLE.encode()], sum_at_least=least)


def parsed(parser: Parser, arguments: list[str] | None = None) -> argparse.Namespace:
    """The options of the filters, with their `rows`. Raises SystemExit for what makes no sense."""
    engagement_options.add_options(parser)
    parser.add_argument("--validate", action="store_true", help="look at every line")
    parser.add_argument("--count", action="store_true", help="count them, as count-distinct does")
    parser.add_argument(
        "--mergeable", action="store_true", help="what sums up to is to be kept, and added to"
    )
    parser.add_argument("--pseudonym-key", metavar="FILE", type=pseudonym_options.key)
    parser.add_argument("--pseudonyms", default=pseudonym_options.EVER)
    engagement_options.add_named(parser)
    runner.add_options(parser, "--tz", "--rejects", "--jobs")
    options = parser.parse(arguments)
    engagement_options.resolve(parser, options)
    name = pseudonyms.Pseudonyms(options.pseudonym_key) if options.pseudonym_key else escape
    on_device = options.tz == zones.DEVICE
    options.wanted = engagement_options.definition(
        options,
        with_offset=on_device,
        summed=options.definition == (SUMMED,) and not options.mergeable,
    )
    names = None if options.validate else qualify.names(options.wanted)
    search = NameSearch(names) if names else None
    try:
        days = zones.DeviceDays() if on_device else zones.LocalDays(zones.find(options.tz))
    except ValueError as error:
        parser.error(str(error))
    events = parsers.parser(options.wanted)
    daily = options.pseudonyms == pseudonym_options.DAY
    tells_inputs = options.mergeable
    options.rows = ActiveRows(events, days, search, name, daily=daily, tells_inputs=tells_inputs)
    options.rows, options.reading = look.reading(options.rows, events, options, named=options.named)
    return options


def main() -> int:
    """PIPELINE [FILE…] - rows of local day, user and signals of the events that count"""
    options = parsed(Parser(main.__doc__))
    options.jobs = options.jobs or workers.processors()  # nothing behind it is as much work
    if not options.count:
        return runner.run(
            options, options.rows, rejecter=REJECTER, is_last=False, **options.reading
        )
    counts = _counts(options.wanted, *options.definition)

    def take(text: bytes) -> None:
        if counts.add(Block(text)).rejects:
            raise AssertionError("a row of our own that is none")

    def finish(account: Account) -> bytes:
        rows = counts.rows()
        if account.kept and not rows:
            note(f"no user has all that the definition asks for: {account.kept} events", options)
        return rows

    return runner.run(
        options,
        options.rows,
        finish,
        take=take,
        rejecter=REJECTER,
        **options.reading,
    )


if __name__ == "__main__":
    start_as(main)
