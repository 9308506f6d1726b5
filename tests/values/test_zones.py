"""Local days against dateutil: at every change of every zone's clock, and the midnights next to it.

The changes are found independently: from the transition times in the files of the tz database,
and after the last of those, where the rule at a file's end holds, by asking dateutil every day.
"""

import struct
import zoneinfo
from datetime import UTC, date, datetime, timedelta, tzinfo
from importlib import resources

import pytest

from headcount.values import zones
from helpers.thorough import long
from reference import active_users as reference

zoneinfo.reset_tzpath([])  # the pinned tzdata package alone

NAMES = sorted(zoneinfo.available_timezones())
EPOCH = datetime(1970, 1, 1)
FIRST, LAST = 0, int(datetime(2040, 1, 1, tzinfo=UTC).timestamp())
DAY = 86_400
CHUNKS = 4
LEAST = 6_300  # changes in each chunk: 25,200 at the very least (2026f has 30,131 before 2038)


def offset(zone: tzinfo, second: int) -> int:
    """Seconds east of UTC at an instant, by dateutil."""
    return round(datetime.fromtimestamp(second, zone).utcoffset().total_seconds())


def local_date(zone: tzinfo, micros: int) -> date:
    utc = (EPOCH + timedelta(microseconds=micros)).replace(tzinfo=zone)
    return zone.fromutc(utc).date()


def transitions(name: str) -> tuple[list[int], bytes]:
    """What a file of the tz database holds: instants, the 64-bit ones, and a rule (RFC 8536)."""
    data = resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()

    def counts(at: int) -> tuple[int, ...]:
        assert data[at : at + 4] == b"TZif"
        return struct.unpack(">6l", data[at + 20 : at + 44])

    utc_flags, wall_flags, leaps, times, types, chars = counts(0)
    second = 44 + times * 5 + types * 6 + chars + leaps * 8 + wall_flags + utc_flags
    count = counts(second)[3]
    return list(struct.unpack_from(f">{count}q", data, second + 44)), data.split(b"\n")[-2]


def changes(name: str) -> list[int]:
    """The seconds from 1970 to 2039 from which on another offset holds."""
    zone = reference.zone(name)
    times, rule = transitions(name)
    times = [second for second in times if FIRST < second < LAST]
    found = [second for second in times if offset(zone, second - 1) != offset(zone, second)]
    if b"," not in rule:  # for ever the same offset
        return found
    low, before = max([FIRST, *times]), offset(zone, max([FIRST, *times]))
    while (high := low + DAY) < LAST:
        if offset(zone, high) != before:
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(zone, middle) == before else (low, middle)
            found.append(high)
            before = offset(zone, high)
        low = high
    return found


def midnights(zone: tzinfo, change: int) -> set[int]:
    """The instants next to a change that are midnight by the clock before it, or after it."""
    found = set()
    for east in (offset(zone, change - 1), offset(zone, change)):
        day = (change + east) // DAY
        found |= {number * DAY - east for number in (day, day + 1)}
    return found


def probe(name: str) -> int:
    """Compare the dates at all changes of a zone and the midnights around; returns how many."""
    zone = reference.zone(name)
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


@long
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_change_of_every_zone(chunk):
    probed = sum(probe(name) for name in NAMES[chunk::CHUNKS])
    print(f"{probed} changes probed")
    assert probed > LEAST


def test_changes_are_found_where_they_are_known_to_be():
    """The search above must not be blind: some changes from the newspapers."""
    known = {
        "America/Chicago": "2024-03-10T08:00:00",
        "America/St_Johns": "2010-11-07T02:31:00",  # at 00:01 by the clock
        "Pacific/Apia": "2011-12-30T10:00:00",  # without the 30th
        "Africa/Monrovia": "1972-01-07T00:44:30",  # from 44 minutes and a half
        "Australia/Lord_Howe": "2024-04-06T15:00:00",  # by half an hour
        "Europe/Berlin": "2039-10-30T01:00:00",  # known only by rule
    }
    for name, instant in known.items():
        second = round((datetime.fromisoformat(instant) - EPOCH).total_seconds())
        assert second in changes(name), name


def end_by_brute_force(zone: tzinfo, day: date) -> datetime:
    """A second after the last one whose local date is that day or one before."""
    noon = round((datetime(day.year, day.month, day.day, 12) - EPOCH).total_seconds())
    minutes = range(noon - 2 * DAY, noon + 2 * DAY, 60)
    last = max(minute for minute in minutes if local_date(zone, minute * 10**6) <= day)
    seconds = range(last, last + 60)
    last = max(second for second in seconds if local_date(zone, second * 10**6) <= day)
    return EPOCH + timedelta(seconds=last + 1)


@pytest.mark.sample(10)
@pytest.mark.parametrize(
    "name",
    [
        "America/Sao_Paulo",  # no midnight on the first day of summer
        "Africa/Cairo",
        "Asia/Beirut",
        "Pacific/Apia",  # no 30 December 2011
        "Pacific/Kwajalein",  # no 21 August 1993
        "America/St_Johns",  # two ends of a day
        "Africa/Monrovia",
        "Australia/Lord_Howe",
        "America/Havana",  # clocks go back at 01:00 to 00:00
        "Asia/Manila",
    ],
)
def test_the_end_of_a_day(name):
    zone = reference.zone(name)
    wanted = {date(1970, 1, 1), date(2024, 2, 28), date(2024, 2, 29), date(9998, 12, 31)}
    for change in changes(name)[-60:]:
        near = local_date(zone, change * 10**6)
        wanted |= {near + timedelta(days=days) for days in (-2, -1, 0, 1)}
    for day in sorted(wanted):
        assert zones.end_of_day(name, day) == end_by_brute_force(zone, day), day


@pytest.mark.parametrize(
    ("name", "day", "end"),
    [
        ("UTC", "2024-02-28", "2024-02-29T00:00:00"),
        ("Pacific/Apia", "2011-12-29", "2011-12-30T10:00:00"),
        ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00"),  # a day that never was
        ("America/Sao_Paulo", "2018-11-03", "2018-11-04T03:00:00"),
        ("America/St_Johns", "2010-11-06", "2010-11-07T03:30:00"),
        ("Africa/Cairo", "2023-04-27", "2023-04-27T22:00:00"),
        ("Asia/Beirut", "2024-03-30", "2024-03-30T22:00:00"),
    ],
)
def test_the_end_of_a_famous_day(name, day, end):
    found = zones.end_of_day(name, date.fromisoformat(day))
    assert found == datetime.fromisoformat(end)


def test_a_day_without_a_zone_ends_with_the_westernmost_clock():
    assert zones.end_of_day(zones.DEVICE, date(2024, 2, 29)) == datetime(2024, 3, 1, 12)


@pytest.mark.parametrize(
    "name",
    [
        *["", " ", ".", "..", "/", "nowhere", "Chicago", "America", "America/", "/UTC", "UTC/"],
        *["UTC\n", "UTC\0", " UTC", "America//Chicago", "america/chicago", "América/Chicago"],
        *["../zoneinfo/UTC", "America/../UTC", "./UTC", "/etc/localtime", "../../../etc/passwd"],
        *["UTC0", "CST6", "UTC+3", "EST5EDT4", "EST5EDT,M3.2.0,M11.1.0", "<+03>-3", ":UTC"],
        *["zone.tab", "tzdata.zi", "leapseconds", "iso3166.tab", "__init__", "__init__.py"],
        *["__pycache__", "device", "GMT+25"],
        *["x" * 5000, "a/" * 3000 + "a"],
    ],
)
def test_other_names_are_refused(name):
    assert name not in NAMES
    with pytest.raises(ValueError, match="no time zone"):
        zones.find(name)


def test_only_the_pinned_database_counts(tmp_path, monkeypatch):
    """Not the working directory, nor what the environment names."""
    rules = resources.files("tzdata").joinpath("zoneinfo", "Asia", "Tokyo").read_bytes()
    for name in ("Mine", "UTC"):
        (tmp_path / name).write_bytes(rules)
    monkeypatch.chdir(tmp_path)
    for variable in ("TZDIR", "PYTHONTZPATH"):
        monkeypatch.setenv(variable, str(tmp_path))
    with pytest.raises(ValueError, match="no time zone"):
        zones.find("Mine")
    assert zones.find("UTC").utcoffset(datetime(2024, 1, 1)) == timedelta(0)


@pytest.mark.parametrize("name", ["localtime", "Factory"])
def test_odd_names_are_zones_if_the_database_says_so(name):
    if name in NAMES:
        zones.find(name)
    else:
        with pytest.raises(ValueError, match="no time zone"):
            zones.find(name)
