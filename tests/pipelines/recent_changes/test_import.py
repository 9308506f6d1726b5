"""Recent changes in the database: from every kind of input, however it is cut and repeated."""

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import time
from collections import Counter, defaultdict

import pytest

from helpers.change_server import Stream
from helpers.programs import BARE, BIN, REAL, run
from helpers.sessions import members, query, session, sound, stages, wait_until
from helpers.sse_server import Answer, serving
from helpers.thorough import long

CHANGES = "SELECT id, timestamp, wiki, type, bot, user, event FROM recent_change_raw ORDER BY id"
GAPS = "SELECT topic, partition, first_offset, last_offset FROM stream_gap ORDER BY 1, 2, 3"
LINES = "SELECT lines, kept, filtered, duplicate, rejected FROM run ORDER BY id"
GONE = Answer(status=204)  # the server wants no more of us

# How much of it: CI does a part; CHANGES=100000 CUTS=200 KILLS=50 is what has to hold.
MANY = int(os.environ.get("CHANGES", "20000"))
CUTS = int(os.environ.get("CUTS", "20"))
KILLS = int(os.environ.get("KILLS", "8"))


class Made:
    """Events of make-data, in both forms, and the truth about them."""

    def __init__(self, folder, *options):
        options = ["recent-changes", *options, "--truth", folder / "truth"]
        self.lines = run("make-data", *options, check=0).stdout
        self.body = run("make-data", *options, "--sse", check=0).stdout
        truth = json.loads((folder / "truth").read_text())
        self.totals = truth["totals"]
        self.holes = sorted(map(tuple, truth["holes"]))
        self.windows = sorted(map(tuple, truth["windows"]))


@pytest.fixture(scope="module")
def nasty(tmp_path_factory):
    options = ["--events", 6000, "--holes", 9, "--broken", 0.01, "--hostile", 0.01]
    return Made(tmp_path_factory.mktemp("nasty"), *options, "--canaries", 0.01)


@pytest.fixture(scope="module")
def sane(tmp_path_factory):
    return Made(tmp_path_factory.mktemp("sane"), "--events", MANY, "--duplicates", 0)


@pytest.fixture
def db(tmp_path):
    return tmp_path / "my.db"


def bring(db, *options, check=0, **more):
    return run("import-recent-changes", "--db", db, *options, check=check, **more)


def state(db):
    return query(db, CHANGES), query(db, GAPS), query(db, "SELECT * FROM stream_extent")


def windows(db):
    return query(
        db,
        "SELECT strftime('%Y-%m-%dT%H:%M:%SZ', timestamp / 900 * 900, 'unixepoch'), wiki, type, "
        "bot, count(*) FROM recent_change_raw GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
    )


def has_tables(db):
    return db.exists() and query(db, "SELECT 1 FROM sqlite_schema WHERE name = 'stream_gap'")


def is_true(db, made):
    """Whether the database holds what was made, each once, and misses what was left out."""
    assert windows(db) == made.windows
    assert query(db, GAPS) == made.holes
    return sound(db) and stages(db) == []


def test_every_kind_of_input_gives_the_same_tables_and_the_truth(nasty, tmp_path):
    lines, body = tmp_path / "lines", tmp_path / "body"
    lines.write_bytes(nasty.lines)
    body.write_bytes(nasty.body)
    read = run("read-sse", body, check=0).stdout
    dbs = [tmp_path / f"{i}.db" for i in range(5)]
    bring(dbs[0], lines, check=65)
    bring(dbs[1], body, check=65)
    bring(dbs[2], check=65, stdin=read)
    bring(dbs[3], "--batch", 7, check=65, stdin=nasty.body)
    with serving(Stream(nasty.body).answer(), GONE) as (url, _):
        bring(dbs[4], "--url", url, check=65)
    assert all(state(db) == state(dbs[0]) for db in dbs[1:])
    for db in dbs:
        assert is_true(db, nasty)
    totals = nasty.totals
    for db in dbs[0], dbs[4]:
        ((in_, kept, filtered, duplicate, rejected),) = query(db, LINES)
        assert (in_, kept, filtered, duplicate, rejected) == (
            totals["events"],
            totals["changes"],
            totals["canaries"],
            totals["duplicates"],
            totals["rejects"],
        )
        left_out = dict(query(db, "SELECT reason, lines FROM run_filter"))
        assert left_out["canary"] == totals["canaries"]
        assert query(db, "SELECT sum(rejects) FROM run_reject") == [(totals["rejects"],)]


def test_the_real_events(tmp_path):
    path = REAL / "recent_changes" / "example.events"
    if not path.exists():
        pytest.skip(f"no real data at {path}")
    body = path.read_bytes() + b"\n\n"  # the capture breaks off within its third event
    events = [json.loads(line[6:]) for line in body.splitlines() if line.startswith(b"data: ")]
    dbs = [tmp_path / f"{i}.db" for i in range(3)]
    (tmp_path / "lines").write_text("\n".join(json.dumps(event) for event in events))
    bring(dbs[0], stdin=body)
    bring(dbs[1], tmp_path / "lines")
    with serving(Stream(body).answer(), GONE) as (url, _):
        bring(dbs[2], "--url", url)
    for db in dbs:
        rows = query(db, "SELECT * FROM v_recent_change ORDER BY pk")
        assert [(row[1], row[2], row[6], row[7], row[8], row[9]) for row in rows] == [
            (e["meta"]["id"], e["bot"], e["title"], e["type"], e["user"], e["wiki"]) for e in events
        ]
        assert {row[5] for row in rows} == {"2022-12-11T04:27:02Z"}
        assert (rows[1][3], rows[1][4]) == ("en.wiktionary.org", "https://en.wiktionary.org")
        assert query(db, GAPS) == []
        kept = [json.loads(row[0]) for row in query(db, "SELECT event FROM recent_change_raw")]
        assert kept == events
    assert bring(tmp_path / "3.db", path).stderr.count(b"breaks off") == 1
    assert len(query(tmp_path / "3.db", CHANGES)) == 2


def test_twice_and_in_any_pieces_changes_nothing(nasty, tmp_path, db):
    lines = nasty.lines.splitlines(keepends=True)
    rng = random.Random(3)
    pieces = [lines[at : at + 1500] for at in range(0, len(lines), 1000)]  # they overlap
    rng.shuffle(pieces)
    for i, piece in enumerate(pieces):
        (tmp_path / str(i)).write_bytes(b"".join(piece))
        bring(db, "--quiet", tmp_path / str(i), check=65)
    assert is_true(db, nasty)
    before = state(db)
    assert b"skipped" in bring(db, tmp_path / "0").stderr
    bring(db, check=65, stdin=nasty.body)
    assert state(db) == before


def test_the_same_id_again_is_a_duplicate_whatever_else_it_says(db):
    event = '{"meta":{"id":"a"},"wiki":"w","type":"t","bot":false,"timestamp":%d}\n'
    bring(db, stdin=b"".join((event % second).encode() for second in (5, 6, 5)))
    bring(db, stdin=(event % 7).encode())
    assert query(db, "SELECT timestamp FROM recent_change_raw") == [(5,)]
    assert query(db, LINES) == [(3, 1, 0, 2, 0), (1, 0, 0, 1, 0)]


def test_a_copy_in_another_batch_is_known(db):
    event = '{"meta":{"id":"%s"},"wiki":"w","type":"t","bot":false,"timestamp":5}\n'
    bring(db, "--batch", 1, stdin="".join(event % name for name in "abacab").encode())
    assert query(db, LINES) == [(6, 3, 0, 3, 0)]


def test_ids_are_known_whether_indexed_or_not(sane, tmp_path, db):
    path = tmp_path / "lines"
    path.write_bytes(sane.lines)
    code = (
        "import sys; from headcount.pipelines.recent_changes import store; store.MOST = 700; "
        "sys.argv = sys.argv[1:]; "
        "from headcount.pipelines.recent_changes import command; command.main()"
    )
    bring(db, stdin=b"")
    python = BIN.parent / ".venv/bin/python"
    for run_id in (2, 3):
        query_run(db, run_id)
        options = ["--run", run_id, "--db", db, "--batch", 500, "--account", tmp_path / "account"]
        command = [python, "-c", code, "import-recent-changes", *options, "--", path]
        subprocess.run(list(map(str, command)), check=True, env=BARE)
        assert is_true(db, sane)
    (indexed,) = query(db, "SELECT count(*) FROM recent_change_id")[0]
    assert 0 < len(sane.lines.splitlines()) - indexed < 1300


def query_run(db, run_id):
    with sqlite3.connect(db) as connection:
        connection.execute(
            "INSERT INTO run (id, pipeline, version, zone_rules, status, started_at) "
            "VALUES (?, 'import-recent-changes', '', '', 'running', '')",
            [run_id],
        )


def test_a_replay_fills_holes(nasty, sane, tmp_path, db):
    lines = sane.lines.splitlines(keepends=True)
    rng = random.Random(5)
    kept = [line for line in lines if rng.random() < 0.9]
    bring(db, stdin=lines[0] + b"".join(kept) + lines[-1])
    assert len(query(db, GAPS)) > 100
    near = query(db, "SELECT DISTINCT near FROM stream_gap")
    assert all(time.strptime(at, "%Y-%m-%dT%H:%M:%SZ") for (at,) in near)
    bring(db, stdin=b"".join(reversed(lines)))
    assert is_true(db, sane)


# ---- reports


def report(db, name, **params):
    given = [word for pair in params.items() for word in ("--param", "=".join(map(str, pair)))]
    text = run("show-report", name, "--db", db, "--format", "json", *given, check=0).stdout
    return [tuple(row.values()) for row in json.loads(text)]


def window(seconds, minutes):
    start = seconds // (60 * minutes) * 60 * minutes
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(start))


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """A day and a half in few events, and what they say, each once, without canaries."""
    folder = tmp_path_factory.mktemp("reported")
    made = Made(folder, "--events", 4000, "--rate", 0.03, "--users", 60, "--holes", 3)
    bring(folder / "my.db", stdin=made.lines)
    events = {e["meta"]["id"]: e for e in map(json.loads, made.lines.splitlines())}
    sound_ones = [e for e in events.values() if e["meta"]["domain"] != "canary"]
    return folder / "my.db", made, sound_ones


@pytest.mark.parametrize("minutes", [15, 1, 7, 1440])
def test_changes_by_window(reported, minutes):
    db, made, events = reported
    counted = Counter(
        (window(e["timestamp"], minutes), e["wiki"], e["type"], int(e["bot"])) for e in events
    )
    rows = sorted((*key, count) for key, count in counted.items())
    assert report(db, "changes_by_window", minutes=minutes) == rows
    if minutes == 15:
        assert report(db, "changes_by_window") == rows == made.windows
        begin, end = rows[len(rows) // 3][0], rows[len(rows) // 2][0]
        some = [row for row in rows if begin <= row[0] < end and row[1] == "enwiki"]
        assert report(db, "changes_by_window", since=begin, until=end, wiki="enwiki") == some != []


def test_since_is_included_and_until_is_not(reported):
    db, _, events = reported
    times = sorted(e["timestamp"] for e in events)
    begin, end = times[1000], times[3000]
    some = sum(begin <= at < end for at in times)
    since, until = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)) for at in (begin, end))
    span = {"since": since, "until": until}
    assert sum(row[-1] for row in report(db, "changes_by_window", **span)) == some
    assert sum(row[2] for row in report(db, "busiest_pages", last=9999, **span)) == some
    users = report(db, "top_users_by_window", minutes=1, **span)
    assert {row[0] for row in users} == {window(at, 1) for at in times if begin <= at < end}


@pytest.mark.parametrize("bots", ["yes", "no"])
def test_top_users_by_window(reported, bots):
    db, _, events = reported
    counted = defaultdict(Counter)
    for e in events:
        if bots == "yes" or not e["bot"]:
            counted[window(e["timestamp"], 180)][e["user"]] += 1
    assert max(map(len, counted.values())) > 10, "or nobody would be left out"
    rows = [
        (start, rank, user, count)
        for start in sorted(counted)
        for rank, (user, count) in enumerate(
            sorted(counted[start].items(), key=lambda pair: (-pair[1], pair[0]))[:10], 1
        )
    ]
    assert report(db, "top_users_by_window", minutes=180, bots=bots) == rows


def test_the_last_quarter_of_an_hour(reported):
    db, _, events = reported
    last = max(e["timestamp"] for e in events) - 3600
    some = [e for e in events if last - 900 < e["timestamp"] <= last]
    counted = Counter(e["wiki"] for e in some)
    rows = [
        (
            wiki,
            count,
            sum(e["bot"] for e in some if e["wiki"] == wiki),
            len({e["user"] for e in some if e["wiki"] == wiki}),
        )
        for wiki, count in sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))
    ]
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(last))
    assert report(db, "changes_last_15_minutes", now=now) == rows != []


def test_the_busiest_pages_and_the_holes(reported):
    db, made, events = reported
    counted = Counter((e["wiki"], e["title"]) for e in events)
    rows = sorted(((-n, *page) for page, n in counted.items()))[:20]
    found = report(db, "busiest_pages")
    assert [(-row[2], row[0], row[1]) for row in found] == rows
    gaps = report(db, "stream_gaps")
    assert [row[:4] for row in gaps] == made.holes and len(gaps) == 3
    assert all(row[4] == row[3] - row[2] + 1 for row in gaps)


# ---- options


def test_limit_ends_when_so_many_are_there_and_the_next_run_goes_on(sane, tmp_path, db):
    path = tmp_path / "lines"
    path.write_bytes(sane.lines)
    for limit, expected in ((250, 250), (250, 500), (1, 501)):
        bring(db, "--limit", limit, path)
        assert len(query(db, CHANGES)) == expected
    bring(db, path)
    assert is_true(db, sane)


def test_limit_of_a_stream_that_is_silent_behind_it(sane, db):
    with serving(Stream(sane.body).answer(500, hang=True)) as (url, _):
        began = time.monotonic()
        bring(db, "--url", url, "--limit", 321)
        assert time.monotonic() - began < 8
    assert len(query(db, CHANGES)) == 321


def test_a_fraction_is_the_same_events_every_time_and_holes_are_those_of_all(nasty, tmp_path):
    ids = []
    for name, fraction in (("a", 0.2), ("b", "0.20"), ("c", 0.5)):
        db = tmp_path / name
        bring(db, "--fraction", fraction, check=65, stdin=nasty.lines)
        ids.append({row[0] for row in query(db, CHANGES)})
        assert query(db, GAPS) == nasty.holes
    assert ids[0] == ids[1] < ids[2]
    assert 0.15 < len(ids[0]) / nasty.totals["changes"] < 0.25
    done = bring(tmp_path / "a", check=78, stdin=nasty.lines)
    assert b"--fraction 0.2" in done.stderr
    (left_out,) = query(tmp_path / "a", "SELECT lines FROM run_filter WHERE reason = 'not sampled'")
    seen = query(tmp_path / "a", "SELECT kept + duplicate FROM run WHERE id = 1")[0][0]
    assert left_out[0] + seen == nasty.totals["changes"] + nasty.totals["duplicates"]


def test_only_events_of_the_type_count(db):
    event = '{"meta":{"id":"%s"},"wiki":"w","type":"t","bot":false,"timestamp":5}'
    body = "".join(
        f"{kind}data: {event % name}\n\n"
        for kind, name in (("", "a"), ("event: message\n", "b"), ("event: other\n", "c"))
    )
    bring(db, stdin=body.encode())
    assert [row[0] for row in query(db, CHANGES)] == ["a", "b"]
    assert ("other event", 1) in query(db, "SELECT reason, lines FROM run_filter")
    bring(db, "--event", "other", stdin=body.encode(), check=78)


@pytest.mark.parametrize(
    "options, said",
    [
        (["--url", "ftp://a"], b"--url"),
        (["--url", "http://127.0.0.1:1/", "file"], b"--url"),
        (["--batch", "0"], b"--batch"),
        (["--batch", "many"], b"--batch"),
        (["--limit", "-1"], b"--limit"),
        (["--fraction", "2"], b"2"),
        (["--fraction", "some"], b"--fraction"),
        (["--max-rejects", "1"], b"--max-rejects"),
        (["--replace"], b"--replace"),
        (["--since", "2024-03-08", "file"], b"--since is for a stream"),
        (["http://127.0.0.1:1/"], b"--url"),
    ],
)
def test_wrong_usage(options, said, db):
    done = bring(db, *options, check=2)
    assert said in done.stderr and b"Traceback" not in done.stderr


def test_rejects_can_be_replayed(nasty, tmp_path, db):
    rejects = tmp_path / "rejects"
    bring(db, "--rejects", rejects, check=65, stdin=nasty.lines)
    kept = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert len(kept) == nasty.totals["rejects"]
    assert {entry["prog"] for entry in kept} == {"import-recent-changes"}
    lines = nasty.lines.split(b"\n")
    for entry in kept:
        if "raw" in entry:
            assert entry["raw"].encode() == lines[entry["line"] - 1]


# ---- streams


def test_an_event_is_there_after_a_second_and_its_words_too(sane, db):
    """And whoever reads the database meanwhile is never kept waiting."""
    with (
        serving(Stream(sane.body).answer(37, hang=True)) as (url, _),
        session("import-recent-changes", "--db", db, "--url", url) as process,
    ):
        wait_until(lambda: has_tables(db))
        began = time.monotonic()
        wait_until(lambda: len(query(db, CHANGES)) == 37)
        assert time.monotonic() - began < 4
        words = "SELECT count(*) FROM recent_change_search_docsize"
        wait_until(lambda: query(db, words) == [(37,)])
        assert query(db, "SELECT kept, status FROM run") == [(37, "running")]
        process.send_signal(signal.SIGTERM)
        assert process.wait(2) == 143


def test_an_event_is_there_once_the_stream_pauses(sane, tmp_path, db):
    bring(db, stdin=b"")
    query_run(db, 2)
    code = (
        "import sys; from headcount.pipelines.recent_changes import command, importer; "
        "importer.SECONDS = 3600; sys.argv = sys.argv[1:]; command.main()"
    )
    python = BIN.parent / ".venv/bin/python"
    options = ["--run", "2", "--db", db, "--account", tmp_path / "account"]
    command = [python, "-c", code, "import-recent-changes", *options]
    with subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, env=BARE) as process:
        process.stdin.write(sane.lines[: sane.lines.index(b"\n") + 1])
        process.stdin.flush()
        wait_until(lambda: len(query(db, CHANGES)) == 1)
        process.stdin.close()


def test_words_are_entered_while_a_stream_goes_on_though_batches_fill_up(sane, db):
    slow = Stream(sane.body).answer(1500, piece=30_000, pause=0.1, hang=True)
    with (
        serving(slow) as (url, _),
        session("import-recent-changes", "--db", db, "--url", url, "--batch", 5),
    ):
        wait_until(lambda: has_tables(db))
        words = "SELECT count(*) FROM recent_change_search_docsize"
        wait_until(lambda: query(db, "SELECT max(pk) FROM recent_change_raw")[0][0])
        wait_until(lambda: query(db, words)[0][0] > 100)
        assert query(db, "SELECT max(pk) FROM recent_change_raw")[0][0] < 1400


@pytest.mark.sample(2)
@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_soon_though_the_stream_is_silent(number, status, sane, db):
    with (
        serving(Stream(sane.body).answer(500, hang=True), GONE) as (url, requests),
        session("import-recent-changes", "--db", db, "--url", url) as process,
    ):
        wait_until(lambda: requests)
        time.sleep(0.7)
        began = time.monotonic()
        process.send_signal(number)
        _, stderr = process.communicate(timeout=10)
        assert process.returncode == status and time.monotonic() - began < 3
        assert b"Traceback" not in stderr and b"run it again" in stderr
        assert members(process.pid) == []
    assert stages(db) == [] and sound(db)
    with serving(Stream(sane.body).answer(), GONE) as (url, _):
        bring(db, "--url", url)
    assert is_true(db, sane)


def test_it_goes_on_where_it_was_and_a_replay_goes_back(sane, db):
    with serving(Stream(sane.body).answer()) as (url, requests):
        for _ in range(2):
            bring(db, "--url", url, "--limit", 600)
        (position,) = query(db, "SELECT last_event_id FROM stream_position")[0]
        bring(db, "--url", url, "--limit", 1, "--replay", "2024-03-08T00:00:00Z", "--since", "x")
    asked = [headers.get("Last-Event-ID") for _, headers in requests]
    assert asked[0] is None and asked[1] and asked[2] is None and position != asked[1]
    assert "since=2024-03-08" in requests[2][0]
    assert len(query(db, CHANGES)) == 1201


def test_a_second_start_leaves_the_first_alone_and_other_imports_go_on(sane, db, tmp_path):
    with (
        serving(Stream(sane.body).answer(50, hang=True)) as (url, _),
        session("import-recent-changes", "--db", db, "--url", url),
    ):
        wait_until(lambda: has_tables(db))
        wait_until(lambda: len(query(db, CHANGES)) == 50)
        assert b"another" in bring(db, "--url", url, "--wait", 0, check=75).stderr
        events = BIN.parent / "data/sample/events.jsonl.gz"
        run("import-active-users", "--db", db, events, check=0)
        statuses = query(db, "SELECT pipeline, status FROM run ORDER BY id")
        assert statuses == [
            ("import-recent-changes", "running"),
            ("import-recent-changes", "failed"),  # that found the lock
            ("import-active-users", "done"),
        ]


@pytest.mark.parametrize(
    "answer, status, said",
    [
        (Answer(status=404), 1, b"404"),
        (Answer(b"<html>", headers={"Content-Type": "text/html"}), 1, b"text/html"),
        (Answer(status=301, headers={"Location": "http://elsewhere.invalid/"}), 1, b"redirects"),
    ],
)
def test_a_server_that_is_none(answer, status, said, db):
    with serving(answer) as (url, _):
        done = bring(db, "--url", url, check=status)
    assert said in done.stderr
    assert query(db, "SELECT status FROM run") == [("failed",)]


def test_a_server_that_is_silent_for_too_long(sane, db):
    with serving(Stream(sane.body).answer(40), Answer(status=503)) as (url, _):
        done = bring(db, "--url", url, "--give-up", 1, check=75)
    assert b"503" in done.stderr and len(query(db, CHANGES)) == 40


def test_garbage_and_giants_are_rejects_and_the_stream_goes_on(sane, db):
    junk = b"data: {\n\ndata: \xff\n\nnonsense\n\ndata: [1]\n\n" + b"data: " + b"x" * 3000 + b"\n\n"
    answer = Stream(sane.body).answer(60, before=junk)
    with serving(answer, GONE) as (url, _):
        bring(db, "--url", url, "--max-event", "2900", check=65)
    reasons = dict(query(db, "SELECT reason, rejects FROM run_reject"))
    assert reasons["event too large"] >= 1 and reasons["wrong type"] == 3
    assert query(db, "SELECT lines = kept + filtered + duplicate + rejected FROM run") == [(1,)]


def test_a_reject_has_its_event_id_and_a_comment_costs_no_event(sane, db):
    """What is not UTF-8 is replaced, as the standard says."""
    one = next(event for event in sane.body.split(b"\n\n") if b'"user":"' in event) + b"\n\n"
    one = one.replace(b'"user":"', b'"user":"\xff', 1)
    bad = b": \xff\nid: 5\ndata: \xff\n\n"
    done = bring(db, stdin=b": \xff\n" + one + bad, check=65)
    assert b"event id 5" in done.stderr
    ((user,),) = query(db, "SELECT user FROM recent_change_raw")
    assert user.startswith("\ufffd")


def test_lines_may_end_with_cr_alone(sane, db):
    bring(db, stdin=sane.body.replace(b"\n", b"\r"))
    assert is_true(db, sane)
    ((lines, kept, filtered, *_),) = query(db, LINES)
    assert lines >= kept > 0 and filtered >= 0


def test_events_as_large_as_allowed_and_no_larger_in_files(sane, db):
    body = b"data: " + b"x" * 5000 + b"\n\n" + sane.body
    bring(db, "--max-event", "4KB", check=65, stdin=body)
    assert query(db, "SELECT reason FROM run_reject") == [("event too large",)]
    assert is_true(db, sane)


def test_a_full_disk_loses_nothing_of_what_was_committed(sane, tiny_disk):
    folder, resize = tiny_disk
    db = folder / "my.db"
    resize("8m")
    with serving(Stream(sane.body).answer(), GONE) as (url, _):
        done = bring(db, "--url", url, "--quiet", check=74)
        assert b"cannot write" in done.stderr and b"Traceback" not in done.stderr
        assert sound(db) and 0 < len(query(db, CHANGES)) < sane.totals["changes"]
        resize("500m")
    with serving(Stream(sane.body).answer(), GONE) as (second, _):
        rename(db, url, second)
        bring(db, "--url", second, "--quiet")
    assert is_true(db, sane)


# ---- cut off, killed


@long
def test_cut_off_again_and_again_every_event_comes_once(sane, db):
    """In the midst of events, too; a server resumed repeats the last millisecond."""
    stream, rng = Stream(sane.body), random.Random(8)
    each = MANY // CUTS
    answers = [
        stream.answer(rng.randrange(each // 2, each), cut=rng.randrange(1200)) for _ in range(CUTS)
    ]
    with serving(*answers, stream.answer(), GONE) as (url, requests):
        bring(db, "--url", url, "--quiet")
    assert len(requests) >= CUTS and is_true(db, sane)
    assert query(db, "SELECT sum(duplicate) > 0 FROM run") == [(1,)]


def test_holes_planted_by_the_server_are_exactly_those_listed(tmp_path, db):
    made = Made(tmp_path, "--events", 8000, "--holes", 12)
    stream, rng = Stream(made.body), random.Random(9)
    answers = [stream.answer(rng.randrange(800), cut=rng.randrange(900)) for _ in range(6)]
    with serving(*answers, stream.answer(), GONE) as (url, _):
        bring(db, "--url", url, "--quiet")
    assert len(made.holes) == 12 and is_true(db, made)


def test_killed_again_and_again_every_event_comes_once(sane, db):
    """The whole session or one process of it, at any moment, and its server now and then."""
    stream, rng = Stream(sane.body), random.Random(10)
    pace = MANY * 1400 // 100  # bytes in 20 ms: two seconds for all
    seen = [0]
    with serving(stream.answer(piece=pace, pause=0.02, hang=True)) as (url, _):
        for kill in range(KILLS):
            with session("import-recent-changes", "--db", db, "--url", url) as process:
                if kill % 3 and seen[-1] < sane.totals["changes"]:  # it has got on
                    wait_until(lambda known=seen[-1]: has_more(db, known))
                time.sleep(rng.uniform(0, 0.3))
                if kill % 2:  # one of them, and a moment later the others
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(rng.choice(members(process.pid)).pid, signal.SIGKILL)
                    time.sleep(rng.uniform(0, 0.3))
            if has_tables(db):
                seen.append(len(query(db, CHANGES)))
    assert seen == sorted(seen)
    with serving(stream.answer(), GONE) as (second, _):
        rename(db, url, second)
        bring(db, "--url", second, "--quiet")
    assert is_true(db, sane)
    assert len(query(db, CHANGES)) == sane.totals["changes"]
    assert len({*seen}) > KILLS // 3, "it was killed before it had begun, or after it had ended"


def has_more(db, known):
    return has_tables(db) and len(query(db, CHANGES)) > known


def rename(db, url, new):
    """A server of a test has another port each time."""
    with sqlite3.connect(db) as connection:
        connection.execute("UPDATE stream_position SET url = ? WHERE url = ?", [new, url])
