"""Local days of made-up events: which there are, when an event is, how many users each day has."""

import argparse
import os
from collections import defaultdict
from collections.abc import Callable, Hashable
from datetime import UTC, date, datetime, timedelta, tzinfo

from dateutil import tz

from headcount.cli import types
from headcount.cli.parser import Parser
from headcount.io import output
from headcount.testdata import common
from headcount.values import zones

_SECOND = 1_000_000  # microseconds
_DAY = 86_400 * _SECOND
_USUAL_DELAY = 90 * _SECOND
_LATE = 3 * _DAY


def day(text: str) -> date:
    value = types.day(text)
    if not 1971 <= value.year <= 9000:
        raise argparse.ArgumentTypeError("from 1971 to 9000")
    return value


def add_options(parser: Parser) -> None:
    """Take which users and days there are, in which zone, and where the answer goes."""
    parser.add_argument(
        "--users", metavar="N", type=types.positive, help="default: one for every 100 events"
    )
    parser.add_argument(
        "--days",
        metavar="N",
        type=types.positive,
        default=5,
        help="how many local days (default: 5)",
    )
    parser.add_argument(
        "--start",
        metavar="DATE",
        type=day,
        default=date(2024, 3, 8),
        help="the first local day (default: 2024-03-08)",
    )
    parser.shared("--tz")
    parser.add_argument("--truth", metavar="FILE", help="write date and active users of each day")


class Truth:
    """The active users of each local day, counted while they are made.

    It shares nothing with what it is held against: the calendar is dateutil's, asked each time.
    Without a zone a day is that of each event's own offset.
    """

    def __init__(self, zone: tzinfo | None):
        self._zone = zone
        self._users: dict[str, set[Hashable]] = defaultdict(set)

    def add(self, user: Hashable, micros: int, east: int = 0) -> None:
        local = datetime.fromtimestamp(micros // _SECOND, self._zone or UTC)
        if self._zone is None:
            local += timedelta(seconds=east)
        self._users[local.date().isoformat()].add(user)

    def rows(self) -> bytes:
        days = sorted(self._users.items())
        return "".join(f"{day}\t{len(users)}\n" for day, users in days).encode()


class Instants:
    """When events are that come in one after the other: more by day than by night, some late."""

    def __init__(self, options, zone: tzinfo | None, random: Callable[[], float]):
        self._random = random
        self._days, self._late = options.days, options.late
        self._mixed = getattr(options, "mixed", 0)
        self.begin = _midnight(options.start, zone)
        end = _midnight(options.start + timedelta(options.days), zone)
        self._day = (end - self.begin) / options.days

    def __call__(self, done: float) -> tuple[int, int]:
        """The time of an event that comes in now, in microseconds, and how late it is.

        `done` is the part of the whole that came before it.
        """
        if self._mixed and self._random() < self._mixed:
            done = self._random()
        days = done * self._days
        part = days % 1
        part += part * (1 - part) * (1 - 2 * part)
        now = int((days // 1 + part) * self._day)
        latest = _LATE if self._random() < self._late else _USUAL_DELAY
        delay = int(self._random() * min(latest, now))
        return self.begin + now - delay, delay


def run(parser: Parser, options, stream: Callable) -> int:
    """Print the events, then write the truth; returns the exit status.

    `stream(options, zone, enter)` is what makes one event after the other, and calls `enter` with
    each that makes its user active: user, microseconds, and the offset of the device if it has one.
    """
    if options.start.year + options.days // 365 > 9000:
        parser.error("--days: beyond the year 9000")
    zone = None
    if options.tz != zones.DEVICE:
        try:
            zones.find(options.tz)
        except ValueError as error:
            parser.error(str(error))
        zone = tz.tzfile(zones.rules(options.tz))
    truth = Truth(zone)
    fd = None
    if options.truth:
        fd = output.open_private(options.truth, os.O_TRUNC)
    status = common.write(options, stream(options, zone, truth.add))
    if fd is not None:
        output.write(fd, truth.rows(), options.truth)
    output.close_stdout()
    return status


def _midnight(start: date, zone: tzinfo | None) -> int:
    """The first microsecond of a local day."""
    local = datetime(start.year, start.month, start.day, tzinfo=zone or UTC)
    return int(local.timestamp()) * _SECOND
