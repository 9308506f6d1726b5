"""The dashboards in a real browser: what is drawn is what the database holds, and text is text.

It needs a Chromium of the machine's (Debian: apt-get install chromium).
"""

import json
import re
import shutil
import sqlite3
import time
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode

import pytest
import yaml
from pyroaring import BitMap

from helpers.browser_server import VALUES, fill, fill_values, serve_db
from helpers.programs import ROOT, run
from reports.test_front_page import COUNTS

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
SCREENSHOTS = ROOT / ".ci" / "screenshots"
README_PICTURE = ROOT / "data" / "sample" / "first-page.png"

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium")

# As root, on a machine without a screen and, perhaps, without the internet.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browsed")
    fill(folder / "my.db")
    with sqlite3.connect(folder / "my.db") as db:  # as if the last two days had just ended
        db.execute(
            "UPDATE local_day SET final_at = '9999-12-31T00:00:00Z' WHERE date > '2024-03-13'"
        )
    return folder / "my.db"


@pytest.fixture(scope="module")
def base(db):
    with serve_db(db) as url:
        yield url


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


class Page:
    """A page, and all that should never happen on one."""

    def __init__(self, chromium, base, width):
        self.page = chromium.new_page()
        self.page.set_viewport_size({"width": width, "height": 1000})
        self.base, self.wrong, self.foreign = base, [], []
        self.page.on("dialog", lambda dialog: self.wrong.append("a dialog") or dialog.dismiss())
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", self._said)
        self.page.on("request", self._asked)
        self.page.goto(f"{base}/browser/headcount.css?token={base.token}")  # leaves a cookie

    def _said(self, message):
        if message.type == "error":
            self.wrong.append(message.text)

    def _asked(self, request):
        if not request.url.startswith((self.base, "data:")):
            self.foreign.append(request.url)

    def open(self, path):
        answer = self.page.goto(self.base + path)
        assert answer.status == 200
        if "/-/dashboards/" in path:  # known when all is drawn
            self.page.evaluate("Promise.all(beginnings).then(() => null)")
        else:
            self.page.wait_for_load_state("networkidle")
        return self

    def marks(self, inside, kind):
        """What each mark of a chart says of itself, for those who cannot see it."""
        marks = f"{inside} path[aria-label][aria-roledescription='{kind}']"
        self.page.wait_for_selector(marks, state="attached")
        labels = [mark.get_attribute("aria-label") for mark in self.page.locator(marks).all()]
        return [dict(part.split(": ", 1) for part in label.split("; ")) for label in labels]

    def metric(self, chart):
        """The number on a card."""
        return self.page.locator(f"#chart-{chart}").inner_text().strip()

    def clipped(self):
        """Metrics that are wider than their cards."""
        script = (
            "texts => texts.filter(p => p.scrollWidth > p.closest('.dashboard-card-chart')"
            ".clientWidth).map(p => p.innerText)"
        )
        return self.page.locator(".dashboard-card-chart > div > p").evaluate_all(script)

    def keep(self, name):
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

    def close(self):
        self.page.close()
        assert self.wrong == [] and self.foreign == []


@pytest.fixture(params=[1280, 390], ids=["desktop", "phone"])
def page(request, chromium, base):
    page = Page(chromium, base, request.param)
    yield page
    page.keep(request.node.name)
    assert page.page.evaluate("document.documentElement.scrollWidth") <= request.param
    assert page.clipped() == []
    page.close()


def query(db, sql):
    with sqlite3.connect(db) as connection:
        return connection.execute(sql).fetchall()


REPORT = "headcount/active_users"


def number(text):
    """Of a text as pages have it, with commas between thousands."""
    return float(text.replace(",", ""))


def day(text):
    return time.strftime("%b %d, %Y", time.strptime(text, "%Y-%m-%d"))


@pytest.mark.sample(2)
def test_active_users(page, db):
    page.open("/-/dashboards/active-users")
    points = [mark for mark in page.marks("#chart-daily", "point") if "status" in mark]
    shown = {mark["date"]: (number(mark["active users"]), mark["status"]) for mark in points}
    table = query(
        db,
        "SELECT active_user_table.date, active_user_count, final_at < '9' FROM active_user_table "
        "JOIN local_day USING (date) ORDER BY 1",
    )
    assert shown == {
        day(date): (users, "final" if final else "provisional") for date, users, final in table
    }
    assert {status for _, status in shown.values()} == {"final", "provisional"}
    assert page.metric("last") == str(table[-1][1])
    assert page.metric("when") == f"{table[-1][0]} (provisional)"
    change = f"{100 * table[-1][1] / table[-8][1] - 100:+.1f} %"
    assert page.metric("before") == change and page.metric("missing") == "0"
    bars = page.marks("#chart-weeks", "bar")
    assert sum(number(bar["active users of the day"]) for bar in bars) == sum(
        row[1] for row in table
    )
    assert sum(bar["week"] == "last seven days" for bar in bars) == 7
    page.open("/-/dashboards/active-users?since=2024-03-14")
    dates = {mark["date"] for mark in page.marks("#chart-daily", "point")}
    assert dates == {"Mar 14, 2024", "Mar 15, 2024"}


@pytest.mark.sample(2)
def test_one_range_of_dates_governs_a_page(page, db):
    """By a preset, with the keyboard: the tiles and both charts are of these days."""
    page.open("/-/dashboards/active-users")
    presets = page.page.locator("nav.presets a")
    names = ["newest day", "7 days", "28 days", "90 days", "its month", "all"]
    assert presets.all_inner_texts() == names
    assert presets.nth(5).get_attribute("aria-current") == "true"
    presets.nth(1).focus()
    page.page.keyboard.press("Enter")
    page.page.wait_for_url("**since=2024-03-09&until=2024-03-15")
    page.page.wait_for_load_state("networkidle")
    dates = {mark["date"] for mark in page.marks("#chart-daily", "point")}
    assert len(dates) == 7 and page.metric("missing") == "0"
    page.open("/-/dashboards/active-users?since=2024-03-07&until=2024-03-12")
    counts = dict(query(db, "SELECT date, active_user_count FROM active_user_table"))
    assert page.metric("last") == str(counts["2024-03-12"])
    assert page.metric("when").startswith("2024-03-12") and page.metric("before") == "–"
    bars = page.marks("#chart-weeks", "bar")
    assert sum(number(bar["active users of the day"]) for bar in bars) == sum(
        count for date, count in counts.items() if date <= "2024-03-12"
    )
    page.open("/-/dashboards/active-users?since=2025-03-09&until=2025-03-15")
    told = "No active users from 2025-03-09 to 2025-03-15; there are some"
    assert page.metric("told") == f"{told} from 2024-03-06 to 2024-03-15"
    assert (page.metric("last"), page.metric("when"), page.metric("missing")) == ("–", "none", "0")


@pytest.mark.sample(2)
def test_the_first_page(page, db):
    page.open("/")
    page.page.wait_for_function("document.getElementById('checks').innerText.includes('finds')")
    titles = page.page.locator(".answer h2").all_inner_texts()
    counts = page.page.locator(".answer .count strong").all_inner_texts()
    found = dict(zip(titles, counts, strict=True))
    for title, sql in COUNTS.items():
        assert found[title] == f"{query(db, sql)[0][0]:,}"
    page.page.locator(".answer h2 a").first.click()
    page.page.wait_for_url("**/-/dashboards/active-users")
    page.open("/")


def growth(db, name, *params):
    given = [word for param in params for word in ("--param", param)]
    done = run("show-report", name, "--db", db, *given, "--format", "json", check=0)
    return json.loads(done.stdout)


@pytest.mark.sample(2)
def test_growth(page, db):
    page.open("/-/dashboards/growth")
    for chart, window in (("monthly", 28), ("weekly", 7)):
        points = page.marks(f"#chart-{chart}", "point")
        rows = growth(db, "active_users", f"window={window}")
        shown = {
            mark["date"]: (number(mark[f"{window}-day active users"]), mark["status"])
            for mark in points
        }
        assert shown == {day(row["date"]): (row["users"], row["status"]) for row in rows}
        known = [mark[f"days with a count, of {window}"] for mark in reversed(points)]
        assert known == [str(min(1 + i, window)) for i in range(len(rows))]
        legend = page.page.locator(f"#chart-{chart} .role-legend-label").all_text_contents()
        assert legend == ["final", "provisional", f"fewer than {window} days known"]
    shown = {
        mark["date"]: (number(mark["DAU, % of 28-day active users"]), mark["status"])
        for mark in page.marks("#chart-stickiness", "point")
    }
    rows = growth(db, "stickiness")
    assert shown == {day(row["date"]): (row["percent"], row["status"]) for row in rows}
    kinds = page.marks("#chart-kinds", "bar")
    rows = growth(db, "new_returning_resurrected")
    for kind in ("new", "returning", "resurrected"):
        shown = sum(number(bar["active users"]) for bar in kinds if bar["kind"] == kind)
        assert shown == sum(row[kind] for row in rows)
    assert {bar["past"] for bar in kinds} == {"fewer than 28 days known before"}
    assert len(page.marks("#chart-retention", "rect mark")) == len(growth(db, "retention")) > 0
    bars = page.marks("#chart-weekdays", "bar")
    assert {
        bar["local day (America/Chicago)"]: number(bar["active users a day (mean)"]) for bar in bars
    } == {row["weekday"]: row["mean"] for row in growth(db, "active_users_by_weekday")}
    page.open("/-/dashboards/growth?since=2024-03-14")
    assert len(page.marks("#chart-stickiness", "point")) == 2
    bars = page.marks("#chart-compare", "bar")
    axis = "users (days in the last pair)"
    shown = {(bar["measure"], bar["when"]): number(bar[axis]) for bar in bars}
    for row in growth(db, "compare", "since=2024-03-14"):
        assert shown[row["measure"], "period"] == row["period"]
        assert shown[row["measure"], "before"] == row["before"]


@pytest.mark.sample(2)
def test_reports_of_several_columns_draw_their_charts(page, db):
    page.open("/headcount/retention?by=day&last=3")
    cells = page.marks(".chart", "rect mark")
    assert len(cells) == len(growth(db, "retention", "by=day", "last=3")) > 30
    page.keep("retention")
    page.open("/headcount/compare")
    bars = page.marks(".chart", "bar")
    shown = {(bar["measure"], bar["column"]): float(bar["value"]) for bar in bars}
    for row in growth(db, "compare"):
        assert shown[row["measure"], "period"] == row["period"]
        assert shown[row["measure"], "before"] == row["before"]
    page.keep("compare")
    page.open("/headcount/new_returning_resurrected?away=1")
    bars = page.marks(".chart", "bar")
    rows = growth(db, "new_returning_resurrected", "away=1")
    for kind in ("new", "returning", "resurrected"):
        shown = sum(number(bar["value"]) for bar in bars if bar["column"] == kind)
        assert shown == sum(row[kind] for row in rows) > 0


@pytest.mark.sample(2)
def test_recent_changes(page, db):
    page.open("/-/dashboards/recent-changes")
    last = "(SELECT max(timestamp) FROM recent_change_raw)"
    hour = f"FROM recent_change_raw WHERE timestamp > {last} - 3600"
    ((changes, users),) = query(db, f"SELECT count(*), count(DISTINCT user) {hour}")
    assert (number(page.metric("changes")), number(page.metric("users"))) == (changes, users)
    ((missing,),) = query(
        db,
        "SELECT sum(last_offset - first_offset + 1) FROM stream_gap "
        f"WHERE unixepoch(near) > {last} - 3600",
    )
    assert number(page.metric("missing")) == missing != 0
    wikis = {bar["wiki"]: number(bar["changes"]) for bar in page.marks("#chart-wikis", "bar")}
    assert wikis == dict(
        query(db, f"SELECT wiki, count(*) {hour} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 12")
    )
    types = page.marks("#chart-types", "bar")
    assert sum(number(bar["changes"]) for bar in types) == changes
    assert len(page.marks("#chart-people", "bar")) == 10
    assert {area["who"] for area in page.marks("#chart-minutes", "area mark")} == {"bots", "people"}


@pytest.mark.sample(2)
def test_site_activity(page, db):
    page.open("/-/dashboards/site-activity")
    ((chats, emails),) = query(db, "SELECT sum(messages), sum(emails) FROM site_activity")
    assert (page.metric("chats"), page.metric("emails")) == (f"{chats:,}", f"{emails:,}")
    for chart in ("days", "busiest"):
        bars = page.marks(f"#chart-{chart}", "bar")
        for kind, total in (("chats", chats), ("e-mails", emails)):
            assert sum(number(bar["messages"]) for bar in bars if bar["kind"] == kind) == total


@pytest.mark.sample(2)
def test_comments(page, db):
    page.open("/-/dashboards/comments")
    ((comments, replies),) = query(
        db, "SELECT sum(parent_id IS NULL), sum(parent_id IS NOT NULL) FROM comment"
    )
    assert (page.metric("comments"), page.metric("replies")) == (f"{comments:,}", f"{replies:,}")
    for chart in ("days", "types"):
        bars = page.marks(f"#chart-{chart}", "bar")
        for kind, total in (("comments", comments), ("replies", replies)):
            assert (
                sum(number(bar["comments and replies"]) for bar in bars if bar["kind"] == kind)
                == total
            )
    answered = "SELECT count(DISTINCT parent_id) FROM comment"
    bars = page.marks("#chart-threads", "bar")
    assert sum(number(bar["comments"]) for bar in bars) == query(db, answered)[0][0]
    text = page.page.inner_text("body")
    assert "<img src=x onerror=alert(1)><script>alert(1)</script>" in text
    ((day,),) = query(db, "SELECT substr(max(created_at), 1, 10) FROM comment")
    since = f"SELECT count(*) FROM comment WHERE created_at >= '{day}' AND parent_id IS NULL"
    page.open(f"/-/dashboards/comments?since={day}")
    assert number(page.metric("comments")) == query(db, since)[0][0]
    ids = page.page.inner_text("#chart-replied")
    assert not any(one in ids for (one,) in query(db, "SELECT comment_id FROM comment"))
    for asked in ("video", "v"):  # as in addresses before types had names
        page.open(f"/-/dashboards/comments?type={asked}")
        assert {bar["type"] for bar in page.marks("#chart-types", "bar")} == {"video"}
    bars = page.marks("#chart-days", "bar")
    typed = "SELECT count(*) FROM comment JOIN post_meta USING (post_id) WHERE type = 'v'"
    assert sum(number(bar["comments and replies"]) for bar in bars) == query(db, typed)[0][0]


@pytest.mark.sample(2)
def test_a_report_with_parameters_draws_its_chart(page, db):
    page.open("/headcount/active_users")
    page.page.fill("[name=since]", "2024-03-12")
    page.page.click("[value='Run SQL']")
    page.page.wait_for_load_state("networkidle")
    points = page.marks(".chart", "point")
    users = [int(mark["users"]) for mark in points]
    assert users == [
        row[0]
        for row in query(
            db, "SELECT active_user_count FROM active_user_table WHERE date >= '2024-03-12'"
        )
    ]
    assert points[0]["date (year-month-date)"] == "Mar 12, 2024"
    assert page.page.locator("table.rows-and-columns tbody tr").count() == len(users)


HOSTILE = "SELECT count(*) FROM v_recent_change WHERE title LIKE '%<script>%'"
SPOILT_COLUMN = (
    "/headcount?sql=SELECT+title,+title+AS+%22<img+src%3Dx+onerror%3Dalert(1)>%22"
    "+FROM+v_recent_change+WHERE+title+LIKE+'%25<%25'"
)


@pytest.mark.sample(2)
def test_hostile_titles_and_users_stay_text(page, db):
    """On tables, in search results, on dashboards and their tooltips, in errors."""
    assert query(db, HOSTILE) > [(20,)]
    for path in (
        "/headcount/v_recent_change?title__contains=<",
        "/headcount/v_recent_change?_facet=username&_facet=title",
        "/headcount/v_recent_change?_search=alert",
        "/headcount/busiest_pages",
        "/headcount/top_users_by_window",
        SPOILT_COLUMN,
        "/headcount/recent_change_raw?_size=200",
        "/headcount/comment?_search=alert",
        "/headcount/comments_with_words?words=alert",
        "/-/dashboards/recent-changes",
    ):
        page.open(path)
        text = page.page.inner_text("body")
        assert "alert(1)" in text or "dashboards" in path, path
        assert page.page.locator("img[src='x'], [onerror], [onload], [onmouseover]").count() == 0
        assert page.page.locator("a[href^='javascript:']").count() == 0
    for bar in page.page.locator("#chart-people path[aria-roledescription=bar]").all():
        bar.hover()
    page.page.goto(f"{page.base}/headcount/<script>alert(1)<%2Fscript>")
    page.page.goto(f"{page.base}/headcount?sql=select+*+from+[<script>alert(1)<%2Fscript>]")
    assert "<script>alert(1)</script>" in page.page.inner_text("body")
    page.wrong = [text for text in page.wrong if "Failed to load resource" not in text]  # 404, 400


@pytest.mark.sample(2)
def test_what_turns_the_direction_of_text_stays_in_its_cell(page):
    page.open("/headcount/v_recent_change?title__contains=‮")
    cells = page.page.locator("td.col-title")
    assert cells.count() > 0 and "‮" in cells.first.inner_text()
    assert cells.first.evaluate("cell => getComputedStyle(cell).unicodeBidi") == "isolate"


@pytest.mark.sample(2)
def test_a_script_that_came_into_a_page_would_not_run(page):
    """The last line: the policy of the page, should a text ever become HTML."""
    page.open("/headcount/run")
    page.page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran = 1\">');"
        "const s = document.createElement('script'); s.textContent = 'window.ran = 2';"
        "document.body.append(s);"
        "const t = document.createElement('script'); t.src = '/headcount.csv?sql=select+1';"
        "document.body.append(t)"
    )
    page.page.wait_for_timeout(300)
    assert page.page.evaluate("window.ran") is None
    assert any("Content Security Policy" in text for text in page.wrong)
    page.wrong.clear()


def test_days_are_the_same_wherever_one_looks_at_them(chromium, base, db):
    table = {day(date) for (date,) in query(db, "SELECT date FROM active_user_table")}
    for zone in ("America/Los_Angeles", "Pacific/Kiritimati"):
        context = chromium.new_context(timezone_id=zone)
        for path, chart in (("-/dashboards/active-users", "#chart-daily"), (REPORT, ".chart")):
            page = Page(context, base, 1280)
            page.open(f"/{path}")
            marks = page.marks(chart, "point")
            label = "date" if "dashboards" in path else "date (year-month-date)"
            assert {mark[label] for mark in marks} == table, (zone, path)
            page.close()
        context.close()


@pytest.fixture(scope="module")
def values_base(tmp_path_factory):
    db = tmp_path_factory.mktemp("values") / "my.db"
    fill_values(db)
    with serve_db(db) as url:
        url.db = db
        yield url


@pytest.fixture(params=[1280, 390], ids=["desktop", "phone"])
def by_value(request, chromium, values_base):
    """A page of that database."""
    page = Page(chromium, values_base, request.param)
    yield page
    page.keep(request.node.name)
    assert page.page.evaluate("document.documentElement.scrollWidth") <= request.param
    assert page.clipped() == []
    page.close()


def apply(page):
    with page.page.expect_navigation():
        page.page.keyboard.press("Enter")
    page.page.wait_for_load_state("networkidle")


@pytest.mark.sample(2)
def test_a_field_and_a_value_are_picked_by_keyboard(by_value, values_base):
    page, db = by_value, values_base.db
    page.open("/-/dashboards/breakdowns")
    assert page.metric("told") == "All users, active by engaged-valuable, on days of UTC"
    legend = page.page.locator("#chart-daily .role-legend-label").all_text_contents()
    assert legend == ["FR", "DE", "(unknown)"] or legend == ["DE", "FR", "(unknown)"]
    page.page.focus("#by")
    page.page.keyboard.type("pl")
    page.page.focus("[value=Apply]")
    apply(page)
    options = page.page.locator("#value option").all_text_contents()
    assert options[1:3] == [VALUES[0], "(unknown)"] and len(options) == len(VALUES) + 2
    assert "(empty)" in options
    page.page.focus("#value")
    page.page.keyboard.type("IOS")
    page.page.keyboard.press("Tab")  # past the definition
    page.page.keyboard.press("Tab")
    page.page.keyboard.type("90")
    apply(page)
    assert page.page.input_value("#by") == "platform" and page.page.input_value("#value") == "IOS"
    how = ", active by engaged-valuable, on days of UTC"
    assert page.metric("told") == f"Users with platform: IOS{how}"
    points = page.marks("#chart-daily", "point")
    table = "SELECT date, active_user_count FROM active_users_by WHERE value = 'IOS' ORDER BY date"
    assert [(mark["date"], int(mark["active users"])) for mark in points] == [
        (day(date), users) for date, users in query(db, table)
    ]
    for window in (1, 7, 28):
        given = ["by=platform", "value=IOS", f"window={window}"]
        expected = {day(row["date"]): row["users"] for row in growth(db, "active_users", *given)}
        name = "1 day" if window == 1 else f"{window} days"
        shown = {
            mark["date"]: int(mark["active users"])
            for mark in page.marks("#chart-windows", "point")
            if mark["window"] == name
        }
        assert {date: users for date, users in shown.items() if users} == expected
    page.open("/-/dashboards/growth?by=platform&value=IOS")
    found = [
        number(mark["DAU, % of 28-day active users"])
        for mark in page.marks("#chart-stickiness", "point")
    ]
    rows = growth(db, "stickiness", "by=platform", "value=IOS")
    assert sorted(found) == sorted(row["percent"] for row in rows)


@pytest.mark.sample(2)
def test_of_many_values_those_with_the_most_users_are_drawn(by_value, values_base):
    page, db = by_value, values_base.db
    page.open("/-/dashboards/breakdowns?by=platform")
    assert page.metric("values") == f"8 of {len(VALUES) + 1}"
    sums = (
        "SELECT value FROM active_users_by WHERE dimension = 'platform' GROUP BY value "
        "ORDER BY sum(active_user_count) DESC, value LIMIT 8"
    )
    shown = [value or "(empty)" for (value,) in query(db, sums)]
    legend = page.page.locator("#chart-daily .role-legend-label").all_text_contents()
    assert len(legend) == 8 and legend[:2] == shown[:2]
    right = "labels => Math.max(...labels.map(label => label.getBoundingClientRect().right))"
    width = page.page.viewport_size["width"]
    assert page.page.locator(".role-legend-label").evaluate_all(right) <= width
    points = page.marks("#chart-daily", "point")
    zero = [mark for mark in points if mark["value"] == "IOS" and mark["active users"] == "0"]
    assert [mark["date"] for mark in zero] == ["Jan 21, 2020"]
    assert page.page.locator("img[src='x'], [onerror]").count() == 0
    for value in VALUES[1:9]:
        page.open(
            f"/-/dashboards/growth?{urlencode({'by': 'platform', 'value': value or '(empty)'})}"
        )
        told = page.page.locator("#chart-told p").text_content()
        how = ", active by engaged-valuable, on days of UTC"
        assert told == f"Users with platform: {value[:80] or '(empty)'}{how}"
        assert len(page.marks("#chart-stickiness", "point")) > 5


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    "asked, told",
    [
        ("by=platform&value=TV", "No users: platform does not have the value: TV"),
        (
            "by=nope",
            "geo.country, platform are the fields of this database; there is none called: nope",
        ),
        ("value=none", "No users: geo.country does not have the value: none"),
        (
            "by=platform&value=IOS&since=2030-01-01",
            "No active users from 2030-01-01; there are some from 2020-01-01 to 2020-02-09",
        ),
    ],
)
def test_what_is_not_there_is_told(by_value, asked, told):
    for name in ("breakdowns", "growth", "active-users"):
        by_value.open(f"/-/dashboards/{name}?{asked}")
        assert by_value.metric("told") == told
        assert by_value.page.locator("text=/^target/").count() == 0
        if name == "breakdowns":
            nothing = by_value.page.inner_text("#chart-daily") == "No data"
            assert nothing != ("value=IOS" in asked and "since" not in asked)


@pytest.mark.sample(2)
def test_dashboards_without_a_breakdown_say_how_to_get_one(chromium, tmp_path):
    run("import-active-users", "--db", tmp_path / "a.db", "--quiet", check=0)
    with serve_db(tmp_path / "a.db") as base:
        page = Page(chromium, base, 390)
        for name in ("breakdowns", "growth", "active-users"):
            page.open(f"/-/dashboards/{name}")
            assert "import-active-users --by FIELD" in page.metric("told")
        page.close()


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    "name, charts",
    [
        ("active-users", ["daily"]),
        ("growth", ["monthly", "weekly"]),
        ("breakdowns", ["daily", "windows"]),
    ],
)
def test_a_target_is_a_line(by_value, name, charts):
    for target, label in (("2.5", "target 2.5"), ("12000", "target 12,000")):
        by_value.open(f"/-/dashboards/{name}?target={target}")
        assert by_value.page.locator("svg text", has_text="target").count() == len(charts)
        for chart in charts:
            inside = f"#chart-{chart} svg"
            assert by_value.page.locator(f"{inside} line[stroke-dasharray]").count() == 1
            assert by_value.page.locator(f"{inside} text", has_text=label).count() == 1
            ticks = by_value.page.locator(f"{inside} .role-axis-label text").all_text_contents()
            numbers = [
                float(tick.replace(",", "")) for tick in ticks if tick.strip("0123456789,.") == ""
            ]
            assert max(numbers) >= float(target)
            titles = by_value.page.locator(f"{inside} .role-axis-title").all_text_contents()
            assert any(title.endswith("active users") for title in titles)
    by_value.open(f"/-/dashboards/{name}")
    assert by_value.page.locator("svg text", has_text="target").count() == 0


def test_the_picture_of_the_readme(chromium, request, tmp_path):
    """With --accept, makes it anew: of days that end yesterday."""
    db, start = tmp_path / "my.db", datetime.now(UTC).date() - timedelta(days=42)
    made = ["--events", 80000, "--users", 4000, "--days", 42, "--start", start]
    more = ["--engagements", 0.3, "--line-bytes", 500, "--late", 0]
    lines = run("make-data", "engagement", *made, *more, check=0).stdout
    run("import-active-users", "--quiet", "--db", db, "--tz", "UTC", check=0, stdin=lines)
    made = ["--events", 32800, "--rate", 0.02, "--start", f"{start + timedelta(days=23)}T00:00:00Z"]
    lines = run("make-data", "recent-changes", *made, check=0).stdout
    run("import-recent-changes", "--quiet", "--db", db, check=0, stdin=lines)
    with serve_db(db) as base:
        page = Page(chromium, base, 900)
        page.page.set_viewport_size({"width": 900, "height": 560})
        page.open("/")
        page.page.wait_for_function("document.getElementById('checks').innerText.includes('finds')")
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.page.screenshot(path=SCREENSHOTS / README_PICTURE.name)
        page.close()
    if request.config.getoption("--accept"):
        shutil.copy(SCREENSHOTS / README_PICTURE.name, README_PICTURE)
    picture = README_PICTURE.read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) < 200_000
    assert f"({README_PICTURE.relative_to(ROOT)})" in (ROOT / "README.md").read_text()


@pytest.mark.sample(2)
def test_event_metrics(page, db):
    page.open("/-/dashboards/event-metrics")
    ((events, nameless),) = query(
        db,
        "SELECT count(*), count(*) FILTER (WHERE first_dimension_id NOT IN "
        "(SELECT id FROM first_dimension)) FROM event",
    )
    assert page.metric("events") == f"{events:,}" and page.metric("unnamed") == str(nameless)
    unknown = {row["metric"]: row["events"] for row in growth(db, "unknown_metrics")}
    assert page.metric("unknown") == str(len(unknown))
    names = {bar["metric"]: number(bar["events"]) for bar in page.marks("#chart-names", "bar")}
    assert names == unknown
    for chart, unit in (("days", "a day"), ("hours", "an hour")):
        bars = page.marks(f"#chart-{chart}", "bar")
        assert sum(number(bar[f"events {unit}"]) for bar in bars) == events
    cells = page.page.locator("#chart-totals td").all_text_contents()
    rows = growth(db, "metric_totals")
    assert cells == [
        text for row in rows for text in (row["metric"], f"{row['total']:,}", f"{row['events']:,}")
    ]
    nulls = {bar["metric"]: number(bar["% of events"]) for bar in page.marks("#chart-nulls", "bar")}
    rows = {row["metric"]: row["percent"] for row in growth(db, "null_metrics")}
    rows["(without any metric)"] = rows.pop("(all)")
    assert nulls == pytest.approx(rows, abs=0.051)
    sums = (
        "SELECT coalesce(name, '(no name)'), count(*) FROM event "
        "LEFT JOIN first_dimension ON first_dimension.id = first_dimension_id "
        "GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 15"
    )
    bars = page.marks("#chart-dimensions", "bar")
    assert {bar["dimension"]: number(bar["events"]) for bar in bars} == dict(query(db, sums))
    assert any("<script>" in bar["dimension"] for bar in bars)
    assert page.page.locator("img[src='x'], [onerror]").count() == 0
    page.open("/-/dashboards/event-metrics?metric=metric_two&since=2024-03-02&until=2024-03-03")
    given = ["metric=metric_two", "since=2024-03-02", "until=2024-03-03"]
    rows = growth(db, "metric_by_first_dimension", *given)
    totals = {row["dimension_name"]: row["total"] for row in rows}
    bars = page.marks("#chart-metrics", "bar")
    assert {bar["metric"] for bar in bars} == {"metric_two"} and len(bars) == 15
    assert all(number(bar["total"]) == totals[bar["dimension_name"]] for bar in bars)
    assert [bar["day (as recorded)"] for bar in page.marks("#chart-days", "bar")] == [
        "Mar 03, 2024",
        "Mar 02, 2024",
    ]


NAMES = sorted(path.stem for path in (ROOT / "lib/browser/dashboards").glob("*.yaml"))


@pytest.fixture(scope="module")
def long_base(tmp_path_factory):
    """Of 400 days, two of which are missing; the last one has 15,660 users."""
    db = tmp_path_factory.mktemp("long") / "my.db"
    run("import-active-users", "--db", db, "--quiet", "--tz=Europe/Berlin", check=0, stdin=b"")
    with sqlite3.connect(db) as made:
        for i in range(400):
            if i not in (100, 300):
                each = str(date(2023, 1, 1) + timedelta(i))
                users = BitMap(range(i, i + 15261 + i))
                made.execute(
                    "INSERT INTO active_day VALUES (?, 'engaged,valuable', ?)",
                    (each, users.serialize()),
                )
                made.execute("INSERT INTO active_user_table VALUES (?, ?)", (each, len(users)))
                made.execute("INSERT INTO local_day VALUES (?, '2024-03-01')", (each,))
    with serve_db(db) as url:
        url.db = db
        yield url


@pytest.mark.sample(2)
@pytest.mark.parametrize("width", [1280, 390])
def test_a_year(chromium, long_base, width):
    page = Page(chromium, long_base, width)
    page.open("/-/dashboards/active-users")
    assert page.metric("last") == "15,660" and page.metric("missing") == "2"
    points = page.marks("#chart-daily", "point")
    assert points[0]["active users"] == "15,660"
    assert {"local day (Europe/Berlin)", "date"} < set(points[0])
    assert len(page.marks("#chart-daily", "line mark")) == 3  # between missing days
    ticks = page.page.locator("#chart-daily .role-axis-label text").all_text_contents()
    assert "10,000" in ticks
    page.keep(f"year-active-users-{width}")
    page.open("/-/dashboards/growth")
    kinds = page.marks("#chart-kinds", "bar")
    early = {bar["date"] for bar in kinds if bar["past"].startswith("fewer than 28 days known")}
    assert early == {day(f"2023-01-{n:02}") for n in range(1, 29)}
    first = page.page.locator("#chart-kinds path[aria-roledescription=bar][opacity='0.35']")
    assert first.count() == 3 * 28
    for chart, window in (("monthly", 28), ("weekly", 7)):
        points = page.marks(f"#chart-{chart}", "point")
        partial = {mark["date"] for mark in points if mark["status"] == "partial"}
        assert partial == {day(f"2023-01-{n:02}") for n in range(1, window)}
        known = {mark["date"]: mark[f"days with a count, of {window}"] for mark in points}
        assert known[day("2023-04-12")] == str(window - 1)
        solid = [
            line
            for line in page.page.locator(
                f"#chart-{chart} path[aria-roledescription='line mark']"
            ).all()
            if not line.get_attribute("stroke-dasharray")
        ]
        assert day(f"2023-01-{window:02}") in solid[0].get_attribute("aria-label")
    page.keep(f"year-growth-{width}")
    page.open("/-/dashboards/breakdowns")
    windows = page.marks("#chart-windows", "point")
    for window, days in (("1 day", 0), ("7 days", 6), ("28 days", 27)):
        few = [mark for mark in windows if mark["window"] == window and "fewer" in mark["days"]]
        assert len(few) == days
    page.close()


# Okabe and Ito's, for those who are colour-blind, and what is no colour.
COLOURS = {"#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999999", "#f0e442"}


def test_colours_are_in_one_place():
    look = yaml.safe_load((ROOT / "lib/browser/look.yaml").read_text())
    assert {colour.lower() for colour in look["range"]["category"]} == COLOURS
    for name in NAMES:
        text = (ROOT / f"lib/browser/dashboards/{name}.yaml").read_text()
        assert not re.search("#[0-9a-f]{6}", text, re.IGNORECASE), name
