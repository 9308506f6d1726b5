"""Rows 28 to 36: names and texts that attack, what gets out, and state that is lost."""

import contextlib
import csv
import html
import io
import json
import os
import re
import sqlite3
import stat
import subprocess
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from faults.databases import (
    SQLITE,
    content,
    copy_db,
    differences,
    on_server,
    opened,
    problems,
    schema,
    stored,
)
from faults.pipelines import attempt, imported
from headcount.reports import catalogue
from helpers.browser_server import fill, serve_db
from helpers.events import event
from helpers.programs import BARE, run
from helpers.sessions import beside, query

NAMES = [
    "'; DROP TABLE run; --",
    'x" OR "1"="1',
    "a\nb",
    "-rf",
    "$(touch pwned)`touch pwned`;touch pwned",
    "*?[a]{b}",
    " leading and trailing ",
    "ünï☃ \u202egnp.exe",
    "x" * 180,
    "%s%n{}",
]


# ---- 28, 32: names of files


@pytest.mark.sample(18)
@pytest.mark.fault(28)
@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_names_of_files_are_data(name, start, placed, injected, tmp_path):
    """Of inputs, of databases, of folders."""
    folder = tmp_path / name
    folder.mkdir()
    file = folder / name
    file.write_bytes(start.files[1].read_bytes())
    db = placed(folder, f"{name}.db")
    before = schema(db)
    with injected(start.pipeline.name):
        imported(start.pipeline, db, file, cwd=folder)
        assert differences(db, start.golden) == [] and problems(db) == []
        assert schema(db) == before and not list(tmp_path.rglob("pwned"))
        paths = [path for (path,) in query(db, "SELECT path FROM run_input")]
        assert str(file) in paths
        assert run("show-runs", "--db", db).returncode == 0


@pytest.mark.sample(2)
@pytest.mark.fault(28)
def test_names_within_the_data_are_data(start, db, injected, tmp_path):
    """Users, sites, metrics and texts that are SQL are stored; no statement of theirs runs."""
    before = schema(db)
    attack = rb"'); DROP TABLE user; --"
    names = rb'("(?:user_pseudo_id|from|site_id|user|title|h_id)":"[^"]*|"metric_\d+)"'
    replaced = re.sub(names, lambda found: found[1] + attack + b'"', start.files[1].read_bytes())
    path = tmp_path / "attack"
    path.write_bytes(replaced)
    with injected(start.pipeline.name):
        lenient = start.pipeline._replace(strict=start.pipeline.lenient)
        done = attempt(lenient, db, path)
        assert done.returncode in (0, 65), done.stderr
        assert schema(db) == before and problems(db) == []
        assert attack in stored(db)


@pytest.mark.sample(2)
@pytest.mark.fault(32)
def test_paths_do_not_leave_their_folder(start, placed, injected, tmp_path):
    """The stage of an import, and what stands beside a database, stay beside it."""
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    victim = elsewhere / "victim"
    victim.write_text("precious")
    db = placed(home)
    # links where an import is about to write, as another user of a shared folder might set them
    for name in ("stage.x", "lock"):
        link = Path(f"{beside(db)}{start.pipeline.name}.{name}")
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(elsewhere if name != "lock" else victim)
    with injected(start.pipeline.name):
        name = db if on_server(db) else home / ".." / "home" / "a.db"
        imported(start.pipeline, name, start.files[1])
        assert differences(db, start.golden) == [] and problems(db) == []
        assert victim.read_text() == "precious" and os.listdir(elsewhere) == ["victim"]


@pytest.mark.fault(32)
def test_names_of_jobs_are_no_paths(injected, tmp_path):
    for bad in ("../job", "a/b", "a\nb", "", "."):
        with injected("run-job"):
            run("run-job", "--db", tmp_path / "a.db", bad, "--", "true", check=2)
    assert list(tmp_path.iterdir()) == []


# ---- 29 to 31: what people look at


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    db = tmp_path_factory.mktemp("filled") / "all.db"
    fill(db)
    return db


@pytest.mark.fault(29)
def test_no_cell_is_a_formula(filled, injected, tmp_path):
    db = copy_db(filled, tmp_path / "a.db")
    hostile = ["=1+1", "+1", "-1+1", "@SUM(1)", "\t=1", "\r=1", '"=1', "＝1"]
    with closing(sqlite3.connect(db)) as connection:
        for i, text in enumerate(hostile):
            message = [text, i]
            connection.execute("UPDATE comment SET message = ? WHERE pk % 8 = ?", message)
            connection.execute("UPDATE recent_change_raw SET user = ? WHERE pk % 8 = ?", message)
            connection.execute("UPDATE first_dimension SET name = ? WHERE id % 8 = ?", message)
        connection.commit()
    for name in catalogue.names():
        with injected("reports"):
            done = run("show-report", "--db", db, name, "--format", "csv", check=0)
            cells = [cell for row in csv.reader(io.StringIO(done.stdout.decode())) for cell in row]
            for cell in cells:
                number = re.fullmatch(r"[-+]?[0-9.]+(e[-+]?\d+)?", cell)
                assert number or not cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝")), cell


@pytest.fixture(scope="module")
def served(filled):
    pytest.importorskip("datasette")
    with serve_db(filled) as address:
        yield address


def get(address, headers=()):
    request = urllib.request.Request(address, headers=dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, dict(answer.headers), answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read().decode()


@pytest.mark.fault(30)
def test_no_text_becomes_script(served, filled, injected):
    """What is hostile in the data comes as text, and a policy forbids what would slip through.
    (A real browser looks at every dashboard in test_browser.py.)
    """
    name = "headcount"  # whatever the file is called
    pages = [
        "/",
        f"/{name}",
        *(f"/{name}/{table}" for table in ("comment", "recent_change_raw", "first_dimension")),
    ]
    pages += [
        f"/{name}?sql=select+'<script>alert(1)</script>'+as+\"<img/src/onerror=alert(1)>\"",
        "/<script>alert(1)</script>",
    ]
    for page in pages:
        with injected("serve-db"):
            address = served + urllib.request.quote(page, "/?=&+")
            status, headers, text = get(address, served.headers)
            assert status == (404 if page.startswith("/<") else 200)
            assert "<script>alert(1)" not in text and "<img src=x onerror" not in text
            assert "<img/src/onerror" not in text
            policy = {name.lower(): value for name, value in headers.items()}[
                "content-security-policy"
            ]
            rules = dict(rule.split(maxsplit=1) for rule in policy.split("; "))
            assert rules["default-src"] == "'none'" and "unsafe" not in rules["script-src"]
    assert "alert(1)" in html.unescape(get(f"{served}/{name}/first_dimension", served.headers)[2])


@pytest.mark.fault(31)
def test_the_browser_cannot_be_used_to_write_or_to_hang(served, filled, injected):
    name = "headcount"  # whatever the file is called
    before = content(filled)
    endless = "with recursive n(i) as (select 1 union all select i+1 from n) select count(*) from n"
    for sql in (
        "delete from run",
        "attach 'x' as y",
        "select load_extension('x')",
        "pragma user_version = 9",
        "insert into user(key) values('x') returning 1",
        endless,
    ):
        with injected("serve-db"):
            address = f"{served}/{name}.json?sql={urllib.request.quote(sql)}"
            status, _, text = get(address, served.headers)
            assert status >= 400 and "error" in text, (sql, status, text[:200])
    for headers in ({"Host": "evil.example"}, {"Host": "127.0.0.1.evil.example"}):
        with injected("serve-db"):
            assert get(served, served.headers | headers)[0] >= 400
    with injected("serve-db"):
        request = urllib.request.Request(
            f"{served}/{name}",
            data=b"sql=delete from run",
            headers=served.headers | {"Origin": "https://evil.example"},
        )
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(request, timeout=30)
    assert content(filled) == before


# ---- 33 to 35: what must not get out


@pytest.mark.fault(33)
def test_secrets_stay_where_they_are(injected, tmp_path):
    """A key's bytes, and the path of a heartbeat, in nothing that is printed, logged or stored."""
    key, secret = tmp_path / "key", "0123456789-secret-of-ours"
    key.write_text(f"{secret}\n")
    db, source = tmp_path / "a.db", tmp_path / "events"
    source.write_bytes(event(user="ann") + b"user_engagement none\n")
    command = [
        "import-active-users",
        "--max-rejects",
        "5",
        "--db",
        db,
        "--rejects",
        tmp_path / "bad",
    ]
    beat = f"http://127.0.0.1:9/{secret}"
    with injected("import-active-users", 4):
        said = []
        for options in (["--pseudonym-key", key], [], ["--pseudonym-key", tmp_path / "none"]):
            job = [
                "run-job",
                "--db",
                db,
                "--heartbeat",
                beat,
                "night",
                "--",
                *command,
                *options,
                source,
            ]
            done = run(*job)
            said.append(done.stdout + done.stderr)
        for program in ("why-day", "doctor", "show-runs", "export-metrics", "check-data"):
            done = run(program, "--db", db, *(["2019-12-31"] if program == "why-day" else []))
            said.append(done.stdout + done.stderr)
        assert b"no heartbeat" in said[0] and not any(b"Traceback" in text for text in said)
        assert [text for text in said if secret.encode() in text] == []
        files = [path for path in tmp_path.rglob("*") if path.is_file() and path != key]
        assert len(files) > 4
        assert [path.name for path in files if secret.encode() in path.read_bytes()] == []


def modes(folder):
    """The permissions of each file; some vanish meanwhile."""
    found = {}
    for parent, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(parent, name)
            with contextlib.suppress(FileNotFoundError):
                found[path] = stat.S_IMODE(path.lstat().st_mode)
    return found


@pytest.mark.sample(8)
@pytest.mark.fault(34)
@pytest.mark.parametrize("mask", [0o000, 0o022])
def test_nobody_else_can_read(mask, start, placed, injected, tmp_path):
    """Also in a folder that hands its group on, and while an import runs."""
    folder = tmp_path / "setgid"
    folder.mkdir()
    folder.chmod(0o2777)
    db, bad = placed(folder), folder / "bad"
    if not on_server(db):
        db.unlink()  # it is made anew
    options = (*start.pipeline.strict, *start.pipeline.lenient, "--rejects", str(bad))
    pipeline = start.pipeline._replace(strict=options)
    broken = tmp_path / "broken"
    broken.write_bytes(start.files[0].read_bytes() + b"{ no JSON\n")
    seen = {}
    with injected(start.pipeline.name):
        process = subprocess.Popen(
            pipeline.command(db, broken),
            env=BARE,
            umask=mask,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        while process.poll() is None:
            seen |= modes(folder)
        assert process.returncode == 65
        seen |= modes(folder)
        assert on_server(db) or db in seen
        assert bad in seen and len(seen) > 4
        private = {path: mode for path, mode in seen.items() if path.parent == folder}
        assert [(path.name, oct(mode)) for path, mode in private.items() if mode & 0o077] == []


@pytest.mark.only(SQLITE)
@pytest.mark.fault(34)
def test_a_database_that_is_open_to_others_is_told(start, db, injected):
    db.chmod(0o666)
    with injected(start.pipeline.name):
        command = [word for word in start.pipeline.command(db, start.files[1]) if word != "--quiet"]
        done = subprocess.run(command, env=BARE, capture_output=True)
        assert done.returncode == 0 and b"chmod 600" in done.stderr


@pytest.mark.only(SQLITE)
@pytest.mark.sample(2)
@pytest.mark.fault(35)
@pytest.mark.parametrize("mode", ["keep", "recount"])
def test_a_user_is_erased(mode, start, injected, tmp_path):
    """From what this import has stored, rejected and said. (More in test_forget_user.py.)"""
    field = {"import-active-users": "user_pseudo_id", "import-site-activity": "from"}
    text = start.files[1].read_bytes()
    if start.pipeline.name == "import-recent-changes":
        names = [json.loads(line)["user"] for line in text.splitlines()]
        name = next(name for name in names if re.fullmatch(r"[\w .-]{7,}", name, re.A))
    elif start.pipeline.name in field:
        names = [json.loads(line).get(field[start.pipeline.name]) for line in text.splitlines()]
        name = next(name for name in names if name and len(name) > 6)
    else:  # which store nobody's name
        name = "nobody-at-all"
    db, bad = copy_db(start.one, tmp_path / "a.db"), tmp_path / "bad"
    imported(start.pipeline, db, start.files[1])
    bad.write_text(
        json.dumps({"prog": "p", "file": "f", "line": 1, "reason": "r", "raw": name}) + "\n"
    )
    with injected(start.pipeline.name):
        run("forget-user", "--db", db, "--mode", mode, name, bad, check=0)
        left = [path.name for path in tmp_path.iterdir() if name.encode() in path.read_bytes()]
        assert left == [] and problems(db) == []


# ---- 36: what is lost is made again


@pytest.mark.sample(18)
@pytest.mark.fault(36)
@pytest.mark.parametrize("lost", ["database", "journal", "ledger", "marks", "locks"])
def test_state_that_is_lost(lost, start, db, injected):
    """One command makes it again, from the raw events."""
    imported(start.pipeline, db, start.files[1])
    with injected(start.pipeline.name):
        if lost == "database" and on_server(db):
            copy_db("", db)
        elif lost in ("database", "journal", "locks"):
            endings = {"database": "*", "journal": "-*", "locks": "*.lock"}
            prefix = Path(beside(db).rstrip("."))
            for path in prefix.parent.glob(f"{prefix.name}{endings[lost]}"):
                path.unlink()
        else:
            with opened(db) as connection:
                if on_server(db):  # which else keeps what is referred to
                    connection.execute("SET session_replication_role = replica")
                tables = ["input_mark"] if lost == "marks" else ["run_input", "run_reject", "run"]
                for table in tables:
                    connection.execute(f"DELETE FROM {table}")
        imported(start.pipeline, db, *start.files[:2])
        assert differences(db, start.golden) == [] and problems(db) == []
