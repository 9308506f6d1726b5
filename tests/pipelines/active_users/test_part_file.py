"""Parts of a count, merged: as if one import had read it all, in any order, any number of times."""

import fcntl
import json
import subprocess
from random import Random

import pytest

from headcount.pipelines.active_users import part_file
from helpers.events import event
from helpers.programs import BARE, BIN, run
from helpers.sessions import query, stages
from pipelines.active_users.test_definitions import ALL, ask, expected, kept, made, options_of

CONTENT = [  # of a database, without the numbers that users have in it
    "SELECT * FROM active_user_table",
    "SELECT * FROM local_day",
    "SELECT * FROM active_users_by_definition",
    "SELECT name, value FROM setting",
    "SELECT date, signal, user.key FROM active_day, json_each(bitmap_each(users)) "
    "JOIN user ON user.id = value",
    "SELECT pending.date, key, event, msec FROM pending_engagement AS pending "
    "JOIN user ON user.id = user_id",
    "SELECT pending.date, key, session, first_event, last_event, first_view, last_view "
    "FROM pending_session AS pending JOIN user ON user.id = user_id",
]


def content(db):
    return [sorted(ask(db, sql), key=repr) for sql in CONTENT]


def part_of(lines, path, *given):
    """A part of these lines."""
    done = run("count-active-users", "--quiet", *given, "--part", path, stdin=b"".join(lines))
    assert done.returncode in (0, 65) and done.stdout == b"", done.stderr
    return path


def merge(db, *arguments, **options):
    return run("merge-parts", "--db", db, "--quiet", "--max-rejects", "100%", *arguments, **options)


@pytest.mark.sample(8)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "world, definition", [("plain", ""), ("plain", "summed"), ("events", ALL), ("device", ALL)]
)
def test_any_split_order_and_repetition(world, definition, seed, tmp_path):
    rng, lines, (_, _, given) = Random(seed), made(seed, 400), options_of(world)
    if definition:
        given = [*given, "--definition", definition]
    cuts = sorted(rng.choices(range(len(lines) + 1), k=rng.randrange(4)))
    pieces = [lines[a:b] for a, b in zip([0, *cuts], [*cuts, len(lines)], strict=True)]
    pieces.append(rng.sample(lines, 100))  # what others have, too
    parts = [part_of(piece, tmp_path / f"{n}.part", *given) for n, piece in enumerate(pieces)]
    rng.shuffle(parts)
    db = tmp_path / "my.db"
    while parts:  # some at a time, and some of them again, as another file
        again = tmp_path / f"again-{len(parts)}.part"
        again.write_bytes(parts[0].read_bytes())
        some = [parts.pop() for _ in range(min(len(parts), rng.randrange(1, 4)))]
        merge(db, *some, again)
    alone = tmp_path / "alone.db"
    common = ["--db", alone, "--quiet", "--max-rejects", "100%", *given]
    assert run("import-active-users", *common, stdin=b"".join(lines)).returncode in (0, 65)
    assert content(db) == content(alone)
    if definition:
        assert kept(db) == expected(lines, world, definition.split(","))
    run("check-data", "--db", db, "user_sets", "ledger_sums", "integrity", check=0)


def test_what_merge_prints_and_skips(tmp_path):
    part = part_of([event(user="ann"), event(user="bob", engaged=0)], tmp_path / "one.part")
    done = run("merge-parts", "--db", tmp_path / "my.db", part, check=0)
    assert done.stdout == b"2019-12-31\t0\t1\n" and done.stderr == b""
    done = run("merge-parts", "--db", tmp_path / "my.db", part, check=0)
    assert done.stdout == b"" and b"1 file was imported before" in done.stderr
    ((lines, kept_lines, filtered),) = query(
        tmp_path / "my.db", "SELECT lines, kept, filtered FROM run WHERE id = 1"
    )
    assert (lines, kept_lines, filtered) == (2, 1, 1)
    assert part.stat().st_mode & 0o777 == 0o600  # it holds ids


def test_a_merge_is_an_import_to_all_others(tmp_path):
    part, db = part_of([event(user="ann-the-person")], tmp_path / "one.part"), tmp_path / "my.db"
    merge(db, part, check=0)
    assert json.loads(run("show-runs", "--db", db, "--json", check=0).stdout)[0]["kind"] == "import"
    metrics = run("export-metrics", "--db", db, check=0).stdout
    assert b'headcount_import_lines_total{pipeline="merge-parts"} 1.0' in metrics
    with open(f"{db}.merge-parts.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        forget = ["forget-user", "--db", db, "--mode", "keep", "ann-the-person"]
        assert b"merge-parts.lock" in run(*forget, "--wait", 0.1, check=75).stderr
        merge(db, part_of([event(user="bob")], tmp_path / "two.part"), "--wait", 0.1, check=75)


def test_rejects_are_counted_and_may_be_too_many(tmp_path):
    bad = [event(micros="never"), *[event(user=f"u{n}") for n in range(9)]]
    part = part_of(bad, tmp_path / "one.part")
    done = run("merge-parts", "--db", tmp_path / "my.db", part, check=1)
    assert b"reject" in done.stderr and query(tmp_path / "my.db", "SELECT * FROM user") == []
    done = run("merge-parts", "--db", tmp_path / "my.db", "--max-rejects", "10%", part, check=65)
    assert done.stdout == b"2019-12-31\t0\t9\n"


def test_a_part_that_is_cut_or_changed_is_refused_whole(tmp_path):
    good = part_of([event(user="eve")], tmp_path / "good.part")
    part = part_of([event(user=f"u{n}") for n in range(50)], tmp_path / "one.part")
    text, db, bad = part.read_bytes(), tmp_path / "my.db", tmp_path / "bad.part"
    end = text.index(b"#part")
    for damaged in (
        b"",
        b"\n",
        text[: end // 2],
        text[:end],
        text[:-2],
        text[:-20],
        text[end:],
        text + b"x\n",
        text + text,
        text[: end // 2] + text[end // 2 :].replace(b"u", b"v", 1),
        text.replace(b'"rows": 52', b'"rows": 51'),  # with the notes of their input
        text.replace(b"#part 1", b"#part 2"),
        text.replace(b'"settings"', b'"meaning"'),
    ):
        bad.write_bytes(damaged)
        done = run("merge-parts", "--db", db, good, bad, check=1)
        assert b"bad.part: " in done.stderr and b"Traceback" not in done.stderr
    assert not db.exists() and stages(db) == []


def test_parts_that_mean_something_else_are_refused(tmp_path):
    parts = [
        part_of([event()], tmp_path / f"{n}.part", *given)
        for n, given in enumerate(([], ["--tz", "UTC"], ["--definition", "summed"]))
    ]
    done = run("merge-parts", "--db", tmp_path / "my.db", *parts[:2], check=78)
    assert b"--tz UTC" in done.stderr and not (tmp_path / "my.db").exists()
    run("merge-parts", "--db", tmp_path / "my.db", parts[0], check=0)
    for other in parts[1:]:
        assert (
            b"was made with"
            in run("merge-parts", "--db", tmp_path / "my.db", other, check=78).stderr
        )
    run("import-active-users", "--db", tmp_path / "my.db", stdin=event(user="bob"), check=0)
    run("import-active-users", "--db", tmp_path / "my.db", "--tz", "UTC", check=78)


def test_sketches_of_parts(tmp_path):
    pytest.importorskip("datasketches", reason="no datasketches: make .venv/sketch")
    parts = [
        part_of([event(user=f"u{n}") for n in range(a, a + 30)], tmp_path / f"{a}.part")
        for a in (0, 20)
    ]
    db = tmp_path / "my.db"
    merge(db, "--sketch", "instead", *parts, check=0)
    assert query(db, "SELECT * FROM active_user_table") == [("2019-12-31", 50)]
    assert query(db, "SELECT count(*) FROM user") == [(0,)]
    summed = part_of([event()], tmp_path / "s.part", "--definition", "summed")
    merge(tmp_path / "other.db", "--sketch", "instead", summed, check=2)


def test_no_part_of_a_count_that_failed(tmp_path):
    part = tmp_path / "one.part"
    part.write_text("what was here")
    missing = run("count-active-users", "--part", part, tmp_path / "none.jsonl", check=66)
    assert b"no part was written" in missing.stderr
    cut = subprocess.run(["gzip", "-c"], input=event(), capture_output=True).stdout[:-9]
    (tmp_path / "cut.gz").write_bytes(cut)
    run("count-active-users", "--part", part, tmp_path / "cut.gz", check=1)
    assert part.read_text() == "what was here" and len(list(tmp_path.iterdir())) == 2
    run("count-active-users", "--part", tmp_path / "no" / "where", stdin=event(), check=74)
    run("count-active-users", "--part=", check=2)


def test_many_processes_make_parts_at_once(tmp_path):
    """As on several hosts, by xargs."""
    lines = made(2, 600)
    for n in range(6):
        (tmp_path / f"{n}.jsonl").write_bytes(b"".join(lines[n::6]))
    command = "ls *.jsonl | xargs -P 4 -I X count-active-users --quiet --validate --part X.part X"
    env = BARE | {"PATH": f"{BIN}:{BARE['PATH']}"}
    subprocess.run(["bash", "-c", command], cwd=tmp_path, env=env)
    merge(tmp_path / "my.db", *sorted(tmp_path.glob("*.part")))
    counts = {day: n for (name, day), n in expected(lines, "plain", ["engaged-valuable"]).items()}
    assert dict(query(tmp_path / "my.db", "SELECT * FROM active_user_table")) == counts


def test_a_part_says_what_it_is(tmp_path):
    path = part_of([event(), event(user="bob")], tmp_path / "one.part", "--min-engagement", "2.50")
    part = part_file.Part(str(path))
    rows = b"".join(part.rows())
    assert [line[:1] for line in rows.splitlines()] == [b"#", b"2", b"2", b"#"]
    assert part.account.lines == 2
    assert (
        part.settings["min-engagement"] == "2.5"
        and part.settings["definition"] == "engaged-valuable"
    )
