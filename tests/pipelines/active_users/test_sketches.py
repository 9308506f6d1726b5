"""Sketches of users: how far they are off, in any order, and what is no sketch."""

import gzip
import json
import re
import sqlite3
from random import Random

import pytest

from helpers.events import NOON, event
from helpers.programs import ROOT, run
from helpers.sessions import query

pytest.importorskip("datasketches", reason="no datasketches: make .venv/sketch")
from headcount.reports import set_functions
from headcount.values import sketches

DAY = 86_400 * 10**6
OFF = 3 * sketches.RELATIVE_ERROR  # once in 370 sketches it is more; these are always the same


def keys(count, first=0):
    return [f"user {number}" for number in range(first, first + count)]


@pytest.mark.parametrize("count", [0, 1, 7, 8, 200, 1500, 1600, 5_000, 100_000])
def test_estimates_and_their_bounds(count):
    sketch = sketches.of(keys(count))
    assert sketches.estimate(sketch) == pytest.approx(count, rel=OFF if count > 1500 else 1e-4)
    low, high = sketches.estimate(sketch, -2), sketches.estimate(sketch, 2)
    assert low <= sketches.estimate(sketch) <= high and low <= count * (1 + OFF)
    assert len(sketch) <= 40 + (1 << 14) and sketches.estimate(None) == 0


@pytest.mark.parametrize("count", [5, 1000, 1600, 30_000])
def test_any_order_any_number_of_times(count):
    rng, users = Random(count), keys(count)
    whole = sketches.estimate(sketches.of(users))
    for _ in range(5):
        rng.shuffle(users)
        cuts = sorted(rng.choices(range(count), k=3))
        parts = [users[: cuts[1]], users[cuts[0] : cuts[2]], users[cuts[1] :], users[cuts[2] :]]
        images = [sketches.of(part) for part in parts] * 2
        rng.shuffle(images)
        assert sketches.estimate(sketches.merged(images)) == whole
        step = None
        for part in parts:
            step = sketches.of(part, step)
        assert sketches.estimate(step) == whole


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_is_no_sketch_is_an_error_and_no_crash():
    rng = Random(5)
    good = [sketches.of(keys(count)) for count in (0, 1, 7, 8, 100, 1500, 1600, 50_000)]
    refused = 0
    for _ in range(4000):
        bad = bytearray(rng.choice(good))
        for _ in range(rng.randrange(1, 5)):
            bad[rng.randrange(min(len(bad), 60))] = rng.randrange(256)
        if rng.random() < 0.3:
            del bad[rng.randrange(len(bad)) :]
        try:
            sketches.merged([bytes(bad), good[2]])
            sketches.estimate(bytes(bad), 2)
        except ValueError:
            refused += 1
    assert refused > 1000
    with pytest.raises(ValueError):  # registers are numbers of zeros among 64 bits
        sketches.estimate(good[-1][:-1] + b"\x40")
    db = sqlite3.connect(":memory:")
    set_functions.register(db)
    for bad in ("'text'", "5", "x''", "x'3a30'", "zeroblob(16424)"):
        for call in ("sketch_count({})", "sketch_or(a) FROM (SELECT {} AS a)"):
            with pytest.raises(sqlite3.OperationalError, match="user-defined"):
                db.execute(f"SELECT {call.format(bad)}").fetchone()
    assert db.execute("SELECT sketch_count(NULL), sketch_high(NULL)").fetchone() == (0, 0)


def lines(first, count, day=0):
    users = range(first, first + count)
    return b"".join(event(user=f"somebody-{n}", micros=NOON + day * DAY) for n in users)


def report(db, **params):
    given = [word for pair in params.items() for word in ("--param", "=".join(map(str, pair)))]
    text = run("show-report", "--db", db, "sketched_users", "--format", "json", *given, check=0)
    return json.loads(text.stdout)


def test_beside_the_sets(tmp_path):
    db = tmp_path / "my.db"
    given = ["--db", db, "--sketch", "beside", "--definition", "engaged-valuable,google-n-day"]
    path = tmp_path / "events"
    path.write_bytes(lines(0, 4000) + lines(2000, 4000, 1))
    done = run("import-active-users", *given, path, check=0)
    assert re.search(rb"sketches are at most [0-2]\.\d\d % off: 20", done.stderr)
    other = tmp_path / "other"
    other.write_bytes(lines(3000, 4000))
    run("import-active-users", *given, other, check=0)
    first, second = report(db)
    assert (first["exact"], second["exact"]) == (7000, 4000)
    for row in (first, second, *report(db, window=7)):
        assert row["estimate"] == pytest.approx(row["exact"], rel=OFF)
        off = 100 * (row["estimate"] / row["exact"] - 1)
        assert row["percent_off"] == pytest.approx(off, abs=0.02)
    assert report(db, window=7)[1]["exact"] == 7000
    # a sketch forgets nobody: that of a day that loses users is made anew
    few = lines(0, 9) + event(user="a-certain-person")
    path.write_bytes(few)
    other.write_bytes(b"\n")
    run("import-active-users", *given, "--replace", path, other, check=0)
    assert report(db)[0]["estimate"] == report(db)[0]["exact"] == 10
    run("forget-user", "--db", db, "a-certain-person", "--mode", "recount", check=0)
    assert report(db)[0]["estimate"] == report(db)[0]["exact"] == 9
    assert report(db, definition="google-n-day")[0]["estimate"] == 9
    run("check-data", "--db", db, "user_sets", check=0)


def test_instead_of_all_ids(tmp_path):
    db = tmp_path / "my.db"
    given = ["--db", db, "--quiet", "--sketch", "instead"]
    run("import-active-users", *given, stdin=lines(0, 4000), check=0)
    run("import-active-users", *given, stdin=lines(3000, 4000) + lines(0, 3, 1), check=0)
    before = query(db, "SELECT * FROM active_user_table ORDER BY 1")
    assert before == [("2019-12-31", pytest.approx(7000, rel=OFF)), ("2020-01-01", 3)]
    assert [row["estimate"] for row in report(db)] == [count for _, count in before]
    assert run("import-active-users", *given, stdin=lines(0, 7000), check=0).stdout == b""
    for table in ("user", "active_day", "pending_session", "pending_engagement"):
        assert query(db, f"SELECT count(*) FROM {table}") == [(0,)]
    for path in tmp_path.iterdir():
        assert b"somebody-" not in path.read_bytes()
    run("check-data", "--db", db, "user_sets", check=0)
    run("why-day", "--db", db, "2019-12-31", check=0)
    assert b"sketches" in run("compare-definitions", "--db", db, "2019-12-31", check=1).stderr
    done = run("import-active-users", *given, "--replace", stdin=lines(0, 5), check=0)
    assert done.stdout.endswith(b"\t5\n")


@pytest.mark.parametrize(
    "option, value",
    [("--valuable-events", "a"), ("--definition", "summed"), ("--definition", "ga4-active")],
)
def test_what_needs_several_events_of_a_user_cannot_do_without_ids(option, value, tmp_path):
    given = ["--db", tmp_path / "a.db", "--sketch", "instead", option, value]
    done = run("import-active-users", *given, check=2)
    assert b"one event must be enough" in done.stderr and list(tmp_path.iterdir()) == []


def test_a_database_keeps_sketches_or_not(tmp_path):
    db = tmp_path / "my.db"
    run("import-active-users", "--db", db, check=0)
    for how in ("beside", "instead"):
        run("import-active-users", "--db", db, "--sketch", how, check=78)
    run("import-active-users", "--db", db, "--sketch", "both", check=2)
    released = ROOT / "tests" / "released" / "schema-7.db.gz"  # which knows of none
    db.write_bytes(gzip.decompress(released.read_bytes()))
    for option, value in (("--sketch", "beside"), ("--key-events", "a")):
        run("import-active-users", "--db", db, option, value, check=78)
