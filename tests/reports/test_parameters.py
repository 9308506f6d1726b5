"""Wrong parameters are told, by show-report and by the pages."""

import httpx
import pytest

from headcount.reports import catalogue
from helpers.browser_server import serve_db
from helpers.programs import run

WRONG = [
    ("window=abc", "expected a number"),
    ("window=-1", "expected a number"),
    ("since=yesterday", "expected a date"),
    ("since=2024-03", "expected a date"),
    ("until=2024-02-30", "expected a date"),
    ("until=20240301", "expected a date"),
    ("colour=red", "no parameter 'colour'"),
]
RIGHT = ["window=7", "window=", "since=", "until=", "since=2024-03-06", "until=9999-12-31"]
RIGHT += ["since=2024-03-06T10:00:00Z", "since=2024-03-06 10:00"]


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    path = tmp_path_factory.mktemp("parameters") / "my.db"
    sample = "data/sample/events.jsonl.gz"
    root = catalogue.ROOT
    run("import-active-users", "--quiet", "--db", path, f"{root}/{sample}", check=0)
    return path


def test_show_report_tells_them(db):
    for param, told in WRONG:
        done = run("show-report", "--db", db, "active_users", "--param", param, check=2)
        assert told in done.stderr.decode() and param.partition("=")[0] in done.stderr.decode()
    for param in RIGHT:
        done = run("show-report", "--db", db, "active_users", "--param", param, check=0)
        assert b"2024-03-15" in done.stdout
    both = ["--param", "since=2024-03-10", "--param", "until=2024-03-09"]
    done = run("show-report", "--db", db, "active_users", *both, check=2)
    assert b"since=2024-03-10 is after until=2024-03-09" in done.stderr


def test_pages_tell_them(db):
    with serve_db(db) as base, httpx.Client(headers=base.headers, base_url=base) as client:
        for kind in ("", ".json"):
            for param, told in WRONG:
                answer = client.get(f"/headcount/active_users{kind}?{param}")
                assert answer.status_code == 400 and told in answer.text.replace("&#39;", "'")
            for param in RIGHT:
                assert client.get(f"/headcount/active_users{kind}?{param}").status_code == 200
        page = "/-/dashboards/active-users?"
        for param in ("since=x", "until=2024-1-1", "target=much", "colour=red", "by=a&window=3"):
            assert client.get(page + param).status_code == 400, param
        answer = client.get(f"{page}since=2024-03-10&until=2024-03-09")
        assert answer.status_code == 400 and "is after" in answer.text
        for param in ("", "since=&until=", "since=2024-03-10", "target=9.5", "_x=1"):
            assert client.get(page + param).status_code == 200, param


def test_strangers_are_told_nothing(db):
    with serve_db(db) as base:
        answer = httpx.get(f"{base}/headcount/active_users?colour=red")
        assert answer.status_code == 403
        answer = httpx.get(f"{base}/headcount/active_users?colour=red", headers=base.headers)
        assert answer.status_code == 400 and "content-security-policy" in answer.headers
