"""Tables that are corrected: what each export table brought is replaced, and nothing else is."""

import json
import sqlite3
from collections import defaultdict
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest
from pyroaring import BitMap

from headcount.db import connection
from headcount.filters import runner
from headcount.io.blocks import Block
from headcount.pipelines.active_users.days import collect
from headcount.pipelines.active_users.days.origins import Origin
from headcount.pipelines.active_users.definitions import KEY_EVENTS
from headcount.values import clock
from helpers.events import NOON, event
from helpers.programs import run
from helpers.sessions import query
from helpers.thorough import IN_FULL
from pipelines.active_users.test_definitions import DAY, kept, made
from reference import active_users as reference

ALL = "engaged-valuable,ga4-active,ga4-flag,engaged-session,summed,google-n-day"
RANKS = ["events_intraday", "events_fresh", "events"]


class Model:
    """What a database must say, by the last version of everything that came."""

    def __init__(self):
        self.versions = {}  # by kind of table, day and shard; or by file

    def come(self, kind, day, shard, lines):
        """A table in one file replaces its shards, and a shard a table in one file."""
        for key in list(self.versions) if kind in RANKS else ():
            if key[:2] == (kind, day) and (key[2] == "") != (shard == ""):
                del self.versions[key]
        self.versions[kind, day, shard] = lines

    def lines(self):
        best = defaultdict(int)
        for kind, day, _ in self.versions:
            if kind in RANKS:
                best[day] = max(best[day], RANKS.index(kind))
        for (kind, day, _), lines in self.versions.items():
            if kind not in RANKS or RANKS.index(kind) == best[day]:
                yield from lines

    def counts(self):
        options = reference.Options(user=("user_id", "user_pseudo_id"))
        names = ALL.split(",")
        days = reference.days_of_facts(self.lines(), options, names)
        counts = {
            (name, day): len(reference.users_by(name, days, day, options, KEY_EVENTS))
            for name in names
            for day in days
        }
        return {key: count for key, count in counts.items() if count}


def versions(rng, seed):
    """Names of inputs, with their lines, as they come one after the other."""
    lines = made(seed, 600)
    coming = []
    for day in ("20191231", "20200101"):
        for kind in RANKS:
            for shard in ("", "000000000001"):
                if kind == "events_fresh" and rng.random() < 0.5:
                    continue
                for _ in range(rng.randrange(1, 4)):
                    some = rng.sample(lines, rng.randrange(20, 150))
                    coming.append((kind, day, shard, some))
    coming += [("log", "", str(i), rng.sample(lines, 40)) for i in range(2)]
    rng.shuffle(coming)
    return coming


@pytest.mark.sample(3)
@pytest.mark.parametrize("mode", [[], ["--pipe"], ["--jobs", "2"]], ids=" ".join)
@pytest.mark.parametrize("seed", range(3))
def test_the_last_version_of_each_table_counts(seed, mode, tmp_path):
    """In any order, any number of times, from one folder or another; and nothing is lost."""
    rng, model, db = Random(seed), Model(), tmp_path / "my.db"
    given = ["--db", db, "--quiet", "--max-rejects", "100%", "--definition", ALL, *mode]
    given += ["--user", "user_id,user_pseudo_id"]
    for number, (kind, day, shard, lines) in enumerate(versions(rng, seed)):
        folder = tmp_path / str(rng.randrange(3))
        folder.mkdir(exist_ok=True)
        name = f"{kind}_{day}{'_' if shard else ''}{shard}.jsonl" if day else f"{kind}{shard}"
        path = folder / name
        path.write_bytes(b"".join(lines) + b"\n" * number)
        run("import-active-users", *given, path)
        model.come(kind, day, shard, lines)
        assert kept(db) == model.counts(), (number, kind, day, shard)
    run("check-data", "--db", db, "user_sets", "integrity", "ledger_sums", check=0)


def at(user, day=0, **more):
    return event(user=user, micros=NOON + day * DAY, **more)


def table(folder, name, *users, day=0):
    path = folder / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(b"".join(at(user, day) for user in users) or b"\n")
    return path


def imported(db, *arguments, check=0):
    return run("import-active-users", "--db", db, *arguments, check=check)


def test_users_are_taken_out_and_history_says_so(tmp_path):
    db = tmp_path / "my.db"
    imported(db, table(tmp_path, "events_20191231.jsonl", "ann", "bob", "eve"))
    done = imported(db, table(tmp_path, "events_20191231.jsonl", "ann", "bob"))
    assert done.stdout == b"2019-12-31\t3\t2\n"
    counts = query(db, "SELECT active_user_count FROM active_user_history ORDER BY run_id")
    assert counts == [(3,), (2,)]


def test_a_file_is_replaced_only_if_one_says_so(tmp_path):
    db = tmp_path / "my.db"
    imported(db, table(tmp_path, "app.log", "ann", "bob"))
    assert imported(db, table(tmp_path, "app.log", "eve")).stdout == b"2019-12-31\t2\t3\n"
    imported(db, table(tmp_path, "other.log", "zoe"))
    path = table(tmp_path, "app.log", "eve")
    assert imported(db, "--replace", path).stdout == b"2019-12-31\t4\t2\n"
    assert b"expected files" in run("import-active-users", "--db", db, "--replace", check=2).stderr


def test_days_at_the_edge_of_a_table_keep_what_others_brought(tmp_path):
    """With --replace and files that have not changed nothing changes, whatever days they touch."""
    db, paths = tmp_path / "my.db", []
    for day in range(3):
        users = [f"u{i}" for i in range(day, day + 5)]
        lines = [
            at(user, day) + event(user=f"{user}n", micros=NOON + day * DAY - DAY // 2)
            for user in users
        ]
        path = tmp_path / f"events_2019123{day}.jsonl"
        path.write_bytes(b"".join(lines))
        paths.append(path)
        imported(db, path)
    before = query(db, "SELECT * FROM active_user_table")
    for path in paths:
        assert imported(db, "--replace", path).stdout == b""
    assert query(db, "SELECT * FROM active_user_table") == before


def test_a_daily_table_takes_the_place_of_intraday_ones(tmp_path):
    db = tmp_path / "my.db"
    imported(db, table(tmp_path, "events_intraday_20191231.jsonl", "ann", "bob"))
    daily = table(tmp_path, "events_20191231.jsonl", "ann", "eve", "zoe")
    assert imported(db, daily).stdout == b"2019-12-31\t2\t3\n"
    done = imported(db, table(tmp_path, "events_intraday_20191231.jsonl", "max"))
    assert done.stdout == b"" and b"is left out, for events_20191231 is there" in done.stderr
    other = tmp_path / "other.db"
    intraday = table(tmp_path, "events_intraday_20191231.jsonl", "max")
    assert imported(other, intraday, daily).stdout == b"2019-12-31\t0\t3\n"


def test_a_table_may_come_in_other_shards(tmp_path):
    db, day = tmp_path / "my.db", "2019-12-31"
    imported(db, table(tmp_path, "events_20191231.jsonl", "ann", "bob"))
    shards = [
        table(tmp_path, f"events_20191231_{n:012}.jsonl", *who)
        for n, who in enumerate((["ann"], ["eve"], ["zoe"]))
    ]
    assert imported(db, *shards).stdout == f"{day}\t2\t3\n".encode()
    shards[0].write_bytes(at("ann") + at("max"))
    assert imported(db, shards[0]).stdout == f"{day}\t3\t4\n".encode()  # the others stay
    shards[0].touch()
    assert imported(db, "--replace", *shards[:2]).stdout == f"{day}\t4\t3\n".encode()
    done = imported(db, table(tmp_path, "events_20191231.jsonl", "ann"))
    assert done.stdout == f"{day}\t3\t1\n".encode()


def test_once_a_day_is_final_nobody_is_taken_out(tmp_path):
    """All is folded then; late data is still added, and can be corrected."""
    db = tmp_path / "my.db"
    given = ["--definition", ALL]
    imported(db, *given, table(tmp_path, "events_20191231.jsonl", "ann", "bob"))
    before = kept(db)
    with closing(sqlite3.connect(db)) as connection, connection:
        connection.execute("UPDATE corrigible_day SET until = '2020-01-04T06:00:00Z'")
    imported(db, *given, table(tmp_path, "nothing.jsonl"))
    assert query(db, "SELECT count(*) FROM active_day_by_origin") == [(0,)]
    assert query(db, "SELECT count(*) FROM pending_session WHERE origin_id > 0") == [(0,)]
    assert kept(db) == before
    path = table(tmp_path, "events_20191231.jsonl", "eve")
    done = imported(db, *given, "--replace", path, check=65)
    assert b"can no longer be corrected" in done.stderr
    assert done.stdout == b"2019-12-31\t2\t3\n"
    late = table(tmp_path, "late.jsonl", "zoe", "max")
    assert imported(db, *given, late).stdout == b"2019-12-31\t3\t5\n"
    late = table(tmp_path, "late.jsonl", "zoe")
    assert imported(db, *given, "--replace", late).stdout == b"2019-12-31\t5\t4\n"


def test_tables_of_several_properties(tmp_path):
    db, day = tmp_path / "my.db", "2019-12-31"
    shop, blog = ([f"{name}{n}" for n in range(20)] for name in ("shop", "blog"))
    imported(db, table(tmp_path / "shop", "events_20191231.jsonl", *shop))
    other = table(tmp_path / "blog", "events_20191231.jsonl", *blog)
    done = imported(db, other, check=65)
    assert b"with none of its users" in done.stderr and b"analytics_PROPERTY" in done.stderr
    assert query(db, "SELECT active_user_count FROM active_user_table") == [(20,)]
    named = table(tmp_path / "analytics_7", "events_20191231.jsonl", *blog)
    assert imported(db, named).stdout == f"{day}\t20\t40\n".encode()
    new = table(tmp_path / "new" / "analytics_7", "events_20191231.jsonl", *blog[:15])
    assert imported(db, new).stdout == f"{day}\t40\t35\n".encode()
    # a few may all go, and with --replace all
    few = table(tmp_path / "few" / "analytics_7", "events_20191231.jsonl", "eve")
    assert imported(db, few).stdout == f"{day}\t35\t21\n".encode()
    assert imported(db, "--replace", other).stdout == b""  # for 20 others


def test_somebody_who_is_forgotten_is_nowhere(tmp_path):
    db = tmp_path / "my.db"
    params = [{"key": "ga_session_id", "value": {"int_value": 5}}]
    lines = at("ann-a", msec=1500) + event("scroll", "ann-a", NOON, event_params=params) + at("bob")
    path = tmp_path / "events_20191231.jsonl"
    path.write_bytes(lines)
    imported(db, "--definition", ALL, path)
    run("forget-user", "ann-a", "--mode", "recount", "--db", db, check=0)
    ids = query(db, "SELECT id FROM user")
    assert len(ids) == 1
    for users in query(db, "SELECT users FROM active_day_by_origin"):
        assert set(BitMap.deserialize(users[0])) <= {ids[0][0]}


NIGHTS = 365 if IN_FULL else 40
FIRST = date(2024, 2, 1)  # with a change of clocks in it


def rows_of(rng, night, users):
    """What a table of a day in UTC brings to two local days: sets, sessions, sums."""
    rows = []
    for day in (FIRST + timedelta(night - 1), FIRST + timedelta(night)):
        for user in rng.sample(users, rng.randrange(1, 12)):
            micros = (day - date(1970, 1, 1)).days * DAY + rng.randrange(24) * 3_600_000_000
            signals = rng.choice(["engaged,valuable", "google-n-day", "ga4-flag", "ga4-not-active"])
            if rng.random() < 0.5:
                session = f"{rng.choice(['session', 'session,view'])}"
                micros += rng.choice([0, 4, 11]) * 1_000_000
                details = f"{micros}\t\t{night // 2}" + rng.choice(["", f"\tdevice-of-{user}"])
                signals = f"{signals},{session}\t{details}"
            elif rng.random() < 0.5:
                micros += rng.randrange(3)
                signals = f"amount,valuable\t{micros}\t{rng.choice([900, 1500])}\t"
            rows.append(f"{day}\t{user}\t{signals}\n")
    return "".join(rows).encode()


def merged(db, tables):
    """Merge tables into a database, as one import does."""
    users = collect.ActiveUsers()
    for name, rows in tables.items():
        text = runner.from_input(f"/exports/{name}.jsonl") + rows
        assert not users.add(Block(text)).rejects
    with connection.for_import(str(db), 5) as opened, connection.transaction(opened):
        # (in the ledger, for the history refers to it)
        opened.execute("INSERT INTO setting VALUES ('tz', 'UTC') ON CONFLICT DO NOTHING")
        setting = "INSERT INTO setting VALUES ('definition', ?) ON CONFLICT DO NOTHING"
        opened.execute(setting, [ALL])
        run_id = opened.execute(
            "INSERT INTO run (pipeline, version, zone_rules, status, started_at) "
            "VALUES ('import-active-users', '', '', 'failed', ?) RETURNING id",
            [clock.now()],
        ).fetchone()[0]
        users.merge(opened, run_id, replace=False)


def test_a_year_of_nights_in_which_every_table_comes_three_times(tmp_path, monkeypatch):
    """It ends as one import of the last versions, and nothing is told apart any more."""
    rng, users = Random(7), [f"u{n}" for n in range(40)]
    now = datetime(2024, 2, 1, 6, tzinfo=UTC)
    monkeypatch.setattr(clock, "_utc", lambda: now)
    years, last = tmp_path / "year.db", {}
    for night in range(NIGHTS + 3):
        now += timedelta(days=1)
        tables = {}
        for back in (0, 1, 2):  # the table of yesterday, and corrections of those before
            if 0 <= night - back < NIGHTS:
                rows = rows_of(rng, night - back, users)
                if back == 0 and rng.random() < 0.5:
                    tables[f"events_intraday_{night:08}"] = rows_of(rng, night, users)
                name = f"events_{night - back:08}"
                tables[name] = last[name] = rows
        for name in rng.sample(sorted(tables), len(tables)):
            merged(years, {name: tables[name]})
    now += timedelta(days=9)
    merged(years, {"events_99990101": b""})
    assert query(years, "SELECT count(*) FROM active_day_by_origin") == [(0,)]
    once = tmp_path / "once.db"
    merged(once, last)
    assert kept(years) == kept(once) and len(kept(once)) > 3 * NIGHTS
    assert sets_of(years) == sets_of(once)


def sets_of(db):
    names = dict(query(db, "SELECT id, key FROM user"))
    return {
        (day, signal): {names[n] for n in BitMap.deserialize(users)}
        for day, signal, users in query(db, "SELECT date, signal, users FROM active_day")
    }


NAMES = {
    "events_20240310.json": "events_20240310",
    "x/events_20240310-000000000001.json.gz": "events_20240310/000000000001",
    "events_20240310_000000000001.parquet": "events_20240310/000000000001",
    "events_20240310/part-0001.json": "events_20240310/part-0001",
    "events_fresh_20240310.csv.gz": "events_fresh_20240310",
    "a/analytics_12/events_intraday_20240310.avro": "analytics_12.events_intraday_20240310",
    "analytics_12/events_20240310/000.jsonl": "analytics_12.events_20240310/000",
}


@pytest.mark.parametrize("path", NAMES)
def test_names_of_tables(path):
    assert Origin.of(f"/data/{path}").name == NAMES[path]


@pytest.mark.parametrize("path", ["/data/events_2024031.json", "/d/myevents_20240310", "/d/events"])
def test_names_of_other_files(path):
    assert Origin.of(path).name == path and not Origin.of(path).kind


def test_a_stream_has_no_name():
    assert Origin.of("-") is None and Origin.of("/dev/stdin") is None
    assert json.dumps(Origin.of("https://a.org/events_20240310.json").name) == '"events_20240310"'


def test_tables_of_users_are_no_events(tmp_path):
    for name in ("pseudonymous_users_20240310.jsonl", "users_20240310.jsonl"):
        path = table(tmp_path, name, "ann")
        done = imported(tmp_path / "my.db", path, check=66)
        assert b"got one of users" in done.stderr and b"events_YYYYMMDD" in done.stderr


def test_the_same_table_twice_in_one_run_is_refused(tmp_path):
    """Which is the last version? (The very same file may be named twice.)"""
    db = tmp_path / "my.db"
    one = table(tmp_path / "a", "events_20191231.jsonl", "ann")
    two = table(tmp_path / "b", "events_20191231.jsonl", "bob")
    assert b"are the same table" in imported(db, one, two, check=65).stderr
    assert query(db, "SELECT count(*) FROM user") == [(0,)]
    assert imported(db, one, one).stdout == b"2019-12-31\t0\t1\n"


def scrolls(device, *seconds, session=5, **more):
    params = [{"key": "ga_session_id", "value": {"int_value": session}}]
    return b"".join(
        event("scroll", device, NOON + n * 1_000_000, event_params=params, **more) for n in seconds
    )


def test_sessions_alone_are_told_when_they_cannot_be_corrected(tmp_path):
    db, given = tmp_path / "my.db", ["--definition", "engaged-session"]
    path = tmp_path / "events_20191231.jsonl"
    path.write_bytes(b"".join(scrolls(f"u{n}", 0, 10) for n in range(30)))
    imported(db, *given, path)
    other = tmp_path / "b" / "events_20191231.jsonl"
    other.parent.mkdir()
    other.write_bytes(b"".join(scrolls(f"v{n}", 0, 10) for n in range(30)))
    assert b"with none of its users" in imported(db, *given, other, check=65).stderr
    with closing(sqlite3.connect(db)) as connection, connection:
        connection.execute("UPDATE corrigible_day SET until = '2020-01-04T06:00:00Z'")
        connection.execute("UPDATE origin SET until = '2020-01-04T06:00:00Z'")
    path.write_bytes(b"\n")
    for more, status in (([], 0), (["--replace"], 65)):
        path.write_bytes(path.read_bytes() + b"\n")
        done = imported(db, *given, *more, path, check=status)
        assert b"events_20191231 came before" in done.stderr
        with closing(sqlite3.connect(db)) as connection, connection:
            connection.execute("UPDATE origin SET until = NULL")
    path.write_bytes(scrolls("u1", 0, 11))
    assert b"can no longer be corrected" in imported(db, *given, path).stderr
    assert kept(db) == {("engaged-session", "2019-12-31"): 30}


def test_an_upgrade_keeps_who_was_active_through_sessions_that_were_not_kept(tmp_path):
    db, given = tmp_path / "my.db", ["--definition", "engaged-session"]
    imported(db, *given, table(tmp_path, "none", "ann"))
    path = tmp_path / "old.jsonl"
    path.write_bytes(scrolls("ann", 0, 20) + scrolls("bob", 43_195, 43_206))  # over midnight
    imported(db, *given, path)
    with closing(sqlite3.connect(db)) as connection, connection:
        connection.execute("DELETE FROM pending_session WHERE user_id = 1")
        connection.execute("DELETE FROM active_day WHERE users = ?", [BitMap([2]).serialize()])
        # bob's did not count by the rules of then
        ann = "UPDATE active_day SET users = ? WHERE signal = 'engaged-session'"
        connection.execute(ann, [BitMap([1]).serialize()])
        connection.execute("UPDATE active_user_table SET active_user_count = 1")
        connection.execute("DELETE FROM setting WHERE name = 'identity'")
        connection.execute("PRAGMA user_version = 8")
    path = tmp_path / "more.jsonl"
    path.write_bytes(scrolls("bob", 43_207))
    assert imported(db, *given, path).stdout == b"2019-12-31\t1\t2\n"
    path = tmp_path / "events_20191231.jsonl"
    for seconds in ((100, 120), (100,)):
        path.write_bytes(scrolls("ann", *seconds, session=2))
        imported(db, *given, path)
    assert kept(db) == {("engaged-session", "2019-12-31"): 2}


def test_bq_extract_puts_the_number_behind_the_day():
    name = "events_20240310000000000012.jsonl.gz"
    assert Origin.of(f"/data/{name}").name == "events_20240310/000000000012"
