"""replay-rejects: what a mended filter takes goes in, and the rest keeps its place."""

import base64
import json

import pytest

from helpers.events import event
from helpers.programs import run
from helpers.sessions import query


def letters(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def places(path):
    return {(entry["file"], entry["line"]) for entry in letters(path)}


def made(kind, *options):
    return run("make-data", kind, *options, check=0).stdout.splitlines(keepends=True)


HEADER = "recorded_date,first_dimension_id,id,event_metrics,created_date,second_dimension_id"

# A pipeline's options, good lines of its, and the option that says what they are.
BAD = [b'{"type":"message"}\n', b"no JSON\n", b"\xff\n"]
PIPELINES = {
    "import-active-users": (["--validate"], lambda: [event(user="ann"), event(user="ben")], []),
    "import-site-activity": ([], lambda: made("chat", "--lines", 50), []),
    "import-recent-changes": ([], lambda: made("recent-changes", "--events", 50), []),
    "import-comments": ([], lambda: made("comments", "--comments", 50), ["--info"]),
    "import-event-metrics": (
        ["--delimiter", "\\t", "--header", HEADER],
        lambda: made("event-metrics", "--count", "50")[1:],
        [],
    ),
}


@pytest.mark.sample(2)
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_lines_that_stay_wrong_keep_their_places(pipeline, tmp_path):
    options, good, kind = PIPELINES[pipeline]
    lines = good()
    source, bad, left, db = (tmp_path / name for name in ("source", "bad", "left", "my.db"))
    source.write_bytes(b"".join([BAD[0], *lines[:1], BAD[1], *lines[1:], BAD[2]]))
    more = [] if pipeline == "import-recent-changes" else ["--max-rejects", "90%"]
    run(pipeline, "--db", db, *options, *more, "--rejects", bad, *kind, source, check=65)
    count = len(lines)
    expected = {(str(source), number) for number in (1, 3, count + 3)}
    assert places(bad) == expected
    command = [pipeline, "--quiet", "--db", db, *options, *kind, "-"]
    done = run("replay-rejects", "--rejects", left, bad, "--", *command, check=65)
    assert done.stderr.endswith(b"3 lines replayed, 3 of them rejected again\n")
    assert letters(left) == letters(bad)


def test_a_mended_filter_takes_what_it_rejected(tmp_path):
    """As if it had done so at once."""
    source, bad, left = (tmp_path / name for name in ("source", "bad", "left"))
    source.write_bytes(
        event(user=None, user_id="ann") + event(user="ben") + event(user=None) + event(user="cid")
    )
    db, whole = tmp_path / "my.db", tmp_path / "whole.db"
    rule = ["--user", "user_pseudo_id,user_id"]
    options = ["--quiet", "--max-rejects", "9"]
    run("import-active-users", *options, "--db", tmp_path / "x.db", "--rejects", bad, source)
    assert [entry["line"] for entry in letters(bad)] == [1, 3]
    run("import-active-users", *options, "--db", whole, *rule, source, check=65)
    good = b"".join(line for i, line in enumerate(source.open("rb")) if i in (1, 3))
    run("import-active-users", *options, "--db", db, *rule, check=0, stdin=good)
    command = ["import-active-users", "--quiet", "--db", db, *rule]
    done = run("replay-rejects", "--rejects", left, bad, "--", *command, check=65)
    assert done.stdout == b"2019-12-31\t2\t3\n"
    users = [{key for (key,) in query(path, "SELECT key FROM user")} for path in (db, whole)]
    assert users == [{"ann", "ben", "cid"}] * 2
    assert [(entry["line"], entry["reason"]) for entry in letters(left)] == [
        (3, "unidentified: no user_pseudo_id or user_id")
    ]


def test_each_line_once_as_it_was(tmp_path):
    """Several reasons, several runs, bytes that are no text, records of several lines."""
    bad = tmp_path / "bad"

    def entry(line, raw, **more):
        return {"prog": "read-table", "file": "a", "line": line, "reason": "x", **raw, **more}

    encoded = {"raw_base64": base64.b64encode(b"\xff\0").decode()}
    entries = [
        entry(1, {"raw": "one"}),
        entry(1, {"raw": "one"}, reason="y"),
        entry(2, encoded),
        entry(3, {"raw": 'a,"b\nc"'}),
        entry(3, {"raw": "one"}, file="b"),
        entry(1, {"raw": "one"}),
    ]
    bad.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    done = run("replay-rejects", bad, check=0)
    assert done.stdout == b'one\n\xff\0\na,"b\nc"\none\n'
    assert run("replay-rejects", "--file", "b", bad, check=0).stdout == b"one\n"


def test_records_of_several_lines_keep_their_places(tmp_path):
    table, bad, left = (tmp_path / name for name in ("table.csv", "bad", "left"))
    table.write_bytes(b'a,b\n1,"x\ny",3\n1,2\n"p\nq",2,3\n')
    done = run("read-table", "--rejects", bad, table, check=65)
    assert [entry["line"] for entry in letters(bad)] == [2, 5]
    command = ["--rejects", left, bad, "--", "read-table", "--header", "a,b"]
    done = run("replay-rejects", *command, check=65)
    assert done.stdout == b"" and letters(left) == letters(bad)


NONE = ["{", "[]", "7", '{"prog":"a"}', '{"raw":7}', '{"raw_base64":"?"}']


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_reject_is_told(text, tmp_path):
    bad = tmp_path / "bad"
    good = {"prog": "a", "file": "b", "line": 1, "reason": "c", "raw": "d"}
    bad.write_text(f"{text}\n{json.dumps(good)}\n")
    done = run("replay-rejects", bad, check=65)
    assert done.stdout == b"d\n" and b"bad:1: no rejected line" in done.stderr


def test_a_command_that_reads_something_else(tmp_path):
    source, bad, db = tmp_path / "source", tmp_path / "bad", tmp_path / "my.db"
    source.write_bytes(event(user="ann"))
    letter = {"prog": "parse-engagement", "file": "f", "line": 1, "reason": "r", "raw": "x"}
    bad.write_text(json.dumps(letter) + "\n")
    command = ["import-active-users", "--db", db, source]
    done = run("replay-rejects", bad, "--", *command, check=1)
    assert b"import-active-users did not read the lines" in done.stderr
    assert b"replayed" not in done.stderr
