"""forget-user: no byte of a person is left, and the numbers are what their mode says."""

import base64
import gzip
import json
import os
import random
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing

import pytest

from headcount.operations.erasure import files
from helpers.events import event
from helpers.programs import BARE, BIN, run
from helpers.sessions import query, sound

PUBLISHED = ("active_user_table", "site_activity", "site_activity_by_day", "site_online_interval")


def made(kind, *options):
    return run("make-data", kind, *options, check=0).stdout.splitlines(keepends=True)


@pytest.fixture(scope="module")
def raw():
    """Lines of three pipelines."""
    return {
        "import-active-users": made("engagement", "--events", 3000),
        "import-site-activity": made("chat", "--lines", 3000, "--sites", 4),
        "import-recent-changes": made("recent-changes", "--events", 2000),
    }


def imported(db, raw):
    for pipeline, lines in raw.items():
        run(pipeline, "--quiet", "--db", db, check=0, stdin=b"".join(lines))


@pytest.fixture(scope="module")
def whole(raw, tmp_path_factory):
    db = tmp_path_factory.mktemp("whole") / "my.db"
    imported(db, raw)
    return db


@pytest.fixture
def db(whole, tmp_path):
    with (
        closing(sqlite3.connect(whole)) as source,
        closing(sqlite3.connect(tmp_path / "my.db")) as to,
    ):
        source.backup(to)
    return tmp_path / "my.db"


def person(raw, pipeline):
    """Somebody with many lines: the name, and how to know the lines."""
    field = {
        "import-active-users": "user_pseudo_id",
        "import-site-activity": "from",
        "import-recent-changes": "user",
    }[pipeline]
    names = [json.loads(line).get(field) or "" for line in raw[pipeline]]
    names = [name for name in names if len(name) >= files.LEAST and name.isascii()]
    return max(sorted(set(names)), key=names.count), field


def published(db):
    return {table: sorted(query(db, f"SELECT * FROM {table}")) for table in PUBLISHED}


def hits(folder, *names):
    """The files with one of the names in any byte."""
    found = []
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            if path.suffix == ".gz":
                content = gzip.decompress(content)
            if any(name.encode() in content for name in names):
                found.append(path.name)
    return sorted(found)


PIPELINES = ["import-active-users", "import-site-activity", "import-recent-changes"]


@pytest.mark.sample(2)
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_keep_leaves_numbers_and_no_byte(pipeline, db, raw, tmp_path):
    name, _ = person(raw, pipeline)
    before = published(db)
    changes = query(db, "SELECT count(*) FROM recent_change_raw")
    assert hits(tmp_path, name) == ["my.db"]
    run("forget-user", "--db", db, "--mode", "keep", name, check=0)
    assert hits(tmp_path, name) == [] and published(db) == before and sound(db)
    assert query(db, "SELECT count(*) FROM recent_change_raw") == changes
    run("check-data", "--db", db, "ledger_sums", "integrity", check=0)
    run("forget-user", "--db", db, "--mode", "keep", name, check=66)


@pytest.mark.sample(2)
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_recount_is_as_if_they_had_never_been(pipeline, db, raw, tmp_path):
    name, field = person(raw, pipeline)
    before = published(db)
    done = run("forget-user", "--db", db, "--mode", "recount", name, check=0)
    assert hits(tmp_path, name) == [] and sound(db)
    others = [line for line in raw[pipeline] if json.loads(line).get(field) != name]
    fresh = tmp_path / "fresh.db"
    imported(fresh, raw | {pipeline: others})
    assert published(db) == published(fresh)
    run("check-data", "--db", db, "ledger_sums", "integrity", check=0)
    counted = "SELECT count(*) FROM recent_change_raw"
    assert query(db, counted) == query(fresh, counted)
    if pipeline == "import-active-users":
        told = [tuple(line.split("\t")) for line in done.stdout.decode().splitlines()]
        old, new = (dict(tables["active_user_table"]) for tables in (before, published(db)))
        expected = [
            ("active_user_table", day, str(count), str(new.get(day, 0)))
            for day, count in old.items()
            if new.get(day, 0) != count
        ]
        assert sorted(told) == sorted(expected) and told
        assert query(db, "SELECT count(*) FROM active_user_history WHERE run_id > 3") == [
            (len(told),)
        ]


def test_changes_that_were_forgotten_do_not_come_back(db, raw):
    name, _ = person(raw, "import-recent-changes")
    run("forget-user", "--db", db, "--mode", "recount", name, check=0)
    left = query(db, "SELECT count(*) FROM recent_change_raw")
    run("import-recent-changes", "--db", db, stdin=b"".join(raw["import-recent-changes"]), check=0)
    assert query(db, "SELECT count(*) FROM recent_change_raw") == left


def test_mentions_by_others_are_words(tmp_path, raw):
    """In events, comments and messages of the ledger, and in the index of words."""
    lines = raw["import-recent-changes"][:50]
    change = json.loads(lines[0]) | {"comment": "thanks to Jane-Doe1!", "user": "somebody"}
    longer = json.loads(lines[1]) | {"comment": "Jane-Doe11 is another", "user": "somebody"}
    db = tmp_path / "my.db"
    made = b"".join(json.dumps(entry).encode() + b"\n" for entry in (change, longer))
    run("import-recent-changes", "--db", db, stdin=made, check=0)
    crawl = made_comment("Jane-Doe1 was here")
    run("import-comments", "--db", db, "--info", "-", stdin=crawl, check=0)
    run("run-job", "--db", db, "night", "--", "sh", "-c", "echo Jane-Doe1 >&2; exit 1", check=1)
    done = run("forget-user", "--db", db, "--mode", "keep", "Jane-Doe1", check=65)
    assert done.stderr.decode().count("still has it") == 1  # the other one, who begins like that
    comments = query(
        db, "SELECT json_extract(event, '$.comment') FROM recent_change_raw ORDER BY pk"
    )
    assert "Jane" not in comments[0][0] and "thanks to forgotten-" in comments[0][0]
    assert comments[1][0] == "Jane-Doe11 is another"
    for table in ("recent_change_search", "comment_search"):
        found = f"SELECT count(*) FROM {table} WHERE {table} MATCH '\"Doe1\"'"
        assert query(db, found) == [(0,)], table
    assert "Jane" not in str(query(db, "SELECT message, command FROM job_run"))
    assert hits(tmp_path / "log", "Jane") == []


def made_comment(message):
    from pipelines.comments.test_import import TIME, line_of

    return line_of({"h_id": "c", "created_time": TIME, "message": message})


def test_rejects_in_any_spelling(db, tmp_path, raw):
    name, _ = person(raw, "import-active-users")
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in name)

    def letter(**raw):
        return json.dumps({"prog": "p", "file": "f", "line": 1, "reason": "r"} | raw) + "\n"

    bad = tmp_path / "bad"
    mine = [
        letter(raw=f'{{"user": "{name}"}}'),
        letter(raw=f'{{"user": "{escaped}"}}'),
        letter(raw_base64=base64.b64encode(f"\xff {name}".encode("latin-1")).decode()),
        letter(reason=f"unknown {name}", raw=""),
        f"no JSON {name}\n",
    ]
    others = [letter(raw="{}"), "\n", letter(raw=f"x{name}x"), letter(raw_base64="?")]
    lines = mine + others
    random.Random(1).shuffle(lines)
    bad.write_text("".join(lines))
    os.chmod(bad, 0o600)
    run("forget-user", "--db", db, "--mode", "keep", name, bad, check=65)  # xNAMEx is told
    assert bad.read_text() == "".join(line for line in lines if line in others)
    assert os.stat(bad).st_mode & 0o777 == 0o600


def test_backups_are_told(db, tmp_path, raw):
    name, _ = person(raw, "import-active-users")
    run("backup-db", "--db", db, check=0)
    (backup,) = (tmp_path / "backups").iterdir()
    done = run("forget-user", "--db", db, "--mode", "keep", name, check=65)
    assert f"{backup} still has it" in done.stderr.decode() and backup.exists()
    assert hits(tmp_path, name) == [backup.name]


def test_a_backup_that_cannot_be_read_is_told(db, tmp_path, raw):
    name, _ = person(raw, "import-active-users")
    run("backup-db", "--db", db, check=0)
    (backup,) = (tmp_path / "backups").iterdir()
    os.truncate(backup, 100)
    done = run("forget-user", "--db", db, "--mode", "keep", name, check=65)
    assert f"{backup} cannot be searched" in done.stderr.decode()


def test_a_reader_or_an_import_in_the_way(db, raw):
    name, _ = person(raw, "import-active-users")
    with closing(sqlite3.connect(db, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM user").fetchone()
        done = run("forget-user", "--db", db, "--mode", "keep", "--wait", 0.2, name, check=75)
        assert b"a reader" in done.stderr or b"locked" in done.stderr
    done = run("forget-user", "--db", db, "--mode", "keep", name)
    assert done.returncode in (0, 66) and hits(db.parent, name) == []
    lock = subprocess.Popen(["flock", f"{db}.import-comments.lock", "sleep", "60"])
    try:
        time.sleep(0.3)
        run("forget-user", "--db", db, "--mode", "keep", "--wait", 0.2, "another", check=75)
    finally:
        lock.kill()
        subprocess.run(["pkill", "-f", f"{db}.import-comments.lock"])


@pytest.mark.sample(3)
@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_moment(seed, db, raw, tmp_path):
    """Run again, all is gone."""
    name, _ = person(raw, "import-site-activity")
    dice = random.Random(seed)
    before = published(db)
    for _ in range(3):
        command = [BIN / "forget-user", "--db", db, "--mode", "keep", name]
        process = subprocess.Popen(command, env=BARE, stderr=subprocess.DEVNULL)
        time.sleep(dice.uniform(0, 0.5))
        process.kill()
        process.wait()
        assert sound(db) and published(db) == before
    done = run("forget-user", "--db", db, "--mode", "keep", name)
    assert done.returncode in (0, 66), done.stderr
    assert hits(tmp_path, name) == [] and published(db) == before


# ---- pseudonyms


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "key"
    path.write_text("0123456789abcdef0123456789abcdef\n")
    path.chmod(0o600)
    return path


def test_pseudonyms_say_nothing_and_count_the_same(raw, key, whole, tmp_path):
    db, pipeline = tmp_path / "new.db", "import-active-users"
    lines = b"".join(raw[pipeline])
    run(pipeline, "--db", db, "--pseudonym-key", key, stdin=lines, check=0)
    assert published(db)["active_user_table"] == published(whole)["active_user_table"]
    names = {json.loads(line).get("user_pseudo_id") for line in raw[pipeline]} - {None}
    assert hits(tmp_path, *names, key.read_text().strip()) == ["key"]
    run(pipeline, "--db", db, "--pseudonym-key", key, stdin=lines, check=0)  # changes nothing
    name, _ = person(raw, pipeline)
    forget = ["forget-user", "--db", db, "--mode", "recount"]
    run(*forget, name, check=78)  # without the key nobody is found
    users = query(db, "SELECT count(*) FROM user")[0][0]
    run(*forget, "--pseudonym-key", key, name, check=0)
    assert query(db, "SELECT count(*) FROM user") == [(users - 1,)]


def test_a_pseudonym_is_hmac(key, tmp_path):
    """https://www.rfc-editor.org/rfc/rfc2104, as openssl computes it."""
    db = tmp_path / "new.db"
    run("import-active-users", "--db", db, "--pseudonym-key", key, stdin=event(user="ann"), check=0)
    command = ["openssl", "dgst", "-sha256", "-hmac", key.read_text().strip(), "-r"]
    said = subprocess.run(command, input=b"ann", capture_output=True, check=True).stdout
    assert query(db, "SELECT key FROM user") == [(said.decode()[:32],)]


def test_one_database_one_key(key, tmp_path):
    other = shutil.copy(key, tmp_path / "other")
    with open(other, "a") as file:
        file.write("more")
    for first, second in ((key, other), (key, None), (None, key)):
        db = tmp_path / f"{first and first.name}-{second and 'other'}.db"
        options = [["--pseudonym-key", path] if path else [] for path in (first, second)]
        run("import-active-users", "--db", db, *options[0], stdin=event(user="ann"), check=0)
        done = run(
            "import-active-users", "--db", db, *options[1], stdin=event(user="ben"), check=78
        )
        assert b"--pseudonym-key" in done.stderr
        assert query(db, "SELECT count(*) FROM user") == [(1,)]


def test_a_database_of_an_older_version_has_no_pseudonyms(key, tmp_path):
    db = tmp_path / "old.db"
    run("import-active-users", "--db", db, stdin=event(user="ann"), check=0)
    with closing(sqlite3.connect(db)) as connection:
        connection.execute("DELETE FROM setting WHERE name = 'pseudonym-key'")
        connection.execute("PRAGMA user_version = 6")
        connection.commit()
    run("import-active-users", "--db", db, "--pseudonym-key", key, stdin=event(user="b"), check=78)


def test_a_file_that_is_not_there(db, raw, tmp_path):
    """It is told before anything is erased."""
    name, _ = person(raw, "import-active-users")
    before = db.read_bytes()
    done = run("forget-user", "--db", db, "--mode", "keep", name, tmp_path / "none", check=66)
    assert b"nothing was erased" in done.stderr and db.read_bytes() == before
