"""The same events in every shape, spelling, unit: one answer or a refusal, never nothing."""

import csv
import gzip
import io
import itertools
import json
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import fastavro
import pyarrow as pa
import pytest
from backports import zstd
from pyarrow import parquet

from headcount.cli.parser import Parser
from headcount.filters.recognised import WrongKind
from headcount.io import inputs
from headcount.pipelines.active_users import fused
from helpers.programs import REAL, run
from helpers.sessions import query

CASES = REAL.parent / "cases" / "shapes"
DAY = datetime(2026, 1, 10, 6, tzinfo=UTC)  # midnight in Chicago
EXPECTED = "2026-01-10\t3\n2026-01-11\t2\n"

# Users, hours after DAY, milliseconds of engagement, valuable or not.
FACTS = [
    ("u1", 0, 5000, 1),
    ("u1", 1, 5000, 1),
    ("u2", 2.5, 3000, 1),
    ("ü3", 23.999, 3000, 1),
    ("u1", 24, 4000, 1),
    ("u4", 30, 3000, 1),
    ("u4", 3, 2999, 1),
    ("u5", 3, 9000, 0),
]


def micros(hours: float) -> int:
    at = DAY + timedelta(hours=hours)
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


# --- how an event says when, and how long


TIMES = {
    "us": lambda us: us,
    "us as text": str,
    "ISO": lambda us: datetime.fromtimestamp(us / 10**6, UTC).isoformat(),
    "BigQuery": lambda us: f"{datetime.fromtimestamp(us / 10**6, UTC):%Y-%m-%d %H:%M:%S.%f} UTC",
    "RFC 2822": lambda us: f"{datetime.fromtimestamp(us / 10**6, UTC):%a, %d %b %Y %H:%M:%S} GMT",
}
UNITS = {"s": 10**6, "ms": 10**3, "ns": None}


def in_unit(us: int, unit: str) -> int:
    return us * 1000 if unit == "ns" else us // UNITS[unit]


VALUES = {
    "int_value": lambda number: {"int_value": number},
    "text": lambda number: {"int_value": str(number)},
    "all fields": lambda number: {
        "string_value": None,
        "int_value": str(number),
        "float_value": None,
        "double_value": None,
    },
    "double": lambda number: {"double_value": float(number)},
    "string_value": lambda number: {"string_value": str(number)},
}


def listed(msec, valuable, value, name):
    params = {"engagement_time_msec": value(msec), name: value(valuable)}
    return [{"key": key, "value": known} for key, known in params.items()]


PARAMS = {
    "list": lambda *given: {"event_params": listed(*given)},
    "object": lambda msec, valuable, value, name: {
        "event_params": {"engagement_time_msec": msec, name: valuable}
    },
    "object of values": lambda msec, valuable, value, name: {
        "event_params": {"engagement_time_msec": value(msec), name: value(valuable)}
    },
    "wrapped": lambda *given: {
        "event_params": {"list": [{"element": param} for param in listed(*given)]}
    },
    "text": lambda *given: {"event_params": json.dumps(listed(*given))},
    "flat": lambda msec, valuable, value, name: {"engagement_time_msec": msec, name: valuable},
}


def events(rng, time, params, value, name):
    made = []
    for user, hours, msec, valuable in FACTS:
        event = {
            "event_name": "user_engagement",
            "event_timestamp": time(micros(hours)),
            "user_pseudo_id": user,
        }
        made.append(event | params(msec, valuable, value, name))
    made.append({"event_name": "x", "event_timestamp": time(micros(0)), "user_pseudo_id": "u9"})
    rng.shuffle(made)
    return made


def plain(rng, time=TIMES["us"], value=VALUES["text"]):
    return events(rng, time, PARAMS["list"], value, "session_engaged")


# --- how a file holds them


def as_csv(made, delimiter=","):
    text = io.StringIO()
    names = list(dict.fromkeys(name for event in made for name in event))
    writer = csv.DictWriter(text, names, delimiter=delimiter)
    writer.writeheader()
    for event in made:
        row = {
            name: json.dumps(value) if isinstance(value, list | dict) else value
            for name, value in event.items()
        }
        writer.writerow(row)
    return text.getvalue().encode()


def pretty(made):
    return "\n".join(json.dumps(event, indent=2) for event in made).encode()


TEXTS = {
    "lines": lambda made: "".join(json.dumps(event) + "\n" for event in made).encode(),
    "array": lambda made: json.dumps(made).encode(),
    "pretty array": lambda made: json.dumps(made, indent=4, ensure_ascii=False).encode(),
    "array of lines": lambda made: ("[\n" + ",\n".join(map(json.dumps, made)) + "\n]\n").encode(),
    "pretty": pretty,
    "arrays": lambda made: b"".join(json.dumps([event]).encode() + b"\n" for event in made),
    "UTF-16": lambda made: "\n".join(map(json.dumps, made)).encode("utf-16"),
    "UTF-16 array": lambda made: json.dumps(made).encode("utf-16-le"),
    "csv": as_csv,
    "tsv": lambda made: as_csv(made, "\t"),
}
ARCHIVES = {"plain": bytes, "gzip": gzip.compress, "zstd": zstd.compress}


def counted(path, *options):
    return run("count-active-users", "--tz", "America/Chicago", *options, path)


def check(path, *options):
    """What a count says, both ways; and an import."""
    for how in ([], ["--pipe"], ["--validate"]):
        done = counted(path, *how, *options)
        assert (done.stdout.decode(), done.returncode) == (EXPECTED, 0), done.stderr.decode()
        assert not done.stderr
    db = path.with_suffix(".db")
    run("import-active-users", "--db", db, *options, path, check=0)
    table = query(
        db, "SELECT date || char(9) || active_user_count || char(10) FROM active_user_table"
    )
    assert "".join(row for (row,) in table) == EXPECTED


def answer(path, *options):
    """What a count says, found in this process. Raises WrongKind."""
    given = fused.parsed(Parser("X - x"), [*options, str(path)], many_in_one=False)
    rows, users = b"", defaultdict(set)
    for block in inputs.blocks([str(path)], reader=given.reading["reader"]):
        found = given.rows(block)
        assert not list(found.rejects) and not block.rejects
        rows += found.rows
    for row in (rows + given.reading["at_end"]()).decode().splitlines():
        day, user, _ = row.split("\t")
        users[day].add(user)
    return "".join(f"{day}\t{len(users[day])}\n" for day in sorted(users))


MADE = list(itertools.product(TIMES, PARAMS, VALUES))


@pytest.mark.sample(6)
@pytest.mark.parametrize("archive", ARCHIVES)
@pytest.mark.parametrize("text", TEXTS)
def test_every_shape_in_every_program(text, archive, tmp_path):
    rng = random.Random(f"{text} {archive}")
    time, params, value = rng.choice(MADE)
    name = rng.choice(["engaged_session_event", "session_engaged"])
    made = events(rng, TIMES[time], PARAMS[params], VALUES[value], name)
    path = tmp_path / "events"
    path.write_bytes(ARCHIVES[archive](TEXTS[text](made)))
    check(path)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(("time", "params", "value"), MADE)
def test_every_spelling_in_every_shape(time, params, value, text, tmp_path):
    rng = random.Random(f"{time} {params} {value}")
    made = events(rng, TIMES[time], PARAMS[params], VALUES[value], "engaged_session_event")
    path = tmp_path / "events"
    path.write_bytes(rng.choice(list(ARCHIVES.values()))(TEXTS[text](made)))
    assert answer(path) == answer(path, "--validate") == EXPECTED


def in_another_unit(unit, text, path):
    made = events(
        random.Random(f"{unit} {text}"),
        lambda us: in_unit(us, unit),
        PARAMS["list"],
        VALUES["text"],
        "session_engaged",
    )
    path.write_bytes(TEXTS[text](made))
    return path


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("unit", UNITS)
def test_every_unit_in_every_shape(unit, text, tmp_path):
    path = in_another_unit(unit, text, tmp_path / "events")
    with pytest.raises(WrongKind, match=f"--time-unit {unit}"):
        answer(path)
    assert answer(path, "--time-unit", unit) == EXPECTED


@pytest.mark.parametrize(("unit", "text"), [("s", "lines"), ("ms", "array"), ("ns", "csv")])
def test_every_unit_in_every_program(unit, text, tmp_path):
    path = in_another_unit(unit, text, tmp_path / "events")
    for how in ([], ["--pipe"], ["--validate"]):
        done = counted(path, *how)
        assert done.stdout == b"" and done.returncode not in (0, 65)
        assert f"--time-unit {unit}".encode() in done.stderr and str(path).encode() in done.stderr
    check(path, "--time-unit", unit)


SCHEMA = {
    "type": "record",
    "name": "event",
    "fields": [
        {"name": "event_name", "type": ["null", "string"]},
        {"name": "event_timestamp", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "user_pseudo_id", "type": ["null", "string"]},
        {
            "name": "event_params",
            "type": {
                "type": "array",
                "items": {
                    "type": "record",
                    "name": "param",
                    "fields": [
                        {"name": "key", "type": "string"},
                        {
                            "name": "value",
                            "type": {
                                "type": "record",
                                "name": "value",
                                "fields": [
                                    {"name": "int_value", "type": ["null", "long"], "default": None}
                                ],
                            },
                        },
                    ],
                },
            },
        },
    ],
}


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy", "zstandard"])
def test_avro(codec, tmp_path):
    made = events(
        random.Random(1), TIMES["us"], PARAMS["list"], VALUES["int_value"], "session_engaged"
    )
    path = tmp_path / "events"
    with path.open("wb") as file:
        rows = [{"event_params": []} | event for event in made]
        fastavro.writer(file, fastavro.parse_schema(SCHEMA), rows, codec)
    check(path)


MAP = pa.map_(pa.string(), pa.struct([("int_value", pa.int64())]))
TABLES = {
    "list": (PARAMS["list"], None),
    "wrapped": (PARAMS["wrapped"], None),
    "flat": (PARAMS["flat"], None),
    "map": (PARAMS["object of values"], MAP),
}


@pytest.mark.parametrize("time", ["us", "timestamp"])
@pytest.mark.parametrize("table", TABLES)
def test_parquet(table, time, tmp_path):
    params, kind = TABLES[table]
    made = events(random.Random(2), TIMES["us"], params, VALUES["int_value"], "session_engaged")
    columns = {name: [event.get(name) for event in made] for event in made for name in event}
    arrays = {name: pa.array(values) for name, values in columns.items() if name != "event_params"}
    if "event_params" in columns:
        values = columns["event_params"]
        if kind:
            values = [value and list(value.items()) for value in values]
        arrays["event_params"] = pa.array(values, kind)
    if time == "timestamp":
        times = arrays["event_timestamp"].cast(pa.timestamp("us", "UTC"))
        arrays["event_timestamp"] = times
    path = tmp_path / "events"
    parquet.write_table(pa.table(arrays), path)
    check(path)


def test_rejects_have_their_place_in_an_array(tmp_path):
    made = plain(random.Random(3))
    made.insert(4, {"event_name": "user_engagement", "event_timestamp": "soon"})
    path = tmp_path / "events"
    for text, place in (("array", 5), ("array of lines", 6)):
        path.write_bytes(TEXTS[text](made))
        for how in ([], ["--pipe"]):
            rejects = tmp_path / "rejects"
            rejects.unlink(missing_ok=True)
            done = counted(path, *how, "--rejects", rejects)
            assert (done.stdout.decode(), done.returncode) == (EXPECTED, 65)
            (entry,) = map(json.loads, rejects.read_bytes().splitlines())
            assert (entry["line"], json.loads(entry["raw"])) == (place, made[4])
            assert f"{path}:{place}: bad event_timestamp".encode() in done.stderr


def test_a_truncated_array_is_an_error(tmp_path):
    made = plain(random.Random(4))
    path = tmp_path / "events"
    path.write_bytes(TEXTS["array"](made)[:-30])
    for how in ([], ["--pipe"]):
        done = counted(path, *how)
        assert done.stdout == b"" and done.returncode == 1 and b"truncated" in done.stderr


# --- times that cannot be, and inputs of nothing


def line(time):
    return (
        json.dumps(plain(random.Random(5), lambda _us: time)[0] | {"user_pseudo_id": "u1"}) + "\n"
    )


@pytest.mark.parametrize("time", [5, 946_684_799_999_999, "1999-12-31T23:59:59Z", 4 * 10**15])
def test_a_time_that_cannot_be_is_a_reject(time, tmp_path):
    path = tmp_path / "events"
    path.write_text(TEXTS["lines"](plain(random.Random(6))).decode() + line(time))
    done = counted(path, "--validate")
    assert (done.stdout.decode(), done.returncode) == (EXPECTED, 65)
    assert b"implausible time" in done.stderr and b"; see --" in done.stderr
    done = counted(path, "--validate", "--earliest=1970-01-01", "--latest=9000-01-01")
    assert done.returncode == 0


def test_an_empty_input_is_fine_and_says_so(tmp_path):
    path = tmp_path / "events"
    for content in (b"", b"[]", b"\n \n"):
        path.write_bytes(content)
        for how in ([], ["--pipe"]):
            done = counted(path, *how)
            assert (done.stdout, done.returncode) == (b"", 0) and done.stderr
            assert not counted(path, "--quiet", *how).stderr


def test_events_that_do_not_count_are_fine_and_it_says_so(tmp_path):
    path = tmp_path / "events"
    path.write_text(line(micros(0)).replace("user_engagement", "screen_view"))
    for how in ([], ["--pipe"]):
        done = counted(path, *how)
        assert (done.stdout, done.returncode) == (
            b"",
            0,
        ) and b"nothing kept of 1 line" in done.stderr
    done = run("import-active-users", "--db", tmp_path / "my.db", path, check=0)
    assert done.stderr.count(b"nothing kept of 1 line") == 1


GARBAGE = {
    "text": b"some text\nand more of it\n",
    "a page": b"<!DOCTYPE html><html><body>not found</body></html>\n",
    "a picture": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "one object": json.dumps({"events": [json.loads(line(micros(0)))]}, indent=1).encode(),
    "other JSON": b'{"a":1}\n{"b":[2]}\n',
    "a list of numbers": b"[1,2,3]\n",
    "another table": b"id,name\n1,ann\n2,bob\n",
}


@pytest.mark.sample(2)
@pytest.mark.parametrize("what", GARBAGE)
def test_what_is_no_event_is_refused(what, tmp_path):
    path = tmp_path / "wrong"
    good = tmp_path / "good"
    good.write_text(line(micros(0)))
    path.write_bytes(GARBAGE[what])
    for how in ([], ["--pipe"], ["--validate"], ["--jobs", "2"]):
        for paths in ([path], [good, path], [path, good]):
            done = run("count-active-users", *how, *paths)
            assert (done.stdout, done.returncode) == (b"", 66), done.stderr
            assert str(path).encode() in done.stderr and b"--source ga4" in done.stderr
    db = tmp_path / "my.db"
    run("import-active-users", "--db", db, path, check=66)
    assert query(db, "SELECT status FROM run") == [("failed",)]
    run("import-active-users", "--db", db, "--max-rejects", "100%", "--allow-empty", path)
    assert query(db, "SELECT status FROM run WHERE id = 2") == [("done",)]


def test_an_event_further_on_is_enough(tmp_path):
    """What comes before is filtered, as ever."""
    path = tmp_path / "events"
    path.write_text("".join('{"a":1}\n' for _ in range(500)) + line(micros(0)))
    assert counted(path).stdout == b"2026-01-10\t1\n"


SHARED = {
    "02-array-oneline.json": 3,
    "03-array-pretty.json": 3,
    "03b-array-perline.json": 3,
    "03c-concat-pretty.json": 3,
    "04-web-session_engaged-string.jsonl": 3,
    "05-msec-string.jsonl": 3,
    "06-iso.jsonl": 3,
    "06b-bqts.jsonl": 3,
    "10-int-user.jsonl": 3,
    "13b-utf16.jsonl": 3,
    "14-map-params.jsonl": 3,
    "14c-flat.jsonl": 3,
    "14d-parquet-list.jsonl": 3,
    "40-list.parquet": 4,
    "41-wrapped.parquet": 4,
    "42-ts.parquet": 4,
}
WITH_OPTIONS = {
    "07-seconds.jsonl": ["--time-unit", "s"],
    "08-millis.jsonl": ["--time-unit", "ms"],
    "10b-int-user_id.jsonl": ["--user", "user_id,user_pseudo_id"],
    "27-csv.csv": ["--valuable-events", "user_engagement"],
}
shared = pytest.mark.skipif(not CASES.is_dir(), reason="the shared cases are not here")


@shared
@pytest.mark.parametrize("name", SHARED)
def test_shared_cases(name):
    for how in ([], ["--pipe"]):
        done = run("count-active-users", "--tz=UTC", *how, CASES / name, check=0)
        assert done.stdout.decode() == f"2026-01-10\t{SHARED[name]}\n"


@shared
@pytest.mark.parametrize("name", WITH_OPTIONS)
def test_shared_cases_with_an_option(name):
    given = WITH_OPTIONS[name]
    for how in ([], ["--pipe"]):
        done = run("count-active-users", "--tz=UTC", *how, *given, CASES / name, check=0)
        assert done.stdout == b"2026-01-10\t3\n"
        if name != "10b-int-user_id.jsonl":
            done = run("count-active-users", "--tz=UTC", *how, CASES / name, check=66)
            assert done.stdout == b"" and given[0].encode() in done.stderr
