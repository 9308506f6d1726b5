"""What the filters of the dashboards select: every tile and chart follows them, in a browser."""

import json

import pytest
from pyroaring import BitMap

from helpers.browser_server import fill, serve_db
from helpers.programs import run
from reports.test_browser import CHROMIUM, Page, chromium, day, number, query  # noqa: F401

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    fill(path := tmp_path_factory.mktemp("selected") / "my.db")
    return path


@pytest.fixture(scope="module")
def base(db):
    with serve_db(db) as url:
        yield url


@pytest.fixture
def page(chromium, base):  # noqa: F811
    page = Page(chromium, base, 1280)
    yield page
    page.close()


def points(page, chart, value):
    return {mark["date"]: number(mark[value]) for mark in page.marks(f"#chart-{chart}", "point")}


def test_of_a_definition_are_all_numbers_of_users(page, db):
    asked = "definition=any-event"
    counts = dict(
        query(
            db,
            "SELECT date, active_user_count FROM active_users_by_definition "
            "WHERE definition = 'any-event' ORDER BY date",
        )
    )
    own = dict(query(db, "SELECT date, active_user_count FROM active_user_table"))
    assert counts.keys() == own.keys() and counts != own
    page.open(f"/-/dashboards/active-users?{asked}")
    told = "All users, active by any-event, on days of America/Chicago"
    assert page.metric("told") == told
    assert points(page, "daily", "active users") == {day(date): n for date, n in counts.items()}
    dates = sorted(counts)
    assert page.metric("last") == str(counts[dates[-1]])
    change = f"{100 * counts[dates[-1]] / counts[dates[-8]] - 100:+.1f} %"
    assert page.metric("before") == change
    bars = page.marks("#chart-weeks", "bar")
    assert sum(number(bar["active users of the day"]) for bar in bars) == sum(counts.values())
    found = query(db, "SELECT date, users FROM active_day WHERE signal = 'any-event'")
    sets = {date: BitMap.deserialize(users) for date, users in found}
    assert {date: len(users) for date, users in sets.items()} == counts
    page.open(f"/-/dashboards/growth?{asked}")
    assert page.metric("told") == told
    for chart, window in (("monthly", 28), ("weekly", 7)):
        assert points(page, chart, f"{window}-day active users") == {
            day(dates[i - 1]): len(BitMap().union(*map(sets.get, dates[max(0, i - window) : i])))
            for i in range(1, len(dates) + 1)
        }
    means = {bar["local day (America/Chicago)"] for bar in page.marks("#chart-weekdays", "bar")}
    assert len(means) == 7
    page.open(f"/-/dashboards/breakdowns?{asked}&by=platform")
    shown = {
        (mark["value"], mark["date"]): number(mark["active users"])
        for mark in page.marks("#chart-daily", "point")
    }
    by = query(
        db,
        "SELECT value, date, users FROM active_day_by "
        "WHERE dimension = 'platform' AND signal = 'any-event'",
    )
    found = {(value, day(date)): len(BitMap.deserialize(users)) for value, date, users in by}
    assert {key: n for key, n in shown.items() if n} == found


def test_an_unknown_definition_is_told(page):
    page.open("/-/dashboards/growth?definition=nope")
    told = "No definition of this database is called nope; it has: engaged-valuable, any-event"
    assert page.metric("told") == told


def test_days_and_type_of_comments(page, db):
    where = "created_at >= '2018-02-05' AND created_at < '2018-02-10'"
    page.open("/-/dashboards/comments?since=2018-02-05&until=2018-02-09")
    told = "Comments and replies from 2018-02-05 to 2018-02-09; days are UTC"
    assert page.metric("told") == told
    ((comments, replies, posts),) = query(
        db,
        "SELECT sum(parent_id IS NULL), sum(parent_id IS NOT NULL), count(DISTINCT post_id) "
        f"FROM comment WHERE {where}",
    )
    shown = [number(page.metric(name)) for name in ("comments", "replies", "posts")]
    assert shown == [comments, replies, posts] and posts > 0
    bars = page.marks("#chart-threads", "bar")
    ((answered,),) = query(
        db,
        f"SELECT count(*) FROM comment WHERE {where} "
        "AND comment_id IN (SELECT parent_id FROM comment)",
    )
    assert sum(number(bar["comments"]) for bar in bars) == answered > 0
    for chart in ("days", "types"):
        bars = page.marks(f"#chart-{chart}", "bar")
        total = sum(number(bar["comments and replies"]) for bar in bars)
        assert total == comments + replies
    page.open("/-/dashboards/comments?since=2031-01-01&until=2031-01-31")
    ((first, last),) = query(db, "SELECT date(min(created_at)), date(max(created_at)) FROM comment")
    told = "No comments and replies from 2031-01-01 to 2031-01-31; there are some"
    assert page.metric("told") == f"{told} from {first} to {last}"
    assert [page.metric(name) for name in ("comments", "replies", "posts")] == ["0", "0", "0"]


def test_days_and_site_of_chats(page, db):
    where = "date BETWEEN '2024-03-09' AND '2024-03-11'"
    for site in (None, "1"):
        asked = where + (f" AND site_id = '{site}'" if site else "")
        given = f"&site={site}" if site else ""
        page.open(f"/-/dashboards/site-activity?since=2024-03-09&until=2024-03-11{given}")
        told = "Chats and e-mails from 2024-03-09 to 2024-03-11; local days (America/Chicago)"
        assert page.metric("told") == told
        ((chats, emails, sites),) = query(
            db,
            "SELECT sum(messages), sum(emails), count(DISTINCT site_id) "
            f"FROM site_activity_by_day WHERE {asked}",
        )
        shown = [number(page.metric(name)) for name in ("chats", "emails", "sites")]
        assert shown == [chats, emails, sites]
        for chart in ("days", "busiest"):
            bars = page.marks(f"#chart-{chart}", "bar")
            for kind, total in (("chats", chats), ("e-mails", emails)):
                assert sum(number(bar["messages"]) for bar in bars if bar["kind"] == kind) == total
    page.open("/-/dashboards/site-activity?site=nope")
    assert page.metric("told").startswith("No chats and e-mails of this selection; there are some")


def test_days_and_wiki_of_changes(page, db):
    for wiki in (None, "enwiki"):
        where = "date(timestamp, 'unixepoch') = '2024-03-08'" + (
            f" AND wiki = '{wiki}'" if wiki else ""
        )
        given = f"&wiki={wiki}" if wiki else ""
        page.open(f"/-/dashboards/recent-changes?since=2024-03-08&until=2024-03-08{given}")
        assert page.metric("told") == "Changes on 2024-03-08; days are UTC"
        ((changes, users),) = query(
            db, f"SELECT count(*), count(DISTINCT user) FROM recent_change_raw WHERE {where}"
        )
        assert [number(page.metric(name)) for name in ("changes", "users")] == [changes, users]
        areas = page.marks("#chart-minutes", "area mark")
        assert {area["who"] for area in areas} == {"bots", "people"}
        for chart in ("wikis", "types"):
            bars = page.marks(f"#chart-{chart}", "bar")
            shown = sum(number(bar["changes"]) for bar in bars)
            assert shown == changes or (chart == "wikis" and not wiki and len(bars) == 12)
    ((missing,),) = query(db, "SELECT sum(last_offset - first_offset + 1) FROM stream_gap")
    assert number(page.metric("missing")) == missing
    page.open("/-/dashboards/recent-changes?until=2024-03-07")
    told = "No changes to 2024-03-07; there are some from 2024-03-08 to 2024-03-08"
    assert page.metric("told") == told and page.metric("missing") == "0"
    page.page.locator("nav.presets a", has_text="last hour").click()
    page.page.wait_for_load_state("networkidle")
    assert page.metric("told").startswith("The hour before the last event, 2024-03-08 ")


def test_periods_are_compared_if_all_their_days_are_known(page, db):
    page.open("/-/dashboards/growth")  # 10 days
    bars = page.marks("#chart-compare", "bar")
    assert {bar["when"] for bar in bars} == {"period"}
    text = page.page.inner_text("#chart-compare")
    assert "Not compared: known days: 7 of 7," in text and "and 3 of the 7 before" in text
    page.open("/-/dashboards/growth?since=2024-03-12&until=2024-03-14")
    bars = page.marks("#chart-compare", "bar")
    assert {bar["when"] for bar in bars} == {"period", "before"}
    assert "Not compared" not in page.page.inner_text("#chart-compare")


def test_corrections_are_marked_and_lead_to_the_page_that_explains_them(chromium, tmp_path):  # noqa: F811
    """A day that was final and got more users; days that no later run changed have no mark."""
    db = tmp_path / "my.db"
    given = ["import-active-users", "--db", db, "--quiet", "--tz", "UTC"]
    events = run("make-data", "engagement", "--events", 2000, "--days", 3, check=0).stdout
    run(*given, check=0, stdin=events)
    ((first, was),) = query(db, "SELECT min(date), active_user_count FROM active_user_table")
    ((noon,),) = query(db, f"SELECT unixepoch('{first}', '12 hours')")
    params = {"engagement_time_msec": 9000, "engaged_session_event": 1}
    late = {
        "event_name": "user_engagement",
        "user_pseudo_id": "late",
        "event_timestamp": noon * 1_000_000,
        "event_params": [
            {"key": key, "value": {"int_value": value}} for key, value in params.items()
        ],
    }
    run(*given, check=0, stdin=json.dumps(late).encode())
    with serve_db(db) as base:
        page = Page(chromium, base, 1280)
        page.open("/-/dashboards/active-users")
        marks = page.marks("#chart-daily", "point")
        corrected = {mark["local day (UTC)"] for mark in marks if "correction" in mark}
        assert corrected == {day(first)}
        told = {mark["date"]: mark for mark in marks if "before" in mark}
        corrected = told.pop(day(first))
        assert corrected["before"] == f"{was} until run 2"
        assert corrected["counted by run"] == "2" and number(corrected["active users"]) == was + 1
        assert {(one["before"], one["counted by run"]) for one in told.values()} == {
            ("never changed", "1")
        }
        page.page.locator(f"#chart-daily path[aria-label*='date: {day(first)}']").last.click()
        page.page.wait_for_url(f"**/-/why?date={first}")
        assert page.page.inner_text("h1") == f"{first}: {was + 1} active users"
        page.close()
