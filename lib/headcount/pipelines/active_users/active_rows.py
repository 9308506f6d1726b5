"""Raw events → rows of local day, user, signals: the filters of the pipe in one function.

It finds, parses and dates the events of a block as the filters do, and spares what rows cost
between them. A row that was there before says nothing new; so rows are held back as sets of users,
and handed over when they are many, or at the end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from stringzilla import Str

from headcount.filters import runner
from headcount.filters.rejects import UNIDENTIFIED, Reject
from headcount.filters.results import Result
from headcount.io.blocks import All, Block, Some
from headcount.pipelines.active_users.definitions import ENGAGED_SESSION, VALUABLE, needed
from headcount.pipelines.active_users.events import identity, parsers, qualify, record, repeats
from headcount.pipelines.active_users.events.plain import Column, Plain
from headcount.values.day_index import DayIndex, Scale
from headcount.values.search import NameSearch
from headcount.values.tsv import escape

if TYPE_CHECKING:
    from headcount.pipelines.active_users.events.breakdown import Breakdown  # few ask for it

_HELD = 200_000  # rows: enough to spare most repetitions, in bounded memory (some 30 MB)
_INPUTS = 1_000  # that rows are held of
_SHORT = 1_000  # bytes: lines of fewer are parsed as fast as they are searched for repetitions
_IN_ONE = 2_000  # users in a line, at the most


class _Held:
    """The rows of one input that are held back; of one property alone, where these are told apart.

    `head` is what stands before them.
    """

    def __init__(self, head: bytes, tally: identity.Tally | None):
        self.head = head
        self.users: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        # by day and signals: users, each with the value that an event had in each of the fields
        self.by: dict[str, dict[str, set[tuple[str, ...]]]] = defaultdict(lambda: defaultdict(set))
        self.tally = tally


class ActiveRows:
    """Finds, parses and dates the events of a block; a row that it holds is a duplicate.

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
        many_in_one: bool = True,
        by: Breakdown | None = None,
        properties: Breakdown | None = None,
    ):
        """`name` is what a row calls a user; if `daily`, another name on each local day.

        With `by`, who had which value follows the rows (runner.BY). With `properties`, the value of
        the one field of these says whose an event is (runner.PROPERTY). If it `tells_inputs`, rows
        of each input follow a line that names it. With `many_in_one`, rows that differ in their
        user alone are one line (runner.USERS).
        """
        self._by, self._properties = by, properties
        self._parse = parser.parse_all if properties else parser.parse_plain
        self._escapes = name is escape
        self._name = (lambda day, user: name(f"{day} {user}")) if daily else _the_same(name)
        self._span = days.span
        self._search = search
        self._dense = False  # most lines held a name
        wanted = parser.definition
        self._repeats = repeats.of(wanted) if search and not (by or properties) else None
        self._holds = not wanted.summed and not qualify.may_be_pending(wanted)
        # beside that of the user
        self._has_names = wanted.stitched or ENGAGED_SESSION in needed(wanted.named)
        self._tally_of = partial(identity.Tally, parser, days.span) if tells_inputs else None
        self._many_in_one = many_in_one
        self._held: dict[tuple[str, str], _Held] = {}  # by input, or all in one, and by property
        self._size = 0  # how many rows are held
        self._indexes: dict[Scale, DayIndex] = {}
        self._repeating = False  # most events said nothing new

    def __call__(self, block: Block) -> Result:
        """Rows: the local day, the user, the signals, and with sums what belongs to them."""
        if self._properties:
            result = self._of_block(block, None)
            self._tally_rejects(result.rejects)
        else:
            held = self._holder(block.name)
            result = self._of_block(block, held)
            if held.tally:
                held.tally.add_rejects(result.rejects)
            if not result.kept + result.duplicate and held.tally:  # it may be of the wrong kind
                rows = held.tally.take()
                if not held.users:
                    del self._held[block.name, ""]
                return result._replace(rows=held.head + rows) if rows else result
        if self._size <= _HELD and len(self._held) <= _INPUTS:
            return result
        return result._replace(rows=result.rows + self.at_end())

    def _holder(self, name: str, line: bytes | None = None) -> _Held:
        """What holds the rows of an input; with properties, those of the one that a line names."""
        of_input = name if self._tally_of else ""
        whose = self._properties.values(line)[0] if self._properties else ""
        held = self._held.get((of_input, whose))
        if held is None:
            head = runner.from_input(name) if self._tally_of else b""
            if self._properties:
                head = runner.from_property(whose) + head
            tally = self._tally_of() if self._tally_of else None
            held = self._held[of_input, whose] = _Held(head, tally)
        return held

    def _tally_rejects(self, rejects: list[tuple[Reject, str, int, bytes]]) -> None:
        """Count the events without a user, each with those of its property."""
        for reject in rejects:
            cause, name, _, line = reject
            if cause.reason == UNIDENTIFIED and (tally := self._holder(name, line).tally):
                tally.add_rejects([reject])

    def at_end(self) -> bytes:
        """The rows that were held back."""
        parts = []
        for held in self._held.values():
            rows = [held.tally.take()] if held.tally else []
            for day, of_day in held.users.items():
                for signals, users in of_day.items():
                    rows += self._rows(day, signals, users)
            for day, of_day in held.by.items():
                for signals, found in of_day.items():
                    for of_value, users in self._by_value(found):
                        rows += self._lines_of(runner.BY, [day, signals, *of_value], users)
            if any(rows):
                parts += [held.head, *rows]
        self._held.clear()
        self._size = 0
        return b"".join(parts)

    def _rows(self, day: str, signals: str, users: set[str]) -> Iterator[bytes]:
        if self._has_names and "\t" in signals:
            signals = record.with_names(signals, partial(self._name, day))
        if "\t" in signals or not self._many_in_one:
            names = self._names(day, users)
            yield "".join([f"{day}\t{name}\t{signals}\n" for name in names]).encode()
            return
        yield from self._lines_of(runner.USERS, [day, signals], users)

    def _lines_of(self, note: bytes, head: list[str], users: set[str]) -> Iterator[bytes]:
        """Lines of many users each, behind what they have in common, a day first."""
        names = self._names(head[0], users)
        for i in range(0, len(names), _IN_ONE):
            line = "\t".join([*head, *names[i : i + _IN_ONE]])
            yield note + line.encode() + b"\n"

    def _by_value(self, found: set[tuple[str, ...]]) -> Iterator[tuple[list[str], set[str]]]:
        """The field and the value, and who had it, of users with their values."""
        for i, field in enumerate(self._by.fields, 1):
            of_values: dict[str, set[str]] = defaultdict(set)
            for row in found:
                of_values[row[i]].add(row[0])
            for value, users in of_values.items():
                yield [escape(field), escape(value)], users

    def _names(self, day: str, users: set[str]) -> list[str]:
        names = list(users)
        text = "\t".join(names)
        needs_names = not self._escapes or "\\" in text or "\n" in text or "\r" in text
        if needs_names or text.count("\t") >= len(names) > 0:
            names = [self._name(day, user) for user in names]
        return names

    def _of_block(self, block: Block, held: _Held | None) -> Result:
        lines, repeated = self._lines(block, held)
        passed = block.lines() - lines.count - repeated
        found = self._parse(lines)
        events, new = repeated, 0
        if type(found) is Plain:
            values_at = self._by.of_lines(lines) if self._by else None
            for column in found.columns:
                events += len(column.users)
                new += self._hold(column, found.scale, held)
                if values_at:
                    self._hold_values(column, found.scale, values_at, held)
            found = found.others
        else:
            found = enumerate(found)
        rows: dict[_Held, list[str]] = defaultdict(list)
        rejects = []
        since, until, day = 0, 0, ""
        for i, event in found:
            if type(event) is tuple:
                micros, offset, user, signals = event
                if not since <= micros < until:
                    since, until, day = self._span(micros, offset)
                    of_day = held and held.users[day]
                if self._properties:
                    held = self._holder(block.name, lines[i])
                    of_day = held.users[day]
                events += 1
                if self._by:
                    had = held.by[day][signals.partition("\t")[0]]
                    before = len(had)
                    had.add((user, *self._by.values(lines[i])))
                    self._size += len(had) - before
                if self._holds:
                    users = of_day[signals]
                    if user not in users:
                        users.add(user)
                        new += 1
                    elif held.tally:
                        held.tally.add(day, 1)
                    continue
                if self._has_names and "\t" in signals:
                    signals = record.with_names(signals, partial(self._name, day))
                rows[held].append(f"{day}\t{self._name(day, user)}\t{signals}\n")
            elif event is not None and self._matters(line := lines[i]):
                rejects.append((event, block.name, lines.number(i), line))
        self._size += new
        new += sum(map(len, rows.values()))
        filtered = block.lines() - events - len(rejects)
        self._dense = events > filtered
        self._repeating = events > 2 * new
        text = b"".join(held.head + "".join(of_it).encode() for held, of_it in rows.items())
        return Result(text, new, filtered, events - new, rejects, passed=passed)

    def _hold(self, column: Column, scale: Scale, held: _Held) -> int:
        """Take in a column; returns how many rows are new."""
        signals, times, users, _ = column
        if not users:
            return 0
        new = 0
        for day, of_day in self._index(scale).of_days(times, users).items():
            known = held.users[day][signals]
            before = len(known)
            known.update(of_day)
            rows = len(known) - before
            new += rows
            if held.tally:
                held.tally.add(day, len(of_day) - rows)
        return new

    def _hold_values(self, column: Column, scale: Scale, values_at: Callable, held: _Held) -> None:
        """Take in which values the users of a column had."""
        if column.users:
            rows = list(zip(column.users, *values_at(column.places), strict=True))
            for day, of_day in self._index(scale).of_days(column.times, rows).items():
                had = held.by[day][column.signals]
                before = len(had)
                had.update(of_day)
                self._size += len(had) - before

    def _index(self, scale: Scale) -> DayIndex:
        if scale not in self._indexes:
            self._indexes[scale] = DayIndex(self._span, scale)
        return self._indexes[scale]

    def _lines(self, block: Block, held: _Held) -> tuple[All | Some, int]:
        """The lines to parse, and how many of the others repeat a row."""
        if self._search and not self._dense:
            return Some(block, self._search.spans(block.text)), 0
        if self._repeats and self._repeating and len(block.text) > _SHORT * block.lines():
            index = self._index(repeats.Written())
            known = {day: users[VALUABLE] for day, users in held.users.items()}
            others = self._repeats.others(block.text, block.lines(), index, known)
            if others:
                if held.tally:
                    for day, events in others.repeated.items():
                        held.tally.add(day, events)
                return Some(block, others.spans), others.repeated.total()
        return All(block), 0

    def _matters(self, line: bytes) -> bool:
        """Whether a bad line is one that parse-engagement would get to see, and not blank."""
        if self._search:
            return bool(self._search.spans(Str(line)))
        return bool(line.strip(runner.BLANKS))


def _the_same(name: Callable[[str], str]) -> Callable[[str, str], str]:
    return lambda _day, user: name(user)
