"""Three years of nights in six zones: outages, double starts, kills, clocks that jump, late data.

Every local day is counted exactly once, as the events say, and every file is read once. By default
the nights around each change of the clocks and some others are run; all with FAULTS=all.
"""

import os
import random
import subprocess
import time
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from helpers.events import event
from helpers.programs import BARE
from helpers.sessions import query, sound, stages
from helpers.thorough import IN_FULL

DAYS = 3 * 365
# With the clocks' oddities in these years: half-hour summer time, changes at a minute past
# midnight, four changes a year, a day that never was.
ZONES = {
    "America/Chicago": date(2023, 1, 1),
    "Europe/Berlin": date(2024, 1, 1),
    "America/St_Johns": date(2009, 1, 1),
    "Africa/Casablanca": date(2022, 1, 1),
    "Australia/Lord_Howe": date(2019, 1, 1),
    "Pacific/Apia": date(2010, 6, 1),
}
USERS = [f"user {i}" for i in range(6)]
WRONG_CLOCKS = ["1970-01-01T00:00:07Z", "2038-01-19T03:14:07Z", "0001-01-01T00:00:00Z"]


def local_date(zone, micros):
    """As zoneinfo says; the program has another reader of the zone files."""
    return datetime.fromtimestamp(micros // 10**6, UTC).astimezone(ZoneInfo(zone)).date()


def midnight(zone, day):
    """Microseconds of the first instant of a local day, or of what comes instead of it."""
    start = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    return round(start.timestamp()) * 10**6


def offset(zone, day):
    return datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(zone)).utcoffset()


def export(zone, first, dice):
    """Events, as (micros, user), by the UTC day of their file; some are late, some come twice."""
    files = defaultdict(list)
    end = first + timedelta(days=DAYS)
    for i in range(DAYS):
        day = first + timedelta(days=i)
        start = midnight(zone, day)
        instants = [
            start - 1,
            start,
            start + 1,
            *(start + dice.randrange(86_400 * 10**6) for _ in "ab"),
        ]
        for micros in instants:
            made = datetime.fromtimestamp(micros // 10**6, UTC).date()
            late = dice.choice([0] * 8 + [1, 3])
            row = micros, dice.choice(USERS)
            files[min(made + timedelta(days=late), end)].append(row)
            if dice.random() < 0.1:
                files[min(made + timedelta(days=late + 1), end)].append(row)
    return files


def expected(zone, files):
    """What active_user_table should say of these files."""
    users = defaultdict(set)
    for rows in files:
        for micros, user in rows:
            users[local_date(zone, micros).isoformat()].add(user)
    return {day: len(names) for day, names in users.items()}


@pytest.mark.sample(16)
@pytest.mark.fault(11)
@pytest.mark.parametrize("zone", ZONES)
def test_every_local_day_once(zone, new_db, bin_with_clock, injected, tmp_path):
    dice = random.Random(zone)
    first = ZONES[zone]
    files = export(zone, first, dice)
    db, folder = new_db, tmp_path / "events"
    folder.mkdir()
    command = [
        bin_with_clock / "import-active-users",
        "--quiet",
        "--db",
        db,
        "--tz",
        zone,
        "--jobs",
        "1",
    ]
    command += ["--since", str(min(files)), "--inputs", folder / "{date}.jsonl"]
    # Crons that know nothing of summer time skip a night, or run it twice; here they do what hurts.
    changes = {
        i
        for i in range(2, DAYS)
        if offset(zone, first + timedelta(days=i)) != offset(zone, first + timedelta(days=i - 1))
    }
    nights = set(range(DAYS)) if IN_FULL else changes | set(dice.sample(range(DAYS), 3))
    due = sorted(files)
    there = []
    for i in sorted(nights):
        night = first + timedelta(days=i)
        while due and due[0] < night:  # what the export has brought since the last night
            day = due.pop(0)
            there.append(day)
            write(folder, day, files[day])
        if not there or (dice.random() < 0.2 and i not in changes):
            continue  # the machine is down
        if dice.random() < 0.3:  # an export comes again, with more in it
            day = dice.choice(there[-5:])
            files[day].append((midnight(zone, night) - dice.randrange(10**12), dice.choice(USERS)))
            write(folder, day, files[day])
        now = f"{night}T08:30:00Z" if dice.random() < 0.8 else dice.choice(WRONG_CLOCKS)
        starts = 2 if i in changes or dice.random() < 0.1 else 1
        with injected("import-active-users"):
            running = [start(command, now) for _ in range(starts)]
            if starts == 1 and dice.random() < 0.2:
                time.sleep(dice.uniform(0, 0.3))
                running[0].kill()
                running[0].wait()
                running.append(start(command, now))
            statuses = [process.wait() for process in running]
            assert statuses[-1] in (0, 65), statuses
            assert table(db) == expected(zone, [files[day] for day in there])
    for day in due:
        write(folder, day, files[day])
    assert start(command, f"{max(files)}T08:30:00Z").wait() == 0
    assert table(db) == expected(zone, files.values())
    days = {first + timedelta(days=i) for i in range(DAYS)}
    never = {date(2011, 12, 30)} if zone == "Pacific/Apia" else set()
    assert {str(day) for day in days - never} <= set(table(db)) and sound(db) and not stages(db)
    again = query(
        db,
        "SELECT fingerprint FROM run_input JOIN run ON run.id = run_id WHERE run.status = 'done' "
        "AND run_input.status = 'read' GROUP BY fingerprint HAVING count(*) > 1",
    )
    assert again == []


def write(folder, day, rows):
    """As exports do: a new file in place of the old one."""
    new = folder / "new"
    new.write_bytes(b"".join(event(user=user, micros=micros) for micros, user in rows))
    os.replace(new, folder / f"{day}.jsonl")


def start(command, now):
    return subprocess.Popen(
        list(map(str, command)),
        env=BARE | {"NOW": now},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def table(db):
    return dict(query(db, "SELECT date, active_user_count FROM active_user_table"))
