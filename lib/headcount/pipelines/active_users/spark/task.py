"""What a task of Spark does: the fused filters, over splits of files that all hosts see.

Only paths and byte ranges go to a task, and rows come from it, in buckets by their hash: what any
task has found of a row comes together in one place. Whether a task runs once, or is killed and runs
again elsewhere, Spark takes what it yields once; so whatever is counted is among that.
"""

from __future__ import annotations

import socket
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from headcount.cli.parser import Parser
from headcount.errors import Failure
from headcount.filters import runner
from headcount.filters.rejects import SHOWN, UNIDENTIFIED, Reject
from headcount.filters.results import of_block
from headcount.io import inputs
from headcount.io.splits import Split
from headcount.pipelines.active_users import fused


class NumberedSplit(NamedTuple):
    """A split of an input, by its number among all of them, and what the input was called."""

    number: int
    name: str
    split: Split


class Found(NamedTuple):
    """Where the lines of a split went. Of rejects that are not sent, only reasons are counted."""

    numbered: NumberedSplit
    lines: int
    kept: int
    filtered: int
    duplicate: int
    rejects: list[tuple]  # as a Result has them; lines are numbered from the start of the split
    reasons: Counter[str]
    recognised: int = 0  # as a Result has it, and the next, too
    like: str = ""
    passed: int = 0
    named: tuple[tuple[str, bool], ...] = ()
    others: tuple[str, ...] = ()


class Notes(NamedTuple):
    """About events, each behind a note that names the input."""

    notes: Sequence[bytes]


class Failed(NamedTuple):
    """A failure that would come again, however often Spark tried."""

    text: str
    status: int


def options(arguments: list[str]):
    """PIPELINE [FILE…] - rows of local day, user and signals, found by the tasks of a cluster"""
    parser = Parser(options.__doc__)
    parser.add_argument("--master", default="local[*]", help="where the cluster is")
    parser.add_argument("--scratch", help="a folder for what a cluster on this very host writes")
    return fused.parsed(parser, arguments, many_in_one=False)


def work(
    arguments: list[str], buckets: int, splits: Iterable[NumberedSplit]
) -> Iterator[tuple[int, object]]:
    """Buckets, and what goes there: rows, or what was Found in a split, or that it Failed.

    `arguments` are those that `options` takes. What they make remembers rows, so it is of this
    attempt alone: another one's may never have arrived.
    """
    given = options(arguments)
    rows, notes, number = _Rows(buckets), [], 0
    for numbered in splits:
        found, number = Found(numbered, 0, 0, 0, 0, [], Counter()), numbered.number
        try:
            for block in inputs.split_blocks(numbered.split, reader=given.reading["reader"]):
                lines, result = of_block(block, given.rows)
                notes += rows.add(result.rows)
                found = _sum(found, lines, result, everything=bool(given.rejects))
        except Failure as failure:
            yield 0, Failed(f"{failure} (on {socket.gethostname()})", failure.status)
            return
        yield numbered.number % buckets, found
    notes += rows.add(given.reading["at_end"]())
    if notes:
        yield number % buckets, Notes(notes)
    for bucket, bucketed in rows.of_buckets.items():
        yield bucket, b"".join(bucketed)


class _Rows:
    """Rows, each in a bucket, behind its property, if any, and its input (which `merged` tells by
    lines again)."""

    def __init__(self, buckets: int):
        self._buckets = buckets
        self.of_buckets: dict[int, list[bytes]] = defaultdict(list)

    def add(self, text: bytes) -> Iterator[bytes]:
        """Take in rows; gives the notes about events, each behind those that say whose they are."""
        whose = path = b"\t"
        for line in text.splitlines(keepends=True):
            if line.startswith(runner.PROPERTY):
                whose = line[:-1]
            elif line.startswith(runner.FROM_INPUT):
                path = line[:-1]
            elif line.startswith(runner.EVENTS):
                yield from (*_marks(whose, path), line)
            else:
                bucket = zlib.crc32(line) % self._buckets
                self.of_buckets[bucket].append(b"\t".join([whose, path, line]))


def _marks(*marks: bytes) -> list[bytes]:
    """Lines that say whose the next ones are; a mark is two columns, empty if nothing is said."""
    return [mark + b"\n" for mark in marks if mark != b"\t"]


def _count(rejects: list, like: Reject) -> int:
    """How many of these are without a user, or how many are not: as the one is."""
    is_unidentified = like.reason == UNIDENTIFIED
    return sum((reject.reason == UNIDENTIFIED) == is_unidentified for reject, *_ in rejects)


def _sum(found: Found, lines: int, result, *, everything: bool) -> Found:
    for reject, name, line, raw in result.rejects:
        # of those without a user one says it for all
        most = 1 if reject.reason == UNIDENTIFIED else SHOWN
        if everything or _count(found.rejects, reject) < most:
            found.rejects.append((reject, name, line, raw))
        else:
            found.reasons[reject.reason] += 1
    return found._replace(
        lines=found.lines + lines,
        kept=found.kept + result.kept,
        filtered=found.filtered + result.filtered,
        duplicate=found.duplicate + result.duplicate,
        recognised=found.recognised + result.recognised,
        like=found.like or result.like,
        passed=found.passed + result.passed,
        named=tuple({**dict(found.named), **dict(result.named)}.items()),
        others=found.others + result.others,
    )


def merged(contents: Iterable[tuple[int, object]]) -> Iterator[object]:
    """What `work` sent to some buckets, the rows of each input once and sorted."""
    rows: Counter[bytes] = Counter()
    for _, content in contents:
        if isinstance(content, bytes):
            rows.update(content.splitlines(keepends=True))
        else:
            yield content
    parts, told = [], None
    for found in sorted(rows):
        *marks, row = found.split(b"\t", 4)
        if marks != told:
            told = marks
            parts += _marks(b"\t".join(marks[:2]), b"\t".join(marks[2:]))
        parts.append(row)
        if (more := rows[found] - 1) > 0 and not row.startswith(b"#"):
            day = row.partition(b"\t")[0]
            parts.append(b"%b%b\t%d\t0\t0\n" % (runner.EVENTS, day, more))
    yield b"".join(parts)
