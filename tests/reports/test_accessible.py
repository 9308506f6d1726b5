"""axe finds nothing on any kind of page, in light and dark, on a desktop and a phone."""

import pytest
from axe_playwright_python.base import AXE_SCRIPT

from helpers.browser_server import fill, serve_db
from reports.test_browser import CHROMIUM, NAMES, Page, chromium  # noqa: F401

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium")

PATHS = [
    "/",
    "/-/dashboards",
    *(f"/-/dashboards/{name}" for name in NAMES),
    "/-/dashboards/active-users/daily",
    "/-/why?date=2024-03-12",
    "/headcount",
    "/headcount/active_users",
    "/headcount/v_recent_change?title__contains=a&_facet=wiki&_size=10",
]


def violations(page):
    """What axe finds, of any impact: the rule, the element and what is wrong with it.

    Datasette's templates leave levels of headings out.
    """
    options = "{resultTypes: ['violations'], rules: {'heading-order': {enabled: false}}}"
    for rule in page.evaluate(f"axe.run({options})")["violations"]:
        for node in rule["nodes"]:
            checks = node["any"] + node["all"] + node["none"]
            yield rule["id"], node["html"][:200], [check["message"] for check in checks]


def test_axe_finds_nothing(chromium, tmp_path):  # noqa: F811
    fill(tmp_path / "my.db")
    found = []
    with serve_db(tmp_path / "my.db") as base:
        page = Page(chromium, base, 1280)
        for path in PATHS:
            page.open(path)
            page.page.evaluate(AXE_SCRIPT)
            for scheme in ("light", "dark"):
                page.page.emulate_media(color_scheme=scheme)
                for width in (1280, 390):
                    page.page.set_viewport_size({"width": width, "height": 1000})
                    found += [(path, scheme, width, *what) for what in violations(page.page)]
        page.close()
    assert found == []
