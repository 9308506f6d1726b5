"""serve-db without a browser: what it answers, and what it refuses."""

import collections
import concurrent.futures
import contextlib
import datetime
import json
import os
import signal
import socket
import sqlite3
import subprocess
import time

import httpx
import pytest
from datasette_dashboards import replace_opts_in_query
from pyroaring import BitMap

from headcount.reports import catalogue, connection, day_views, set_functions
from headcount.reports.web import browser, page_functions
from helpers.browser_server import VALUES, fill, fill_values, serve_db
from helpers.programs import BARE, BIN, run
from helpers.sessions import query


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    fill(folder / "my.db")
    return folder / "my.db"


@pytest.fixture(scope="module")
def base(db):
    with serve_db(db) as url:
        yield url


def get(base, path, headers=(), **options):
    """As who has the token."""
    headers = base.headers | dict(headers)
    return httpx.get(f"{base}{path}", timeout=30, headers=headers, **options)


def sql(base, text, **params):
    answer = get(base, "/headcount.json", params={"sql": text, "_shape": "array"} | params)
    return answer.status_code, answer.json()


# ---- what it shows


@pytest.mark.parametrize("name", catalogue.names())
def test_every_report_is_a_query_with_the_same_answer(base, db, name):
    given, asked = [], {}
    if name == "changes_last_15_minutes":  # relative to now
        given, asked = ["--param", "now=2024-03-08T00:30:00Z"], {"now": "2024-03-08T00:30:00Z"}
    if name == "comments_with_words":
        given, asked = ["--param", "words=naïve"], {"words": "naïve"}
    printed = run("show-report", name, "--db", db, *given, "--format", "json", check=0).stdout
    answer = get(base, f"/headcount/{name}.json", params={"_shape": "array"} | asked)
    assert answer.status_code == 200 and answer.json() == json.loads(printed)[:1000]
    assert answer.json() or name in ("rejects",)
    page = get(base, f"/headcount/{name}").text
    report = catalogue.load(name)
    for param, meaning in report.meanings.items():
        assert f'name="{param}"' in page and f"{param}: {meaning}".replace("'", "&#39;") in page


def test_a_parameter_changes_the_answer(base):
    minutes = [
        len(get(base, f"/headcount/changes_by_window.json?_shape=array&minutes={n}").json())
        for n in (15, 5)
    ]
    assert 0 < minutes[0] < minutes[1]
    day = get(base, "/headcount/active_users.json?_shape=array&since=2024-03-15").json()
    assert [row["date"] for row in day] == ["2024-03-15"]


def test_a_property_is_served(tmp_path):
    db, table = tmp_path / "my.db", tmp_path / "events_20240306"
    table.write_bytes(run("make-data", "engagement", "--events", 300, check=0).stdout)
    run("import-active-users", "--quiet", "--db", db, "--allow-empty", stdin=b"", check=0)
    run("import-active-users", "--quiet", "--db", db, "--property=a", table, check=0)
    counts = [{"date": day, "users": count} for day, count in query(db, _COUNTS)]
    with serve_db(db, "--property=a") as base:
        rows = get(base, "/headcount/active_users.json?_shape=array").json()
        assert [{name: row[name] for name in ("date", "users")} for row in rows] == counts != []
        for hidden in ("SELECT name FROM p1_origin", "SELECT name FROM origin"):
            assert sql(base, hidden)[1] == [{"name": None}]
    done = run("serve-db", "--db", db, "--property=b", check=2)
    assert b"no property b in the database; there are: default, a" in done.stderr
    run("serve-db", "--db", db, "--property=a", "--check", check=0)


_COUNTS = "SELECT date, active_user_count FROM p1_active_user_table ORDER BY 1"


def test_search_and_facets(base, db):
    path = "/headcount/v_recent_change.json"
    found = get(base, f"{path}?_search=Heroes&_size=3&_facet=bot").json()
    with sqlite3.connect(db) as connection:
        (count,) = connection.execute(
            "SELECT count(*) FROM recent_change_raw "
            "WHERE json_extract(event, '$.title') LIKE '%heroes%' "
            "OR json_extract(event, '$.comment') LIKE '%heroes%'"
        ).fetchone()
    assert found["filtered_table_rows_count"] == count > 0
    assert sum(one["count"] for one in found["facet_results"]["bot"]["results"]) == count
    assert get(base, "/headcount/v_recent_change?_search=Heroes").status_code == 200


def test_what_only_serves_is_hidden(base):
    tables = get(base, "/headcount.json").json()["tables"]
    shown = {table["name"] for table in tables if not table["hidden"]}
    assert {"active_user_table", "recent_change_raw", "site_activity", "run"} <= shown
    assert not shown & {"user", "chat_lines", "recent_change_id", "input_mark"}


def test_what_is_committed_is_there_at_once(base, db):
    before = sql(base, "SELECT count(*) AS n FROM recent_change_raw")[1][0]["n"]
    event = {"meta": {"id": "new"}, "wiki": "w", "type": "t", "bot": False, "timestamp": 5}
    run("import-recent-changes", "--db", db, check=0, stdin=json.dumps(event).encode())
    assert sql(base, "SELECT count(*) AS n FROM recent_change_raw")[1][0]["n"] == before + 1


def test_a_database_of_nothing_is_served(tmp_path):
    run("import-active-users", "--db", tmp_path / "a.db", check=0)
    with serve_db(tmp_path / "a.db") as base:
        for path in ("/", "/headcount", "/-/dashboards", *map("/headcount/{}".format, PAGES)):
            assert get(base, path).status_code == 200, path


PAGES = [*catalogue.names(), "v_recent_change", "active_user_table"]


def test_people_may_write_their_own_weekly_active_users(base):
    """As the module that has the functions shows it."""
    example = set_functions.__doc__.split("it:\n\n")[1].split("\n\n")[0]
    weekly = get(base, "/headcount/active_users.json?_shape=array&window=7").json()
    expected = [{"date": row["date"], "users": row["users"]} for row in weekly]
    assert sql(base, example) == (200, expected) and len(expected) == 10
    names = (
        "SELECT count(*) AS n FROM v_active_day, json_each(bitmap_each(users)) "
        "JOIN user ON user.id = value WHERE own AND date = '2024-03-15'"
    )
    assert sql(base, names) == (200, [{"n": 99}])
    status, answer = sql(base, "SELECT bitmap_count('no set')")
    assert status == 400 and "user-defined function" in json.dumps(answer)


def test_charts_of_many_days_show_the_newest(tmp_path):
    """A page gets 1,000 rows."""
    db = tmp_path / "my.db"
    run("import-active-users", "--db", db, "--quiet", check=0)
    with contextlib.closing(sqlite3.connect(db)) as made:
        set_functions.register(made)
        first = datetime.date(2020, 1, 1)
        days = [(first + datetime.timedelta(n)).isoformat() for n in range(1100)]
        rows = [(day, "engaged,valuable", BitMap([1]).serialize()) for day in days]
        made.executemany("INSERT INTO active_day VALUES (?, ?, ?)", rows)
        charts = browser.dashboards()["growth"]["charts"]
        for name in ("monthly", "weekly", "stickiness", "kinds"):
            query = replace_opts_in_query(charts[name]["query"], {})
            given = {"since": "", "until": "", "definition": ""}
            assert [row[0] for row in made.execute(query, given)] == days[:-1001:-1]


@pytest.fixture(scope="module")
def values_db(tmp_path_factory):
    db = tmp_path_factory.mktemp("values") / "my.db"
    fill_values(db)
    return str(db)


def chart_rows(db, chart, **given):
    """Of the query of a chart, as a page with these filters asks for it."""
    text = replace_opts_in_query(chart["query"], given)
    page_functions.register(db)
    filters = dict.fromkeys(("by", "value", "definition", "since", "until"), "")
    rows = db.execute(text, filters | given).fetchall()
    return [[cell for cell in row if not str(cell).startswith("/-/why?")] for row in rows]


@pytest.mark.parametrize("value", ["", "IOS", "(unknown)"])
def test_the_dashboards_of_a_property_are_those_of_a_database_of_its_own(tmp_path, value):
    both, alone = str(tmp_path / "both.db"), str(tmp_path / "alone.db")
    sample = BIN.parent / "data/sample/events.jsonl.gz"
    made = ["--events", 900, "--with-dimensions"]
    lines = run("make-data", "engagement", *made, check=0).stdout.splitlines(keepends=True)
    first, rest = b"".join(lines[:300]), b"".join(lines[300:])
    for db, whose in ((both, ["--property=a"]), (alone, [])):
        run("import-active-users", "--quiet", "--db", db, *whose, stdin=first, check=0)
        run("import-active-users", "--by=platform", "--db", db, *whose, stdin=rest, check=0)
    run("import-active-users", "--quiet", "--db", both, sample, check=0)
    given = {"by": "platform", "value": value}
    with connection.for_reading(both, "a") as one, connection.for_reading(alone) as other:
        for name in ("breakdowns", "growth", "active-users"):
            for chart in browser.dashboards()[name]["charts"].values():
                of_property = chart_rows(one, chart, **given)
                if "last_change" not in chart["query"]:
                    assert of_property == chart_rows(other, chart, **given) != [], chart["title"]


@pytest.mark.parametrize("name", ["growth", "active-users"])
@pytest.mark.parametrize("value", [*VALUES[:9], "value 40", "(unknown)", "none such"])
def test_a_dashboard_of_a_value_is_that_of_a_database_of_its_users(values_db, name, value):
    """Every chart: as if the views of the connection were narrowed to the value."""
    charts = dict(browser.dashboards()[name]["charts"])
    del charts["told"]
    given = {"by": "platform", "value": value or "(empty)"}
    with connection.for_reading(values_db) as db, connection.for_reading(values_db) as narrowed:
        day_views.Narrowing(narrowed, "platform", [value]).to(value)
        for chart in charts.values():
            for more in ({}, {"since": "2020-01-19", "until": "2020-02-02"}):
                found = chart_rows(db, chart, **given, **more)
                assert found == chart_rows(narrowed, chart, **more)
        whole = [chart_rows(db, chart) for chart in charts.values()]
        assert whole != [chart_rows(db, chart, **given) for chart in charts.values()]


def test_charts_by_value_are_the_table(values_db):
    charts = browser.dashboards()["breakdowns"]["charts"]
    table = (
        "SELECT value, date, active_user_count FROM active_users_by "
        "WHERE dimension = 'platform' AND date BETWEEN '2020-01-05' AND '2020-02-11' ORDER BY date"
    )
    with connection.for_reading(values_db) as db:
        counts = {}
        for value, day, users in db.execute(table):
            counts.setdefault(value or "(empty)", {})[day] = users
        given = {"by": "platform", "since": "2020-01-05", "until": "2020-02-11"}
        found = {
            value: dict(zip(days.split(","), map(int, users.split(",")), strict=True))
            for value, _, days, users, _ in chart_rows(db, charts["daily"], **given)
        }
        ranked = sorted(counts, key=lambda value: (-sum(counts[value].values()), value))
        assert found == {value: counts[value] for value in ranked[:8]}
        assert chart_rows(db, charts["values"], **given) == [[f"8 of {len(counts)}"]]
        for value in ("IOS", "(empty)", "(unknown)"):
            ((name, *_),) = chart_rows(db, charts["daily"], **given, value=value)
            assert name == value
            assert chart_rows(db, charts["values"], **given, value=value) == [
                [f"1 of {len(counts)}"]
            ]
        assert chart_rows(db, charts["daily"], **given, value="none such") == []
        last = {"by": "platform", "until": "2020-02-09"}
        members = db.execute(
            "SELECT value, bitmap_each(users) FROM v_active_day_by "
            "WHERE dimension = 'platform' AND own AND date = '2020-02-09'"
        )
        sets = {value: set(json.loads(users)) for value, users in members}
        users = collections.Counter(user for users in sets.values() for user in users)
        often = {user for user, values in users.items() if values > 1}
        for value, users in (("", set().union(*sets.values())), ("IOS", sets["IOS"])):
            ((told,),) = chart_rows(db, charts["several"], **last, value=value)
            assert told == f"{len(users & often)} of {len(users)}" and users & often


# ---- what it refuses


@pytest.mark.parametrize("path", ["/", "/headcount", "/headcount/run", "/nowhere", "/-/dashboards"])
def test_only_scripts_of_ours_may_run(base, path):
    answer = get(base, path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe-eval" not in policy
    script = next(part for part in policy.split("; ") if part.startswith("script-src"))
    assert script.startswith("script-src 'nonce-") and "'unsafe" not in script
    assert answer.headers["x-content-type-options"] == "nosniff"
    nonce = script.split("'nonce-")[1].rstrip("'")
    assert answer.text.count("<script") == answer.text.count(f'<script nonce="{nonce}"')
    assert get(base, path).headers["content-security-policy"] != policy


@pytest.mark.parametrize(
    "host, status",
    [
        ("127.0.0.1:{}", 200),
        ("localhost:{}", 200),
        ("LOCALHOST", 200),
        ("[::1]:{}", 200),
        ("localhost:9", 200),  # ssh -L 9:localhost:8001
        ("evil.example", 400),
        ("evil.example:{}", 400),
        ("127.0.0.1:{}.evil.example", 400),
        ("127.0.0.1.evil.example", 400),
        ("localhost@evil.example", 400),
        ("", 400),
    ],
)
def test_only_this_machine_is_host(base, host, status):
    host = host.format(base.rpartition(":")[2])
    answer = get(base, "/headcount.json", headers={"Host": host})
    assert answer.status_code == status
    assert status == 200 or "run" not in answer.text


def test_two_hosts_are_none(base):
    port = int(base.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
        assert b" 400 " in connection.recv(100)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_sent(base, method):
    for path in ("/", "/headcount", "/headcount/active_users", "/-/logout"):
        answer = httpx.request(method, f"{base}{path}", headers={"Origin": "http://evil.example"})
        assert answer.status_code == 405


@pytest.mark.parametrize(
    "text",
    [
        "DELETE FROM run",
        "SELECT 1; DELETE FROM run",
        "WITH a AS (SELECT 1) DELETE FROM run",
        "ATTACH '/tmp/evil.db' AS evil",
        "VACUUM INTO '/tmp/evil.db'",
        "SELECT load_extension('/tmp/evil.so')",
        "PRAGMA writable_schema = 1",
        "PRAGMA journal_mode = DELETE",
        "SELECT * FROM pragma_journal_mode('DELETE')",
        "CREATE TEMP TABLE t (a)",
        "SELECT printf('%.*c', 900000000, 'x')",
        "SELECT length(hex(zeroblob(900000000)))",
        "SELECT length(replace(hex(zeroblob(9000000)), '0', '0123456789'))",
    ],
)
def test_sql_only_reads_and_only_so_much(base, db, text):
    before = db.stat().st_mtime_ns
    began = time.monotonic()
    status, _ = sql(base, text)
    assert status >= 400 and time.monotonic() - began < 8
    assert not os.path.exists("/tmp/evil.db") and db.stat().st_mtime_ns == before


def test_endless_and_giant_answers_are_cut_off(base):
    endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT {} FROM n"
    began = time.monotonic()
    status, answer = sql(base, endless.format("max(i)"))
    assert status == 400 and "time limit" in json.dumps(answer).lower()
    assert time.monotonic() - began < 9
    answer = get(base, "/headcount.json", params={"sql": endless.format("i")}).json()
    assert len(answer["rows"]) == 1000 and answer["truncated"]
    assert get(base, "/my.db").status_code in (403, 404)
    assert get(base, "/headcount.db").status_code == 403


@pytest.mark.parametrize(
    "path", ["/browser/../plugins/guard.py", "/browser/%2e%2e/plugins/guard.py"]
)
def test_no_file_but_ours(base, path):
    port = int(base.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        token = f"Authorization: token {base.token}"
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{token}\r\n\r\n".encode())
        assert connection.recv(100).split()[1] in (b"403", b"404")


def test_it_listens_on_this_machine_only(base):
    port = int(base.rpartition(":")[2])
    listening = subprocess.run(["cat", "/proc/net/tcp"], capture_output=True, text=True).stdout
    rows = [line.split() for line in listening.splitlines()[1:]]
    addresses = [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")]
    assert addresses == [f"0100007F:{port:04X}"]


# ---- starting and ending


def test_a_taken_port_is_said(base, db):
    port = base.rpartition(":")[2]
    done = run("serve-db", "--db", db, "--port", port, check=1)
    assert f"port {port} is in use".encode() in done.stderr and b"Traceback" not in done.stderr


@pytest.mark.parametrize("port", ["http", "-1", "65536"])
def test_no_port(db, port):
    assert b"no port" in run("serve-db", "--db", db, f"--port={port}", check=2).stderr


def test_no_database(tmp_path):
    assert run("serve-db", "--db", tmp_path / "none.db", check=66).stdout == b""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it(db, number):
    process = subprocess.Popen(
        [BIN / "serve-db", "--db", db, "--port", "0"], stderr=subprocess.PIPE, env=BARE
    )
    assert b"Ctrl-C" in process.stderr.readline()
    process.send_signal(number)
    assert process.wait(10) == -number
    assert process.stderr.read() == b""


# ---- what others may not


@pytest.mark.parametrize("path", ["/_memory", "/_memory.json?sql=SELECT+1", "/_internal/x"])
def test_databases_of_datasettes_own_are_not_served(base, path):
    assert get(base, path).status_code == 404
    assert [one["name"] for one in get(base, "/-/databases.json").json()] == ["headcount"]


@pytest.mark.parametrize(
    "headers, status",
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:3"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({}, 200),
    ],
    ids=str,
)
def test_what_another_site_asks_for_is_refused(base, headers, status):
    assert get(base, "/headcount.json?sql=SELECT+1", headers=headers).status_code == status
    own = {"Origin": base} if status == 200 else headers
    assert get(base, "/headcount.json?sql=SELECT+1", headers=own).status_code == status


def test_a_report_is_answered_while_bad_statements_run(base):
    """Eight that run into their limit of time."""
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    endless = f"{numbers} SELECT count(*) FROM n"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        bad = [pool.submit(sql, base, endless) for _ in range(8)]
        time.sleep(0.5)
        answers = [get(base, "/headcount/runs.json?_shape=array") for _ in range(3)]
        assert not any(one.done() for one in bad[4:])
        assert [one.status_code for one in answers] == [200] * 3
        assert {one.result()[0] for one in bad} == {400}


def test_csv_has_no_formulas(base):
    text = "SELECT '=1+1' AS a, '-5' AS b, -5 AS c, '@x' AS d, 'a,\"b' AS e, '+1' AS f"
    answer = get(base, "/headcount.csv", params={"sql": text})
    assert answer.text == 'a,b,c,d,e,f\r\n\'=1+1,-5,-5,\'@x,"a,""b",+1\r\n'
    table = get(base, "/headcount/active_user_table.csv").text.splitlines()
    assert table[0] == "date,active_user_count" and len(table) > 5
