"""The page that explains the count of a day: what why-day says, and where its links lead."""

import html
import json
import re
import sqlite3
from urllib.parse import urlencode

import httpx
import pytest

from helpers.browser_server import VALUES, fill_values, serve_db
from helpers.programs import ROOT, run

DAY = "2020-01-05"


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    fill_values(path := tmp_path_factory.mktemp("why") / "my.db")
    return path


@pytest.fixture(scope="module")
def client(db):
    with serve_db(db) as base, httpx.Client(headers=base.headers, base_url=base) as client:
        yield client


def page_of(client, **asked):
    answer = client.get("/-/why", params=asked)
    assert answer.status_code == 200
    return answer.text


def texts(page):
    """What is to be read, in a line."""
    return html.unescape(" ".join(re.sub(r"<[^>]*>", " ", page).split()))


def known(db, *asked):
    return json.loads(run("why-day", "--db", db, "--json", DAY, *asked, check=0).stdout)


def test_it_says_what_why_day_says(db, client):
    told = known(db)
    page = texts(page_of(client, date=DAY))
    assert f"{DAY}: {told['active_users']} active users" in page
    first, last = told["changes"]
    said = f"2 runs have set it: the first to {first['users']}, the last, run 2, to {last['users']}"
    assert f"{said} ({last['change']:+})." in page
    for name, size in told["sets"].items():
        assert f"{name} {size}" in page
    assert "definition engaged-valuable" in page and "tz UTC" in page


def test_of_a_field_every_value_is_told_and_leads_to_its_page(db, client):
    told = known(db, "--by", "platform")
    page = page_of(client, date=DAY, by="platform")
    links = re.findall(r'<td><?\s*<?a href="(/-/why\?[^"]*value=[^"]*)"', page)
    assert len(links) == len(told["values"]) > 10
    for link, value in zip(links, told["values"], strict=True):
        answer = client.get(html.unescape(link))
        assert answer.status_code == 200
        assert f"{DAY}: {value['users']} active users with platform " in texts(answer.text)
        assert "<script>alert" not in answer.text and "onerror=alert(1)>" not in answer.text


@pytest.mark.parametrize("value", ["IOS", *VALUES[1:4]])
def test_of_a_value_it_says_what_why_day_says(db, client, value):
    told = known(db, "--by", f"platform={value}")
    page = texts(page_of(client, date=DAY, by="platform", value=value or "(empty)"))
    shown = " ".join((value or "(empty)").split())
    assert f"{DAY}: {told['active_users']} active users with platform {shown}" in page


@pytest.mark.parametrize(
    "asked, told",
    [
        ({}, "date=: expected a day"),
        ({"date": "yesterday"}, "date=yesterday: expected a day"),
        ({"date": "2020-01-05T00:00:00Z"}, "expected a day"),
        ({"date": DAY, "colour": "red"}, "no parameter 'colour'"),
        ({"date": DAY, "value": "IOS"}, "by names the field"),
        ({"date": DAY, "by": "nope"}, "nope"),
        ({"date": DAY, "by": "platform", "value": "TV"}, "TV"),
    ],
)
def test_what_it_does_not_know_is_refused(client, asked, told):
    answer = client.get("/-/why", params=asked)
    assert answer.status_code == 400 and told in texts(answer.text)


def test_a_day_without_users_has_a_page(client):
    page = texts(page_of(client, date="2031-01-01"))
    assert "2031-01-01: 0 active users" in page and "No import has brought active users" in page


def test_strangers_are_told_nothing(client):
    assert httpx.get(f"{client.base_url}/-/why?date={DAY}").status_code == 403


def test_paths_are_shown_with_ids_alone(tmp_path):
    file = tmp_path / "secret.jsonl.gz"
    file.write_bytes((ROOT / "data/sample/events.jsonl.gz").read_bytes())
    db = tmp_path / "my.db"
    run("import-active-users", "--db", db, "--quiet", file, check=0)
    for options, shows in (([], False), (["--show-ids"], True)):
        with serve_db(db, *options) as base:
            asked = urlencode({"date": "2024-03-06"})
            page = httpx.get(f"{base}/-/why?{asked}", headers=base.headers).text
            assert "The files that these runs read" in page
            assert ("secret.jsonl.gz" in page) == shows


def test_a_count_that_somebody_has_changed_is_flagged(tmp_path):
    fill = run("make-data", "engagement", "--events", 500, "--days", 1, check=0).stdout
    db = tmp_path / "my.db"
    run("import-active-users", "--db", db, "--quiet", "--tz=UTC", check=0, stdin=fill)
    with sqlite3.connect(db) as made:
        ((day,),) = made.execute("SELECT max(date) FROM active_user_table").fetchall()
        made.execute("UPDATE active_user_table SET active_user_count = 7 WHERE date = ?", [day])
    with serve_db(db) as base:
        page = texts(httpx.get(f"{base}/-/why?date={day}", headers=base.headers).text)
    assert f"{day}: 7 active users" in page and "Run check-data to see where" in page
