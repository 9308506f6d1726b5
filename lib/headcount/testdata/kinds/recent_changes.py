r"""recent-changes - make changes of wikis, as Wikimedia's stream of events has them

JSON Lines of about 1.4 KB, or with --sse what the server sends: edits, new
pages, log entries and categorizations in the order of time. Offsets are
consecutive in each of two topics, but for holes.

With --truth, also the answer, one JSON object of three:
  windows  [start, wiki, type, bot, changes] of each quarter of an hour of
           `timestamp`: distinct events without canaries and rejects
  totals   events, and what they are: changes + canaries + duplicates + rejects
  holes    [topic, partition, first_offset, last_offset]: left out, or broken
           so that no meta can be read

Example:
  $ make-data recent-changes --events 20 --seed 7 | grep -c '"meta"'
  20
"""

import argparse
import os
from datetime import UTC, datetime

from headcount.cli import types
from headcount.cli.parser import Parser
from headcount.io import output
from headcount.testdata import common
from headcount.testdata.changes import LONGEST_HOLE, Stream

_LAST = 253_370_764_800  # seconds: the year 9999
_SHORT = 100  # bytes: an event has more, on average, however broken


def instant(text: str) -> int:
    """Seconds since 1970 of an ISO time, in UTC unless it says otherwise."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time like 2024-03-08T00:00:00Z") from None
    return int((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp())


def add_options(parser: Parser) -> None:
    common.add_options(parser, "events")
    common.add_fractions(
        parser,
        ("--canaries", 0.002, "this part only tests the stream"),
        ("--duplicates", 0.01, "this part repeats one of the last 50, byte by byte"),
        ("--broken", 0.0, "this part lacks something, is cut short…"),
        ("--hostile", 0.0, "this part has texts that attack whoever shows them"),
    )
    for name, default, kind, what in (
        ("--wikis", 40, types.positive, "how many wikis"),
        ("--users", 5000, types.positive, "how many users, some of them bots"),
        ("--holes", 0, types.count, "how many times 1 to 20 offsets are left out"),
        ("--rate", 40, float, "events a second of their time"),
        ("--start", "2024-03-08T00:00:00Z", instant, "time of the first event"),
    ):
        metavar = "TIME" if kind is instant else "N"
        what += f" (default: {default})"
        parser.add_argument(name, metavar=metavar, type=kind, default=default, help=what)
    parser.add_argument("--sse", action="store_true", help="server-sent events, not JSON Lines")
    parser.add_argument("--truth", metavar="FILE", help="write the windows, totals and holes")


def run(parser: Parser, options) -> int:
    """Print the events, then write the truth; returns the exit status."""
    if not 0.001 <= options.rate <= 1e6:
        parser.error("--rate: from 0.001 to 1000000")
    events = options.lines if options.size is None else options.size // _SHORT
    seconds = 2 * (events + options.holes * LONGEST_HOLE) / options.rate
    if not 0 <= options.start < _LAST - seconds:
        parser.error("--start, --rate: before 1970 or beyond the year 9998")
    fd = None
    if options.truth:
        fd = output.open_private(options.truth, os.O_TRUNC)
    if options.sse:
        output.write(1, b":ok\n\n")
    stream = Stream(options)
    status = common.write(options, stream)
    if fd is not None:
        output.write(fd, stream.truth(), options.truth)
    output.close_stdout()
    return status
