"""What is taken away from pages: rows as CSV, whole; pictures, with their titles, on white."""

import base64
import csv
import io
import json
import re
import sqlite3
import struct
import xml.etree.ElementTree as ET

import httpx
import pytest

from headcount.reports.web import take_away
from helpers.browser_server import fill_values, serve_db
from helpers.programs import run
from reports.test_browser import CHROMIUM, Page, chromium  # noqa: F401

DAYS = 1100  # more than a page has rows
PLATFORMS = ["bell\x07", "=1+1", "-5", "+5", "@x", '-2+3","=4']


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    path = tmp_path_factory.mktemp("taken") / "my.db"
    param = {"key": "engagement_time_msec", "value": {"int_value": 3000}}
    session = {"key": "engaged_session_event", "value": {"int_value": 1}}
    event = {"event_name": "user_engagement", "event_params": [param, session]}
    lines = []
    for day in range(DAYS):
        for user, platform in enumerate(PLATFORMS[: 1 + day % 7]):
            of = {"user_pseudo_id": f"u{user}", "platform": platform}
            at = {"event_timestamp": 1577836800000000 + day * 86_400_000_000}
            lines.append(json.dumps(event | of | at))
    given = ["--quiet", "--tz", "UTC", "--by", "platform"]
    text = "\n".join(lines).encode()
    run("import-active-users", "--db", path, *given, stdin=text, check=0)
    return path


@pytest.fixture(scope="module")
def base(db):
    with serve_db(db) as url:
        yield url


def get(base, path, **options):
    return httpx.get(f"{base}{path}", headers=base.headers, timeout=30, **options)


def rows(base, path, **params):
    answer = get(base, path, params=params)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def query(db, sql, *params):
    with sqlite3.connect(db) as connection:
        return connection.execute(sql, params).fetchall()


# ---- CSV


def test_rows_of_a_chart_are_those_of_the_database_under_its_filters(base, db):
    found = rows(
        base, "/-/dashboards/active-users/daily.csv", since="2020-02-01", until="2021-03-05"
    )
    counted = query(
        db,
        "SELECT date, active_user_count FROM active_user_table "
        "WHERE date BETWEEN '2020-02-01' AND '2021-03-05' ORDER BY date DESC",
    )
    assert [(row["date"], int(row["users"])) for row in found] == counted
    found = rows(base, "/-/dashboards/active-users/daily.csv", by="platform", value="-5")
    counted = query(
        db,
        "SELECT date, active_user_count FROM active_users_by "
        "WHERE dimension = 'platform' AND value = '-5' ORDER BY date DESC",
    )
    assert [(row["date"], int(row["users"])) for row in found] == counted != []
    assert rows(base, "/-/dashboards/active-users/last.csv", until="2020-01-05") == [{"users": "5"}]


def test_they_are_whole(base, db):
    for chart in ("dashboards/active-users/daily", "dashboards/growth/monthly"):
        assert len(rows(base, f"/-/{chart}.csv")) == DAYS, chart
    assert len(rows(base, "/headcount/active_users.csv")) == DAYS
    shown = get(base, "/headcount/active_users.json?_shape=objects").json()
    assert len(shown["rows"]) == 1000 and shown["truncated"]
    days = [row["date"] for row in rows(base, "/headcount/active_users.csv", since="2020-03-01")]
    assert sorted(days) == [day for (day,) in query(db, "SELECT date FROM local_day")[60:]]


def test_a_chart_of_the_top_has_those_rows(base):
    found = rows(base, "/-/dashboards/breakdowns/daily.csv", by="platform")
    assert len({row["value"] for row in found}) <= 9


def test_numbers_are_as_in_the_database_and_texts_run_in_no_spreadsheet(base):
    found = rows(base, "/headcount/active_users_by_value.csv", by="platform", until="2020-01-05")
    assert {row["value"] for row in found} == {
        text if text[0] == "b" else f"'{text}" for text in PLATFORMS[:5]
    }
    found = rows(base, "/headcount/stickiness.csv", since="2020-03-01", until="2020-03-03")
    shown = get(base, "/headcount/stickiness.json?_shape=array&since=2020-03-01&until=2020-03-03")
    same = [
        {name: "" if cell is None else str(cell) for name, cell in row.items()}
        for row in shown.json()
    ]
    assert found == same != []


@pytest.mark.parametrize(
    "path, status",
    [
        ("/-/dashboards/active-users/daily.csv?since=yesterday", 400),
        ("/-/dashboards/active-users/daily.csv?colour=red", 400),
        ("/-/dashboards/active-users/daily.csv?since=2021-02-01&until=2021-01-01", 400),
        ("/headcount/active_users.csv?window=-1", 400),
        ("/-/dashboards/active-users/none.csv", 404),
        ("/-/dashboards/none/daily.csv", 404),
    ],
)
def test_what_cannot_be_is_told(base, path, status):
    assert get(base, path).status_code == status
    assert httpx.get(base + path).status_code == 403


@pytest.mark.parametrize(
    "parts, params, name",
    [
        (["active-users", "daily"], {}, "active-users-daily"),
        (["a", "b"], {"since": "2026-11-01", "until": "2026-11-28"}, "a-b-2026-11-01-2026-11-28"),
        (["a", "b"], {"since": "2026-11-01"}, "a-b-from-2026-11-01"),
        (["a", "b"], {"until": "2026-11-28"}, "a-b-until-2026-11-28"),
        (["a"], {"by": "geo.country", "value": 'x"\r\n/../é'}, "a-geo.country-x"),
        (["a"], {"value": "x" * 99, "until": "2026-11-28"}, f"a-{'x' * 40}-until-2026-11-28"),
    ],
)
def test_names_of_files_tell_what_is_in_them(parts, params, name):
    assert take_away.file_name(*parts, params=params) == name


def test_a_file_of_rows_has_this_name(base):
    answer = get(base, "/-/dashboards/active-users/daily.csv?until=2020-02-02&value=%22%0D%0Ax")
    told = 'attachment; filename="active-users-daily-x-until-2020-02-02.csv"'
    assert answer.headers["content-disposition"] == told


# ---- in a browser


needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def of_values(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "my.db"
    fill_values(path)
    with serve_db(path) as url:
        yield url


@pytest.fixture(params=[(1280, "light"), (390, "dark")], ids=["desktop", "dark-phone"])
def page(request, chromium, of_values):  # noqa: F811
    width, scheme = request.param
    page = Page(chromium, of_values, width)
    page.page.emulate_media(color_scheme=scheme)
    yield page
    page.keep(request.node.name)
    assert page.page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def links(page, title):
    """The links of a chart, by how they are called to those who do not see which chart it is."""
    found = page.page.locator(".take-away :is(a, button)")
    found = {link.get_attribute("aria-label"): link for link in found.all()}
    return {kind: found[f"{kind} of {title}"] for kind in ("CSV", "SVG", "PNG")}


def taken(page, link):
    """The file that a link gives, by the keyboard."""
    with page.page.expect_download() as download:
        link.focus()
        page.page.keyboard.press("Enter")
    return download.value.suggested_filename, download.value.path().read_bytes()


def words(picture):
    svg = "{http://www.w3.org/2000/svg}"
    root = ET.fromstring(picture)
    assert root.tag == f"{svg}svg" and root.find(f"{svg}rect").get("fill") == "#fff"
    return " ".join(text for element in root.iter(f"{svg}text") for text in element.itertext())


SIZE_AND_INK = """async (data) => {
  const picture = new Image();
  picture.src = data;
  await picture.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [picture.width, picture.height];
  const pen = canvas.getContext("2d");
  pen.drawImage(picture, 0, 0);
  const dark = (y, height) => pen.getImageData(0, y, picture.width, height).data
    .filter((part, i) => i % 4 === 0 && part < 128).length;
  return [[...pen.getImageData(0, 0, 1, 1).data], dark(0, 16), dark(16, 40)];
}"""


def check_png(page, picture, *, has_heading):
    assert picture.startswith(b"\x89PNG\r\n")
    width, _height = struct.unpack(">II", picture[16:24])
    assert width > 2 * 250
    data = "data:image/png;base64," + base64.b64encode(picture).decode()
    corner, above, heading = page.page.evaluate(SIZE_AND_INK, data)
    assert corner == [255, 255, 255, 255] and above == 0
    assert (heading > 300) or not has_heading


@needs_chromium
@pytest.mark.sample(2)
def test_a_chart_of_a_dashboard_is_taken_away(page, of_values):
    asked = "by=platform&value=IOS&since=2020-01-10&until=2020-01-20"
    page.open(f"/-/dashboards/active-users?{asked}")
    page.marks("#chart-daily", "point")
    title = "Active users of each local day"
    offered = links(page, title)
    file = "active-users-daily-platform-IOS-2020-01-10-2020-01-20"
    name, text = taken(page, offered["CSV"])
    path = f"/-/dashboards/active-users/daily.csv?{asked}"
    assert name == f"{file}.csv" and text == get(of_values, path).content
    assert text.count(b"\r\n") == 1 + 11
    name, picture = taken(page, offered["SVG"])
    told = "Field: platform · Value: IOS · From: 2020-01-10 · Until: 2020-01-20"
    assert name == f"{file}.svg" and "local day (UTC)" in words(picture)
    assert words(picture).startswith(f"{title} {told}")
    name, picture = taken(page, offered["PNG"])
    assert name == f"{file}.png"
    check_png(page, picture, has_heading=True)
    metrics = page.page.locator("#card-last .take-away :is(a, button)").all_inner_texts()
    assert metrics == ["CSV"]


@needs_chromium
@pytest.mark.sample(2)
def test_hostile_values_are_text_in_pictures(page):
    page.open("/-/dashboards/breakdowns?by=platform&value=%3C%2Fscript%3E%01%3Cb%3E")
    page.open("/-/dashboards/breakdowns?by=platform")
    page.marks("#chart-windows", "point")
    title = (
        page.page.locator("#card-daily .dashboard-card-title").inner_text().split("\n")[0].strip()
    )
    _, picture = taken(page, links(page, title)["SVG"])
    assert "<script>alert(1)" in words(picture)


@needs_chromium
def test_characters_that_xml_cannot_have_are_replaced(base, chromium):  # noqa: F811
    page = Page(chromium, base, 1280)
    page.open("/-/dashboards/breakdowns?by=platform&until=2020-01-20")
    title = (
        page.page.locator("#card-daily .dashboard-card-title").inner_text().split("\n")[0].strip()
    )
    _, picture = taken(page, links(page, title)["SVG"])
    assert "bell\ufffd" in words(picture)
    page.close()


@needs_chromium
@pytest.mark.sample(2)
def test_the_page_of_a_chart_keeps_the_filters(page):
    page.open("/-/dashboards/active-users?since=2020-01-10&by=platform&value=IOS")
    page.page.locator("#card-daily .dashboard-card-title a").click()
    page.page.wait_for_load_state("networkidle")
    points = [mark for mark in page.marks("#chart-active-users", "point") if "status" in mark]
    assert len(points) == 31 - 1  # of the 40 days; on one there is no such user
    note = "Field: platform · Value: IOS · From: 2020-01-10"
    assert page.page.locator("p.quiet").inner_text() == note
    name, text = taken(page, links(page, "Active users of each local day")["CSV"])
    assert name == "active-users-daily-platform-IOS-from-2020-01-10.csv"
    assert text.count(b"\r\n") == 1 + len(points)
    page.page.locator(".crumbs a").last.click()
    page.page.wait_for_url(re.compile(r"/active-users\?.*value=IOS"))
    page.page.wait_for_load_state("networkidle")


@needs_chromium
@pytest.mark.sample(2)
def test_the_chart_of_a_report_is_taken_away(page, of_values):
    page.open("/headcount/active_users?since=2020-01-10&until=2020-01-20&window=7")
    page.marks(".chart", "point")
    offered = links(page, page.page.locator(".chart .role-title-text").text_content())
    file = "active_users-7-2020-01-10-2020-01-20"
    name, text = taken(page, offered["CSV"])
    assert name == f"{file}.csv" and text.count(b"\r\n") == 1 + 11
    name, picture = taken(page, offered["SVG"])
    assert name == f"{file}.svg"
    assert "since: 2020-01-10 · until: 2020-01-20 · window: 7" in words(picture)
    name, picture = taken(page, offered["PNG"])
    assert name == f"{file}.png"
    check_png(page, picture, has_heading=True)
