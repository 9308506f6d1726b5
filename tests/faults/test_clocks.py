"""Rows 10 and 12: clocks that are wrong, and rules of time zones that change."""

import pytest

from faults.databases import differences, problems
from faults.pipelines import attempt
from headcount.values import zones
from helpers.checkouts import copy_of_checkout
from helpers.events import event
from helpers.programs import BARE, run
from helpers.sessions import query

CLOCKS = [
    "2026-11-28T04:17:00Z",
    "2026-11-27T04:17:00Z",  # a day back
    "1970-01-01T00:00:00Z",
    "2016-12-31T23:59:60Z",  # a leap second
    "2038-01-19T03:14:08Z",
    "9999-12-31T23:59:59Z",
]


@pytest.mark.sample(12)
@pytest.mark.fault(10)
def test_clocks_that_jump(start, db, bin_with_clock, injected):
    """Days come from events, and the order of runs from their numbers."""
    pipeline = start.pipeline
    for i, now in enumerate(CLOCKS):
        with injected(pipeline.name):
            files = start.files[: 1 + i % 2]
            done = attempt(
                pipeline,
                db,
                *files,
                env=BARE | {"NOW": now},
                executable=bin_with_clock / pipeline.name,
            )
            assert done.returncode == 0, done.stderr
    assert differences(db, start.golden) == [] and problems(db) == []
    started = [at for (at,) in query(db, "SELECT started_at FROM run ORDER BY id")]
    assert started[-len(CLOCKS) :] == CLOCKS
    skipped = query(db, "SELECT run_id FROM run_input WHERE status = 'skipped'")
    assert pipeline.keeps or len(skipped) > len(CLOCKS) - 2  # though it seems years ago
    assert run("show-runs", "--db", db).returncode == 0


@pytest.mark.fault(12)
def test_rules_that_change(new_db, injected, tmp_path):
    """Nothing is counted anew by itself; doctor tells, --replace lists each day that differs."""
    tree = copy_of_checkout(tmp_path / "tree")
    with open(tree / "lib" / "headcount" / "values" / "zones.py", "a") as file:
        # from now on Chicago has the clocks of Denver
        file.write(
            "\n_rules = rules\ndef rules(name):\n"
            "    return _rules(name.replace('Chicago', 'Denver'))\n"
            "def rules_version():\n    return '2999z'\n"
        )
    source, db = tmp_path / "events", new_db
    half_past_midnight = 1_577_860_200_000_000  # 2020-01-01T06:30:00Z, 00:30 in Chicago
    source.write_bytes(event(user="ann") + event(user="ben", micros=half_past_midnight))
    run("import-active-users", "--db", db, source, check=0)
    before = query(db, "SELECT * FROM active_user_table")
    with injected("import-active-users"):
        newer = {"executable": tree / "bin" / "import-active-users"}
        assert zones.rules_version() != "2999z"
        done = run("import-active-users", "--db", db, source, check=0, **newer)
        assert done.stdout == b"" and query(db, "SELECT * FROM active_user_table") == before
        told = run("doctor", "--db", db, "--quiet").stdout.decode()
        assert "zone rules 2999z" in told and "--replace" in told
        done = run("import-active-users", "--db", db, "--replace", source, check=0, **newer)
        assert done.stdout == b"2019-12-31\t1\t2\n2020-01-01\t1\t0\n"
        assert query(db, "SELECT max(zone_rules) FROM run") == [("2999z",)]
