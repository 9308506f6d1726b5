"""The named definitions of "active": each against the slow reference, alone and side by side."""

import itertools
import json
import sqlite3
from contextlib import closing
from random import Random

import pytest

from headcount.pipelines.active_users.definitions import DEFINITIONS, KEY_EVENTS
from helpers.events import NOON, event
from helpers.programs import REAL, run
from helpers.sessions import query
from reference import active_users as reference
from reference.active_users import Options

OTHERS = [name for name in DEFINITIONS if name != "engaged-valuable"]
ALL = ",".join(DEFINITIONS)
DAY = 86_400 * 10**6
GA4_CASES = REAL.parent / "cases" / "ga4"

WORLDS = {  # zone, valuable events, key events, least engagement
    "plain": ("America/Chicago", (), (), "3"),
    "events": ("Asia/Kathmandu", ("purchase", "user_engagement"), ("level_up",), "3"),
    "fraction": ("America/St_Johns", ("purchase",), (), "2.5005"),
    "device": ("device", (), (), "0"),
    "people": ("Asia/Kathmandu", (), (), "3"),
    "stitched": ("America/Chicago", ("purchase", "user_engagement"), (), "3"),
}
USERS = {"people": "user_id,user_pseudo_id", "stitched": "user_pseudo_id,user_id"}


def param(rng, key):
    if key == "ga_session_id":
        value = rng.choice([1, 2, 3, 3.0, "7", 2**63, -5, 1.5, None])
    elif key == "engagement_time_msec":
        value = rng.choice([0, 1, 800, 1500, "1500", 2500.5, 2999, 3000, 1e9, -4, "9e-3"])
    else:
        value = rng.choice([0, 1, 1, 2])
    if rng.random() < 0.03:
        value = rng.choice(["many", "", {}, True])
    kind = rng.choice(["int_value", "int_value", "double_value", "float_value"])
    if key == "ga_session_id" and rng.random() < 0.2:  # as the web's cookie has it
        kind, value = (
            "string_value",
            rng.choice(["s2$o5$g1$t1747075570", "s7$o1", "s3", "s$o", "1"]),
        )
    return {"key": key, "value": {kind: value}}


def made(seed, count=1500):
    """Events of a few users in a few days: sessions, views, copies, and much that is broken."""
    rng = Random(seed)
    names = [*KEY_EVENTS[:1], "user_engagement", "user_engagement", "first_visit", "first_open"]
    names += ["page_view", "screen_view", "page_view", "purchase", "level_up", "session_start"]
    keys = ["ga_session_id", "ga_session_id", "engagement_time_msec", "engaged_session_event"]
    lines = []
    for _ in range(count):
        at = NOON + rng.randrange(4) * DAY // 2
        at += rng.choice([0, 1, 4_000_000, 10_000_000, 7 * 10**9])
        record = {
            "event_name": rng.choice(names),
            "event_timestamp": str(at),
            "user_pseudo_id": f"u{rng.randrange(60)}",
            "event_params": [param(rng, key) for key in rng.sample(keys, rng.randrange(5))],
            "time_zone_offset_seconds": rng.choice([0, -21_600, 20_700]),
            "platform": rng.choice(["IOS", "ANDROID", "WEB", None, 5]),
        }
        if rng.random() < 0.4:  # most devices are one person's
            number = int(record["user_pseudo_id"][1:])
            record["user_id"] = f"p{rng.randrange(20) if rng.random() < 0.1 else number // 3}"
        if rng.random() < 0.3:
            record["is_active_user"] = rng.choice([True, False, False, "true", None, "0", 1, "?"])
        if rng.random() < 0.3:
            record["batch_event_index"] = rng.choice([1, 2, "2", 2.0, None, "x"])
        if rng.random() < 0.1:
            record["batch_page_id"] = rng.choice([1, "1755000000001"])
        for key in ("platform", "event_params", "user_pseudo_id"):
            if rng.random() < 0.06:
                record.pop(key)
        if rng.random() < 0.02:
            record["event_params"] = rng.choice(["none", None, {}, [5], [{"key": 5}]])
        if rng.random() < 0.1 and "event_params" in record:  # as CSV exports have them
            record["event_params"] = json.dumps(record["event_params"])
            if rng.random() < 0.3:
                record["event_params"] = record["event_params"].replace("_", "\\u005f", 3)
        line = json.dumps(record)
        if rng.random() < 0.05:
            line = line.replace("IOS", "\\u0049OS").replace("page_view", "page\\u005fview")
        if rng.random() < 0.02:
            line = line[: rng.randrange(len(line))]
        lines.append(line.encode() + b"\n")
    lines += rng.sample(lines, count // 10)
    rng.shuffle(lines)
    return lines


def options_of(world):
    tz, valuable, key_events, least = WORLDS[world]
    given = ["--tz", tz, "--min-engagement", least]
    given += ["--valuable-events", ",".join(valuable)] if valuable else []
    given += ["--key-events", ",".join(key_events)] if key_events else []
    users = USERS.get(world, "user_pseudo_id")
    given += ["--identity", "stitched"] if world == "stitched" else ["--user", users]
    options = Options(
        tz=tz, valuable_events=valuable, min_engagement=least, user=tuple(users.split(","))
    )
    return options, key_events, given


def expected(lines, world, asked=DEFINITIONS):
    """The count of each definition and day, where all of these are asked for side by side."""
    options, key_events, _ = options_of(world)
    days = reference.days_of_facts(lines, options, asked)
    people = reference.people_of(lines, options, asked) if world == "stitched" else {}
    rules = options, key_events or KEY_EVENTS, lambda user: (user in people, people.get(user, user))
    counts = {
        (name, day): len(reference.users_by(name, days, day, *rules))
        for name in asked
        for day in days
    }
    return {key: count for key, count in counts.items() if count}


def kept(db):
    rows = query(db, "SELECT definition, date, active_user_count FROM active_users_by_definition")
    return {(name, day): count for name, day, count in rows}


@pytest.mark.sample(2)
@pytest.mark.parametrize("world", WORLDS)
def test_counts_by_every_definition(world):
    lines, (_, _, given) = made(1), options_of(world)
    truth, found = {}, {}
    for name in DEFINITIONS:
        truth |= expected(lines, world, [name])
        more = ["--definition", name, *given, "--quiet", "--validate"]
        text = run("count-active-users", *more, stdin=b"".join(lines)).stdout.decode()
        found |= {(name, row.split("\t")[0]): int(row.split("\t")[1]) for row in text.splitlines()}
    assert found == truth
    for name in DEFINITIONS:
        assert sum(key[0] == name for key in truth) >= 2, name


@pytest.mark.sample(15)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("world", WORLDS)
def test_side_by_side_in_any_pieces_and_order(world, seed, tmp_path):
    """Files that overlap, in any order, some of them twice: every definition has its number."""
    rng, lines, (_, _, given) = Random(seed), made(seed, 500), options_of(world)
    files = []
    for number in range(4):
        path = tmp_path / f"{number}.jsonl"
        path.write_bytes(b"".join(rng.sample(lines, len(lines) // 2)))
        files.append(path)
    path.write_bytes(b"".join(lines))
    files += rng.sample(files, 2)
    rng.shuffle(files)
    definitions = rng.sample(sorted(DEFINITIONS), len(DEFINITIONS))
    common = ["--db", tmp_path / "my.db", *given, "--quiet", "--max-rejects", "100%"]
    for file in files:
        with open(file, "ab") as more:
            more.write(b"\n")  # so that it is not skipped as known
        order = [definitions[0], *rng.sample(definitions[1:], len(definitions) - 1)]
        run("import-active-users", *common, "--definition", ",".join(order), file)
    assert kept(tmp_path / "my.db") == expected(lines, world)
    own = {day: n for (name, day), n in expected(lines, world).items() if name == definitions[0]}
    assert dict(query(tmp_path / "my.db", "SELECT * FROM active_user_table")) == own
    run("check-data", "--db", tmp_path / "my.db", "user_sets", "integrity", "ledger_sums", check=0)


def ask(db, sql):
    """With the functions of reports."""
    from headcount.reports import set_functions

    with closing(sqlite3.connect(db)) as connection:
        set_functions.register(connection)
        return connection.execute(sql).fetchall()


def test_one_alone_needs_no_signals_of_others(tmp_path):
    lines = b"".join(made(3))
    for name in DEFINITIONS:
        db = tmp_path / f"{name}.db"
        given = ["--db", db, "--definition", name, "--quiet", "--max-rejects", "100%", "--validate"]
        run("import-active-users", *given, stdin=lines)
        counts = {day: count for (_, day), count in expected(made(3), "plain", [name]).items()}
        assert dict(query(db, "SELECT * FROM active_user_table")) == counts
        wanted = DEFINITIONS[name].signals()
        assert {row[0] for row in query(db, "SELECT DISTINCT signal FROM active_day")} <= wanted
        assert run("why-day", "--db", db, sorted(counts)[0]).returncode == 0


@pytest.mark.sample(4)
@pytest.mark.parametrize("world", WORLDS)
def test_lines_that_are_not_looked_at_do_not_matter(world, tmp_path):
    """Where no sessions are asked for, most lines are not even parsed."""
    fast = [name for name in DEFINITIONS if name in ("engaged-valuable", "google-n-day", "summed")]
    lines, (_, _, given) = made(8), options_of(world)
    for number, pair in enumerate(itertools.permutations(fast, 2)):
        db = tmp_path / f"{number}.db"
        common = ["--db", db, *given, "--quiet", "--max-rejects", "100%"]
        run("import-active-users", *common, "--definition", ",".join(pair), stdin=b"".join(lines))
        assert kept(db) == expected(lines, world, pair)


def in_session(**more):
    record = json.loads(event("page_view", **more))
    record["event_params"].append({"key": "ga_session_id", "value": {"int_value": "7"}})
    return json.dumps(record).encode() + b"\n"


@pytest.mark.parametrize("mode", [[], ["--pipe"], ["--validate"]], ids=str)
def test_events_of_a_batch_are_told_apart(mode, tmp_path):
    """Two with one timestamp are two, and each with its copies is one."""
    one, other = (in_session(msec=1500, platform="WEB", batch_event_index=i) for i in "12")
    valuable = event(msec=0)
    for lines, count in ((one + one, b""), (one + other + one, b"2019-12-31\t1\n")):
        for definition, more in (("summed", valuable), ("engaged-session", b"")):
            given = ["--definition", definition, *mode]
            assert run("count-active-users", *given, stdin=lines + more, check=0).stdout == count
            db = tmp_path / f"{definition}{len(lines)}.db"
            for part in lines.splitlines(keepends=True):
                run("import-active-users", "--db", db, *given, stdin=part + more, check=0)
            assert {n for n, _ in kept(db)} == ({definition} if count else set())


def test_on_the_web_the_time_of_all_events_is_added_up(tmp_path):
    path = GA4_CASES / "53-web-summed.jsonl"
    if not path.exists():
        pytest.skip(f"no sample at {path}")
    text = path.read_bytes()
    for mode in ([], ["--pipe"], ["--validate"]):
        given = ["--tz", "UTC", "--definition", "summed", *mode]
        assert run("count-active-users", *given, path, check=0).stdout == b"2026-01-10\t1\n"
        app = text.replace(b'"WEB"', b'"ANDROID"')  # an app says it in its engagements alone
        assert run("count-active-users", *given, stdin=app, check=0).stdout == b""


def test_replaced_days_forget_what_was_pending(tmp_path):
    db, path = tmp_path / "my.db", tmp_path / "events.jsonl"
    path.write_bytes(b"".join(event(user="ann", micros=NOON + n, msec=1500) for n in range(2)))
    given = ["--db", db, "--quiet", "--definition", "summed"]
    run("import-active-users", *given, path, check=0)
    assert kept(db) == {("summed", "2019-12-31"): 1}
    one = event(user="ann", micros=NOON, msec=1500)
    for other in (NOON + 1, NOON):  # of which the second takes the first one's place
        path.write_bytes(event(user="ann", micros=other, msec=1500))
        run("import-active-users", *given, "--replace", path, check=0)
        assert kept(db) == {}
        assert query(db, "SELECT event, msec FROM pending_engagement") == [(str(other), "1500")]
    for _ in range(2):  # a copy is no second engagement
        run("import-active-users", *given, stdin=one, check=0)
    assert kept(db) == {}
    run("import-active-users", *given, stdin=event(user="ann", micros=NOON + 9, msec=1500), check=0)
    assert kept(db) == {("summed", "2019-12-31"): 1}


def test_a_session_over_several_nights(tmp_path):
    db = tmp_path / "my.db"
    given = ["--db", db, "--quiet", "--definition", "engaged-session,engaged-valuable"]

    def seen(seconds, user, name="scroll"):
        params = [{"key": "ga_session_id", "value": {"int_value": 5}}]
        micros = NOON + seconds * 1_000_000
        made = event(name, user, micros, event_params=params)
        return run("import-active-users", *given, stdin=made, check=0).stdout

    assert seen(9, "ann") == seen(0, "ann") == seen(9, "ann") == b""
    assert seen(10, "ann") == b"2019-12-31\t0\t1\n"
    assert seen(50, "bob", "page_view") == seen(50, "bob", "page_view") == b""
    assert seen(51, "bob", "screen_view") == b"2019-12-31\t1\t2\n"
    assert seen(60, "eve", "purchase") == b"2019-12-31\t2\t3\n"


def test_a_person_who_is_forgotten_has_nothing_pending(tmp_path):
    db = tmp_path / "my.db"
    given = ["--db", db, "--quiet", "--definition", ALL]
    session = [{"key": "ga_session_id", "value": {"int_value": 5}}]
    made = event(user="ann-the-person", msec=1500) + event(user="bob-the-other")
    made += event("scroll", "ann-the-person", event_params=session)
    run("import-active-users", *given, stdin=made, check=0)
    assert query(db, "SELECT count(*) FROM pending_session") == [(1,)]
    run("forget-user", "ann-the-person", "--mode", "recount", "--db", db, check=0)
    for table in ("pending_session", "pending_engagement"):
        assert query(db, f"SELECT count(*) FROM {table}") == [(0,)]
    by = {name: count for (name, _), count in kept(db).items()}
    alone = tmp_path / "alone.db"
    bob = event(user="bob-the-other")
    run("import-active-users", "--db", alone, *given[2:], stdin=bob, check=0)
    assert by == {name: count for (name, _), count in kept(alone).items()}
    assert by["ga4-active"] == 1


def test_a_database_keeps_its_definitions(tmp_path):
    db = tmp_path / "my.db"
    run("import-active-users", "--db", db, "--definition", "summed,ga4-active", check=0)
    run("import-active-users", "--db", db, "--definition", "summed,ga4-active,summed", check=0)
    for other in ("summed", "ga4-active,summed", "engaged-valuable"):
        done = run("import-active-users", "--db", db, "--definition", other, check=78)
        assert b"--definition summed,ga4-active" in done.stderr
    given = ["--db", db, "--definition", "summed,ga4-active", "--key-events", "a"]
    run("import-active-users", *given, check=78)


@pytest.mark.parametrize("bad", ["nobody", "", ",", "summed,nobody"])
def test_no_such_definition(bad, tmp_path):
    for program in ("import-active-users", "count-active-users", "parse-engagement"):
        to = ["--db", tmp_path / "my.db"] if program.startswith("import") else []
        done = run(program, *to, "--definition", bad, check=2)
        assert b"--definition: expected" in done.stderr or b"needs a value" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] in ([], ["my.db.import-active-users.lock"])


def test_a_count_is_of_one_definition():
    done = run("count-active-users", "--definition", "summed,ga4-active", check=2)
    assert b"--definition: expected one to count by" in done.stderr


LOGINS = ["--user", "user_id,user_pseudo_id", "--definition", "engaged-session"]


def seen(device, second, user=None, name="scroll", **more):
    params = [{"key": "ga_session_id", "value": {"int_value": 5}}]
    more |= {"user_id": user} if user else {}
    return event(name, device, NOON + second * 10**6, event_params=params, **more)


def test_sessions_of_somebody_who_is_forgotten_are_nobodys(tmp_path):
    db, path = tmp_path / "my.db", tmp_path / "events_20191231.jsonl"
    given = ["import-active-users", "--db", db, *LOGINS]
    run(*given, stdin=seen("d1", 0) + seen("d1", 11, "alice-it-is"), check=0)
    run("forget-user", "--db", db, "--mode", "recount", "alice-it-is", check=0)
    for lines in (seen("d5", 12) + seen("d5", 30), seen("d5", 12)):  # and is corrected
        path.write_bytes(lines)
        run(*given, path, check=0)
    assert kept(db) == {}


@pytest.mark.parametrize("mode", [[], ["--pipe"]], ids=str)
def test_of_one_timestamp_the_last_in_its_batch_says_whose_a_session_is(mode, tmp_path):
    db = tmp_path / "my.db"
    lines = seen("d", 0, "zoe", batch_event_index=9) + seen("d", 0, "ann", batch_event_index=10)
    lines += seen("d", -20)
    run("import-active-users", "--db", db, *LOGINS, *mode, stdin=lines, check=0)
    users = "active_day, json_each(bitmap_each(users)) JOIN user ON user.id = value"
    assert ask(db, f"SELECT user.key FROM {users}") == [("ann",)]


def test_what_a_session_lacks_is_told_of_its_owner(tmp_path):
    db = tmp_path / "my.db"
    definitions = ["--definition", "any-event,engaged-session"]
    lines = seen("d1", 0) + seen("d1", 3, "alice")
    run("import-active-users", "--db", db, *LOGINS[:2], *definitions, stdin=lines, check=0)
    given = ["2019-12-31", "any-event", "engaged-session"]
    told = run("compare-definitions", "--db", db, *given, check=0).stdout.decode()
    (alice,) = [line for line in told.splitlines() if line.startswith("alice")]
    assert "the longest of 1 has 3 s" in alice
