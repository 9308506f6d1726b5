"""Comments: parse, count and import against a slow reference, on crawls of every nastiness."""

import contextlib
import csv
import io
import itertools
import json
import os
import random
import re
import sqlite3

import pytest

from headcount.values import tsv
from helpers.programs import run
from reference import comments as reference

KILLS = int(os.environ.get("KILLS", "8"))
REPORTS = ("comments_by_day", "comments_by_post_type", "most_replied_comments")
NAMES = ["a", "b", "é", "\U0001f600", "x\ty", "n\nl", "q\"'\\", "1", "_", "Z", "nul\0"]
ODD = [
    *(None, "", "3", 3.0, "3e0", 1.5, -1, 10**13, True, [], {}, "x"),
    *({"data": None}, {"data": [None, 7, {}]}, {"data": 5}, {"h_id": ""}, {"h_id": 5}),
    *({"h_id": None}, "2018-02-30T00:00:00Z", "2018-01-01T24:00:00Z", "2018-01-01T23:59:60Z"),
]
DAMAGE = [
    lambda line: b"",
    lambda line: b"  ",
    lambda line: b"\r",
    lambda line: b"[]",
    lambda line: b"\xff",
    lambda line: line[:-1],
    lambda line: line + b"x",
    lambda line: b" " + line + b"\r",
    lambda line: line.replace(b'"h_id"', b'"h\\u005fid"'),
    lambda line: line.replace(b'"a"', b'"\\ud800"'),
    lambda line: line.replace(b":0", b":NaN"),
    lambda line: line.replace(b":7", b":07"),
]


def some_time(rng):
    day = f"20{rng.randrange(16, 19)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"
    text = f"{day}T{rng.randrange(24):02}:{rng.randrange(60):02}:{rng.randrange(60):02}"
    odd = ["Z", "+00:00", "+0530", "-08:00", ".5Z", "+14", "", ",75-0330"]
    return text + ("+0000" if rng.random() < 0.9 else rng.choice(odd))


def some_comment(rng, ids, depth, odd):
    comment = {
        "comment_count": 0,
        "created_time": some_time(rng),
        "h_id": rng.choice(ids),
        "up_likes": rng.choice([0, 0, 1, 7, 10**9]),
    }
    if rng.random() < 0.3:
        comment["parent"] = {"h_id": rng.choice(ids)}  # orphans, cycles, conflicts
    if depth and rng.random() < 0.6:
        replies = [some_comment(rng, ids, depth - 1, odd) for _ in range(rng.randrange(5))]
        if rng.random() < 0.7:
            for reply in replies:
                reply["parent"] = {"h_id": comment["h_id"]}
        comment["comments"] = {"data": replies}
    if rng.random() < odd:
        name = rng.choice([*comment, "parent", "comments", "new"])
        comment[name] = rng.choice(ODD)
    if rng.random() < odd:
        del comment[rng.choice(list(comment))]
    items = list(comment.items())
    if rng.random() < odd:
        rng.shuffle(items)
    return dict(items)


def some_line(rng, pages, posts, ids, odd):
    page = {"h_id": rng.choice(pages), "posts": {"data": []}}
    for _ in range(rng.randrange(4)):
        post = {"h_id": rng.choice(posts)}
        if rng.random() < 0.8:
            comments = [
                some_comment(rng, ids, rng.randrange(4), odd) for _ in range(rng.randrange(9))
            ]
            post["comments"] = {"data": comments}
        if rng.random() < odd:
            post[rng.choice(["h_id", "comments"])] = rng.choice([None, "", 5, [], {"data": "x"}])
        page["posts"]["data"].append(post)
    if rng.random() < odd:
        page[rng.choice(["h_id", "posts"])] = rng.choice([None, "", 5, [], {"data": [5, None]}])
    text = json.dumps(
        page, ensure_ascii=rng.random() < 0.5, separators=rng.choice([(",", ":"), None])
    )
    line = text.encode()
    if rng.random() < odd:
        line = rng.choice(DAMAGE)(line)
    return line


def some_crawls(seed):
    """Lines, and a type for some of the posts."""
    rng = random.Random(seed)
    odd = rng.choice([0, 0, 0.02, 0.2])
    ids = [f"c{i}" for i in range(rng.choice([3, 40, 400]))] + rng.sample(NAMES, 5)
    posts, pages = [f"p{i}" for i in range(12)], ["P", "Q"]
    lines = [some_line(rng, pages, posts, ids, odd) for _ in range(rng.choice([1, 5, 60]))]
    for line in rng.sample(lines, len(lines) // 3):  # the same again, with other up-likes
        other = b"%d" % rng.randrange(10)
        lines.append(re.sub(rb'(?<="up_likes":)( ?)[017](?=[,}])', rb"\g<1>" + other, line))
    types = {post: rng.choice("lpsv") for post in posts if rng.random() < 0.7}
    return rng, lines, types


def written(rng, tmp_path, lines, types):
    """The lines in some files, in any order, some twice; and a table of posts."""
    lines = lines + rng.choices(lines, k=rng.randrange(3))
    rng.shuffle(lines)
    paths = [tmp_path / f"part-{i}.json" for i in range(rng.randrange(1, 4))]
    for i, path in enumerate(paths):
        path.write_bytes(b"\n".join(lines[i :: len(paths)]) + rng.choice([b"", b"\n"]))
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    columns = ["post_h_id", "page_h_id", "type", "created_time", "name_h_id"]
    rng.shuffle(columns)
    writer.writerow(columns)
    for post, kind in [*types.items(), *types.items(), ("other", "v")]:
        row = {"post_h_id": post, "type": kind, "created_time": "2018-01-09 16:00:00"}
        writer.writerow([row.get(column, "") for column in columns])
    posts = tmp_path / "posts.csv"
    posts.write_text(table.getvalue())
    return paths, posts


TIME = "2018-01-01T00:00:00+0000"


def line_of(*comments):
    """A page with a post with these comments."""
    posts = [{"h_id": "p", "comments": {"data": list(comments)}}]
    return json.dumps({"h_id": "P", "posts": {"data": posts}}).encode() + b"\n"


def fields(output):
    return [tuple(map(tsv.unescape, line.split("\t"))) for line in output.decode().split("\n")[:-1]]


@pytest.mark.sample(10)
@pytest.mark.parametrize("seed", range(60))
def test_parsed_as_the_reference_does(seed):
    _, lines, _ = some_crawls(seed)
    expected = reference.Crawls(lines)
    done = run("parse-comments", stdin=b"\n".join(lines))
    rows = fields(done.stdout)
    assert {row[1] for row in rows if row[0] == "page"} == expected.pages
    assert {row[2] for row in rows if row[0] == "post"} == set(expected.posts)
    merged = {}
    for _, _, post_id, ident, parent_id, _, at, likes in (
        row for row in rows if row[0] == "comment"
    ):
        merged.setdefault(ident, []).append((post_id, parent_id, at, likes))
    found = {
        ident: (
            min(row[0] for row in copies),
            min((row[1] for row in copies if row[1] is not None), default=None),
            min(row[2] for row in copies),
            max((int(row[3]) for row in copies if row[3] is not None), default=None),
        )
        for ident, copies in merged.items()
    }
    assert found == expected.comments
    assert len(rows) == expected.records - expected.rejects
    assert done.returncode == (65 if expected.rejects else 0)


@pytest.mark.sample(4)
@pytest.mark.parametrize("seed", range(30))
def test_counted_as_the_reference_does(seed, tmp_path):
    rng, lines, types = some_crawls(seed)
    expected = reference.Crawls(lines)
    paths, posts = written(rng, tmp_path, lines, types)
    tz = rng.choice(["UTC", "America/St_Johns", "Asia/Kolkata", "Pacific/Kiritimati"])
    after = rng.choice(["0001-01-01", "2017-06-01", "2018-01-11"])
    options = ["--jobs", rng.choice([1, 2, 3]), "--tz", tz, "--after", after]
    done = run("count-comments", *options, "--posts", posts, "--info", *paths)
    assert fields(done.stdout) == reference.reports(expected.comments, types, after, tz)
    assert done.returncode == (65 if expected.rejects else 0), done.stderr


def test_ids_of_the_same_bytes_in_memory_are_two():
    """Half of the hashes of "ab" and of a character of two bytes, U+6261, is the same."""
    ids = ["ab", "\u6261"] * 3
    comments = [{"h_id": ident, "created_time": TIME, "up_likes": 2} for ident in ids]
    reply = {"h_id": "r", "created_time": TIME, "up_likes": 1, "parent": {"h_id": "\u6261"}}
    done = run("count-comments", stdin=line_of(*comments, reply))
    assert fields(done.stdout) == [
        ("comments_by_day", "2018-01-01", "2", "1"),
        ("comments_by_post_type", "(unknown)", "3", "5"),
        ("most_replied_comments", "1", "\u6261", "1"),
    ]


def test_a_parent_that_only_half_resembles_a_comment_is_unknown():
    comment = {"h_id": "ab", "created_time": TIME, "up_likes": 0}
    reply = {"h_id": "r", "created_time": TIME, "up_likes": 0, "parent": {"h_id": "\u6261"}}
    done = run("count-comments", stdin=line_of(comment, reply))
    assert b"most_replied_comments" not in done.stdout


def imported(db, *arguments, **options):
    return run("import-comments", "--db", db, "--max-rejects", "100%", *arguments, **options)


def content(db):
    """The tables, as texts; not the numbers of rows, which say when they came."""
    tables = {
        "page": "page_id",
        "post": "post_id, page_id",
        "post_meta": "post_id, page_id, type, created_at, name_id",
        "comment": "comment_id, post_id, parent_id, created_at, up_likes, message",
        "waiting_text": "comment_id, message",
    }
    with contextlib.closing(sqlite3.connect(db)) as connection:
        return {
            name: connection.execute(f"SELECT {columns} FROM {name} ORDER BY 1").fetchall()
            for name, columns in tables.items()
        }


def shown(db, report, **params):
    options = [f"--param={name}={value}" for name, value in params.items()]
    done = run("show-report", report, "--db", db, "--format", "tsv", *options, check=0)
    return fields(done.stdout)[1:]


@pytest.mark.sample(12)
@pytest.mark.parametrize("seed", range(20))
def test_imported_as_the_reference_does(seed, tmp_path):
    """In any order of files and runs, in pieces, and once more."""
    rng, lines, types = some_crawls(seed)
    expected = reference.Crawls(lines)
    paths, posts = written(rng, tmp_path, lines, types)
    db = tmp_path / "my.db"
    runs = [["--posts", posts], *(["--info", path] for path in paths)]
    rng.shuffle(runs)
    if rng.random() < 0.5:  # in one run
        runs = [list(itertools.chain(*runs))]
    for arguments in [*runs, rng.choice(runs)]:
        done = imported(db, "--jobs", rng.choice([1, 2, 3]), *arguments)
        assert done.returncode in (0, 65), done.stderr
    found = content(db)
    assert {row[0] for row in found["page"]} == expected.pages
    assert dict(found["post"]) == expected.posts
    assert {row[0]: row[1:5] for row in found["comment"]} == expected.comments
    assert {row[0]: row[2] for row in found["post_meta"]} == types | {"other": "v"}
    tz, after = rng.choice(["UTC", "America/St_Johns"]), rng.choice(["", "2017-06-01"])
    answers = [(REPORTS[0], *row) for row in shown(db, REPORTS[0], tz=tz)]
    answers += [(REPORTS[1], *row) for row in shown(db, REPORTS[1], after=after)]
    answers += [(REPORTS[2], *row) for row in shown(db, REPORTS[2])]
    assert answers == reference.reports(expected.comments, types, after, tz)
    threads = {
        row[0]: (int(row[1]), int(row[2])) for row in shown(db, "comment_threads", last=9999)
    }
    assert threads == reference.threads(expected.comments)
    with contextlib.closing(sqlite3.connect(db)) as connection:
        accounts = connection.execute(
            "SELECT sum(lines), sum(rejected) FROM run WHERE id IN "
            "(SELECT run_id FROM run_input WHERE path LIKE '%.json' AND status = 'read')"
        ).fetchone()
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        unbalanced = "SELECT * FROM run WHERE lines <> kept + filtered + duplicate + rejected"
        assert not connection.execute(unbalanced).fetchall()
    if expected.rejects and len(runs) > 1:
        assert accounts[1] >= expected.rejects


def texts_csv(texts):
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(["message", "h_id"])
    writer.writerows((text, ident) for ident, text in texts)
    return table.getvalue().encode()


@pytest.mark.sample(4)
@pytest.mark.parametrize("seed", range(12))
def test_texts_join_whenever_they_come(seed, tmp_path):
    rng, lines, _ = some_crawls(seed)
    comments = reference.Crawls(lines).comments
    words = ["Hello,\nyou", 'she said "no"', "naïve", "nul\0nul", "", "\r\n", "日本語 text", "a"]
    ids = [*comments, "nobody", "nobody else"]
    texts = [(rng.choice(ids), rng.choice(words)) for _ in range(rng.randrange(60))]
    expected = {}
    for ident, text in texts:
        expected[ident] = max(expected.get(ident, text), text)
    paths, _ = written(rng, tmp_path, lines, {})
    pieces = [texts[i::3] for i in range(3)]
    steps = [("--info", path) for path in paths]
    for i, piece in enumerate(pieces):
        path = tmp_path / f"text-{i}.csv"
        path.write_bytes(texts_csv(piece))
        steps.append(("--text", path))
    rng.shuffle(steps)
    db = tmp_path / "my.db"
    if rng.random() < 0.3:
        steps = [list(itertools.chain(*steps))]
    for step in steps:
        assert imported(db, *step).returncode in (0, 65)
    found = content(db)
    messages = {row[0]: row[5] for row in found["comment"] if row[5] is not None}
    assert messages == {ident: text for ident, text in expected.items() if ident in comments}
    waiting = {ident: text for ident, text in expected.items() if ident not in comments}
    assert dict(found["waiting_text"]) == waiting
    for word in ("naïve", "日本語", "hello", "nothing"):
        with_word = {ident for ident, text in messages.items() if word in text.lower()}
        rows = shown(db, "comments_with_words", words=word, last=9999)
        assert {row[0] for row in rows} == with_word, word
    with contextlib.closing(sqlite3.connect(db)) as connection:
        check = "INSERT INTO comment_search (comment_search, rank) VALUES ('integrity-check', 1)"
        connection.execute(check)


def test_messages_that_change_change_the_search(tmp_path):
    db = tmp_path / "my.db"
    imported(db, "--info", "-", stdin=line_of({"h_id": "c", "created_time": TIME}), check=0)
    imported(db, "--text", "-", stdin=texts_csv([("c", "apple")]), check=0)
    assert [row[0] for row in shown(db, "comments_with_words", words="apple")] == ["c"]
    done = imported(
        db, "--text", "-", stdin=texts_csv([("c", "apple pie"), ("c", "apple")]), check=0
    )
    assert done.stdout == b""
    assert shown(db, "comments_with_words", words='"apple pie"')[0][-1] == "apple pie"
    imported(db, "--text", "-", stdin=texts_csv([("c", "zebra")]), check=0)
    assert shown(db, "comments_with_words", words="apple") == []
    assert shown(db, "comments_with_words") == []
    done = run("show-report", "comments_with_words", "--db", db, "--param", 'words="open')
    assert done.returncode == 1 and done.stderr.count(b"\n") == 1


def test_wrong_zones_and_days_are_said(tmp_path):
    db = tmp_path / "my.db"
    imported(db, "--info", "-", stdin=line_of({"h_id": "c", "created_time": TIME}), check=0)
    day = ["comments_by_day", "--db", db]
    done = run("show-report", *day, "--param", "tz=America/Chicag", check=2)
    assert b"did you mean America/Chicago?" in done.stderr
    done = run("count-comments", "--info", "-", "--after", "soon", check=2)
    assert b"--after: expected a date as YYYY-MM-DD, got 'soon'" in done.stderr


@pytest.mark.parametrize("around", ["%s", '{"h_id":%s}', "[" * 2000 + "%s" + "]" * 2000])
def test_a_number_of_more_digits_than_python_takes(around):
    """It once ended the program with a segmentation fault."""
    line = around % ("9" * 5000)
    sound = b'{"h_id":"p"}\n'  # else nothing would be a crawl
    done = run("parse-comments", stdin=line.encode() + b"\n" + sound, check=65)
    assert done.stdout.count(b"\n") == 1 and len(done.stderr) < 300 and b":1: " in done.stderr
