"""Days that are not usual for their weekday: told, with what explains them; others are not."""

import sqlite3
from contextlib import closing
from datetime import date, timedelta
from random import Random

import pytest

from helpers.programs import REAL, run

CASE = REAL.parent / "cases" / "alarms" / "anom.jsonl.gz"
START = date(2025, 1, 6)  # a Monday
RHYTHM = [1.0, 1.02, 1.05, 1.0, 0.95, 0.6, 0.55]  # of a week
PLATFORMS = {"ANDROID": 0.6, "IOS": 0.3, "WEB": 0.1}


def year(seed, growth=0.02, noise=0.03, users=8_000):
    """Counts of a year, by date and platform: a rhythm of weeks, growth a week, some chance."""
    rng = Random(seed)
    counts = {}
    for number in range(364):
        level = users * RHYTHM[number % 7] * (1 + growth) ** (number / 7)
        counts[START + timedelta(days=number)] = {
            name: round(level * share * rng.gauss(1, noise)) for name, share in PLATFORMS.items()
        }
    return counts


def database(path, counts, holidays=()):
    run("upsert-rows", "--create", "--db", path, "active_user_table", stdin=b"", check=0)
    rows = "".join(f"{day}\t\\N\n" for day in holidays).encode()
    run("upsert-rows", "--db", path, "holiday", stdin=rows, check=0)
    with closing(sqlite3.connect(path)) as db, db:
        for day, by_name in counts.items():
            total = sum(by_name.values())
            db.execute("INSERT INTO active_user_table VALUES (?, ?)", [str(day), total])
            for name, count in by_name.items():
                row = [str(day), "platform", name, count]
                db.execute("INSERT INTO active_users_by VALUES (?, ?, ?, ?)", row)
    return path


def told(path, *params):
    """The rows of the check, their columns apart, by date and of what."""
    given = [f"--param={param}" for param in ("days=400", *params)]
    done = run("check-data", "--db", path, "unusual_days", *given)
    assert done.returncode in (0, 65), done.stderr
    lines = done.stdout.decode().splitlines()[1:]
    if not lines:
        return {}
    starts = [i for i, char in enumerate(lines[1]) if char == "-" and lines[1][i - 1 : i] != "-"]
    cells = [
        [line[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)]
        for line in lines[2:]
        if not line.startswith("…")
    ]
    return {(row[2], row[1]): row for row in cells}


@pytest.mark.parametrize("seed", range(3))
def test_a_year_with_growth_and_holidays_has_few_false_alarms(seed, tmp_path):
    counts, holidays = year(seed, growth=[0.02, -0.01, 0][seed]), []
    for number in (120, 200, 340, 341):
        day = START + timedelta(days=number)
        counts[day] = {name: count // 3 for name, count in counts[day].items()}
        holidays.append(day)
    found = told(database(tmp_path / "my.db", counts, holidays))
    assert len({day for day, _ in found}) < 12
    assert not {str(day) for day in holidays} & {day for day, _ in found}


@pytest.mark.parametrize("seed", range(5))
def test_small_numbers_differ_by_chance(seed, tmp_path):
    rng = Random(seed)
    days = [START + timedelta(days=number) for number in range(84)]
    counts = {day: {"WEB": round(rng.gauss(300, 300**0.5))} for day in days}
    assert len(told(database(tmp_path / "my.db", counts))) <= 2  # of the total and the value


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("change", [0.75, 1.25])
def test_a_quarter_less_or_more_over_two_days_is_found(change, seed, tmp_path):
    counts, first = year(seed), START + timedelta(days=100 + 37 * seed)
    days = [first, first + timedelta(days=1)]
    for day in days:
        counts[day] = {name: round(count * change) for name, count in counts[day].items()}
    found = told(database(tmp_path / "my.db", counts))
    assert {(str(day), "") for day in days} & found.keys()


def test_what_explains_a_day_is_named(tmp_path):
    counts, day = year(5), START + timedelta(days=205)
    counts[day]["ANDROID"] //= 4
    row = told(database(tmp_path / "my.db", counts))[str(day), ""]
    assert row[0] == "active users" and row[5].startswith("-4") and row[5].endswith(" %")
    assert row[6].startswith("platform ANDROID explains ")
    assert (str(day), "platform ANDROID") in told(tmp_path / "my.db")
    assert told(tmp_path / "my.db", "percent=99") == {}


@pytest.mark.skipif(not CASE.exists(), reason="the case is not here")
def test_the_case_of_four_days(tmp_path):
    db = tmp_path / "my.db"
    run("import-active-users", "--quiet", "--db", db, CASE, check=0)
    found = told(db, "days=100000")
    with closing(sqlite3.connect(db)) as connection:
        fewer = "SELECT date FROM active_user_table WHERE active_user_count = 450"
        days = connection.execute(fewer).fetchall()
    assert [day for day, _ in found] == [day for (day,) in days]
    assert len(found) == 4 and {row[4] for row in found.values()} == {"1000"}
