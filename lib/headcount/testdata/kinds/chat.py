r"""chat - make chat lines of sites: visitors' messages and operators' statuses

JSON Lines in no order of time, some of them repeated. Operators come and go,
several at a time, and often in the second of a message.

With --truth, also the answer: what count-site-activity prints for these lines.

Example:
  $ make-data chat --lines 1000 --seed 7 | grep -c '"id"'
  1000
"""

import os
from array import array
from bisect import bisect_left
from collections import defaultdict
from itertools import pairwise
from random import Random

from headcount.cli import types
from headcount.cli.parser import Parser
from headcount.io import output
from headcount.testdata import common

_START = 1_709_856_000  # 2024-03-08T00:00:00Z
_DAY = 86_400
_KEPT = 4096  # earlier lines, to repeat
_WORDS = ["is", "that", "the", "blue", "one", "in", "stock", "please", "thank", "you", "when"]

# Each makes a reject of any line.
_DAMAGE = [
    ('"type":', '"kind":'),
    ('"id":"', '"id":"","was":"'),
    ('"timestamp":', '"timestamp":"soon","was":'),
    ('"timestamp":', '"timestamp":1.5,"was":'),
    ('"site_id":', '"site_id":7,"was":'),
    ('"from":', '"from":null,"was":'),
    ('"type":"', '"type":"a '),
    ("}\n", ",}\n"),
]


def add_options(parser: Parser) -> None:
    common.add_options(parser, "lines")
    common.add_fractions(
        parser,
        ("--statuses", 0.1, "this part are statuses, the others messages"),
        ("--duplicates", 0.05, "this part of the lines repeats an earlier one"),
        ("--ties", 0.05, "this part of the messages comes in the second of a status"),
        ("--broken", 0.0, "this part lacks something, is cut short…"),
    )
    for name, default, what in (
        ("--sites", 20, "how many sites"),
        ("--operators", 4, "how many operators each has"),
        ("--visitors", 5000, "how many visitors each has, at most"),
        ("--days", 7, "how many days"),
    ):
        parser.add_argument(
            name,
            metavar="N",
            type=types.positive,
            default=default,
            help=f"{what} (default: {default})",
        )
    parser.add_argument("--truth", metavar="FILE", help="write the activity of each site")


class Truth:
    """The activity of each site, counted from what was made: by bisection, site by site."""

    def __init__(self):
        self._messages: dict[int, array] = defaultdict(lambda: array("q"))
        self._visitors: dict[int, set[int]] = defaultdict(set)
        self._statuses: dict[int, dict[int, list]] = defaultdict(lambda: defaultdict(list))

    def message(self, site: int, visitor: int, seconds: int) -> None:
        self._messages[site].append(seconds)
        self._visitors[site].add(visitor)

    def status(self, site: int, operator: int, seconds: int, online: bool) -> None:
        self._statuses[site][operator].append((seconds, online))

    def rows(self) -> bytes:
        sites = {str(site): site for site in {*self._messages, *self._statuses}}
        return "".join(f"{name},{self._row(sites[name])}\n" for name in sorted(sites)).encode()

    def _row(self, site: int) -> str:
        messages = sorted(self._messages[site])
        steps = defaultdict(int)
        for statuses in self._statuses[site].values():
            was = False
            for seconds, online in dict(sorted(statuses)).items():  # the last of a second
                steps[seconds] += online - was
                was = online
        chats = there = 0
        changes = sorted(steps)
        for seconds, until in pairwise([*changes, None]):
            there += steps[seconds]
            if there:
                end = len(messages) if until is None else bisect_left(messages, until)
                chats += end - bisect_left(messages, seconds)
        return (
            f"messages={chats},emails={len(messages) - chats},"
            f"operators={len(self._statuses[site])},visitors={len(self._visitors[site])}"
        )


class Stream:
    """Makes one line after the other, and tells `truth` of each that is new and sound."""

    def __init__(self, options, truth: Truth):
        self._options, self._truth = options, truth
        self._rng = Random(options.seed)
        self._random, self._bits = self._rng.random, self._rng.getrandbits
        self._seconds = options.days * _DAY
        self._texts = [
            " ".join(self._rng.choice(_WORDS) for _ in range(1 + i % 9)) for i in range(256)
        ]
        self._kept: list[bytes] = []
        self._last_status: dict[int, int] = {}  # of each site

    def __call__(self, _done: float) -> bytes:
        random, options = self._random, self._options
        if self._kept and random() < options.duplicates:
            return self._kept[int(random() * len(self._kept))]
        broken = random() < options.broken
        site = int(random() * random() * options.sites)  # some are much busier than others
        seconds = _START + int(random() * self._seconds)
        digits = f"{self._bits(128):032x}"
        head = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
        if random() < options.statuses:
            line = self._status(head, site, seconds, broken)
        else:
            line = self._message(head, site, seconds, broken)
        if broken:
            return self._spoilt(line)
        raw = line.encode()
        if len(self._kept) < _KEPT:
            self._kept.append(raw)
        else:
            self._kept[int(random() * _KEPT)] = raw
        return raw

    def _status(self, head: str, site: int, seconds: int, broken: bool) -> str:
        operator = int(self._random() * self._options.operators)
        online = self._random() < 0.5
        if not broken:
            self._last_status[site] = seconds
            self._truth.status(site, operator, seconds, online)
        return (
            f'{{"id":"{head}","type":"status","from":"operator{operator}","site_id":"{site}",'
            f'"timestamp":{seconds},"data":{{"status":"{"online" if online else "offline"}"}}}}\n'
        )

    def _message(self, head: str, site: int, seconds: int, broken: bool) -> str:
        random = self._random
        if random() < self._options.ties:
            seconds = self._last_status.get(site, seconds)
        visitor = int(random() * self._options.visitors)
        if not broken:
            self._truth.message(site, visitor, seconds)
        return (
            f'{{"id":"{head}","type":"message","from":"visitor{visitor}","site_id":"{site}",'
            f'"timestamp":{seconds},"data":{{"message":"{self._texts[int(random() * 256)]}"}}}}\n'
        )

    def _spoilt(self, line: str) -> bytes:
        if self._random() < 0.3:
            return line[: 1 + int(self._random() * (len(line) - 3))].encode() + b"\n"
        if self._random() < 0.1:
            return b'{"id":"\xff' + line[8:].encode()
        return line.replace(*_DAMAGE[int(self._random() * len(_DAMAGE))], 1).encode()


def run(_parser: Parser, options) -> int:
    """Print the lines, then write the truth; returns the exit status."""
    truth = Truth()
    fd = None
    if options.truth:
        fd = output.open_private(options.truth, os.O_TRUNC)
    status = common.write(options, Stream(options, truth))
    if fd is not None:
        output.write(fd, truth.rows(), options.truth)
    output.close_stdout()
    return status
