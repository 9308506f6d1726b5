"""Charts in pages of other sites: who may frame them, what an address with a key opens."""

import json
import re

import httpx
import pytest

from headcount.reports.web import embedding
from helpers.browser_server import another_site, fill_values, serve_db
from helpers.programs import run
from reports.test_browser import CHROMIUM, SCREENSHOTS, chromium  # noqa: F401
from reports.test_serve_access import on_socket, through

ORIGINS = ["https://wiki.example.org", "http://localhost:8080"]
FRAME = {
    "Sec-Fetch-Site": "cross-site",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "iframe",
}
CHART = "/-/embed/active-users/daily"
ASKED = "?by=platform&value=IOS&since=2020-01-10"


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    path = tmp_path_factory.mktemp("embedded") / "my.db"
    fill_values(path)
    return path


@pytest.fixture(scope="module")
def base(db):
    with serve_db(db, *(word for origin in ORIGINS for word in ("--embed", origin))) as url:
        yield url


@pytest.fixture(scope="module")
def address(base):
    """That of a chart with filters, as the page of its dashboard offers it."""
    return offered(base, ASKED)


def offered(base, asked="", chart="daily"):
    page = httpx.get(f"{base}/-/dashboards/active-users{asked}", headers=base.headers).text
    charts = json.loads(re.search(r"offerCharts\((.*)\)", page)[1])
    return charts[chart]["embed"]


def status(url, **headers):
    return httpx.get(url, headers=headers, timeout=30).status_code


# ---- what the option takes


@pytest.mark.parametrize(
    "text",
    [
        "https://wiki.example.org/",
        "https://wiki.example.org/page",
        "https://*.example.org",
        "*",
        "'self'",
        "https:",
        "ftp://wiki.example.org",
        "wiki.example.org",
        "https://me@wiki.example.org",
        "https://wiki.example.org:99999",
        "https://wiki.example.org https://evil.example",
        "https://wiki.example.org;script-src",
        "https://wiki.example.org\n",
        "https://-x.example",
        "http://[::1]:8080",
        "null",
        "",
    ],
)
def test_what_is_not_an_origin_is_a_usage_error(db, text):
    done = run("serve-db", "--db", db, "--embed", text, "--check", check=2)
    assert b"--embed: expected an origin such as https://wiki.example.org" in done.stderr


@pytest.mark.parametrize("text", ["https://Wiki.Example.org", "http://localhost:8080", "http://a"])
def test_an_origin(text):
    assert embedding.origin(text) == text.lower()


# ---- who may


def test_without_the_option_there_are_none(db):
    with serve_db(db) as url:
        answer = httpx.get(url + CHART, headers=url.headers)
        assert answer.status_code == 404 and "serve-db --embed ORIGIN" in answer.text
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert status(url + CHART) == 403
        assert status(url + CHART, **url.headers, **FRAME) == 403
        assert status(f"{url}/browser/headcount.css") == 403
        page = httpx.get(f"{url}/-/dashboards/active-users", headers=url.headers).text
        assert "offerCharts" in page and "/-/embed/" not in page


def test_an_address_opens_its_chart_alone(base, address):
    assert address.startswith(f"{CHART}{ASKED}&_key=")
    key = address.partition("_key=")[2]
    for headers in ({}, FRAME, {"Sec-Fetch-Site": "none"}):
        answer = httpx.get(base + address, headers=headers, timeout=30)
        assert answer.status_code == 200 and "set-cookie" not in answer.headers
    for other in (
        CHART,
        f"{CHART}?_key={key}",
        f"{CHART}{ASKED}",
        f"{CHART}{ASKED}&_key=",
        f"{CHART}{ASKED}&_key={key}x",
        f"{CHART}{ASKED}&_key={key.upper()}",
        f"{CHART}{ASKED}&until=2020-01-20&_key={key}",
        f"{CHART}{ASKED}&_key={key}&until=2020-01-20",
        f"{CHART}{ASKED.replace('IOS', 'x')}&_key={key}",
        f"{CHART}{ASKED}x_key={key}",
        f"{CHART}{ASKED}?_key={key}",
        f"{CHART}{ASKED}&x_key={key}",
        f"{CHART}{ASKED}&&_key={key}",
        f"{CHART}?&_key={key}",
        f"{CHART}/{ASKED}&_key={key}",
        f"/-/embed/active-users/weeks{ASKED}&_key={key}",
        f"/-/embed/growth/monthly{ASKED}&_key={key}",
        f"/-/dashboards/active-users/daily{ASKED}&_key={key}",
        f"/-/dashboards/active-users/daily.csv{ASKED}&_key={key}",
        f"/-/dashboards/active-users/daily/embed{ASKED}&_key={key}",
        f"/headcount.json?sql=select+1&_key={key}",
        f"/?token={key}",
    ):
        for headers in ({}, FRAME):
            assert status(base + other, **headers) == 403, other
    cookie = {"Cookie": f"headcount-token-{base.rpartition(':')[2]}={base.token}"}
    assert status(base + CHART, **cookie) == 200  # the owner looks at it
    assert status(base + CHART, **cookie, **FRAME) == 403  # a neighbour's page frames it


def test_each_chart_and_each_start_has_a_key_of_its_own(db, base, address):
    assert offered(base, ASKED) == address
    keys = {
        offered(base, asked, chart).partition("_key=")[2]
        for asked, chart in (
            ("", "daily"),
            (ASKED, "daily"),
            ("", "weeks"),
            ("?since=2020-01-10", "daily"),
        )
    }
    assert len(keys) == 4 and base.token not in " ".join(keys)
    assert status(base + offered(base)) == 200
    with serve_db(db, "--embed", ORIGINS[0]) as another:
        answer = httpx.get(another + address, headers=FRAME)
        assert answer.status_code == 403 and "another start of serve-db" in answer.text


@pytest.mark.parametrize(
    "changed",
    [
        {"Sec-Fetch-Dest": "document"},
        {"Sec-Fetch-Dest": "script"},
        {"Sec-Fetch-Dest": "object"},
        {"Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Mode": "cors"},
        {"Origin": ORIGINS[0]},
    ],
)
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_may_frame_and_nothing_else(base, address, changed, site):
    asked = FRAME | {"Sec-Fetch-Site": site}
    assert status(base + address, **asked) == 200
    assert status(base + address, **asked | changed) == 403
    for path in ("/", "/-/dashboards/active-users", "/browser/headcount.css", "/-/why"):
        assert status(base + path, **asked, **base.headers) == 403


def test_only_charts_can_be_framed(base, address):
    def framing(path, **headers):
        policy = httpx.get(base + path, headers=headers).headers["content-security-policy"]
        return re.search("frame-ancestors (.*?)(;|$)", policy)[1]

    assert framing(address) == framing(CHART) == " ".join(ORIGINS)
    for path in (
        "/",
        "/-/dashboards/active-users",
        "/-/dashboards/active-users/daily",
        "/-/dashboards/active-users/daily.csv",
        "/-/dashboards/active-users/daily/embed",
        "/-/dashboards/active-users/embed",
        "/headcount/active_users",
        "/headcount",
        "/-/why?date=2020-01-10",
        "/-/%65mbed/active-users/daily",
        "/-/embed",
    ):
        assert framing(path, **base.headers) == "'none'", path


def test_static_files_of_the_frame_are_open_and_nothing_else(base):
    for path in embedding.STATIC:
        assert status(base + path) == 200
        assert status(base + path, **{"Sec-Fetch-Site": "cross-site"}) == 403
        assert status(f"{base}{path}?token={base.token}") == 303  # still leaves a cookie
    for path in ("/browser/take-away.js", "/browser/chart.js", "/-/static/table.js"):
        assert status(base + path) == 403
    assert status(f"{base}/browser%2Fheadcount.css") == 403


def test_a_frame_has_its_rows_and_no_more(base, address):
    page = httpx.get(base + address).text
    drawn, _ = json.JSONDecoder().raw_decode(page.partition('renderChart("daily", ')[2])
    given = {"by": "platform", "value": "IOS", "since": "2020-01-10", "_shape": "objects"}
    path = f"{base}/-/dashboards/active-users/daily.csv"
    lines = httpx.get(path, params=given, headers=base.headers).text.splitlines()
    assert len(drawn["data"]["rows"]) == len(lines) - 1 > 0
    assert drawn.keys() == {"title", "library", "display", "data"}
    assert '"href":' not in json.dumps(drawn["display"]) and "<nav" not in page
    assert "SELECT" not in page and base.token not in page


def test_hostile_values_stay_text(base):
    """In the rows of a chart, in the line of filters, in the script that adds links."""
    value = "%3C%2Fscript%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E"
    for path in (
        "/-/embed/breakdowns/daily?by=platform",
        f"{CHART}?by=platform&value={value}",
        f"/-/dashboards/active-users/daily?by=platform&value={value}",
        f"/headcount/active_users?definition={value}",
    ):
        page = httpx.get(base + path, headers=base.headers, timeout=30).text
        assert "alert(1)" in page and "<script>alert" not in page, path


def test_wrong_filters_and_charts_are_told(base):
    assert status(f"{base}{CHART}?since=yesterday", **base.headers) == 400
    assert status(f"{base}{CHART}?colour=red", **base.headers) == 400
    assert status(f"{base}/-/embed/active-users/none", **base.headers) == 404


def test_on_a_socket_addresses_keep(db, tmp_path):
    """Behind a proxy, which decides who may come in."""
    path = tmp_path / "s"
    with on_socket(db, path, "--embed", ORIGINS[0]):
        answer = through(path, f"http://localhost{CHART}{ASKED}", **FRAME)
        assert answer.status_code == 200
        policy = answer.headers["content-security-policy"]
        assert policy.endswith(f"frame-ancestors {ORIGINS[0]}")
        assert through(path, "http://localhost/-/dashboards", **FRAME).status_code == 403
        page = through(path, f"http://localhost/-/dashboards/active-users{ASKED}").text
        assert f'"embed": "{CHART}{ASKED}"' in page


# ---- in a browser


@pytest.fixture
def wiki(db, chromium):  # noqa: F811
    pages = {}
    with another_site(pages) as port, serve_db(db, "--embed", f"http://localhost:{port}") as base:
        page = chromium.new_page()
        page.goto(f"{base}/?token={base.token}")  # the owner's browser
        yield Wiki(page, base, pages, port)
        page.close()


class Wiki:
    """A page of another site than serve-db's, which has a frame."""

    def __init__(self, page, base, pages, port):
        self.page, self.base, self.pages, self.port = page, base, pages, port

    def frame(self, path, *, host="localhost", port=None):
        """The frame, once it has loaded what is at the path."""
        self.pages["/"] = f'<iframe width="100%" height="420" src="{self.base}{path}"></iframe>'
        self.page.goto(f"http://{host}:{port or self.port}/")
        self.page.wait_for_load_state("networkidle")
        return self.page.frames[1]


def points(frame):
    return frame.locator("path[aria-roledescription='point']").count()


needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium")


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_page_of_another_site_shows_a_chart(wiki, width, scheme):
    wiki.page.set_viewport_size({"width": width, "height": 600})
    wiki.page.emulate_media(color_scheme=scheme)
    asked = []
    wiki.page.on("request", lambda request: asked.append(request.url))
    address = offered(wiki.base, ASKED)
    frame = wiki.frame(address)
    assert points(frame) >= 30
    text = frame.locator("body").inner_text()
    assert "Active users of each local day" in text and "Value: IOS" in text
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    wiki.page.screenshot(path=SCREENSHOTS / f"embedded-{width}-{scheme}.png")
    paths = {url.removeprefix(wiki.base).partition("?")[0] for url in asked if wiki.base in url}
    assert paths == {CHART, *embedding.STATIC}
    metric = wiki.frame(offered(wiki.base, "", "last"))
    assert metric.locator("body").inner_text().split()[-1].isdecimal()


@needs_chromium
def test_it_shows_nothing_else(wiki):
    address = offered(wiki.base, ASKED)
    key = address.partition("_key=")[2]
    wrong = [CHART, address.replace("IOS", "x"), f"/-/embed/active-users/weeks{ASKED}&_key={key}"]
    for path in wrong:
        frame = wiki.frame(path)
        assert "take a new one from the link Embed" in frame.locator("body").inner_text()
        assert points(frame) == 0
    for path in ("/", "/-/dashboards/active-users", "/-/dashboards/active-users/daily"):
        for host in ("localhost", "127.0.0.1"):  # another site, and another port of the same
            frame = wiki.frame(path, host=host)
            assert frame.url.startswith("chrome-error:") and points(frame) == 0


@needs_chromium
def test_sites_that_are_not_named_show_nothing(wiki):
    address = offered(wiki.base, ASKED)
    with another_site(wiki.pages) as port:
        for place in ({"port": port}, {"host": "127.0.0.1"}, {"host": "127.0.0.1", "port": port}):
            frame = wiki.frame(address, **place)
            assert frame.url.startswith("chrome-error:") and points(frame) == 0
    assert points(wiki.frame(address)) >= 30
