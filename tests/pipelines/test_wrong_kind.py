"""Inputs of the wrong kind, into every program that reads those of a pipeline but active users."""

import contextlib
import json
import sqlite3
import subprocess

import pytest

from helpers.programs import BARE, BIN, run

CHAT = b'{"id":"%d","type":"message","from":"v","site_id":"1","timestamp":1710303794,"data":{}}\n'
CHANGE = (
    b'{"meta":{"id":"%d","topic":"t","partition":0,"offset":%d},"wiki":"w","type":"edit",'
    b'"bot":false,"timestamp":1710303794}\n'
)
CRAWL = b'{"h_id":"%d","posts":{"data":[{"h_id":"p%d"}]}}\n'
EVENTS = (
    b"id,first_dimension_id,second_dimension_id,recorded_date,created_date,event_metrics\n"
    b"1,1,2,2024-03-05 10:11:12,2024-03-06 00:00:00,{}\n"
)
POSTS = b"post_h_id,page_h_id,type,created_time,name_h_id\np1,1,photo,2018-01-04T14:00:00Z,n\n"
SSE = b'data: {"a":1}\n\n'

# Each program with what it reads: its options before the input, and a sound input.
READERS = {
    "count-site-activity": ([], CHAT % 1),
    "import-site-activity": ([], CHAT % 1),
    "parse-chat": ([], CHAT % 1),
    "import-recent-changes": ([], CHANGE % (1, 1)),
    "count-comments": (["--info"], CRAWL % (1, 1)),
    "import-comments": (["--info"], CRAWL % (1, 1)),
    "import-comments --posts": (["--posts"], POSTS),
    "import-comments --text": (["--text"], b"h_id,message\n1,x\n"),
    "parse-comments": ([], CRAWL % (1, 1)),
    "import-event-metrics": ([], EVENTS),
    "import-event-metrics --first-dimensions": (["--first-dimensions"], b"id,name\n1,x\n"),
    "parse-metrics": ([], EVENTS),
    "read-sse": ([], SSE),
    "read-table": ([], b"a,b\n1,2\n"),
}
ARRAY = b'[{"id":"1","site_id":"1","type":"message","from":"v","h_id":"1","meta":{"bot":1}},\n{}]\n'
FOREIGN = {
    "a JSON array": ARRAY,
    "HTML": b"<!DOCTYPE html>\n<html><body>\n<p>x, y</p>\n</body></html>\n",
    "a PNG image": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\2",
    "UTF-16 text": (CHAT % 1).decode().encode("utf-16"),
    "JSON objects with the keys event, userId": b'{"event":"x","userId":"u"}\n' * 3,
}
# What is text for a table may be one for read-table, which asks for no columns.
TEXT = {
    "an access log": b'1.2.3.4 - - [10/Jan/2026:16:00:00 +0000] "GET / HTTP/1.1" 200 12\n' * 2,
    "CSV with the columns event_name, time": b"event_name,time\nx,1\n",
    "text: 'Dear all'": b"Dear all\n\nit is late.\n",
}
IMPORTS = [name for name in READERS if name.startswith("import-")]


def ran(reader, tmp_path, *inputs, options=(), **more):
    """A reader on such inputs, and its --db if it has one."""
    program, (before, _) = reader.split()[0], READERS[reader]
    db = ["--db", tmp_path / "my.db"] if program.startswith("import-") else []
    paths = []
    for number, content in enumerate(inputs):
        paths.append(tmp_path / f"input{number}")
        paths[-1].write_bytes(content)
    files = [word for path in paths for word in (*before, path)]
    if reader.endswith("-dimensions"):
        (tmp_path / "events").write_bytes(EVENTS)
        files.append(tmp_path / "events")
    return run(program, *db, *options, *files, **more)


def last_run(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "my.db")) as db:
        counts = "lines, kept, filtered, duplicate, rejected"
        return db.execute(f"SELECT status, {counts} FROM run ORDER BY id DESC").fetchone()


@pytest.mark.sample(9)
@pytest.mark.parametrize("looks", [*FOREIGN, *TEXT])
@pytest.mark.parametrize("reader", READERS)
def test_it_is_refused_by_one_message(reader, looks, tmp_path):
    if reader == "read-table" and looks in TEXT:
        pytest.skip("a table as good as any")
    content = (FOREIGN | TEXT)[looks]
    done = ran(reader, tmp_path, content)
    assert (done.returncode, done.stdout) == (66, b""), done.stderr
    (message,) = done.stderr.decode().splitlines()
    got = looks
    if reader.endswith(("--posts", "--text", "metrics", "-dimensions")) and looks in TEXT:
        got = ""  # its columns are told
    start = f"{reader.split()[0]}: {tmp_path}/input0: expected "
    assert message.startswith(start) and f", got {got}" in message
    assert message.endswith("; name another file, or take it as an empty one with --allow-empty")
    if reader in IMPORTS:
        status, *counts = last_run(tmp_path)
        assert status == "failed" and not any(counts)


@pytest.mark.sample(4)
@pytest.mark.parametrize("reader", READERS)
def test_it_may_be_allowed_as_empty(reader, tmp_path):
    sound = READERS[reader][1]
    (tmp_path / "alone").mkdir()
    alone = ran(reader, tmp_path / "alone", sound, check=0)
    # several tables are one in read-table
    done = ran(reader, tmp_path, FOREIGN["HTML"], sound, options=["--allow-empty"], check=0)
    assert done.stdout == alone.stdout
    assert b"got HTML; taken as empty" in done.stderr
    done = ran(reader, tmp_path, FOREIGN["HTML"], options=["--allow-empty", "--quiet"], check=0)
    assert done.stderr == b""
    if reader in IMPORTS:
        status, lines, kept, filtered, duplicate, rejected = last_run(tmp_path)
        assert (status, rejected) == ("done", 0)
        assert lines == kept + filtered + duplicate


@pytest.mark.sample(5)
@pytest.mark.parametrize("content", [b"", b"\n \n\r\n"], ids=["no bytes", "blank lines"])
@pytest.mark.parametrize("reader", READERS)
def test_an_empty_one_is_fine_and_noted(reader, content, tmp_path):
    done = ran(reader, tmp_path, content, check=0)
    if reader.endswith("-dimensions"):  # the events are there
        assert content or b"no lines in " in done.stderr
        return
    assert done.stdout == b""
    (note,) = done.stderr.decode().splitlines()
    said = "nothing kept of 3 lines: 3 blank or left out" if content else "nothing to read"
    assert said in note
    assert ran(reader, tmp_path, content, options=["--quiet"], check=0).stderr == b""


@pytest.mark.parametrize("reader", ["parse-chat", "import-recent-changes", "parse-comments"])
def test_records_with_faults_of_their_own_are_rejected_as_ever(reader, tmp_path):
    """What was cut off or lacks a field is of the kind; so is an input with one sound record."""
    sound = READERS[reader][1]
    done = ran(reader, tmp_path, sound[:-3] + b"\n", check=65)
    assert done.stdout == b"" and b"input0:1: not JSON" in done.stderr
    junk = b"no JSON\n" * 300
    done = ran(reader, tmp_path, junk + sound + junk, check=65)
    assert b"input0:1: not JSON" in done.stderr and b"595 more lines rejected" in done.stderr


@pytest.mark.parametrize("reader", ["parse-chat", "import-recent-changes", "count-comments"])
def test_a_wrong_one_among_others_is_named(reader, tmp_path):
    sound = READERS[reader][1]
    done = ran(reader, tmp_path, sound, b"no JSON\n", sound)
    assert done.returncode == 66 and b"/input1: expected " in done.stderr


@pytest.mark.parametrize("lines", [b"no JSON\n" * 20_000, b"no JSON " * (3 << 20) + b"\n"])
def test_a_large_one_is_refused_before_its_end(lines, tmp_path):
    """So it is not held in memory either; and nothing of it is committed on the way."""
    for program in ("parse-chat", "import-site-activity", "import-recent-changes"):
        db = ["--db", tmp_path / "my.db"] if program != "parse-chat" else []
        with subprocess.Popen([BIN / program, *db], stdin=subprocess.PIPE, env=BARE) as process:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(lines)
                process.stdin.flush()
            assert process.wait(20) == 66  # nobody has closed its input
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "my.db")) as db:
        assert not db.execute("SELECT count(*) FROM input_mark").fetchone()[0]


def test_a_growing_file_is_known(tmp_path):
    """What comes to a file that was read may be one broken line, or the start of a sound one."""
    chat = tmp_path / "chat"
    for more, status in ((CHAT % 1, 0), (b"no JSON\n", 1), (b'{"id":"2","ty', 1)):
        with open(chat, "ab") as file:
            file.write(more)
        done = run("import-site-activity", "--db", tmp_path / "my.db", chat, check=status)
        assert b"expected chat lines" not in done.stderr
    unfinished = tmp_path / "unfinished"
    unfinished.write_bytes(b'{"id":"2","ty')
    done = run("import-site-activity", "--db", tmp_path / "new.db", unfinished, check=0)
    assert b"left for the next run" in done.stderr
    unfinished.write_bytes(b'[{"id":"2","ty')
    done = run("import-site-activity", "--db", tmp_path / "new.db", unfinished, check=66)


def test_columns_named_by_option_are_believed(tmp_path):
    """Then the number of fields says whether they are those."""
    path = tmp_path / "table"
    path.write_bytes(b'{"a":1,"b":[2,3]}\n{"a":1,"b":[2,3]}\n')
    done = run("read-table", "--header", "x,y", path, check=66)
    assert done.stdout == b"" and b"expected a table with the columns x, y, got JSON" in done.stderr
    row = {"x": '{"a":1', "y": '"b":[2', "z": "3]}"}
    done = run("read-table", "--header", "x,y,z", path)
    assert done.returncode == 65 or json.loads(done.stdout.splitlines()[0]) == row


def test_an_import_that_keeps_nothing_says_so(tmp_path):
    for reader in IMPORTS:
        folder = tmp_path / reader.replace(" ", "")
        folder.mkdir()
        ran(reader, folder, READERS[reader][1], check=0)
        again = ran(reader, folder, READERS[reader][1] + b"\n", check=0)
        if not reader.endswith("-dimensions"):
            (note,) = again.stderr.splitlines()
            # (a file that has grown is read from its old end on)
            left = b"blank or left out" if "site" in reader else b"known already"
            assert b"nothing kept of " in note and left in note
    db = tmp_path / "users.db"
    event = b'{"event_name":"scroll","event_timestamp":"1709712000000000","user_pseudo_id":"u"}\n'
    done = run("import-active-users", "--db", db, stdin=event, check=0)
    assert b"nothing kept of 1 line: 1 blank or left out" in done.stderr
    done = run("import-active-users", "--quiet", "--db", db, stdin=event, check=0)
    assert done.stderr == b""


def test_read_sse_goes_by_fields(tmp_path):
    """Names that it does not know are left out, as the standard says, beside one it knows."""
    for body in (
        b"data: 1\nfoo: 2\n\n",
        b": ok\n\n",
        b"retry: 5\r\rid: 7\r\r",
        b"foo: 2\ndata: 1\n\n",
    ):
        done = ran("read-sse", tmp_path, body)
        assert done.returncode == 0, done.stderr
    assert ran("read-sse", tmp_path, b"foo: 2\nbar: 1\n").returncode == 66
