"""Hostile data stays data: in SQL, in file names, in reports that a spreadsheet will open."""

import csv
import io
import shutil
import sqlite3
from contextlib import closing

import pytest

from helpers.events import event
from helpers.programs import run

HOSTILE = [
    "x'; DROP TABLE run;--",
    'x"); DELETE FROM user; --',
    "' OR '1'='1",
    "NULL",
    "null",
    "1",
    "1.0",
    "01",
    "\\N",
    "\\",
    "\\t",
    "a\tb",
    "a\nb",
    "a\rb",
    "a\\nb",
    "a",
    "a\0",
    "a\0b",
    "\0",
    " a",
    "a ",
    " ",
    "A",
    "ann",
    "аnn",  # Cyrillic а
    "ａｎｎ",  # full width
    "é",
    "e\u0301",  # the same to the eye
    "\u202eann",  # right to left
    "\u200bann",  # zero width
    "\u2028",
    "\ufeffann",
    "😀",
    "=1+1",
    "$(touch pwned)",
    "`touch pwned`",
    "--db",
    "%s%n{0}",
    "x" * 10_000,
    "x" * 9_999 + "y",
]


def query(db, sql, *values):
    with closing(sqlite3.connect(db)) as connection:
        return connection.execute(sql, values).fetchall()


def schema(db):
    return query(db, "SELECT type, name, sql FROM sqlite_schema ORDER BY 1, 2")


def execute(db, sql, *values):
    with closing(sqlite3.connect(db)) as connection, connection:
        connection.execute(sql, values)


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("imported")
    (folder / "first.jsonl").write_bytes(event())
    run("import-active-users", "--db", folder / "a.db", folder / "first.jsonl", check=0)
    return folder / "a.db"


@pytest.fixture
def db(imported, tmp_path):
    """A database of one small import."""
    return shutil.copy(imported, tmp_path / "a.db")


@pytest.mark.parametrize(
    "options", [[], ["--validate"], ["--tz", "device"], ["--valuable-events", "user_engagement"]]
)
def test_hostile_users_are_counted_once_each(tmp_path, options):
    lines = b"".join(event(user=user, offset=0) for user in HOSTILE)
    done = run("count-active-users", *options, stdin=lines * 2, check=0)
    assert done.stdout == b"2019-12-31\t%d\n" % len(HOSTILE)


def test_hostile_users_are_stored_as_they_are(tmp_path):
    events = tmp_path / "events.jsonl"
    events.write_bytes(b"".join(event(user=user) for user in HOSTILE))
    db = tmp_path / "a.db"
    done = run("import-active-users", "--db", db, events, check=0)
    assert done.stdout == b"2019-12-31\t0\t%d\n" % len(HOSTILE)
    before = schema(db)
    assert sorted(key for (key,) in query(db, "SELECT key FROM user")) == sorted(HOSTILE)

    again = tmp_path / "again.jsonl"
    again.write_bytes(b"".join(event(user=user) for user in reversed(HOSTILE)))
    assert run("import-active-users", "--db", db, again, check=0).stdout == b""
    assert query(db, "SELECT active_user_count FROM active_user_table") == [(len(HOSTILE),)]
    assert schema(db) == before
    assert not (tmp_path / "pwned").exists()


def test_hostile_event_and_parameter_names_are_data(tmp_path):
    name = "it's \"; DROP TABLE run;--"
    lines = event(engaged=None) + event(name, msec=None, engaged=None)
    done = run("count-active-users", "--valuable-events", name, stdin=lines, check=0)
    assert done.stdout == b"2019-12-31\t1\n"
    db = tmp_path / "a.db"
    run("import-active-users", "--db", db, "--valuable-events", name, stdin=lines, check=0)
    assert (name,) in query(db, "SELECT value FROM setting")


@pytest.mark.parametrize(
    "name",
    ["x'; DROP TABLE run;--.jsonl", 'q".jsonl', "%s.jsonl", "$(touch pwned).jsonl", "*.jsonl"],
)
def test_hostile_file_names_are_data(tmp_path, db, name):
    before = schema(db)
    (tmp_path / name).write_bytes(event(user="bob"))
    done = run("import-active-users", "--db", "a.db", name, cwd=tmp_path, check=0)
    assert done.stdout == b"2019-12-31\t1\t2\n"
    assert query(db, "SELECT path, lines FROM run_input WHERE run_id = 2") == [(name, 1)]
    assert schema(db) == before
    assert not (tmp_path / "pwned").exists()


def test_a_hostile_table_name_is_refused(db):
    before = schema(db)
    for table in ("user; DROP TABLE run", 'user" --', "sqlite_schema", "", "no such"):
        done = run("upsert-rows", "--db", db, table, stdin=b"1\t2\n")
        assert done.returncode not in (0, 65), table
        assert b"Traceback" not in done.stderr, (table, done.stderr)
    assert schema(db) == before


@pytest.mark.parametrize(
    "value", ["0' OR '1'='1", "'; DROP TABLE run; --", "2019-12-31'--", "\\", "%"]
)
def test_values_of_parameters_are_data(db, value):
    before = schema(db)
    report = ["show-report", "--db", db, "--format", "tsv"]
    rows = run(*report, "site_activity_by_day", "--param", f"site={value}", check=0).stdout
    assert len(rows.splitlines()) == 1
    for name, param in (("active_users", "since"), ("runs", "last")):
        done = run(*report, name, "--param", f"{param}={value}", check=2)
        assert b"expected a" in done.stderr and done.stdout == b""
    assert schema(db) == before


def test_hostile_names_of_reports_and_parameters(db):
    for arguments in (
        ["../../schema"],
        ["runs; DROP TABLE run"],
        ["/etc/passwd"],
        ["runs", "--param", "x=1"],
    ):
        done = run("show-report", "--db", db, *arguments, check=2)
        assert done.stdout == b"" and b"Traceback" not in done.stderr


FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "=cmd|' /C calc'!A0",
    '=1","=2',
    "-1\n=2",
    "＝1",
]
HARMLESS = ["1+1", "a=b", "a", "'=1", " =1", "exit status 74"]


def column_of(report, db, *options):
    """The column that may hold any text, of the rows that hold one."""
    text = run("show-report", "--db", db, report, "--format", "csv", *options, check=0).stdout
    header, *rows = csv.reader(io.StringIO(text.decode(), newline=""))
    place = header.index({"runs": "message", "rejects": "reason"}[report])
    return [row[place] for row in rows]


@pytest.mark.parametrize("report", ["runs", "rejects"])
def test_csv_neutralises_what_a_spreadsheet_would_run(db, report):
    execute(db, "DELETE FROM run_input")
    execute(db, "DELETE FROM active_user_history")
    execute(db, "DELETE FROM run")
    for i, text in enumerate(FORMULAS + HARMLESS):
        execute(
            db,
            "INSERT INTO run "
            "(id, pipeline, version, zone_rules, status, started_at, lines, message) "
            "VALUES (?, 'p', 'v', 'z', 'failed', '2026-01-01T00:00:00Z', 1, ?)",
            i,
            text,
        )
        execute(db, "INSERT INTO run_reject VALUES (?, ?, 1)", i, text)
    neutral = ["'" + text for text in FORMULAS] + HARMLESS
    assert column_of(report, db) == neutral
    assert column_of(report, db, "--raw") == FORMULAS + HARMLESS


def test_csv_leaves_numbers(db):
    execute(db, "UPDATE run SET status = 'failed', lines = -5, kept = 0, filtered = -1.5")
    done = run("show-report", "--db", db, "runs", "--format", "csv", check=0).stdout
    assert b",-5,0,-1.5," in done


@pytest.mark.parametrize("style", ["table", "tsv", "json", "markdown"])
def test_other_formats_keep_a_row_a_row(db, style):
    execute(db, "UPDATE run SET message = ?", "a\nb\tc\r\x1b[31m|<script>\u2028")
    done = run("show-report", "--db", db, "runs", "--format", style, check=0).stdout
    lines = {"table": 3, "tsv": 2, "json": 1, "markdown": 3}[style]
    assert done.count(b"\n") == lines
    assert b"\r" not in done
    assert style == "tsv" or b"\x1b" not in done
    assert style != "markdown" or b"<script" not in done
