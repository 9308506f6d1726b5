"""Databases of every earlier version: brought up to date by an import, or refused, never guessed.

tests/released has one of each, as that version made it of the files beside it.
"""

import gzip
import re
from pathlib import Path

import pytest

from faults.databases import content, differences, problems
from faults.pipelines import PIPELINES, attempt, imported
from headcount.db import connection
from headcount.reports import catalogue
from helpers.programs import ROOT, run
from helpers.sessions import query

RELEASED = ROOT / "tests" / "released"
OLD = range(1, connection.SCHEMA_VERSION)
FILES = {  # and since which version there is a pipeline for it
    "import-active-users": ("events-1.jsonl.gz", 1),
    "import-site-activity": ("chat-1.jsonl.gz", 2),
    "import-recent-changes": ("changes-1.jsonl.gz", 3),
    "import-comments": ("crawls-1.jsonl.gz", 4),
    "import-event-metrics": ("metrics-1.tsv.gz", 5),
}


EACH = [(version, pipeline) for version in OLD for pipeline in PIPELINES]


@pytest.fixture
def old(version, tmp_path):
    path = tmp_path / "old.db"
    path.write_bytes(gzip.decompress((RELEASED / f"schema-{version}.db.gz").read_bytes()))
    assert query(path, "PRAGMA user_version") == [(version,)]
    return path


def lenient(pipeline):
    return pipeline._replace(strict=pipeline.lenient)


def schema(db):
    """Every table, index, view and trigger, however it is spaced."""
    rows = query(db, "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    return sorted(
        (kind, name, re.sub(r"\s+", " ", re.sub(r"--.*", "", sql))) for kind, name, sql in rows
    )


@pytest.mark.sample(56)
@pytest.mark.fault(37)
@pytest.mark.parametrize("version, by", EACH, ids=lambda value: getattr(value, "name", None))
def test_any_import_brings_it_up_to_date(by, old, version, injected, tmp_path):
    """Then it is as if it had been made by this version."""
    new = tmp_path / "new.db"
    for pipeline in PIPELINES:
        file, since = FILES[pipeline.name]
        if version >= since:
            assert attempt(lenient(pipeline), new, RELEASED / file).returncode in (0, 65)
    with injected(by.name):
        (tmp_path / "empty").touch()
        imported(by, old, tmp_path / "empty")
        imported(by, new, tmp_path / "empty")
        assert query(old, "PRAGMA user_version") == [(connection.SCHEMA_VERSION,)]
        assert schema(old) == schema(new)
        assert differences(old, content(new)) == [] and problems(old) == []
        # what it has read already, as another file, is all known
        file, since = FILES[by.name]
        before = content(old)
        assert attempt(lenient(by), old, RELEASED / file).returncode in (0, 65)
        assert version < since or differences(old, before) == []
        assert attempt(lenient(by), new, RELEASED / file).returncode in (0, 65)
        assert differences(old, content(new)) == [] and problems(old) == []


@pytest.mark.sample(9)
@pytest.mark.fault(37)
@pytest.mark.parametrize("version", OLD)
def test_reports_answer_or_say_what_to_do(old, version, injected):
    before = old.read_bytes()
    with injected("import-active-users"):
        answered = []
        for name in catalogue.names():
            done = run("show-report", "--db", old, name)
            assert done.returncode in (0, 78), done.stderr
            assert done.returncode == 0 or b"the next import" in done.stderr
            answered += [name] * (done.returncode == 0)
        assert "active_users" in answered
        for program in ("check-data", "show-runs", "export-metrics"):
            assert run(program, "--db", old).returncode in (0, 65, 78)
        for program in ("why-day", "compare-definitions"):
            done = run(program, "--db", old, "2020-01-01")
            assert done.returncode == 0 or b"the next import" in done.stderr, done.stderr
        assert old.read_bytes() == before


@pytest.mark.fault(37)
def test_a_newer_database_is_refused_by_all(injected, tmp_path):
    db = tmp_path / "new.db"
    imported(PIPELINES[0], db, Path("/dev/null"))
    query(db, f"PRAGMA user_version = {connection.SCHEMA_VERSION + 1}")
    before = db.read_bytes()
    for pipeline in PIPELINES:
        with injected(pipeline.name):
            done = attempt(pipeline, db, Path("/dev/null"))
            assert done.returncode == 78 and b"update Headcount" in done.stderr
            assert db.read_bytes() == before
    for program in ("show-report", "show-runs", "check-data", "export-metrics", "backup-db"):
        with injected("import-active-users"):
            name = ["active_users"] if program == "show-report" else []
            done = run(program, "--db", db, *name, check=78)
            assert b"update Headcount" in done.stderr


def test_every_version_is_kept():
    kept = {int(path.name.split("-")[1].split(".")[0]) for path in RELEASED.glob("schema-*.db.gz")}
    assert kept == set(OLD)
