"""The first three filters of the active users' pipe in one: events → day, user, signals.

How count-active-users and import-active-users run them: `python -m headcount.active_rows PIPELINE`.
It calls the filters' own functions, and spares what their rows cost in between.
"""

import sys

from headcount import cli, engagement, engagement_options, filters, zones
from headcount.inputs import Block
from headcount.results import Result
from headcount.search import NameSearch, is_ascii, split_lines

_REMEMBERED = 200_000  # rows: enough to spare most repetitions, in bounded memory


class ActiveRows:
    """Finds, parses and dates the events of a block; a row that it remembers is a duplicate."""

    def __init__(self, parser: engagement.Parser, days, search: NameSearch | None):
        self._parse = parser.parse
        self._span = days.span
        self._search = search
        self._dense = False  # where most lines hold a name, to look for names is a waste
        self._seen: set[str] = set()

    def __call__(self, block: Block) -> Result:
        """Rows: the local day, the user, the signals, and with sums what belongs to them."""
        text = block.text
        spans = None
        ascii = False
        if self._search and not self._dense:
            spans = self._search.spans(text)
            lines = [bytes(text[start:end]) for start, end in spans]
        else:
            ascii = is_ascii(text)
            lines = split_lines(text) if ascii else map(bytes, split_lines(text))
        if len(self._seen) > _REMEMBERED:
            self._seen.clear()
        parse, seen = self._parse, self._seen
        kept, rows, refused = 0, [], []
        since = until = 0
        day = ""
        for i, line in enumerate(lines):
            found = parse(line, ascii)
            if type(found) is tuple:
                micros, offset, rest = found
                if not since <= micros < until:
                    since, until, day = self._span(micros, offset)
                kept += 1
                row = f"{day}\t{rest}"
                if row not in seen:
                    seen.add(row)
                    rows.append(row)
            elif found is not None:
                refused.append((found, i, bytes(line)))
        rejects = [*self._rejects(block, refused, spans)]
        all_lines = block.lines()
        self._dense = kept > all_lines // 2
        return Result(
            "".join(rows).encode(),
            len(rows),
            all_lines - kept - len(rejects),
            kept - len(rows),
            rejects,
        )

    def _rejects(self, block: Block, refused, spans):
        """The refused lines with their numbers, but for those that grep-events would leave out."""
        for reject, i, line in refused:
            line = line.rstrip(b"\n\r")
            if spans is not None:
                i = block.text.count(b"\n", 0, spans[i][0])
            elif not line.strip(filters.BLANKS) or (self._search and not self._search.spans(line)):
                continue
            yield reject, block.name, block.line + i, line


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
