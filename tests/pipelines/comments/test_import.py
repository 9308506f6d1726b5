"""The import of comments as a whole: real data, kills, hostile lines, memory, what it refuses."""

import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from headcount.db import staging
from headcount.pipelines.comments.tables import COMMENT, TABLES
from helpers.programs import BARE, BIN, REAL, run
from helpers.thorough import long
from pipelines.comments.test_count import TIME, content, fields, imported, line_of, shown

KILLS = int(os.environ.get("KILLS", "5"))
INFO, META = REAL / "comments" / "comment_info", REAL / "comments" / "post_meta"


@pytest.fixture
def real():
    if not INFO.exists():
        pytest.skip(f"no real data at {INFO}")
    pytest.importorskip("pyarrow", reason="no pyarrow: make .venv/parquet")


def assert_real_numbers(db):
    with sqlite3.connect(db) as connection:
        for query, number in {
            "SELECT count(*) FROM page": 6,
            "SELECT count(*) FROM post": 254,
            "SELECT count(*) FROM post_meta": 3531,
            "SELECT count(*) FROM comment WHERE parent_id IS NULL": 8745,
            "SELECT count(*) FROM comment WHERE parent_id IS NOT NULL": 2829,
        }.items():
            assert connection.execute(query).fetchone() == (number,), query
    days = [(int(row[1]), row[0]) for row in shown(db, "comments_by_day")]
    assert max(days) == (946, "2018-01-17")
    assert shown(db, "comments_by_post_type", after="2018-01-11") == [
        ("(unknown)", "343", "104"),
        ("l", "31", "9"),
        ("p", "639", "367"),
        ("s", "548", "1208"),
        ("v", "7099", "4776"),
    ]


@pytest.mark.sample(5)
@pytest.mark.parametrize("order", ["folders", "shuffled", "pieces", "one file", "reversed"])
def test_real_crawls_from_any_order_twice_and_in_pieces(real, order, tmp_path):
    db = tmp_path / "my.db"
    info, posts = sorted(INFO.iterdir()), sorted(META.iterdir())
    if order == "folders":
        runs = [["--info", INFO, "--posts", META]]
    elif order == "shuffled":
        random.Random(7).shuffle(info)
        runs = [["--posts", *posts[::-1], "--info", *info]]
    elif order == "pieces":
        runs = [["--info", *info[5:]], ["--posts", posts[2]], ["--info", *info[:5]]]
        runs += [["--posts", *posts]]
    elif order == "one file":
        whole = tmp_path / "all.json"
        whole.write_bytes(b"".join(path.read_bytes() for path in info))
        runs = [["--info", whole, "--posts", *posts]]
    else:
        lines = b"".join(path.read_bytes() for path in info).splitlines(keepends=True)[::-1]
        part = tmp_path / "part.json"
        part.write_bytes(b"".join(lines))
        runs = [["--info", part], ["--posts", *posts]]
    for arguments in runs:
        imported(db, *arguments, check=0)
    assert_real_numbers(db)
    before = content(db)
    copies = tmp_path / "again"
    shutil.copytree(INFO, copies)
    again = imported(db, "--info", copies, "--posts", "-", stdin=posts[0].read_bytes(), check=0)
    assert again.stdout == b"" and content(db) == before


def test_real_crawls_counted_straight_from_files(real, tmp_path):
    done = run("count-comments", "--info", INFO, "--posts", META, "--after", "2018-01-11", check=0)
    rows = fields(done.stdout)
    assert ("comments_by_day", "2018-01-17", "946") in {row[:3] for row in rows}
    assert ("comments_by_post_type", "v", "7099", "4776") in rows
    db = tmp_path / "my.db"
    imported(db, "--info", INFO, "--posts", META, check=0)
    for name in ("comments_by_day", "most_replied_comments"):
        assert [row[1:] for row in rows if row[0] == name] == shown(db, name)


@pytest.fixture
def made(tmp_path):
    folder = tmp_path / "made"
    (folder / "info").mkdir(parents=True)
    tables = ["--posts", folder / "posts.csv", "--text", folder / "text.csv"]
    lines = run("make-data", "comments", "--comments", 20_000, *tables, check=0).stdout
    lines = lines.splitlines(keepends=True)
    for i in range(8):
        (folder / "info" / f"part-{i}.json").write_bytes(b"".join(lines[i::8]))
    (folder / "info" / "_SUCCESS").touch()
    (folder / "info" / ".part-0.json.crc").write_bytes(b"crc")
    kinds = ["--info", folder / "info", "--posts", folder / "posts.csv"]
    return [*kinds, "--text", folder / "text.csv"]


def kill(process, db, rng):
    """All of an import, or only one of its processes."""
    found = subprocess.run(["pgrep", "-f", f"[-]-db {db} "], capture_output=True, text=True)
    victims = [process.pid, *map(int, found.stdout.split())]
    for pid in victims if rng.random() < 0.7 else [rng.choice(victims)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_killed_at_any_moment_and_run_again_is_the_same(made, tmp_path):
    whole, db = tmp_path / "whole.db", tmp_path / "my.db"
    begin = time.monotonic()
    imported(whole, *made, check=0)
    seconds = time.monotonic() - begin
    rng = random.Random(11)
    command = list(map(str, [BIN / "import-comments", "--db", db, *made]))
    killed = 0
    while killed < KILLS:
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=BARE
        )
        time.sleep(rng.random() * seconds)
        if process.poll() is None:
            kill(process, db, rng)
            killed += process.wait() != 0
        if db.exists():
            with contextlib.closing(sqlite3.connect(db)) as connection:
                tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'comment'"
                if connection.execute(tables).fetchone()[0]:
                    counted = connection.execute("SELECT count(*) FROM comment").fetchone()[0]
                    assert counted in (0, 20_000), "all or nothing"
                    if counted:  # it was done before it was killed: once more from the start
                        for end in ("", "-wal", "-shm"):
                            Path(f"{db}{end}").unlink(missing_ok=True)
    time.sleep(0.5)  # what is left of the last one ends
    done = imported(db, *made)
    assert done.returncode == 0, done.stderr
    assert content(db) == content(whole)
    with contextlib.closing(sqlite3.connect(db)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        statuses = {row[0] for row in connection.execute("SELECT status FROM run")}
        assert statuses <= {"done", "failed", "aborted"}
    assert not list(tmp_path.glob("my.db.*stage*"))


def test_many_runs_of_rows_are_one_in_the_end(tmp_path, monkeypatch):
    """More than are merged at once, over several levels, in any order."""
    monkeypatch.setattr(staging, "_RUNS", 3)
    rng = random.Random(3)
    rows_of_one = staging.Stage(str(tmp_path), TABLES, most_rows=4)
    expected = {}
    for _ in range(197):
        rows = [
            (f"c{rng.randrange(60)}", "p", rng.choice([None, "a", "b"]), TIME, rng.randrange(9))
            for _ in range(5)
        ]
        rows_of_one.add(COMMENT, rows)
        for row in rows:
            expected[row[0]] = COMMENT.merged(expected.get(row[0], row), row)
    rows_of_one.flush()
    with (
        sqlite3.connect(tmp_path / "my.db", isolation_level=None) as db,
        staging.attached(db, str(tmp_path), TABLES) as runs,
    ):
        assert 1 <= len(runs[COMMENT]) <= 3
        ids = [row[0] for row in db.execute(staging.in_order(db, COMMENT, runs[COMMENT]))]
        assert ids == sorted(ids) and set(ids) == set(expected) and len(ids) > len(expected)
        rows = db.execute(staging.distinct(db, COMMENT, runs[COMMENT])).fetchall()
        assert {row[0]: row for row in rows} == expected and len(rows) == len(expected)


def deep_line(levels):
    start = b"".join(
        b'{"h_id":"c%d","created_time":"2018-01-01T00:00:00Z","comments":{"data":[' % i
        for i in range(levels)
    )
    return b'{"h_id":"P","posts":{"data":[{"h_id":"p","comments":{"data":[%b%b]}}]}}\n' % (
        start,
        b"]}}" * levels,
    )


@pytest.mark.parametrize("levels", [1, 300, 1000, 10_000])
def test_ten_thousand_levels(levels, tmp_path):
    line = deep_line(levels)
    rows = fields(run("parse-comments", stdin=line + line_of({"h_id": "x"}), check=65).stdout)
    comments = [row for row in rows if row[0] == "comment"]
    assert len(comments) == levels
    assert comments[-1][3:6] == (
        f"c{levels - 1}",
        f"c{levels - 2}" if levels > 1 else None,
        str(levels),
    )
    db = tmp_path / "my.db"
    imported(db, "--info", "-", stdin=line, check=0)
    assert shown(db, "comment_threads") == [("c0", str(levels - 1), str(levels))]
    counted = run("count-comments", "--info", "-", stdin=line, check=0).stdout
    assert fields(counted)[0] == ("comments_by_day", "2018-01-01", "1", str(levels - 1))


HUGE = [b"1e99999999999999999999", b"-1e-99999999999999999999", b"9" * 5000, b"1e400"]


@pytest.mark.parametrize("number", HUGE, ids=range(len(HUGE)))
def test_numbers_beyond_all_bounds(number, tmp_path):
    """Of a field that nobody reads they cost nothing; of one that is read, what it belongs to."""
    comment = {"h_id": "c", "created_time": "2018-01-06T00:00:00Z", "up_likes": 1}
    post = {"h_id": "p", "comments": {"data": [comment]}}
    page = {"h_id": "P", "posts": {"data": [post]}}
    good = json.dumps(page, separators=(",", ":")).encode() + b"\n"
    unread = good.replace(b'{"h_id":', b'{"x":%b,"h_id":' % number, 1)
    assert unread != good
    deep = good.replace(b'{"h_id":', b'{"x":%b%b%b,"h_id":' % (b"[" * 2000, number, b"]" * 2000), 1)
    for program in (["parse-comments"], ["count-comments", "--info", "-"]):
        expected = run(*program, stdin=good, check=0).stdout
        assert run(*program, stdin=unread, check=0).stdout == expected
        done = run(*program, stdin=good + deep)  # which may be a reject: no neighbour is lost
        assert done.returncode in (0, 65)
        if program == ["parse-comments"]:
            assert done.stdout.startswith(expected)
        else:
            assert b"comments_by_day\t2018-01-06\t" in done.stdout
    if number.startswith(b"-"):
        return  # as floats have it: nothing
    read = good.replace(b'"up_likes":1', b'"up_likes":%b' % number)
    assert read != good
    done = run("parse-comments", stdin=read, check=65)
    assert b"bad up_likes" in done.stderr and done.stdout.count(b"\n") == 2  # page and post
    imported(tmp_path / "my.db", "--info", "-", stdin=unread, check=0)


@pytest.mark.parametrize("bad", [b'"\\ud800"', b"NaN", b"01", b'"\xff"', b"[1,]"])
def test_deep_lines_are_as_strict(bad):
    line = deep_line(2000)[:-2] + b',"x":' + bad + b"}\n"
    done = run("parse-comments", stdin=line, check=65)
    assert done.stdout == b"" and done.stderr.count(b"\n") == 1


@long
def test_a_line_of_a_hundred_megabytes(tmp_path):
    path = tmp_path / "crawl.json"
    with open(path, "wb") as file:
        file.write(b'{"h_id":"P","posts":{"data":[{"h_id":"p","comments":{"data":[')
        for i in range(1_100_000):
            file.write(b"," if i else b"")
            file.write(
                b'{"h_id":"MTU5MzgwNTM5NDA0MjQ1N18x%07d","created_time":'
                b'"2018-01-06T11:58:01+0000","up_likes":%d}' % (i, i % 10)
            )
        file.write(b"]}}]}}\n")
    assert path.stat().st_size > 100_000_000
    done = run("count-comments", "--info", path, check=0)
    assert fields(done.stdout)[0] == ("comments_by_day", "2018-01-06", "1100000", "0")


def test_orphans_and_cycles_are_no_threads(tmp_path):
    def comment(ident, parent=None):
        found = {"h_id": ident, "created_time": TIME}
        return found | ({"parent": {"h_id": parent}} if parent else {})

    pairs = [("top",), ("r", "top"), ("a", "b"), ("b", "a"), ("self", "self"), ("o", "gone")]
    db = tmp_path / "my.db"
    imported(db, "--info", "-", stdin=line_of(*(comment(*pair) for pair in pairs)), check=0)
    assert shown(db, "comment_threads") == [("top", "1", "2")]
    assert shown(db, "comments_by_day") == [("2018-01-01", "1", "5")]
    assert {row[1] for row in shown(db, "most_replied_comments")} == {"top", "a", "b", "self"}


@long
def test_memory_of_an_import_is_flat(tmp_path):
    """Far below what its rows would take; it is the same for twice as many."""
    tables = ["--posts", tmp_path / "p.csv", "--text", tmp_path / "t.csv"]
    with open(tmp_path / "info", "wb") as file:
        run("make-data", "comments", "--comments", 600_000, *tables, stdout=file, check=0,
            capture_output=False)  # fmt: skip
    code = (
        "import resource, subprocess, sys; "
        "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    kinds = ["--info", tmp_path / "info", *tables]
    command = [BIN / "import-comments", "--db", tmp_path / "my.db", *kinds]
    peak = int(subprocess.check_output(["python3", "-c", code, *map(str, command)]))
    assert peak < 260_000, "KB"


def test_a_full_disk_leaves_nothing(made, tiny_disk, tmp_path):
    folder, resize = tiny_disk
    resize("5m")
    db = folder / "my.db"
    done = imported(db, *made)
    assert done.returncode == 74 and done.stdout == b""
    assert b"nothing was imported" in done.stderr
    assert {path.name for path in folder.iterdir()} <= {
        "my.db", "my.db-wal", "my.db-shm", "my.db.import-comments.lock"
    }  # fmt: skip
    resize("200m")
    imported(db, *made, check=0)
    imported(tmp_path / "whole.db", *made, check=0)
    assert content(db) == content(tmp_path / "whole.db")


def test_names_that_are_no_data_are_passed_over(made, tmp_path):
    """As in `--info folder/*`, which finds the marks beside the parts."""
    folder = Path(made[1])
    parts, marks = sorted(folder.glob("part-*")), [folder / "_SUCCESS", folder / ".part-0.json.crc"]
    (folder / "_temporary").mkdir()
    (folder / "_temporary" / "part-9.json").write_text("not JSON")
    imported(tmp_path / "my.db", "--info", *marks, *parts, check=0)
    imported(tmp_path / "whole.db", "--info", folder, check=0)
    assert content(tmp_path / "my.db") == content(tmp_path / "whole.db")


def test_too_many_rejects_import_nothing(tmp_path):
    db = tmp_path / "my.db"
    lines = line_of({"h_id": "a", "created_time": TIME}) + line_of({"h_id": "b"})
    done = run("import-comments", "--db", db, "--info", "-", stdin=lines)
    assert done.returncode == 1 and b"--max-rejects" in done.stderr
    assert content(db)["comment"] == []
    imported(db, "--info", "-", stdin=lines, check=65)
    assert len(content(db)["comment"]) == 1


def test_rejects_can_be_mended_and_replayed(tmp_path):
    db, kept = tmp_path / "my.db", tmp_path / "rejects"
    bad = {"h_id": "b", "created_time": "soon", "up_likes": 3}
    nested = {"h_id": "a", "created_time": TIME, "comments": {"data": [bad]}}
    imported(db, "--rejects", kept, "--info", "-", stdin=line_of(nested), check=65)
    reject = json.loads(kept.read_text())
    assert reject["prog"] == "parse-comments" and reject["line"] == 1
    mended = reject["raw"].replace("soon", TIME).encode()
    imported(db, "--info", "-", stdin=mended, check=0)
    assert [row[:5] for row in content(db)["comment"]] == [
        ("a", "p", None, "2018-01-01T00:00:00Z", None),
        ("b", "p", "a", "2018-01-01T00:00:00Z", 3),
    ]


def test_a_file_is_known_by_what_it_was_read_as(tmp_path):
    db, path = tmp_path / "my.db", tmp_path / "table.csv"
    path.write_text("h_id,message,post_h_id,page_h_id,type,created_time,name_h_id\nc,hi,p,P,v,,\n")
    assert b"post_meta\t0\t1" in imported(db, "--posts", path, check=0).stdout
    assert b"waiting_text\t0\t1" in imported(db, "--text", path, check=0).stdout
    assert b"skipped" in imported(db, "--text", path, check=0).stderr


def test_columns_that_lack_are_named(tmp_path):
    path = tmp_path / "posts.csv"
    path.write_text("id,type\np,v\n")
    done = imported(tmp_path / "my.db", "--posts", path)
    assert done.returncode == 66
    assert f"{path}: expected a table with the columns post_h_id, ".encode() in done.stderr
    assert b", got no column post_h_id in id, type;" in done.stderr
    path.write_text("post_h_id,page_h_id,type,created_time,name_h_id\n,P,v,,\np,P,v,yesterday,\n")
    done = imported(tmp_path / "my.db", "--posts", path, check=65)
    assert b"posts.csv:2: post_h_id is missing" in done.stderr
    assert b"posts.csv:3: bad created_time: post p" in done.stderr


def test_a_failure_at_the_end_of_a_process_is_one_of_all(tmp_path):
    code = (
        "from headcount.io import workers\n"
        "from headcount.errors import Failure\n"
        "def end(): raise Failure('at the end', 74)\n"
        "try: print(sum(workers.in_order(range(9), lambda i: [i], 3, end)))\n"
        "except Failure as failure: print(failure, failure.status)\n"
    )
    done = subprocess.run([BIN.parent / "lib/python", "-c", code], capture_output=True, text=True)
    assert done.stdout == "at the end 74\n", done.stderr
