"""Pages that are open follow the database: in place, and they say how fresh they are."""

import json
import re

import pytest

from helpers.browser_server import fill, serve_db
from helpers.programs import run
from reports.test_browser import CHROMIUM, Page, chromium, number, query  # noqa: F401

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium")

CHANGES = "/-/dashboards/recent-changes"
SHIFTS = """() => { window.shifted = 0; new PerformanceObserver(list => {
  for (const entry of list.getEntries()) window.shifted += entry.value
}).observe({ type: "layout-shift" }) }"""
HIDE = """hidden => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    fill(path := tmp_path_factory.mktemp("live") / "my.db")
    return path


@pytest.fixture
def page(chromium, db):  # noqa: F811
    """With a clock that stands still, and the paths that it asks for."""
    with serve_db(db) as base:
        page = Page(chromium, base, 1280)
        page.page.clock.install()
        page.asked = []
        page.page.on("request", lambda one: page.asked.append(one.url.removeprefix(base)))
        yield page
        page.close()


def change(db, name):
    """One more change, of the same moment as the last one; gives when that is."""
    ((last, text),) = query(
        db, "SELECT max(timestamp), datetime(max(timestamp), 'unixepoch') FROM recent_change_raw"
    )
    new = {"wiki": "w", "type": "edit", "bot": False, "timestamp": last, "user": "A " + name}
    event = json.dumps({"meta": {"id": name}, "title": f"new {name}"} | new)
    run("import-recent-changes", "--db", db, check=0, stdin=event.encode())
    return text


def wait_for(page, seconds, text, where="#fresh"):
    page.page.clock.run_for(seconds * 1000)
    script = "([where, text]) => document.querySelector(where).innerText.includes(text)"
    page.page.wait_for_function(script, arg=[where, text])


def test_a_dashboard_is_updated_in_place(page, db):
    page.open(CHANGES)
    page.page.evaluate("window.same = true")
    before = number(page.metric("changes"))
    pages = page.page.locator("#chart-pages > div")
    page.page.set_viewport_size({"width": 1280, "height": 500})
    page.page.fill("#wiki", "not yet sent")
    page.page.evaluate("scrollTo(0, 300)")
    page.page.evaluate("document.querySelector('#chart-missing > div').id = 'as-it-was'")
    page.page.evaluate(SHIFTS)
    last = change(db, "one")
    page.asked.clear()
    wait_for(page, 32, f"{before + 1:,.0f}", "#chart-changes")
    wait_for(page, 0, f"updated 0 s ago; the newest event: {last} UTC")
    assert "new one" in pages.inner_text() and pages.count() == 1
    assert page.page.locator("#chart-wikis svg").count() == 1
    assert page.page.locator("#chart-missing > #as-it-was").count() == 1  # with the same number
    wikis = {bar["wiki"]: number(bar["changes"]) for bar in page.marks("#chart-wikis", "bar")}
    hour = "timestamp > (SELECT max(timestamp) - 3600 FROM recent_change_raw)"
    most = f"SELECT wiki, count(*) FROM recent_change_raw WHERE {hour} GROUP BY 1"
    assert wikis == dict(query(db, most + " ORDER BY 2 DESC, 1 LIMIT 12"))
    kept = "[window.same, document.activeElement.id, document.activeElement.value, scrollY]"
    assert page.page.evaluate(kept) == [True, "wiki", "not yet sent", 300]
    assert page.page.evaluate("window.shifted") < 0.01
    assert sum(path.startswith("/-/fresh") for path in page.asked) == 1
    links = page.page.locator(".dashboard-card", has=page.page.locator("#chart-wikis"))
    assert links.locator(".take-away button").all_inner_texts() == ["SVG", "PNG"]
    # nothing new: no card asks for its rows; the line counts on, and no screen reader says so
    page.asked.clear()
    wait_for(page, 20, "updated 2")
    wait_for(page, 12, "updated 1 s ago")
    assert len(page.asked) == 1 and page.asked[0].startswith("/-/fresh")
    assert page.page.inner_text("#fresh-news") == ""
    assert page.page.locator("[aria-live] #fresh, [role=status] #fresh").count() == 0


def test_what_is_focused_or_scrolled_in_a_card_stays_so(page, db):
    page.open(f"{CHANGES}?wiki=w")
    page.page.set_viewport_size({"width": 390, "height": 800})
    table = "document.querySelector('#chart-pages > div')"
    change(db, "two")
    wait_for(page, 32, "new two", "#chart-pages")
    page.page.evaluate(f"{table}.style.width = '60px'; {table}.scrollLeft = 20; {table}.focus()")
    change(db, "three")
    wait_for(page, 32, "new three", "#chart-pages")
    assert page.page.evaluate(f"document.activeElement === {table}")
    rows = query(db, "SELECT count(*) FROM recent_change_raw WHERE wiki = 'w'")
    assert page.metric("changes") == str(rows[0][0])  # the filter of the page has stayed


def test_a_page_that_nobody_sees_asks_for_nothing(page, db):
    page.open("/-/dashboards/site-activity")
    page.page.evaluate(HIDE, True)
    page.asked.clear()
    page.page.clock.run_for(600_000)
    assert page.asked == []
    page.page.evaluate(HIDE, False)
    wait_for(page, 1, "updated 1 s ago")
    assert len(page.asked) == 1


def test_a_slow_server_is_asked_once_at_a_time(page):
    page.open(CHANGES)
    held = []
    page.page.route("**/-/fresh.json*", lambda route: held.append(route))
    page.page.clock.run_for(50_000)
    page.page.wait_for_timeout(200)
    assert len(held) == 1
    wait_for(page, 12, "serve-db does not answer")
    page.page.unroute("**/-/fresh.json*")
    wait_for(page, 32, "updated again", "#fresh-news")


def test_a_page_says_that_its_server_has_ended(chromium, db):  # noqa: F811
    with serve_db(db) as base:
        page = Page(chromium, base, 390)
        page.page.clock.install()
        page.open(CHANGES)
        before = page.metric("changes")
        since = page.page.evaluate("new Date().toLocaleTimeString('en-GB')")[:-1]
    page.page.clock.run_for(32_000)
    page.page.wait_for_selector("#fresh.wrong")
    text = page.page.inner_text("#fresh")
    assert re.match(f"not updated since {since}\\d: serve-db cannot be reached; the newest", text)
    assert page.page.text_content("#fresh-news") == text
    assert page.metric("changes") == before
    page.wrong = [text for text in page.wrong if "ERR_CONNECTION_REFUSED" not in text]
    page.close()


def test_the_first_page_is_updated_in_place(page, db):
    page.open("/")
    page.page.evaluate("window.same = true")
    link = page.page.locator("h2 a[href$='/recent-changes']")
    link.focus()
    card = "section.answer:has(a[href$='recent-changes'])"
    before = number(page.page.inner_text(f"{card} strong"))
    day = "SELECT date(max(timestamp), 'unixepoch') FROM recent_change_raw"
    counts = f"SELECT count(*) FROM recent_change_raw WHERE date(timestamp, 'unixepoch') = ({day})"
    assert query(db, counts) == [(before,)]
    page.page.evaluate(SHIFTS)
    change(db, "four")
    wait_for(page, 62, f"{before + 1:,.0f}", card)
    assert page.page.evaluate("[window.same, document.activeElement.pathname]") == [True, CHANGES]
    assert page.page.evaluate("window.shifted") < 0.01
    change(db, "five")  # found as soon as somebody looks at the page again
    page.page.evaluate(HIDE, True)
    page.page.evaluate(HIDE, False)
    wait_for(page, 0, f"{before + 2:,.0f}", card)
