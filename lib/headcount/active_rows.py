"""The first three filters of the active users' pipe in one: events → day, user, signals.

How count-active-users and import-active-users run them: `python -m headcount.active_rows PIPELINE`.
It calls the filters' own functions, and spares what their rows cost in between.
"""

from __future__ import annotations

import functools
import sys

from stringzilla import Str

from headcount import cli, engagement, engagement_options, filters, zones
from headcount.inputs import Block
from headcount.rejects import Reject
from headcount.results import Result
from headcount.search import NameSearch, split_lines
from headcount.tsv import escape

_REMEMBERED = 200_000  # rows: enough to spare most repetitions, in bounded memory


class ActiveRows:
    """Finds, parses and dates the events of a block; a row that it remembers is a duplicate."""

    def __init__(self, parser: engagement.Parser, days, search: NameSearch | None):
        self._parser = parser
        self._span = days.span
        self._search = search
        self._dense = False  # where most lines hold a name, to look for names is a waste
        self._remembers = not parser.definition.summed
        self._seen: dict[str, dict[str, set[str]]] = {}  # day: signals: users
        self._size = 0  # how many they are

    def __call__(self, block: Block) -> Result:
        """Rows: the local day, the user, the signals, and with sums what belongs to them."""
        lines = _All(block) if self._dense or not self._search else _Hits(block, self._search)
        if self._size > _REMEMBERED:
            self._seen.clear()
            self._size = 0
        rows, rejects = [], []
        kept = since = until = 0
        for i, found in enumerate(self._found(lines)):
            if type(found) is tuple:
                micros, offset, user, signals = found
                if not since <= micros < until:
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
                rows.append(f"{day}\t{escape(user)}\t{signals}\n")
            elif found is not None and self._matters(line := lines[i]):
                rejects.append((found, block.name, lines.number(i), line))
        self._size += len(rows)
        filtered = block.lines() - kept - len(rejects)
        self._dense = kept > filtered
        return Result("".join(rows).encode(), len(rows), filtered, kept - len(rows), rejects)

    def _found(self, lines: _All | _Hits) -> list[tuple | Reject | None]:
        """What the parser says of each line: of all at once, where none is unusual."""
        parse = self._parser.parse
        events = self._parser.events(lines.text, lines.count)
        if events is None:
            return [parse(line) for line in lines]
        judged = self._parser.judge(events)
        if engagement.UNCLEAR in judged:
            judged = [
                parse(lines[i]) if it is engagement.UNCLEAR else it for i, it in enumerate(judged)
            ]
        return judged

    def _matters(self, line: bytes) -> bool:
        """Whether a bad line is one that parse-engagement would get to see, and not blank."""
        if self._search:
            return bool(self._search.spans(Str(line)))
        return bool(line.strip(filters.BLANKS))


class _All:
    """All lines of a block."""

    def __init__(self, block: Block):
        self.text, self.count = block.text, block.lines()
        self._first = block.line

    @functools.cached_property
    def _lines(self) -> list:
        return split_lines(self.text)

    def __getitem__(self, i: int) -> bytes:
        return bytes(self._lines[i]).rstrip(b"\r")

    def number(self, i: int) -> int:
        """The line's number in its input."""
        return self._first + i


class _Hits:
    """The lines of a block that a search finds, with what `_All` has."""

    def __init__(self, block: Block, search: NameSearch):
        self._block = block
        self._spans = search.spans(block.text)
        self.text = Str(b"".join([block.text[start:end] for start, end in self._spans]))
        self.count = len(self._spans)

    def __getitem__(self, i: int) -> bytes:
        start, end = self._spans[i]
        return bytes(self._block.text[start:end]).rstrip(b"\n\r")

    def number(self, i: int) -> int:
        return self._block.line + self._block.text.count(b"\n", 0, self._spans[i][0])


def main() -> int:
    """PIPELINE [FILE…] - rows of local day, user and signals of the events that count"""
    parser = cli.Parser(main.__doc__)
    engagement_options.add(parser)
    parser.add_argument("--validate", action="store_true", help="look at every line")
    filters.add_options(parser, "--tz", "--rejects", "--jobs")
    options = parser.parse()
    on_device = options.tz == zones.DEVICE
    definition = engagement_options.definition(parser, options, with_offset=on_device)
    search = None
    if not options.validate:
        search = NameSearch([engagement.ENGAGEMENT, *definition.valuable_events])
    try:
        days = zones.DeviceDays() if on_device else zones.LocalDays(zones.find(options.tz))
    except ValueError as error:
        parser.error(str(error))
    rows = ActiveRows(engagement.Parser(definition), days, search)
    return filters.run(options, rows, rejecter="parse-engagement")


if __name__ == "__main__":
    sys.argv.pop(0)  # messages come in the pipeline's name
    cli.start(main)
