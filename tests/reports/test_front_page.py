"""The first page: its numbers are those of the database, however much of it there is."""

import random
import re
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta

import httpx
import pytest

from headcount.reports.web import front_page
from helpers.browser_server import fill, serve_db
from helpers.programs import run
from helpers.sessions import query

TODAY = datetime.now(UTC).date()
COUNTS = {
    "Active users": "SELECT active_user_count FROM active_user_table ORDER BY date DESC LIMIT 1",
    "Site activity": "SELECT sum(messages) FROM site_activity_by_day WHERE date = "
    "(SELECT max(date) FROM site_activity_by_day)",
    "Recent changes": "SELECT count(*) FROM recent_change_raw WHERE date(timestamp, 'unixepoch') = "
    "(SELECT date(max(timestamp), 'unixepoch') FROM recent_change_raw)",
    "Comments": "SELECT count(*) FROM comment WHERE substr(created_at, 1, 10) = "
    "(SELECT substr(max(created_at), 1, 10) FROM comment)",
    "Event metrics": "SELECT count(*) FROM event WHERE substr(recorded_date, 1, 10) = "
    "(SELECT substr(max(recorded_date), 1, 10) FROM event)",
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    fill(path := tmp_path_factory.mktemp("front") / "my.db")
    return path


@pytest.fixture
def empty(tmp_path):
    db = tmp_path / "my.db"
    given = ["--tz", "UTC", "--allow-empty"]
    run("import-active-users", "--quiet", "--db", db, *given, stdin=b"", check=0)
    return db


def with_counts(db, counts):
    with closing(sqlite3.connect(db)) as connection, connection:
        rows = [(str(day), count) for day, count in counts.items()]
        connection.executemany("INSERT INTO active_user_table VALUES (?, ?)", rows)
    return db


def page_of(db, *options):
    with serve_db(db, *options) as base:
        answer = httpx.get(f"{base}/", headers=base.headers, timeout=60)
    assert answer.status_code == 200
    return answer.text


def texts(page):
    """What is to be read, a line for each element."""
    body = page[page.index("<h1>") : page.index("<script", page.index("<h1>"))]
    lines = re.sub(r"<[^>]*>", "\n", body.replace("</p>", "\n")).splitlines()
    return [line.strip() for line in lines if line.strip()]


def test_each_number_is_that_of_the_database(filled):
    shown = texts(page_of(filled))
    for title, sql in COUNTS.items():
        count = query(filled, sql)[0][0]
        assert shown[shown.index(title) + 1] == f"{count:,}"
    week = "SELECT active_user_count FROM active_user_table WHERE date = '2024-03-08'"
    before = query(filled, week)
    last = query(filled, COUNTS["Active users"])[0][0]
    change = f"{100 * (last - before[0][0]) / before[0][0]:+.1f} %"
    assert f"{change} against the Friday before ({before[0][0]})" in shown
    assert "no data yet" not in " ".join(shown)


def test_what_has_no_data_is_a_quiet_line(empty):
    shown = texts(page_of(empty))
    assert shown.count(": no data yet;") == 0
    assert sum("no data yet" in line for line in shown) == len(front_page._SOURCES)
    assert "import-active-users FILE" in shown


@pytest.mark.parametrize("ago", [0, 1, 3, 9])
def test_the_newest_complete_day(ago, empty):
    """A day that is not over is not compared, unless there is no other."""
    counts = {TODAY - timedelta(days=ago + n): 1000 + n for n in (0, 1, 7, 8, 30)}
    with closing(sqlite3.connect(f"file:{with_counts(empty, counts)}?mode=ro", uri=True)) as db:
        (card,), _ = front_page.cards(db)
        day = TODAY - timedelta(days=max(ago, 1))
        assert (card.day, card.count, card.age) == (day, counts[day], (TODAY - day).days)
        assert card.before == counts[day - timedelta(days=7)] and card.is_complete
        assert card.percent == 100 * (card.count - card.before) / card.before
        known = {each: count for each, count in card.line if count is not None}
        assert known == {each: n for each, n in counts.items() if 0 <= (day - each).days < 28}
        assert len(card.line) == 28 and card.line[-1] == (day, card.count)


def test_a_day_that_has_only_begun(empty):
    with_counts(empty, {TODAY: 7})
    page = " ".join(texts(page_of(empty)))
    assert "7 active users" in page and "today so far" in page and "not over yet" in page
    assert "There is no number for the" in page


def test_days_of_a_zone_end_by_its_clock(empty, monkeypatch):
    now = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)  # still Sunday, 1 March in Chicago

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return now.astimezone(tz)

    monkeypatch.setattr(front_page, "datetime", Clock)
    with_counts(empty, {date(2026, 2, 28): 5, date(2026, 3, 1): 3})
    with closing(sqlite3.connect(empty)) as db:
        for zone, day in (("UTC", 1), ("America/Chicago", 28), ("device", 28), ("Asia/Tokyo", 1)):
            db.execute("UPDATE setting SET value = ? WHERE name = 'tz'", [zone])
            assert front_page.cards(db)[0][0].day.day == day


def test_what_is_wrong_is_said(empty):
    with_counts(empty, {TODAY - timedelta(days=n): 100 for n in (40, 41, 43)})
    with closing(sqlite3.connect(empty)) as db, db:
        db.execute("UPDATE run SET status = 'failed'")
        job = "INSERT INTO job_run (job, command, every, status, exit, started_at) VALUES "
        db.execute(f"{job} ('<b>night', 'x', 60, 'failed', 74, '2020-01-01T00:00:00Z')")
    with serve_db(empty) as base:
        page = httpx.get(f"{base}/", headers=base.headers).text
        found = httpx.get(f"{base}/-/checks.json", headers=base.headers, timeout=60).json()
    assert "&lt;b&gt;night is overdue: its last success began never" in page and "<b>" not in page
    assert "&lt;b&gt;night failed with exit status 74" in page
    assert "40 days ago" in page and "the last import failed" in page
    done = run("check-data", "--db", empty, check=65).stdout.decode()
    assert [name.split(" (")[0] for name in found["found"]] == re.findall(r"^(\w+):", done, re.M)


def test_properties_are_listed_and_shown(empty):
    event = run("make-data", "engagement", "--events", 300, check=0).stdout
    for name in ("a", "<i>b"):
        how = ["--quiet", "--db", empty, "--property", name]
        run("import-active-users", *how, stdin=event, check=0)
    counts = "SELECT active_user_count FROM p1_active_user_table ORDER BY date DESC LIMIT 1"
    ((count,),) = query(empty, counts)
    shown = texts(page := page_of(empty))
    assert "&lt;i&gt;b" in shown and "<i>" not in page and shown[shown.index("a") + 2] == str(count)
    shown = texts(page_of(empty, "--property", "<i>b"))
    assert shown[0] == "Headcount: &lt;i&gt;b"
    assert shown[shown.index("Active users") + 1] == str(count)


def test_a_line_has_gaps():
    line = [(TODAY, count) for count in (0, None, 4, 2, None, 1)]
    drawn = front_page.path(line, 50, 40)
    assert drawn == "M0.0 40.0h0L0.0 40.0M20.0 0.0h0L20.0 0.0L30.0 20.0M50.0 30.0h0L50.0 30.0"
    assert front_page.path(line, 50, 40, is_last=True) == "M50.0 30.0h0L50.0 30.0"


def test_days_are_counted_as_row_by_row():
    """Of events beside midnight, with days between them, and of the last day that there can be."""
    days = {
        "recent-changes": ("recent_change_raw", "date(timestamp, 'unixepoch')"),
        "comments": ("comment", "substr(created_at, 1, 10)"),
        "event-metrics": ("event", "substr(recorded_date, 1, 10)"),
    }
    chance = random.Random(9)
    with sqlite3.connect(":memory:") as db:
        db.execute("CREATE TABLE recent_change_raw (timestamp INTEGER)")
        db.execute("CREATE TABLE comment (created_at TEXT)")
        db.execute("CREATE TABLE event (recorded_date TEXT)")
        for day in (0, 19790, 19791, 19799, 2932896):
            for second in [0, 1, 86399, *(chance.randrange(86400) for _ in range(9))]:
                at = 86400 * day + second
                db.execute("INSERT INTO recent_change_raw VALUES (?)", [at])
                text = "strftime('%Y-%m-%dT%H:%M:%S', ?, 'unixepoch')"
                db.execute(f"INSERT INTO comment VALUES ({text} || 'Z')", [at])
                db.execute(f"INSERT INTO event VALUES ({text})", [at])
        counts = {source.dashboard: source.counts for source in front_page._SOURCES}
        for name, (table, day) in days.items():
            plain = f"SELECT {day}, count(*) FROM {table} WHERE {day} >= :since GROUP BY 1"
            for since in ("1970-01-01", "2024-03-08", "2024-03-10", "9999-12-31"):
                found = [db.execute(sql, {"since": since}) for sql in (plain, counts[name])]
                assert found[0].fetchall() == found[1].fetchall() != []
