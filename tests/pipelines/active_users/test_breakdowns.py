"""Breakdowns against brute force: however the input is cut, ordered and repeated."""

import json
import sqlite3
from collections import defaultdict
from datetime import date, timedelta
from random import Random

import pytest
from pyroaring import BitMap

from headcount.io.blocks import All, Block
from headcount.pipelines.active_users.days import breakdowns
from headcount.pipelines.active_users.events import breakdown, source
from headcount.reports import catalogue
from helpers.events import NOON
from helpers.programs import REAL, run
from helpers.sessions import query
from reference import active_users as reference

DAY = 86_400 * 10**6
FIELDS = ["platform", "geo.country", "event_params.page", "n", "platform*geo.country"]
PLATFORMS = ["IOS", "ANDROID", "WEB", "", None, "(none)", "(other)", "a\tb*c\\", "ü"]
COUNTRIES = ["Germany", "Kenya", "Peru", None]


def made(seed, count=400, days=3):
    """Events of a few users in a few days, with values of every kind, or without."""
    rng = Random(seed)
    lines = []
    for _ in range(count):
        record = {
            "event_name": rng.choice(["user_engagement", "user_engagement", "purchase", "other"]),
            "event_timestamp": NOON + rng.randrange(2 * days) * DAY // 2,
            "user_pseudo_id": f"u{rng.randrange(40)}",
            "event_params": [
                {"key": "engagement_time_msec", "value": {"int_value": rng.choice([1, 3000])}},
                {"key": "engaged_session_event", "value": {"int_value": rng.choice([0, 1, 1])}},
            ],
            "n": rng.choice([1, 1.0, "1", 2.5, True, None, {"a": 1}, 10**20]),
        }
        if rng.random() < 0.9:
            record["platform"] = rng.choice(PLATFORMS)
        if rng.random() < 0.8:
            record["geo"] = rng.choice([None, "", {}, {"country": rng.choice(COUNTRIES)}])
        page = rng.choice([{"string_value": "/"}, {"string_value": None, "int_value": "7"}, None])
        if rng.random() < 0.7:
            record["event_params"].append({"key": "page", "value": page})
        if rng.random() < 0.2:
            params = [{"element": param} for param in record["event_params"]]
            record["event_params"] = {"list": params}  # as Parquet readers print it
        elif rng.random() < 0.2:
            record["event_params"] = json.dumps(record["event_params"])
        lines.append(json.dumps(record, ensure_ascii=rng.random() < 0.5).encode() + b"\n")
    return lines


def shown(value):
    """How a value is written."""
    if value is None:
        return "(none)"
    if isinstance(value, bool | dict):
        return json.dumps(value, separators=(",", ":"))
    if value in ("(none)", "(other)"):
        return f"\\{value}"
    return f"{value:g}" if type(value) is float else str(value)


def listed(params):
    """Parameters of any shape."""
    if type(params) is dict:
        return [param["element"] for param in params["list"]]
    return json.loads(params) if type(params) is str else params


def of_field(event, field):
    """The value of an event in a field."""
    if "*" in field:
        parts = [of_field(event, part) for part in field.split("*")]
        return "*".join(part.replace("\\", "\\\\").replace("*", "\\*") for part in parts)
    first, _, rest = field.partition(".")
    value = event.get(first)
    if first == "event_params":
        params = listed(value)
        (value,) = [param["value"] for param in params if param["key"] == rest] or [None]
        found = [it for it in (value or {}).values() if it is not None]
        return shown(found[0] if found else None)
    if rest:
        value = value.get(rest) if type(value) is dict else None
    return shown(value)


def brute(lines, fields, valuable=(), most=1_000):
    """Counts by date, field and value, one event at a time."""
    signals, values = defaultdict(set), defaultdict(set)
    for line in lines:
        event = json.loads(line)
        params = listed(event["event_params"])
        number = {param["key"]: (param["value"] or {}).get("int_value") for param in params}
        long = number["engagement_time_msec"] >= 3000
        kinds = set()
        if event["event_name"] == "user_engagement":
            if valuable and long:
                kinds = {"engaged"}
            elif long and number["engaged_session_event"] >= 1:
                kinds = {"engaged", "valuable"}
        if event["event_name"] in valuable:
            kinds |= {"valuable"}
        day = reference.local_day(event["event_timestamp"], "America/Chicago")
        for kind in kinds:
            signals[day, kind].add(event["user_pseudo_id"])
        for field in fields if kinds else ():
            values[day, field, of_field(event, field)].add(event["user_pseudo_id"])
    users = defaultdict(set)
    for (_, field, value), some in values.items():
        users[field, value] |= some
    kept = set()
    for field in fields:
        of_this = [key for key in users if key[0] == field]
        ranked = sorted(of_this, key=lambda key: (-len(users[key]), _spelled(key[1])))
        kept |= set(ranked[:most])
    found = defaultdict(set)
    for (day, field, value), some in values.items():
        active = signals[day, "engaged"] & signals[day, "valuable"]
        found[day, field, value if (field, value) in kept else "(other)"] |= some & active
    return {key: len(some) for key, some in found.items() if some}


def _spelled(value):
    return value.replace("\\", "\\\\").replace("\t", "\\t").encode()


def counted(text):
    """Rows of a count, by date, field and value."""
    rows = [line.split("\t") for line in text.decode().splitlines()]
    return {
        (day, field, value.replace("\\t", "\t").replace("\\\\", "\\")): int(count)
        for day, field, value, count in rows
    }


def published(db):
    rows = query(db, "SELECT date, dimension, value, active_user_count FROM active_users_by")
    return {tuple(key): count for *key, count in rows}


def sets(db):
    """Who had which value, by name."""
    names = dict(query(db, "SELECT id, key FROM user"))
    rows = query(db, "SELECT date, signal, dimension, value, users FROM active_day_by")
    return {tuple(key): {names[i] for i in BitMap.deserialize(users)} for *key, users in rows}


def files(folder, lines, rng):
    """The lines in a few files, some of them twice."""
    lines = [*lines, *rng.choices(lines, k=30)]
    rng.shuffle(lines)
    paths = []
    for number in range(rng.randrange(1, 5)):
        path = folder / f"{number}.jsonl"
        path.write_bytes(b"".join(lines[number::4] if number < 3 else lines[3::4]))
        paths.append(path)
    (folder / "rest.jsonl").write_bytes(b"".join(lines))
    return [*paths, folder / "rest.jsonl"]


SAMPLE = REAL / "engagement" / "bq-results-sample-data.jsons"
BY = ["--by", ",".join(FIELDS)]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("valuable", [(), ("purchase",)])
def test_a_count_equals_brute_force(seed, valuable, tmp_path):
    lines, rng = made(seed), Random(seed)
    given = ["--valuable-events", ",".join(valuable)] if valuable else []
    most = rng.choice([1, 2, 3, 1_000])
    expected = brute(lines, FIELDS, valuable, most)
    for jobs in (1, 3):
        paths = files(tmp_path, lines, rng)
        done = run(
            *("count-active-users", "--quiet", *BY, "--max-values", most, "--jobs", jobs),
            *(*given, *paths),
            check=0,
        )
        assert counted(done.stdout) == expected
    days = run("count-active-users", "--quiet", *given, *paths, check=0).stdout
    assert len({day for day, *_ in expected}) == len(days.splitlines())


@pytest.mark.parametrize("seed", range(4))
def test_imports_in_any_pieces_equal_one(seed, tmp_path):
    lines, rng = made(seed), Random(seed)
    valuable = ("purchase",) if seed % 2 else ()
    how = ["--quiet", *BY, "--valuable-events", ",".join(valuable)]
    paths = files(tmp_path, lines, rng)
    one, many, parts = (tmp_path / name for name in ("one.db", "many.db", "parts.db"))
    run("import-active-users", "--db", one, *how, paths[-1], check=0)
    assert published(one) == brute(lines, FIELDS, valuable)
    order = [*paths, *rng.choices(paths, k=2)]
    rng.shuffle(order)
    for number, path in enumerate(order):
        if number % 3:
            run("import-active-users", "--db", many, *how, path, check=0)
        else:  # of a stream, nobody knows whether it comes again
            text = path.read_bytes()
            run("import-active-users", "--db", many, *how, stdin=text, check=0)
    for path in paths:
        run("count-active-users", *how, "--part", f"{path}.part", path, check=0)
    run("merge-parts", "--quiet", "--db", parts, *(f"{path}.part" for path in paths), check=0)
    assert sets(many) == sets(one) == sets(parts)
    assert published(many) == published(one) == published(parts)
    last = "SELECT date, dimension, value, active_user_count, max(run_id) {}"
    kept = last.format("FROM active_users_by_history GROUP BY 1, 2, 3")
    history = {tuple(row[:3]): row[3] for row in query(many, kept)}
    assert {key: count for key, count in history.items() if count} == published(many)


def test_a_table_that_comes_again_is_corrected(tmp_path):
    """What it had brought to a value is no longer, what a stream had brought stays."""
    first, second, other = made(1)[:150], made(2)[:150], made(3)[:150]
    table, db = tmp_path / "events_20200101.jsonl", tmp_path / "my.db"
    how = ["import-active-users", "--quiet", "--db", db, *BY]
    run(*how, stdin=b"".join(other), check=0)
    for lines in (first, second):
        table.write_bytes(b"".join(lines))
        run(*how, table, check=0)
    assert published(db) == brute([*other, *second], FIELDS)
    run("check-data", "--db", db, "value_sets", "user_sets", "integrity", check=0)


def test_the_erased_are_in_no_value(tmp_path):
    lines, db = made(5), tmp_path / "my.db"
    how = ["--quiet", "--db", db, *BY]
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"".join(lines))
    run("import-active-users", *how, file, check=0)
    gone = "u7"
    assert any(gone in users for users in sets(db).values())
    run("forget-user", "--quiet", "--db", db, "--mode", "recount", gone, check=0)
    rest = [line for line in lines if json.loads(line)["user_pseudo_id"] != gone]
    assert published(db) == brute(rest, FIELDS)
    run("import-active-users", *how, "--replace", file, check=0)
    assert published(db) == brute(rest, FIELDS)
    assert not any(gone in users for users in sets(db).values())
    run("check-data", "--db", db, "value_sets", "user_sets", "integrity", check=0)


def test_values_beyond_the_bound_are_the_same_in_any_order(tmp_path):
    lines = made(7)
    paths = files(tmp_path, lines, Random(7))
    for number, order in enumerate([paths, paths[::-1]]):
        db = tmp_path / f"{number}.db"
        how = ["--db", db, *BY, "--max-values", 2]
        done = run("import-active-users", *how, *order, check=0)
        assert b"(other) has 7 values of platform; " in done.stderr
        assert published(db) == brute(lines, FIELDS, most=2)
        noted = dict(query(db, "SELECT field, in_other FROM run_dimension"))
        assert noted["platform"] == len(PLATFORMS) - 2
        run("import-active-users", "--quiet", "--replace", *how, *order, check=0)
        assert published(db) == brute(lines, FIELDS, most=2)


def event_of(user, platform, day=0):
    params = [("engagement_time_msec", 3000), ("engaged_session_event", 1)]
    record = {
        "event_name": "user_engagement",
        "event_timestamp": NOON + day * DAY,
        "user_pseudo_id": user,
        "platform": platform,
        "event_params": [{"key": key, "value": {"int_value": n}} for key, n in params],
    }
    return json.dumps(record).encode() + b"\n"


def test_a_value_that_went_to_other_stays_there(tmp_path):
    """A part of its users is not told apart: a count of the rest would be too small."""
    db = tmp_path / "my.db"
    how = ["import-active-users", "--db", db, "--by", "platform", "--max-values"]
    first = [event_of(f"{value}{n}", value) for value, n in zip("aaabbc", range(6), strict=True)]
    run(*how, 2, stdin=b"".join(first), check=0)
    second = [event_of(f"{value}{n}", value) for value, n in zip("ccccdd", range(6), strict=True)]
    done = run(*how, 5, stdin=b"".join(second), check=0)
    assert b"(other) has 1 value of platform" in done.stderr
    counts = {value: count for (_, _, value), count in published(db).items()}
    assert counts == {"a": 3, "b": 2, "d": 2, "(other)": 5}
    run("check-data", "--db", db, "value_sets", check=0)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0), (0, 2, 1)])
def test_a_day_without_the_breakdown_is_unknown(order, tmp_path):
    """Between days that have it, or behind them, whatever comes first; not before them."""
    db, whole = tmp_path / "my.db", "active_users_by_value"
    events = [b"".join(event_of(f"u{n}", "A", day) for n in range(day + 1)) for day in range(4)]
    how = ["import-active-users", "--quiet", "--db", db]
    run(*how, stdin=events[0], check=0)
    pieces = [(1, ["--by=platform"]), (2, []), (3, ["--by=platform"])]
    for number in order:
        day, by = pieces[number]
        run(*how, *by, stdin=events[day], check=0)
    days = [day for (day,) in query(db, "SELECT date FROM active_user_table ORDER BY 1")]
    values = {1: "A", 2: "(unknown)", 3: "A"}
    assert published(db) == {(days[n], "platform", v): n + 1 for n, v in values.items()}
    run("check-data", "--db", db, "value_sets", "user_sets", check=0)
    report = ["show-report", "--db", db, "--format=csv", "active_users", "--param=by=platform"]
    shown = run(*report, "--param=window=2", check=0).stdout.decode().splitlines()[1:]
    rows = {tuple(line.split(",")[:2]): int(line.split(",")[2]) for line in shown}
    assert rows[("(unknown)", days[2])] == rows[("(unknown)", days[3])] == 3
    assert rows[("A", days[3])] == 4 and ("A", days[0]) not in rows
    assert days[2] in run("show-report", "--db", db, whole, check=0).stdout.decode()


def test_a_table_that_comes_again_without_the_breakdown(tmp_path):
    db, table = tmp_path / "my.db", tmp_path / "events_20200101.jsonl"
    for by, count in ((["--by=platform"], 2), ([], 3)):
        table.write_bytes(b"".join(event_of(f"u{n}", "A") for n in range(count)))
        run("import-active-users", "--quiet", "--db", db, *by, table, check=0)
    assert [(value, n) for (_, _, value), n in published(db).items()] == [("(unknown)", 3)]
    run("check-data", "--db", db, "value_sets", "user_sets", check=0)


def test_who_came_before_a_breakdown_is_unknown(tmp_path):
    lines, db = made(3), tmp_path / "my.db"
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(b"".join(lines[:200]))
    second.write_bytes(b"".join(lines[200:]))
    how = ["import-active-users", "--quiet", "--db", db]
    run(*how, first, check=0)
    run(*how, "--by", "platform", second, check=0)
    found = defaultdict(int)
    (names,) = [dict(query(db, "SELECT date, active_user_count FROM active_user_table"))]
    for (day, _, value), count in published(db).items():
        found[day, value == "(unknown)"] += count
    assert any(is_unknown for _, is_unknown in found) and len(names) == 3
    run(*how, "--by", "platform", "--replace", first, check=0)
    assert published(db) == brute(lines, ["platform"])


OF_SETS = [name for name in catalogue.names() if catalogue.load(name).by]


@pytest.fixture(scope="module")
def whole_and_part(tmp_path_factory):
    """A database of two months, and one of those of its events alone that came from a platform."""
    folder, lines = tmp_path_factory.mktemp("reports"), made(11, 4_000, days=60)
    of_ios = [line for line in lines if json.loads(line).get("platform") == "IOS"]
    for name, some in (("whole.db", lines), ("part.db", of_ios)):
        how = ["--quiet", "--db", folder / name, "--by", "platform"]
        run("import-active-users", *how, stdin=b"".join(some), check=0)
    return folder / "whole.db", folder / "part.db"


def test_a_report_by_another_definition_has_all_of_its_values(tmp_path):
    lines, db, file = made(13, days=1), tmp_path / "my.db", tmp_path / "events"
    only = {"platform": "TV", "event_name": "user_engagement", "user_pseudo_id": "u1"}
    only["event_timestamp"] = NOON
    only["event_params"] = [{"key": "engagement_time_msec", "value": {"int_value": 3000}}]
    file.write_bytes(b"".join([*lines, json.dumps(only).encode() + b"\n"]))
    names = ["engaged-valuable", "google-n-day"]
    how = ["--quiet", "--db", db, "--by=platform", f"--definition={','.join(names)}"]
    run("import-active-users", *how, file, check=0)
    for name in names:
        words = ["--by=platform", "--max-values=100", f"--definition={name}", file]
        counted = run("count-active-users", "--quiet", *words, check=0).stdout.decode()
        counts = {row.split("\t")[2]: row.split("\t")[3] for row in counted.splitlines()}
        params = ["--param=by=platform", f"--param=definition={name}", "--format=tsv"]
        done = run("show-report", "active_users", *params, "--db", db, check=0)
        rows = [row.split("\t") for row in done.stdout.decode().splitlines()[1:]]
        assert {row[0]: row[2] for row in rows} == counts
        assert ("TV" in counts) == (name == "google-n-day")
        assert f" of {_users(db, name)} users of ".encode() in done.stderr


def _users(db, definition):
    words = ["--param", f"definition={definition}", "--format=tsv", "--db", db]
    shown_rows = run("show-report", "active_users", *words, check=0).stdout.decode()
    return shown_rows.splitlines()[1].split("\t")[1]


def test_a_report_has_a_value_with_a_null_character(tmp_path):
    db, line = tmp_path / "my.db", json.loads(made(1)[0])
    params = [("engagement_time_msec", 3000), ("engaged_session_event", 1)]
    line |= {"event_name": "user_engagement", "platform": "a\0b'"}
    line["event_params"] = [{"key": key, "value": {"int_value": n}} for key, n in params]
    text = json.dumps(line).encode()
    run("import-active-users", "--quiet", "--db", db, "--by=platform", stdin=text, check=0)
    for name in ("active_users", "stickiness"):
        how = ["--param=by=platform", "--format=json", "--db", db]
        (row,) = json.loads(run("show-report", name, *how, check=0).stdout)
        assert row["value"] == "a\0b'" and 1 in row.values()


@pytest.mark.parametrize("name", OF_SETS)
def test_every_report_of_a_value_is_that_of_its_events(name, whole_and_part):
    whole, part = whole_and_part
    report = catalogue.load(name)
    for more in [{}, {"window": "7"}, {"until": "2020-02-20"}, {"since": "2020-01-20"}]:
        if not more.keys() <= report.params.keys():
            continue
        params = [f"--param={key}={value}" for key, value in more.items()]
        of_value = [f"--param={report.by}=platform", "--param=value=IOS"]
        texts = [
            run("show-report", name, "--db", db, "--format", "json", *params, *those, check=0)
            for db, those in ((whole, of_value), (part, []))
        ]
        found, expected = (json.loads(text.stdout) for text in texts)
        for row in [*found, *expected]:
            for column in ("last_change", "status"):  # of all users of the day
                row.pop(column, None)
        assert found == expected
        assert found or name == "sketched_users"
    listed = [f"--param={report.by}=platform", "--format", "json"]
    every = json.loads(run("show-report", name, "--db", whole, *listed, check=0).stdout)
    assert {row["value"] for row in every} >= {"IOS", "WEB", ""} or name == "sketched_users"


USUAL = [name for name in source.names() if source.find(name).usual and name != "ga4"]


@pytest.mark.parametrize("name", USUAL)
def test_the_usual_fields_of_a_source(name):
    """Its events have them; each value's users are users of the day."""
    events = run("make-data", name, "--events", 400, check=0).stdout
    how = ["count-active-users", "--source", name]
    done = run(*how, "--by", "usual", stdin=events, check=0)
    found = counted(done.stdout)
    for field in source.find(name).usual:
        values = {value for _, of, value in found if of == field}
        assert values - {"(none)", ""}, field
    text = run(*how, stdin=events, check=0).stdout.decode()
    days = {day: int(count) for day, count in map(str.split, text.splitlines())}
    assert all(count <= days[day] for (day, _, _), count in found.items())
    assert b"no event had" not in done.stderr


def test_persons_have_the_values_of_their_devices(tmp_path):
    """With a login in some events: devices become one, and so do those who had a value."""
    lines, rng, db = made(6), Random(6), tmp_path / "my.db"
    with_logins = []
    for line in lines:
        event = json.loads(line)
        number = int(event["user_pseudo_id"][1:])
        if rng.random() < 0.5:
            event["user_id"] = f"p{number // 3}"
        with_logins.append(json.dumps(event).encode() + b"\n")
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"".join(with_logins))
    how = ["--quiet", "--identity", "stitched", *BY]
    done = run("count-active-users", *how, path, check=0)
    run("import-active-users", *how, "--db", db, path, check=0)
    assert published(db) == counted(done.stdout)
    run("check-data", "--db", db, "value_sets", "user_sets", check=0)
    days = dict(query(db, "SELECT date, active_user_count FROM active_user_table"))
    named = []
    for line in lines:
        event = json.loads(line)
        event["user_pseudo_id"] = f"p{int(event['user_pseudo_id'][1:]) // 3}"
        named.append(event)
    persons = brute([json.dumps(event).encode() for event in named], FIELDS)
    assert published(db) == persons and all(days.values())


def test_files_of_before_are_read_again(tmp_path):
    lines, db = made(4), tmp_path / "my.db"
    paths = [tmp_path / name for name in ("first", "second", "third")]
    how = ["import-active-users", "--db", db]
    for number, path in enumerate(paths):
        path.write_bytes(b"".join(lines[number::3]))
        run(*how, path, check=0)
    run(*how, *BY, "--backfill", check=0)
    assert published(db) == brute(lines, FIELDS)
    again = query(db, "SELECT path FROM run_input WHERE run_id = 4 AND status = 'read'")
    assert again == [(str(path),) for path in paths]

    paths[1].unlink()
    done = run(*how, "--by", "platform", "--backfill", check=65)
    assert f"{paths[1]} is gone".encode() in done.stderr
    assert published(db) == brute(lines, FIELDS)
    assert run(*how, "--backfill").returncode == 2
    assert run(*how, *BY, "--backfill", paths[0]).returncode == 2
    new = ["--db", tmp_path / "new.db", *BY, "--backfill"]
    assert run("import-active-users", *new).returncode == 66


@pytest.mark.skipif(not SAMPLE.exists(), reason="the real data are not here")
def test_the_real_sample_equals_plain_python():
    fields = ["version", "language", "mobile_os_hardware_model", "user_properties.testUserGroup"]
    done = run("count-active-users", "--quiet", "--by", ",".join(fields), SAMPLE, check=0)
    found = defaultdict(set)
    for line in SAMPLE.read_bytes().splitlines():
        event = json.loads(line)
        params = {param["key"]: param["value"].get("int_value") for param in event["event_params"]}
        if event["event_name"] != "user_engagement" or int(params["engagement_time_msec"]) < 3000:
            continue
        if int(params.get("engaged_session_event", params.get("session_engaged", 0))) < 1:
            continue
        day = reference.local_day(int(event["event_timestamp"]), "America/Chicago")
        groups = [
            next(iter(it["value"].values()))
            for it in event["user_properties"]
            if it["key"] == "testUserGroup"
        ]
        values = [*(event.get(field) for field in fields[:3]), *(groups or [None])]
        for field, value in zip(fields, values, strict=True):
            found[day, field, shown(value)].add(event["user_pseudo_id"])
    assert counted(done.stdout) == {key: len(users) for key, users in found.items()}


@pytest.mark.parametrize("valuable", ["", "purchase"])
def test_windows_of_every_value_are_unions_of_its_days(valuable, tmp_path):
    """Of the unknown, too, and where a value's users need not all be active."""
    lines, path = made(12, 600, days=9), tmp_path / "my.db"
    how = ["import-active-users", "--quiet", "--db", path, "--valuable-events", valuable]
    run(*how, stdin=b"".join(lines[:200]), check=0)
    run(*how, "--by", "platform", stdin=b"".join(lines[200:]), check=0)
    asked = ["--param", "by=platform", "--param", "window=3", "--format", "json"]
    rows = json.loads(run("show-report", "active_users", "--db", path, *asked, check=0).stdout)
    with sqlite3.connect(path) as db:
        days = [day for (day,) in db.execute("SELECT DISTINCT date FROM active_day_by")]
        of_day = {day: breakdowns.active(db, day, "engaged-valuable") for day in days}
    expected = {}
    for value in {value for sets in of_day.values() for _, value in sets}:
        first = date.fromisoformat(min(days))
        for after in range(len(days)):
            window = [str(first + timedelta(after - back)) for back in range(3)]
            sets = [of_day.get(day, {}).get(("platform", value), BitMap()) for day in window]
            if users := len(BitMap.union(*sets)):
                expected[value, window[0]] = users
    assert {(row["value"], row["date"]): row["users"] for row in rows} == expected
    assert {"(unknown)", "IOS"} <= {value for value, _ in expected}


SHAPES = [
    {"country": "Peru", "city": None},
    {"country": {"string_value": "Peru"}},
    {"country": {"name": "Peru"}, "list": None},
    {"list": [{"key": "country", "value": "Peru"}]},
    [{"key": "country", "value": {"string_value": "Peru"}}],
    '{"country": "Peru"}',
    {"country": [1, 2.50], "city": "Lima"},
    {},
    None,
    7,
]


@pytest.mark.parametrize("seed", range(200))
def test_values_of_many_lines_are_those_of_each(seed):
    """Whatever is on the way to a field, or in its place."""
    rng = Random(seed)
    some = rng.sample(SHAPES, rng.randrange(1, 4))
    lines = [json.dumps({"geo": rng.choice(some), "n": rng.choice(some)}).encode() for _ in "12345"]
    fields = rng.sample(["geo.country", "geo.city", "geo", "n", "n.country*geo.city", "geo.x.y"], 3)
    found = breakdown.Breakdown(fields, "fields")
    at = found.of_lines(All(Block(b"\n".join(lines) + b"\n")))
    for places in ([0, 1, 2, 3, 4], [1, 4]):
        rows = [found.values(lines[i]) for i in places]
        assert at(places) == [list(column) for column in zip(*rows, strict=True)]


def test_objects_that_no_field_is_in_cost_nothing():
    """What differs from event to event is not taken apart for a value that few events differ in."""
    lines = [b'{"geo":{"ip":"%d","country":"Peru"}}' % i for i in range(100)]
    found = breakdown.Breakdown(["geo.country"], "fields")
    taken_apart = []
    found._of_leaf["geo.country"]._value = lambda raw, _: taken_apart.append(raw) or "Peru"
    at = found.of_lines(All(Block(b"\n".join(lines))))
    assert at(range(100)) == [["Peru"] * 100] and taken_apart == [b'"Peru"']
