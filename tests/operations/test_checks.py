"""Checks of the data: silent on what imports of all pipelines leave, red for each thing wrong."""

import contextlib
import os
import re
import shutil
import sqlite3
import subprocess

import pytest

from headcount.reports import catalogue
from helpers.programs import BARE, BIN, ROOT, run
from pipelines.event_metrics.test_import import HEADER, line

NAMES = catalogue.names(catalogue.CHECKS)


def checked(db, *arguments, **options):
    return run("check-data", "--db", db, *arguments, **options)


@pytest.fixture(scope="module")
def all_pipelines(tmp_path_factory):
    """A database that all imports have filled, some of them bit by bit, with some rejects."""
    folder = tmp_path_factory.mktemp("all")
    db = folder / "all.db"

    def made(kind, name, *options):
        data = run("make-data", kind, *options, check=0).stdout
        (folder / name).write_bytes(data)
        return folder / name

    def imported(program, *arguments, **options):
        lenient = [] if "changes" in program else ["--max-rejects", "50%"]
        done = run(program, "--quiet", "--db", db, *lenient, *arguments, **options)
        assert done.returncode in (0, 65), done.stderr

    imported("import-active-users", "--by", "version", ROOT / "data" / "sample" / "events.jsonl.gz")
    chat = made("chat", "chat", "--lines", 30_000)
    lines = chat.read_bytes().splitlines(keepends=True)
    chat.write_bytes(b"".join(lines[:20_000]))
    imported("import-site-activity", chat)
    with open(chat, "ab") as file:
        file.write(b"".join(lines[20_000:]) + b"no JSON\n")
    imported("import-site-activity", chat)
    imported("import-site-activity", stdin=b"".join(lines[:100]))
    imported("import-recent-changes", made("recent-changes", "changes", "--events", 3000))
    tables = ["--posts", folder / "posts.csv", "--text", folder / "text.csv"]
    crawls = made("comments", "crawls", "--comments", 2000, "--broken", 0.01, *tables)
    imported("import-comments", "--info", crawls, *tables)
    imported("import-comments", "--info", "-", stdin=crawls.read_bytes()[:100_000] + b"\n")
    options = ["--count", 7000, "--files", 3, "--repeated", 0.1, "--odd", 0.1, "--broken", 0.01]
    run("make-data", "event-metrics", *options, "--folder", folder / "metrics", check=0)
    files = sorted((folder / "metrics").glob("events-*"))
    first, second = (folder / "metrics" / f"{name}_dimensions.tsv" for name in ("first", "second"))
    imported("import-event-metrics", *files[:2])
    imported("import-event-metrics", *files, "--first-dimensions", first)
    imported("import-event-metrics", files[0], "--second-dimensions", second, "--replace")
    return db


# what is made is not as steady as a check of a month's days wants it
CALM = ["--param", "times=20", "--param", "percent=10"]


def test_all_is_well_with_what_imports_leave(all_pipelines):
    done = checked(all_pipelines, *CALM, check=0)
    assert done.stdout == done.stderr == b""


NONE_KEPT = (
    "UPDATE run SET kept = 0, filtered = lines, duplicate = 0, rejected = 0 WHERE pipeline = '{}'"
)


def nights(number, usual, last, skipped=0):
    """A statement that enters some runs of long ago and one of today, each of (lines, kept).

    Before the last some have skipped all their files.
    """
    then = "2020-01-01T00:00:00Z"
    runs = [(then, *usual)] * number + [(then, 0, 0)] * skipped + [("now", *last)]
    rows = ", ".join(
        f"('import-nightly', '', '', 'done', strftime('%Y-%m-%dT%H:%M:%SZ', '{at}'), "
        f"{lines}, {kept}, {lines - kept}, 0, 0, 0)"
        for at, lines, kept in runs
    )
    columns = "pipeline, version, zone_rules, status, started_at, lines, kept, filtered, duplicate"
    return f"INSERT INTO run ({columns}, rejected, unidentified) VALUES {rows}"


WRONG = {
    "missing_days": [
        ("DELETE FROM active_user_table WHERE date = '2024-03-09'", "active users  2024-03-08"),
        ("DELETE FROM site_activity_by_day WHERE date = '2024-03-10'", "site activity  2024-03-09"),
        ("DELETE FROM event WHERE recorded_date LIKE '2024-03-03%'", "event metrics  2024-03-02"),
        ("UPDATE recent_change_raw SET timestamp = timestamp - 3 * 86400 WHERE pk < 9",
         "recent changes"),
    ],
    "day_steps": [
        ("UPDATE active_user_table SET active_user_count = 9000 WHERE date = '2024-03-10'",
         "active users  2024-03-10"),
        ("DELETE FROM event WHERE recorded_date LIKE '2024-03-03%' AND id > 200",
         "event metrics  2024-03-03"),
        ("UPDATE site_activity_by_day SET messages = messages * 99 WHERE date = '2024-03-11'",
         "site activity  2024-03-11"),
        ("UPDATE recent_change_raw SET timestamp = timestamp - 86400 * (1 + (pk < 90))",
         None),  # of days the newest is let off
        ("UPDATE recent_change_raw SET timestamp = timestamp - 86400 * ((pk < 2900) + (pk < 90))",
         "recent changes"),
    ],
    "future_dates": [
        ("UPDATE active_user_table SET date = '2999-01-01' WHERE date = '2024-03-09'",
         "active users  2999-01-01"),
        ("UPDATE site_activity_by_day SET date = '2999-01-01' WHERE date = '2024-03-09'",
         "site activity  2999-01-01"),
        ("UPDATE recent_change_raw SET timestamp = 32472144000 WHERE pk = 5", "recent changes"),
        ("UPDATE comment SET created_at = '2999-01-01T00:00:00Z' WHERE pk = 5", "comments"),
        ("UPDATE event SET recorded_date = '2999-01-01 00:00:00' WHERE id = 1", "event metrics"),
        ("UPDATE event SET recorded_date = datetime('now') WHERE id = 1", None),
    ],
    "rejects_share": [
        ("UPDATE run SET rejected = lines, kept = 0, duplicate = 0, filtered = 0 WHERE id = 1",
         "import-active-users"),
        ("UPDATE run SET rejected = lines, kept = 0, duplicate = 0, filtered = 0, "
         "started_at = '2020-01-01T00:00:00Z' WHERE id = 1", None),
    ],
    "few_kept": [
        # with too few runs before: only what kept none
        (NONE_KEPT.format("import-active-users"), "import-active-users"),
        ("UPDATE run SET kept = 11, filtered = lines - 11, duplicate = 0, rejected = 0 "
         "WHERE pipeline = 'import-active-users'", None),
        ("UPDATE run SET started_at = '2020-01-01T00:00:00Z', kept = 0, filtered = lines, "
         "duplicate = 0, rejected = 0 WHERE pipeline = 'import-active-users'", None),
        ("UPDATE run SET lines = 9, kept = 0, filtered = 9, duplicate = 0, rejected = 0 "
         "WHERE pipeline = 'import-active-users'", None),
        ("UPDATE run SET kept = 0, duplicate = lines, filtered = 0, rejected = 0 "
         "WHERE pipeline = 'import-active-users'", None),
        # nights (lines, kept): usually one line in ten
        (nights(6, (1000, 100), (1000, 4)), "1000       4"),  # (times is 20 here)
        (nights(4, (1000, 100), (1000, 4)), None),
        (nights(6, (1000, 100), (1000, 6)), None),
        (nights(6, (1000, 100), (90, 0)), None),  # nine would be usual
        (nights(6, (1000, 100), (100, 0)), "100       0"),
        (nights(6, (0, 0), (1000, 4)), None),  # those skipped all: they say nothing
        (nights(6, (1000, 100), (1000, 4), skipped=40), "1000       4"),
        (nights(6, (365_000, 36_500), (1000, 100)), None),  # a year, then a day
        (nights(6, (1000, 0), (1000, 0)), None),
    ],
    "unfinished_runs": [
        ("UPDATE run SET status = 'failed', message = 'disk' WHERE id = (SELECT max(id) FROM run)",
         "failed"),
        ("UPDATE run SET status = 'aborted' WHERE pipeline = 'import-comments'", "aborted"),
        ("UPDATE run SET status = 'failed' WHERE id = 2", None),  # another has followed
        ("UPDATE run SET status = 'running', started_at = '2020-01-01T00:00:00Z' "
         "WHERE pipeline = 'import-active-users'", "running"),
        ("UPDATE run SET status = 'running', started_at = '2020-01-01T00:00:00Z' "
         "WHERE pipeline = 'import-recent-changes'", None),
    ],
    "ledger_sums": [
        ("UPDATE run_reject SET rejects = rejects + 1 WHERE run_id = 3", "rejects of run 3"),
        ("UPDATE run_input SET lines = lines - 1 WHERE run_id = 1", "lines of the inputs of run 1"),
        ("UPDATE active_user_table SET active_user_count = 7 WHERE date = '2024-03-10'",
         "active users of 2024-03-10"),
        ("DELETE FROM active_user_table WHERE date = '2024-03-10'", "active users of 2024-03-10"),
        ("INSERT INTO active_user_table VALUES ('2024-06-01', 5)", "active users of 2024-06-01"),
        ("DELETE FROM chat_lines WHERE id = (SELECT min(id) FROM chat_lines)", "chat lines"),
        ("UPDATE site_activity SET messages = messages + 1", "messages of site"),
        ("DELETE FROM recent_change_raw WHERE pk = 7", "recent changes"),
        ("UPDATE run SET kept = 9, duplicate = duplicate + kept - 9 "
         "WHERE pipeline = 'import-comments'", "comments, posts and pages"),
        ("UPDATE run SET kept = 9, duplicate = duplicate + kept - 9 "
         "WHERE pipeline = 'import-event-metrics'", "events and dimensions"),
    ],
    "user_sets": [
        ("UPDATE active_user_table SET active_user_count = 7 WHERE date = '2024-03-10'",
         "2024-03-10"),
        ("DELETE FROM active_day WHERE date = '2024-03-10'", "2024-03-10"),
        ("DELETE FROM active_user_table WHERE date = '2024-03-10'", "2024-03-10"),
        ("INSERT INTO definition_history VALUES ('2024-03-10', 'summed', 1, 5, '')", "summed"),
    ],
    "value_sets": [
        ("UPDATE active_users_by SET active_user_count = 7 WHERE date = '2024-03-10'",
         "2024-03-10"),
        ("DELETE FROM active_users_by WHERE date = '2024-03-10'", "2024-03-10"),
        ("DELETE FROM active_day_by WHERE date = '2024-03-10'", "2024-03-10"),
        ("UPDATE active_day_by SET users = (SELECT users FROM active_day_by WHERE date = "
         "'2024-03-11' LIMIT 1) WHERE date = '2024-03-10'", "2024-03-10"),
    ],
    "orphans": [
        ("DELETE FROM first_dimension WHERE id < 9", "first dimension of events"),
        ("DELETE FROM second_dimension WHERE id < 20", "second dimension of events"),
        ("DELETE FROM second_dimension", None),  # there are no such tables here
        ("UPDATE comment SET parent_id = 'gone' WHERE parent_id IS NOT NULL", "parent of replies"),
        ("INSERT INTO waiting_text SELECT 'x' || pk, 'text' FROM comment", "texts without a"),
    ],
    "null_metrics": [
        ("UPDATE event SET metric_two = NULL WHERE recorded_date LIKE '2024-03-06%'", "metric_two"),
        ("UPDATE event SET metric_two = NULL WHERE recorded_date LIKE '2024-03-05%'", None),
        ("UPDATE event SET metric_two = NULL", None),
    ],
    "stream_gaps": [
        ("INSERT INTO stream_gap VALUES ('t', 0, 5, 9, NULL, "
         "strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))", "t                  0"),
        ("INSERT INTO stream_gap VALUES ('t', 0, 5, 9, NULL, '2020-01-01T00:00:00Z')", None),
    ],
    "integrity": [
        ("DELETE FROM run WHERE id = 1", "refers to no run"),
    ],
}  # fmt: skip


def test_each_check_is_tested():
    assert sorted([*WRONG, "unusual_days"]) == NAMES  # which has test_unusual_days.py


@pytest.mark.parametrize(
    "name, statement, told",
    [(name, *case) for name, cases in WRONG.items() for case in cases],
)
def test_what_is_wrong_is_told(name, statement, told, all_pipelines, tmp_path):
    db = tmp_path / "my.db"
    shutil.copy(all_pipelines, db)
    known = catalogue.load(name, catalogue.CHECKS).params
    given = [f"--param={text}" for text in CALM[1::2] if text.partition("=")[0] in known]
    assert checked(db, name, *given, check=0).stdout == b""
    with contextlib.closing(sqlite3.connect(db)) as connection:
        assert connection.execute(statement).rowcount > 0
        connection.commit()
    done = checked(db, name, *given, check=65 if told else 0)
    if told:
        text = done.stdout.decode()
        assert text.startswith(f"{name}: ") and re.search(re.escape(told), text), text
        assert name in checked(db, *CALM, check=65).stdout.decode(), "among all"
    else:
        assert done.stdout == b""


def test_a_damaged_page_is_told(all_pipelines, tmp_path):
    db = tmp_path / "my.db"
    shutil.copy(all_pipelines, db)
    with contextlib.closing(sqlite3.connect(db)) as connection:
        root = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'event'"
        ).fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    with open(db, "r+b") as file:
        file.seek((root - 1) * size)
        file.write(os.urandom(size // 4))
    done = checked(db, "integrity")
    assert done.returncode in (1, 65) and (done.stdout or done.stderr)


def test_a_day_far_away_is_one_row_and_takes_no_time(tmp_path):
    db = tmp_path / "my.db"
    events = [line(1, at="0001-01-01 00:00:00"), line(2), line(3, at="9999-12-31 00:00:00")]
    run("import-event-metrics", "--db", db, stdin=(HEADER + "".join(events)).encode(), check=0)
    done = checked(db, "missing_days", "--param", "days=9999999", check=65, timeout=5)
    assert len(done.stdout.splitlines()) == 5


def test_long_lists_are_cut(tmp_path):
    db = tmp_path / "my.db"
    run("import-active-users", "--db", db, stdin=b"", check=0)
    with contextlib.closing(sqlite3.connect(db)) as connection:
        for n in range(60):
            connection.execute(
                "INSERT INTO active_user_table VALUES (date('2024-01-01', ?), 5)", [f"{2 * n} days"]
            )
        connection.commit()
    done = checked(db, "missing_days", "--param", "days=1000", check=65)
    assert len(done.stdout.splitlines()) == 3 + 20 + 1
    assert done.stdout.decode().endswith("… and 39 more\n")


def test_it_reads_only(all_pipelines, tmp_path):
    db = tmp_path / "my.db"
    shutil.copy(all_pipelines, db)
    before = db.read_bytes()
    checked(db, check=None)
    assert db.read_bytes() == before


def test_into_a_closed_pipe_and_a_full_disk(tmp_path, all_pipelines):
    db = tmp_path / "my.db"
    shutil.copy(all_pipelines, db)
    with contextlib.closing(sqlite3.connect(db)) as connection:
        connection.execute("DELETE FROM run WHERE id = 1")
        connection.commit()
    with open("/dev/full", "w") as full:
        checked(
            db, "integrity", stdout=full, stderr=subprocess.PIPE, capture_output=False, check=74
        )
    command = '"$0" --db "$1" integrity | true'
    done = subprocess.run(
        ["bash", "-c", command, BIN / "check-data", db], capture_output=True, env=BARE
    )
    assert done.stderr == b""
