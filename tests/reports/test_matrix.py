"""Every page in every state of the database, on a desktop and a phone, in light and dark.

Of every tile the number equals that of a query of ours. The screenshots are for people to look at.
"""

import json
import os
import re
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import TimeoutError
from pyroaring import BitMap

from helpers.browser_server import fill, serve_db
from helpers.programs import run
from reports.test_browser import CHROMIUM, NAMES, Page, chromium, query  # noqa: F401

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium")

DASHBOARDS = {
    "users": ["active-users", "breakdowns", "growth"],
    "chats": ["site-activity"],
    "changes": ["recent-changes"],
    "comments": ["comments"],
    "metrics": ["event-metrics"],
}
STATES = ["nothing", *DASHBOARDS, "a change", "everything", "a day", "a year"]
LOOKS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
SEEN = """
window.shifted = 0;
new PerformanceObserver(list => {
  for (const entry of list.getEntries()) {
    const first = performance.getEntriesByName("first-contentful-paint")[0];
    if (first && entry.startTime >= first.startTime && !entry.hadRecentInput) {
      window.shifted += entry.value;
    }
  }
}).observe({ type: "layout-shift", buffered: true });
"""


def users(db, days, folder):
    made = ["--events", 60 * days + 400, "--users", 40, "--days", days, "--late", 0]
    made += ["--line-bytes", 300, "--engagements", 0.8, "--with-dimensions"]
    lines = run("make-data", "engagement", *made, check=0).stdout
    given = ["--quiet", "--by", "platform,geo.country"]
    run("import-active-users", "--db", db, *given, check=0, stdin=lines)


def chats(db, days, folder):
    lines = run("make-data", "chat", "--lines", 2000, "--sites", 4, "--days", days, check=0).stdout
    run("import-site-activity", "--quiet", "--db", db, check=0, stdin=lines)


def changes(db, days, folder):
    rate = max(0.001, 0.025 / days)  # slower ones are not made
    made = ["--events", int(86000 * days * rate), "--rate", rate, "--holes", 1]
    lines = run("make-data", "recent-changes", *made, check=0).stdout
    run("import-recent-changes", "--quiet", "--db", db, check=0, stdin=lines)


def comments(db, days, folder):
    posts, texts = folder / "posts.csv", folder / "text.csv"
    made = ["--comments", 1000, "--days", days, "--posts", posts, "--text", texts]
    lines = run("make-data", "comments", *made, check=0).stdout
    kinds = ["--info", "-", "--posts", posts, "--text", texts]
    run("import-comments", "--quiet", "--db", db, *kinds, check=0, stdin=lines)


def metrics(db, days, folder):
    made = ["--count", 1500, "--days", days, "--folder", folder / "metrics"]
    run("make-data", "event-metrics", *made, check=0)
    tables = ["--first-dimensions", folder / "metrics" / "first_dimensions.tsv"]
    events = folder / "metrics" / "events-1.tsv"
    run("import-event-metrics", "--quiet", "--db", db, events, *tables, check=0)


def make(state, db, folder):
    if state == "nothing":
        run("import-active-users", "--db", db, "--quiet", check=0)
    elif state == "everything":
        fill(db)
    elif state == "a change":
        of = {"wiki": "w", "type": "edit", "bot": False, "timestamp": 1709856000}
        event = json.dumps({"meta": {"id": "1"}} | of).encode()
        run("import-recent-changes", "--db", db, "--quiet", check=0, stdin=event)
    else:
        days = {"a day": 1, "a year": 365}.get(state, 10)
        for name in DASHBOARDS:
            if name == state or state not in DASHBOARDS:
                globals()[name](db, days, folder)


def number(value):
    """As tiles have it."""
    return f"{value:,}" if isinstance(value, int) else value


def active(db, since, until):
    counts = dict(query(db, "SELECT date, active_user_count FROM active_user_table ORDER BY date"))
    days = [day for day in counts if since <= day <= (until or "9")]
    if not days:
        return {"last": "–", "when": "none", "before": "–", "missing": "0"}
    last = days[-1]
    ((provisional, before, span),) = query(
        db,
        f"SELECT final_at > strftime('%Y-%m-%dT%H:%M:%SZ'), date('{last}', '-7 days'), "
        f"julianday('{last}') - julianday('{days[0]}') FROM local_day WHERE date = '{last}'",
    )
    change = counts.get(before) and f"{100 * counts[last] / counts[before] - 100:+.1f} %"
    return {
        "last": number(counts[last]),
        "when": last + (" (provisional)" if provisional else ""),
        "before": change or "–",
        "missing": number(int(span) + 1 - len(days)),
    }


def breakdown(db, since, until):
    ((field,),) = query(db, "SELECT min(field) FROM dimension")
    where = f"dimension = '{field}' AND date <= '{until or '9999-12-31'}'"
    drawn = f"SELECT count(DISTINCT value) FROM active_users_by WHERE {where} AND date >= '{since}'"
    ((values,),) = query(db, drawn)
    ((last,),) = query(db, f"SELECT max(date) FROM active_users_by WHERE {where}")
    of_day = f"FROM active_day_by WHERE dimension = '{field}' AND date = '{last}'"
    sets = query(db, f"SELECT users {of_day} AND signal = 'engaged,valuable'")
    found = Counter(user for (packed,) in sets for user in BitMap.deserialize(packed))
    all_users = query(db, f"SELECT active_user_count FROM active_user_table WHERE date = '{last}'")
    several = sum(values > 1 for values in found.values())
    return {
        "values": f"{min(values, 8)} of {values}",
        "several": f"{several} of {all_users[0][0] if all_users else 0}",
    }


# SQL of ours for a tile: {at} is a day or what begins with it, {days} is whether it is asked for.
TILES = {
    "comments": {
        "comments": "SELECT count(*) FROM comment WHERE {created_at} AND parent_id IS NULL",
        "replies": "SELECT count(parent_id) FROM comment WHERE {created_at}",
        "posts": "SELECT count(*) FROM post WHERE EXISTS (SELECT * FROM comment "
        "WHERE comment.post_id = post.post_id AND {created_at})",
    },
    "event-metrics": {
        "events": "SELECT count(*) FROM event WHERE {recorded_date}",
        "last": "SELECT coalesce(max(substr(recorded_date, 1, 16)), 'none') FROM event "
        "WHERE {recorded_date}",
        "unnamed": "SELECT count(*) FROM event LEFT JOIN first_dimension AS d "
        "ON d.id = first_dimension_id WHERE d.id IS NULL AND {recorded_date}",
        "unknown": "SELECT count(*) FROM (SELECT name FROM metric EXCEPT "
        "SELECT name FROM metric_column)",
    },
    "recent-changes": {
        "until": "SELECT coalesce(max(substr(datetime(timestamp, 'unixepoch'), 1, 16)), 'none') "
        "FROM recent_change_raw WHERE {hour}",
        "changes": "SELECT count(*) FROM recent_change_raw WHERE {hour}",
        "users": "SELECT count(*) FROM (SELECT user FROM recent_change_raw WHERE {hour} "
        "AND user IS NOT NULL GROUP BY user)",
        "missing": "SELECT coalesce(sum(last_offset + 1 - first_offset), 0) FROM "
        "(SELECT *, unixepoch(ifnull(near, noticed_at)) AS timestamp FROM stream_gap) WHERE {hour}",
    },
    "site-activity": {
        "chats": "SELECT ifnull(sum(messages), 0) FROM site_activity_by_day WHERE {date}",
        "emails": "SELECT ifnull(sum(emails), 0) FROM site_activity_by_day WHERE {date}",
        "sites": "SELECT count(*) FROM (SELECT site_id FROM site_activity_by_day WHERE {date} "
        "GROUP BY 1)",
    },
}


def tiles(db, dashboard, since="", until=""):
    """The numbers that the tiles of a dashboard should have."""
    if dashboard == "active-users":
        return active(db, since, until)
    if dashboard == "breakdowns":
        return breakdown(db, since, until)
    within = "substr({}, 1, 10) BETWEEN '" + since + "' AND '" + (until or "9") + "'"
    terms = {name: within.format(name) for name in ("created_at", "recorded_date", "date")}
    terms["hour"] = within.format("date(timestamp, 'unixepoch')")
    if not since and not until:
        terms["hour"] = "timestamp > (SELECT max(timestamp) - 3600 FROM recent_change_raw)"
    return {
        tile: number(query(db, sql.format(**terms))[0][0])
        for tile, sql in TILES.get(dashboard, {}).items()
    }


def wrong(page, name):
    """What is wrong with the page as it is, in any look."""
    for width, scheme in LOOKS:
        page.page.set_viewport_size({"width": width, "height": 1000})
        page.page.emulate_media(color_scheme=scheme)
        try:  # charts follow a window a moment later
            narrow = "width => document.documentElement.scrollWidth <= width"
            page.page.wait_for_function(narrow, arg=width, timeout=3000)
        except TimeoutError:
            yield f"{name}: wider than {width}, {scheme}"
        for clipped in page.clipped():
            yield f"{name}: clipped at {width}, {scheme}: {clipped}"
    empty = ".dashboard-card-chart:not(:has(svg.marks, td, p))"
    for card in page.page.locator(empty).evaluate_all("all => all.map(one => one.id)"):
        yield f"{name}: nothing in {card}"
    charts = page.page.locator("svg").evaluate_all("all => all.map(one => one.outerHTML)")
    for match in re.finditer(r' [a-z]+="[^":]*(NaN|Infinity)[^"]*"', "".join(charts)):
        yield f"{name}: in a chart: {match[0][:200]}"


def unequal(page, db, name, since="", until=""):
    """Tiles of a dashboard whose number is not that of the database."""
    expected = tiles(db, name, since, until)
    found = {tile: page.metric(tile) for tile in expected}
    return [] if found == expected else [f"{name} {since} {until}: {found}, not {expected}"]


def of_ranges(page, db):
    """The tiles of every dashboard for each preset range, and for one without data; no charts."""
    stub = "var vega = {setRandom() {}, randomLCG() {}}, vegaEmbed = async () => ({view: null})"
    page.page.route("**/vega*.min.js", lambda route: route.fulfill(body=stub))
    for name in NAMES:
        page.open(f"/-/dashboards/{name}")
        links = page.page.locator("nav.presets a[href*=since]").all()
        ranges = [link.get_attribute("href") for link in links]
        assert len(ranges) == 5
        for asked in [*ranges, "?since=2031-01-01&until=2031-01-31"]:
            days = parse_qs(asked[1:])
            page.open(f"/-/dashboards/{name}{asked}")
            yield from unequal(page, db, name, days["since"][0], days["until"][0])


@pytest.mark.parametrize("state", STATES)
def test_every_page(chromium, tmp_path, state):  # noqa: F811
    db = tmp_path / "my.db"
    make(state, db, tmp_path)
    folder = Path(os.environ.get("SCREENSHOTS", tmp_path / "screenshots"))
    found = []
    with serve_db(db) as base:
        page = Page(chromium, base, 1280)
        page.page.add_init_script(SEEN)
        page.page.on("console", lambda one: found.append(one.text) if one.type == "warning" else 0)
        page.page.on("requestfailed", lambda one: found.append(f"{one.failure} {one.url}"))
        for width, scheme in (LOOKS[0], LOOKS[3]):
            for name in ["", *(DASHBOARDS | {"a change": ["recent-changes"]}).get(state, NAMES)]:
                page.page.set_viewport_size({"width": width, "height": 1000})
                page.page.emulate_media(color_scheme=scheme)
                page.open(f"/-/dashboards/{name}" if name else "/")
                if (shift := page.page.evaluate("window.shifted")) > 0.1:
                    found.append(f"{name}: its layout shifts by {shift:.2f} at {width}")
                if state != "nothing":
                    found += unequal(page, db, name)
                else:
                    assert page.page.locator("svg.marks").count() == 0
                path = folder / f"{state}-{name or 'home'}-{width}-{scheme}.png".replace(" ", "-")
                page.page.screenshot(path=path, full_page=True)
                found += wrong(page, name or "home")
        if state == "a year":
            found += of_ranges(page, db)
        page.close()
    assert not found, "\n".join(f"{count} times: {what}" for what, count in Counter(found).items())
