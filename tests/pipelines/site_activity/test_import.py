"""import-site-activity against the slow reference: in pieces, twice, in any order."""

import gzip
import json
import random
import sqlite3

import pytest

from helpers.programs import run
from helpers.thorough import long
from pipelines.site_activity.test_count import chat, stream
from reference import site_activity as reference

ZONE = "America/St_Johns"


def imported(db, *files, status=0, options=("--max-rejects", "100%"), stdin=b""):
    done = run(
        "import-site-activity", "--db", db, "--tz", ZONE, *options, *files, stdin=stdin, check=None
    )
    expected = status if isinstance(status, tuple) else (status,)
    assert done.returncode in expected, done.stderr.decode()
    assert done.stdout == b""
    return done.stderr.decode()


def rows(db, query):
    connection = sqlite3.connect(db)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def activity(db):
    columns = "site_id, messages, emails, operators, visitors"
    found = sorted(rows(db, f"SELECT {columns} FROM site_activity"))
    return "".join(
        f"{site},messages={messages},emails={emails},operators={operators},visitors={visitors}\n"
        for site, messages, emails, operators, visitors in found
    )


def is_right(db, lines):
    """All tables for queries say what the reference says of these lines."""
    assert activity(db) == reference.report(lines)
    days = "SELECT site_id, date, messages, emails, operators, visitors FROM site_activity_by_day"
    assert sorted(rows(db, days)) == reference.by_day(lines, ZONE)
    spans = "SELECT site_id, online_from, online_until FROM site_online_interval"
    assert sorted(rows(db, spans), key=repr) == sorted(reference.intervals(lines), key=repr)
    broken = "lines <> kept + filtered + duplicate + rejected"
    assert rows(db, f"SELECT * FROM run WHERE {broken}") == []
    assert rows(db, "PRAGMA integrity_check") == [("ok",)]


def run_of(db, columns="status, lines, kept, duplicate, rejected"):
    return rows(db, f"SELECT {columns} FROM run ORDER BY id DESC LIMIT 1")[0]


@pytest.mark.sample(8)
@pytest.mark.parametrize("seed", range(12))
def test_any_lines_in_any_pieces(seed, tmp_path):
    rng = random.Random(seed)
    lines = stream(rng)
    # days apart, so that there are several, with the changes of the clocks
    spread = rng.choice([1, 86_400, 7 * 86_400])
    lines = [moved(line, spread) for line in lines]
    db = tmp_path / "my.db"
    seen = []
    for number in range(rng.randrange(1, 6)):
        path = tmp_path / f"{number}"
        some = rng.sample(lines, rng.randrange(len(lines)) + 1)
        data = b"\n".join(some) + b"\n"
        path.write_bytes(gzip.compress(data) if rng.random() < 0.2 else data)
        seen += some
        imported(db, path, status=(0, 65), options=["--max-rejects", "100%", "--jobs", 2])
        is_right(db, seen)
    before = dump(db)
    imported(db, status=(0, 65), stdin=b"\n".join(rng.sample(seen, len(seen))) + b"\n")
    assert dump(db) == before


def moved(line, spread):
    try:
        record = json.loads(line)
        record["timestamp"] = record["timestamp"] * spread + 1_709_800_000
    except (ValueError, TypeError, KeyError):
        return line
    return json.dumps(record).encode()


def dump(db):
    """All that one may query."""
    tables = ["site_activity", "site_activity_by_day", "site_online_interval"]
    return [sorted(rows(db, f"SELECT * FROM {table}"), key=repr) for table in tables]


def test_a_late_status_moves_messages_from_email_to_chat_and_back(tmp_path):
    db = tmp_path / "my.db"
    lines = [chat(seconds) for seconds in (5, 15, 25)]
    for more in (
        [],
        [chat(10, "op", "online")],
        [chat(20, "op", "offline")],
        [chat(12, "op", "offline")],
    ):
        lines += more
        imported(db, stdin=b"".join(more or lines))
        is_right(db, lines)
    assert activity(db) == "a,messages=0,emails=3,operators=1,visitors=1\n"


def test_an_earlier_copy_takes_the_place_of_a_line_in_all_tables(tmp_path):
    db = tmp_path / "my.db"
    lines = [chat(200_000, "bob", id="x"), chat(9, "op", "online"), chat(20)]
    imported(db, stdin=b"".join(lines))
    for copy in (
        chat(100_000, "cat", id="x"),  # another day and visitor
        chat(100_000, "ann", id="x", site_id="b"),  # not before: the smaller site stays
        chat(99_999, "ann", id="x", site_id="b"),  # another site
        chat(99_998, "ann", "offline", id="x", site_id="b"),  # no longer a message
        chat(99_999, "zoe", id="x"),  # later: changes nothing
    ):
        lines.append(copy)
        imported(db, stdin=copy)
        is_right(db, lines)


@long
def test_many_small_imports(tmp_path):
    """Parts and rows of lines are joined again, and nothing is lost of them."""
    db = tmp_path / "my.db"
    rng = random.Random(5)
    lines = []
    for number in range(40):
        status = rng.choice([None, "online", "offline"])
        new = [chat(rng.randrange(40), rng.choice("ab"), status) for _ in range(3)]
        lines += new
        imported(db, stdin=b"".join(new))
        if number % 13 == 0:
            is_right(db, lines)
    is_right(db, lines)
    assert rows(db, "SELECT count(*) FROM chat_part")[0][0] < 40
    assert rows(db, "SELECT count(*), sum(lines) FROM chat_lines")[0][0] < 8


def test_a_growing_file_is_read_on(tmp_path):
    db, path = tmp_path / "my.db", tmp_path / "chat"
    lines = [chat(1), chat(2), chat(3, "op", "online"), chat(4), chat(5)]
    path.write_bytes(b"\xef\xbb\xbf" + lines[0])
    imported(db, path)
    assert run_of(db) == ("done", 1, 1, 0, 0)
    with path.open("ab") as file:
        file.write(lines[1] + lines[2][:20])
    message = imported(db, path)
    assert "chat: the last line has no end yet" in message
    assert run_of(db, "status, lines, kept, rejected, filtered") == ("done", 2, 1, 0, 1)
    with path.open("ab") as file:
        file.write(lines[2][20:] + lines[3] + lines[4].strip())
    imported(db, path)
    assert run_of(db) == ("done", 3, 3, 0, 0)
    with path.open("ab") as file:
        file.write(b"\nno line\n")
    assert f"{path}:6: not JSON" in imported(db, path, status=65)
    is_right(db, lines)


def test_a_file_that_grows_bit_by_bit(tmp_path):
    db, path = tmp_path / "my.db", tmp_path / "chat"
    lines = [chat(1), chat(2), chat(3, "op", "online")]
    data = b"".join(lines)
    for start in range(0, len(data), 24):
        append(path, data[start : start + 24])
        imported(db, path)
    is_right(db, lines)
    kept, rejected = rows(db, "SELECT sum(kept), sum(rejected) FROM run")[0]
    assert (kept, rejected) == (3, 0)


def append(path, data):
    with path.open("ab") as file:
        file.write(data)


def test_a_renamed_file_is_read_on_and_a_new_one_from_its_start(tmp_path):
    db, path, old = tmp_path / "my.db", tmp_path / "chat", tmp_path / "chat.1"
    lines = [chat(1), chat(2), chat(3), chat(4)]
    path.write_bytes(lines[0])
    imported(db, path)
    path.rename(old)
    append(old, lines[1])
    path.write_bytes(lines[2])
    message = imported(db, old, path)
    assert message == "" and run_of(db) == ("done", 2, 2, 0, 0)
    is_right(db, lines[:3])


@pytest.mark.parametrize("how", ["cut short", "changed at the start", "changed at the end"])
def test_a_file_that_is_no_longer_the_same_is_read_from_its_start(how, tmp_path):
    db, path = tmp_path / "my.db", tmp_path / "chat"
    lines = [chat(second) for second in range(100)]
    path.write_bytes(b"".join(lines))
    imported(db, path)
    inode = path.stat().st_ino
    if how == "cut short":
        new = [chat(200)]
    elif how == "changed at the start":
        new = [chat(200), *lines[1:], chat(201)]
    else:
        new = [*lines[:99], chat(200), chat(201)]
    with path.open("r+b") as file:  # the same inode
        file.truncate()
        file.write(b"".join(new))
    assert path.stat().st_ino == inode
    assert "chat: no longer the file that was read: read from its start" in imported(db, path)
    assert run_of(db, "lines") == (len(new),)
    is_right(db, lines + new)


def test_rejects_withhold_the_numbers_until_they_are_allowed(tmp_path):
    db, path = tmp_path / "my.db", tmp_path / "chat"
    lines = [chat(1), chat(2)]
    path.write_bytes(b"".join(lines) + b"{\n")
    for _ in range(2):  # a second run, which reads nothing new, does not get round it
        message = imported(db, path, status=1, options=[])
        assert "1 of 3 lines were rejected, more than --max-rejects 1%" in message
        assert "what was read is kept, but no number has changed" in message
        assert run_of(db, "status") == ("failed",) and activity(db) == ""
    imported(db, path, options=["--max-rejects", "1"])
    is_right(db, lines)
    assert "skipped" in imported(db, path, options=[])


def test_a_database_keeps_its_zone(tmp_path):
    db = tmp_path / "my.db"
    imported(db, stdin=chat(1))
    done = run("import-site-activity", "--db", db, "--tz", "UTC", stdin=chat(2), check=None)
    assert done.returncode == 78
    assert f"made with --tz {ZONE}, not UTC" in done.stderr.decode()
    # the other pipeline has its own
    assert run("import-active-users", "--db", db, "--tz", "UTC", stdin=b"", check=0)


def test_no_such_zone_and_no_device(tmp_path):
    db = tmp_path / "my.db"
    for zone in ("Nowhere", "device"):
        done = run("import-site-activity", "--db", db, "--tz", zone, stdin=b"", check=None)
        assert done.returncode == 2 and not done.stdout


def test_a_database_of_the_first_schema_is_brought_up_to_date(tmp_path):
    db = tmp_path / "my.db"
    event = {"event_name": "x"}
    run("import-active-users", "--db", db, stdin=json.dumps(event).encode(), check=None)
    connection = sqlite3.connect(db)
    for table in (
        *("site_activity", "site_activity_by_day", "site_online_interval", "input_mark"),
        *("chat_lines", "chat_part", "chat_published", "chat_site", "chat_name"),
    ):
        connection.execute(f"DROP TABLE {table}")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    imported(db, stdin=chat(1))
    is_right(db, [chat(1)])
