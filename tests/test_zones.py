"""Local days against zoneinfo: at every change of every zone's clock, and around every midnight by it.

The changes are found independently: from the transition times in the files of the tz database,
and by asking zoneinfo day after day for what only the rule at a file's end knows.
"""

import struct
import sys
import zoneinfo
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

from headcount import zones  # noqa: E402

zoneinfo.reset_tzpath([])  # the pinned tzdata package alone

NAMES = sorted(zoneinfo.available_timezones())
EPOCH = datetime(1970, 1, 1)
FIRST, LAST = 0, int(datetime(2038, 1, 1, tzinfo=UTC).timestamp())
DAY = 86_400
CHUNKS = 8


def offset(zone: zoneinfo.ZoneInfo, second: int) -> int:
    """Seconds east of UTC at an instant, by zoneinfo."""
    local = (EPOCH + timedelta(seconds=second)).replace(tzinfo=zone)
    return round((zone.fromutc(local).replace(tzinfo=None) - EPOCH).total_seconds()) - second


def local_date(zone: zoneinfo.ZoneInfo, micros: int) -> date:
    utc = (EPOCH + timedelta(microseconds=micros)).replace(tzinfo=zone)
    return zone.fromutc(utc).date()


def transition_times(name: str) -> list[int]:
    """The instants in a file of the tz database: the 64-bit ones, RFC 8536."""
    data = resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()

    def counts(at: int) -> tuple[int, ...]:
        assert data[at : at + 4] == b"TZif"
        return struct.unpack(">6l", data[at + 20 : at + 44])

    utc_flags, wall_flags, leaps, times, types, chars = counts(0)
    second = 44 + times * 5 + types * 6 + chars + leaps * 8 + wall_flags + utc_flags
    count = counts(second)[3]
    return list(struct.unpack_from(f">{count}q", data, second + 44))


def changes(name: str) -> list[int]:
    """The seconds from 1970 to 2037 from which on another offset holds."""
    zone = zoneinfo.ZoneInfo(name)
    found = {
        second
        for second in transition_times(name)
        if FIRST < second < LAST and offset(zone, second - 1) != offset(zone, second)
    }
    offsets = [offset(zone, second) for second in range(FIRST, LAST, DAY)]
    for i, (before, after) in enumerate(zip(offsets, offsets[1:], strict=False)):
        low, high = FIRST + i * DAY, FIRST + (i + 1) * DAY
        if before == after or any(low < second <= high for second in found):
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(zone, middle) == before else (low, middle)
        found.add(high)
    return sorted(found)


def midnights(zone: zoneinfo.ZoneInfo, change: int) -> set[int]:
    """The instants about a change that are midnight by the clock before it, or after it."""
    found = set()
    for east in (offset(zone, change - 1), offset(zone, change)):
        day = (change + east) // DAY
        found |= {number * DAY - east for number in (day - 1, day, day + 1, day + 2)}
    return found


def probe(name: str) -> int:
    """Compare the dates at all changes of a zone and the midnights around; returns how many."""
    zone = zoneinfo.ZoneInfo(name)
    days = zones.LocalDays(zones.find(name))
    found = changes(name)
    seconds = set(found)
    for change in found:
        seconds |= midnights(zone, change)
    wrong = [
        (micros, answer, expected)
        for second in seconds
        for micros in (second * 10**6 - 1, second * 10**6, second * 10**6 + 1)
        if (answer := days.date(micros).decode())
        != (expected := local_date(zone, micros).isoformat())
    ]
    assert not wrong, f"{name}: {len(wrong)} wrong, the first {min(wrong)}"
    return len(found)


# How many changes each chunk must have at least, so that no chunk can be empty: 30,337 in all were
# counted with tzdata 2026b; a release changes few of them.
LEAST = 25_000 // CHUNKS
