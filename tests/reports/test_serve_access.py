"""serve-db: who may come in, through a port or a socket, and what is shown to them."""

import contextlib
import os
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import time

import httpx
import pytest

from headcount.reports import catalogue, connection
from headcount.reports.web import browser, hidden, listening
from headcount.reports.web.gate import Gate
from helpers.browser_server import Address, serve_db
from helpers.programs import BARE, BIN, ROOT, run

SECRET = "canary-7f3a"


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    """Each column that is hidden has the secret."""
    path = tmp_path_factory.mktemp("access") / "my.db"
    events = ROOT / "data/sample/events.jsonl.gz"
    run("import-active-users", "--db", path, "--quiet", events, check=0)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            f"""
            UPDATE user SET key = '{SECRET}' WHERE id = 1;
            UPDATE run SET message = '/home/{SECRET}/x: {SECRET}';
            UPDATE run_input SET path = '/home/{SECRET}/events';
            INSERT INTO origin (name, path) VALUES ('{SECRET}', '/home/{SECRET}');
            INSERT INTO person (key) VALUES ('{SECRET}');
            INSERT INTO login VALUES (1, 1, 1);
            INSERT INTO chat_name (key) VALUES ('{SECRET}');
            INSERT INTO chat_lines VALUES (1, 1, '', '{SECRET}');
            INSERT INTO erasure VALUES ('{SECRET}', 'keep', 'k', '2024', NULL, '{SECRET}');
            INSERT INTO tombstone VALUES ('{SECRET}', 'key', '{SECRET}', '{SECRET}');
            INSERT INTO job_run (job, command, status, started_at, message)
            VALUES ('nightly', 'cat {SECRET}', 'failed', '2024', '{SECRET}');
            """
        )
        connection.commit()
    return path


@pytest.fixture(scope="module")
def base(db):
    with serve_db(db) as url:
        yield url


def ask(base, path="/headcount.json", **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.get(f"{base}{path}", headers=headers, timeout=30)


# ---- the token


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/headcount.json",
        "/headcount/user.csv",
        "/-/dashboards",
        "/browser/chart.js",
        "/-/static/app.css",
        "/-/static-plugins/datasette_dashboards/dashboards.js",
        "/_memory",
        "/nowhere",
        "/?token=",
        "/?token=wrong",
    ],
)
def test_without_the_token_nothing_is_answered(base, path):
    answer = ask(base, path)
    assert answer.status_code == 403 and answer.headers["content-type"].startswith("text/plain")
    assert "open the address that serve-db printed" in answer.text and len(answer.text) < 200
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Cookie": "headcount-token-{port}="},
        {"Cookie": "headcount-token-{port}=wrong"},
        {"Cookie": "headcount-token-1={token}"},
        {"Cookie": "other={token}"},
        {"Authorization": "Basic {token}"},
        {"Authorization": "token {token}x"},
        {"Authorization": "token"},
        {"Authorization": "token é"},
    ],
)
def test_another_token_is_none(base, headers):
    port = base.rpartition(":")[2]
    filled = {
        name: text.format(port=port, token=base.token).encode() for name, text in headers.items()
    }
    assert ask(base, **filled).status_code == 403


@pytest.mark.parametrize(
    "path, without",
    [
        ("/-/dashboards?token={}", "/-/dashboards"),
        ("/headcount/run?_sort=id&token={}&status=done", "/headcount/run?_sort=id&status=done"),
        ("/a%20b/%3Cx?token={}", "/a%20b/%3Cx"),
        ("//evil.example/?token={}", "//evil.example/"),
    ],
)
def test_the_token_becomes_a_cookie(base, path, without):
    """As from a terminal: Sec-Fetch-Site is none."""
    answer = ask(base, path.format(base.token), sec_fetch_site="none")
    assert answer.status_code == 303 and answer.headers["location"] == base + without
    port = base.rpartition(":")[2]
    pair, *rest = answer.headers["set-cookie"].split("; ")
    assert port in pair.partition("=")[0]
    assert sorted(rest) == ["HttpOnly", "Path=/", "SameSite=Strict"]
    assert ask(base, cookie=f"a=b; {pair}; c=d").status_code == 200


def test_the_printed_address_opens_the_dashboards(base):
    with httpx.Client(follow_redirects=True, headers={"Sec-Fetch-Site": "none"}) as client:
        answer = client.get(f"{base}/-/dashboards?token={base.token}")
        assert answer.status_code == 200 and str(answer.url) == f"{base}/-/dashboards"
        assert client.get(f"{base}/browser/chart.js").status_code == 200


def test_the_cookie_is_of_the_port_that_the_browser_sees(base):
    """ssh -L 9001:localhost:8001."""
    answer = ask(base, f"/?token={base.token}", host="localhost:9001")
    assert answer.headers["location"] == "http://localhost:9001/"
    assert answer.headers["set-cookie"].startswith("headcount-token-9001=")


@pytest.mark.parametrize("scheme", ["token", "Bearer", "bearer"])
def test_a_program_may_send_a_header(base, scheme):
    assert ask(base, authorization=f"{scheme} {base.token}").status_code == 200


def test_another_site_is_refused_before_its_token_is_looked_at(base):
    for headers in ({"sec_fetch_site": "cross-site"}, {"origin": "https://evil.example"}):
        answer = ask(base, f"/?token={base.token}", **headers)
        assert answer.status_code == 403 and "Another site" in answer.text
        assert "set-cookie" not in answer.headers


def test_tokens_are_compared_in_constant_time(monkeypatch):
    compared = []
    monkeypatch.setattr("hmac.compare_digest", lambda *pair: compared.append(pair) or False)
    scope = {"query_string": b"token=secret", "raw_path": b"/", "headers": []}
    assert Gate("secret").answer(scope, b"localhost").status == 403
    assert compared == [(b"secret", b"secret")]


def test_the_token_is_new_at_each_start_and_in_no_log(db):
    tokens = set()
    for _ in range(2):
        process = start(db, "--port", "0", "--quiet")
        address = Address.printed(process.stderr.readline())
        tokens.add(address.token)
        assert ask(address, f"/headcount?token={address.token}").status_code == 303
        assert ask(address, f"/headcount?token={address.token}x").status_code == 403
        ask(address, "/headcount?sql=wrong", authorization=f"token {address.token}")
        process.terminate()
        assert address.token not in "".join(process.communicate(timeout=20))
    assert len(tokens) == 2 and min(map(len, tokens)) >= 43


# ---- a socket


def start(db, *options):
    command = [BIN / "serve-db", "--db", db, *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(list(map(str, command)), **pipes, text=True, env=BARE)


@contextlib.contextmanager
def on_socket(db, path, *options):
    process = start(db, "--socket", path, *options)
    try:
        assert "Ctrl-C" in process.stderr.readline()
        yield process
    finally:
        process.kill()
        process.communicate(timeout=20)


def through(path, url="http://localhost/headcount.json", **headers):
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), timeout=30) as client:
        return client.get(url, headers=headers)


def stale(path):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))


def test_a_socket_needs_no_token_and_is_its_owners(db, tmp_path):
    path = tmp_path / "s"
    stale(path)  # what another left behind is replaced
    with on_socket(db, path) as process:
        made = os.stat(path)
        assert stat.S_ISSOCK(made.st_mode) and stat.S_IMODE(made.st_mode) == 0o600
        for host in ("localhost", "localhost:8001", "127.0.0.1:9"):  # curl, nginx; ssh -L
            answer = through(path, f"http://{host}/-/dashboards")
            assert answer.status_code == 200 and "set-cookie" not in answer.headers
        assert through(path, "http://evil.example/").status_code == 400
        assert through(path, **{"Sec-Fetch-Site": "cross-site"}).status_code == 403
        taken = run("serve-db", "--db", db, "--socket", path, check=1)
        assert f"socket {path} is in use".encode() in taken.stderr
        assert through(path).status_code == 200
        tables = subprocess.run(["cat", "/proc/net/tcp"], capture_output=True, text=True).stdout
        ours = {os.readlink(one.path) for one in os.scandir(f"/proc/{process.pid}/fd")}
        rows = [line.split() for line in tables.splitlines()[1:]]
        assert not [row for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in ours]


@pytest.fixture
def handlers():
    """Those of signals are as they were, in the end."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_socket_is_made_with_its_mode(tmp_path, monkeypatch, handlers):
    """Not changed to it later, when others could have connected."""
    path = str(tmp_path / "s")
    monkeypatch.setattr(os, "chmod", None)
    before = os.umask(0)
    try:
        with listening.on_file(path):
            assert os.umask(0) == 0
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert not os.path.exists(path)
    finally:
        os.umask(before)


def test_a_signal_while_a_socket_is_made_waits(tmp_path, monkeypatch, handlers):
    path, ended = str(tmp_path / "s"), []
    monkeypatch.setattr(listening, "_make_room", lambda _: os.kill(os.getpid(), signal.SIGTERM))
    monkeypatch.setattr(signal, "raise_signal", lambda n: ended.append((n, os.path.exists(path))))
    with contextlib.suppress(FileNotFoundError), listening.on_file(path):
        pass
    assert ended == [(signal.SIGTERM, False)]


def test_a_socket_of_another_is_not_removed(tmp_path, handlers):
    path = str(tmp_path / "s")
    with listening.on_file(path):
        os.rename(path, tmp_path / "old")
        stale(path)
    assert os.path.exists(path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("soon", [False, True], ids=["serving", "starting"])
def test_a_signal_removes_the_socket(db, tmp_path, number, soon):
    process = start(db, "--socket", tmp_path / "s")
    if soon:
        while not (tmp_path / "s").exists():
            time.sleep(0.001)
    else:
        process.stderr.readline()
    process.send_signal(number)
    assert process.wait(10) == -number and not (tmp_path / "s").exists()
    assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize("kind", ["file", "folder", "link", "dangling"])
def test_what_is_no_socket_is_left_alone(db, tmp_path, kind):
    path = tmp_path / "s"
    match kind:
        case "file":
            path.write_text("mine")
        case "folder":
            path.mkdir()
        case "link":
            stale(tmp_path / "other")
            path.symlink_to("other")
        case "dangling":
            path.symlink_to("none")
    before = os.lstat(path)
    done = run("serve-db", "--db", db, "--socket", path, check=2, timeout=20)
    assert b"expected no file yet or a socket, got" in done.stderr
    assert os.path.samestat(os.lstat(path), before)
    assert kind != "file" or path.read_text() == "mine"


def test_a_socket_that_cannot_be(db, tmp_path):
    long = run("serve-db", "--db", db, "--socket", tmp_path / ("x" * 107), check=2).stderr
    assert b"expected a path of at most 107 bytes, got" in long
    nowhere = run("serve-db", "--db", db, "--socket", tmp_path / "none/s", check=1).stderr
    assert b"No such file or directory" in nowhere and b"Traceback" not in nowhere
    both = run("serve-db", "--db", db, "--socket", "s", "--port", "8001", check=2).stderr
    assert b"--port: not allowed with argument --socket" in both
    assert b"name of a file" in run("serve-db", "--db", db, "--socket", "", check=2).stderr


def test_a_path_of_107_bytes_does(tmp_path, monkeypatch, handlers):
    monkeypatch.chdir(tmp_path)
    with listening.on_file("x" * 107):
        assert len(list(tmp_path.iterdir())) == 1
    assert not list(tmp_path.iterdir())


# ---- ids


TABLES = [table for table in hidden._COLUMNS if not table.startswith(("sqlite_", "pragma_"))]
DOORS = [f"/headcount/{table}{kind}" for table in TABLES for kind in ("", ".json", ".csv")]
DOORS += [
    "/headcount/runs",
    "/headcount/runs.json",
    "/headcount/runs.csv",
    "/headcount/login",
    "/headcount/user/1",
    "/headcount/user/1.json",
    "/headcount/user.json?_facet=key",
    "/headcount/user?_sort_desc=key",
    "/headcount/user.json?_where=key+like+'canary%25'",
    "/headcount/user.json?key__startswith=canary",
    "/headcount/chat_lines/1.blob?_blob_column=columns",
    "/headcount/run/1",
    "/headcount/job_run/1.json",
    "/-/databases.json",
    "/-/metadata.json",
    "/-/threads.json",
]
STATEMENTS = [
    "SELECT * FROM user",
    "SELECT group_concat(key) FROM user",
    "SELECT u.* FROM main.user AS u",
    "SELECT json_group_array(json_object('k', key)) FROM user",
    "WITH a (b) AS (SELECT key FROM user) SELECT max(b) FROM a",
    "SELECT key || '' FROM user ORDER BY key DESC",
    "SELECT (SELECT key FROM user WHERE id = 1)",
    "SELECT u.* FROM user u FULL JOIN (SELECT 'x' AS key) USING (key)",
    "SELECT * FROM \"user\" NATURAL LEFT JOIN (SELECT 'x' AS key)",
    "SELECT u.* FROM [USER] u FULL JOIN (SELECT 'x' AS key) Using/**/(\"key\")",
    "SELECT u.* FROM 'user' u FULL JOIN (SELECT '%USING FTS%' AS key) USING ('key')",
    "SELECT * FROM pragma_database_list",
    "SELECT * FROM run JOIN run_input ON run_id = id",
    "SELECT * FROM origin, person, chat_name, chat_lines, job_run",
]
ORACLES = [  # they tell whether there is such an id
    "SELECT count(*) AS n FROM user WHERE key = '{}'",
    "SELECT count(*) AS n FROM user WHERE key >= 'canary' AND key < 'canarz'",
    "SELECT count(*) AS n FROM user JOIN (SELECT '{}' AS k) ON k = key",
    "SELECT count(*) AS n FROM user JOIN (SELECT '{}' AS key) USING (key)",
    "SELECT count(*) AS n FROM user NATURAL JOIN (SELECT '{}' AS key)",
    "SELECT coalesce((1, '{}') IN user, 0) AS n",
    "SELECT count(*) AS n FROM person WHERE key IN (SELECT '{}')",
]


def statement(base, text, kind="json"):
    return httpx.get(
        f"{base}/headcount.{kind}", params={"sql": text}, headers=base.headers, timeout=30
    )


def test_ids_and_paths_are_not_shown(base, db):
    folder = str(db.parent)
    for path in DOORS:
        answer = httpx.get(base + path, headers=base.headers, timeout=30)
        text = answer.text.replace("key__startswith", "").replace("canary%", "")
        assert SECRET not in text and folder not in text, path
        status = 404 if "threads" in path else 200  # where code and tasks are
        assert answer.status_code == status or ".blob" in path, path
    for text in STATEMENTS:
        for kind in ("json", "csv"):
            answer = statement(base, text, kind)
            assert SECRET not in answer.text and folder not in answer.text, text
    row = httpx.get(f"{base}/headcount/user/1.json?_shape=objects", headers=base.headers).json()
    assert row["rows"] == [{"id": 1, "key": None}]
    for text in ORACLES:
        answer = statement(base, text.format(SECRET)).json()
        assert not answer["ok"] or answer["rows"] == [[0]], text
    refused = statement(base, STATEMENTS[7])
    assert refused.status_code == 400 and "--show-ids" in refused.text


def test_what_is_hidden_is_said(base):
    for path in ("/headcount/runs", "/headcount/run", "/headcount/run_input", "/headcount/user"):
        assert "serve-db --show-ids" in httpx.get(base + path, headers=base.headers).text, path


def test_with_show_ids_they_are_shown(db):
    with serve_db(db, "--show-ids") as base:
        paths = (*(f"/headcount/{table}" for table in TABLES), "/headcount/runs")
        for path in paths:
            page = httpx.get(base + path, headers=base.headers, timeout=30).text
            if "chat_lines" not in path:
                assert SECRET in page, path
            assert "--show-ids" not in page, path
        assert statement(base, ORACLES[0].format(SECRET)).json()["rows"] == [[1]]
        assert SECRET in statement(base, STATEMENTS[7]).text
        databases = httpx.get(f"{base}/-/databases.json", headers=base.headers).json()
        assert databases[0]["path"] == str(db)


def test_reports_that_say_so_are_those_that_read_what_is_hidden(db):
    found = set()

    def authorize(action, table, column, _database, _view):
        if action == sqlite3.SQLITE_READ and hidden.is_hidden(table, column):
            found.add(name)
        return sqlite3.SQLITE_OK

    with connection.for_reading(str(db)) as opened:
        opened.set_authorizer(authorize)
        for name in catalogue.names():
            query = browser.query(catalogue.load(name))
            opened.execute(f"EXPLAIN {query['sql']}", dict.fromkeys(query["params"], ""))
            assert hidden.refusal(query["sql"]) is None
    assert found == browser._HIDING_REPORTS


def test_what_is_hidden_is_in_the_schema(db):
    with contextlib.closing(sqlite3.connect(db)) as opened:
        for table in TABLES:
            there = {row[1] for row in opened.execute(f"PRAGMA table_info({table})")}
            assert there and there >= (hidden._COLUMNS[table] or set())


def test_all_inputs_of_a_run_are_on_the_page(tmp_path):
    """The key of the table is hidden in part, so that a second page would not find its begin."""
    path = tmp_path / "my.db"
    run("import-active-users", "--db", path, "--quiet", check=0)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        paths = [(f"/x/{n}",) for n in range(300)]
        connection.executemany(
            "INSERT INTO run_input SELECT max(id), ?, 'read', 1, NULL, 1 FROM run", paths
        )
        connection.commit()
    with serve_db(path) as base:
        page = httpx.get(f"{base}/headcount/run_input", headers=base.headers).text
        assert len(re.findall("<tr>", page)) > 300
