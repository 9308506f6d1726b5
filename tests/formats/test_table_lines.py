"""Tables as JSON Lines: one table in four kinds, every type of each, nothing lost on the way."""

import csv
import datetime
import decimal
import gzip
import io
import json
import math
import os
import random
import subprocess
import threading
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headcount.errors import Failure
from headcount.filters import runner
from headcount.filters.rejects import Reject
from headcount.filters.results import Result, results
from headcount.formats import table_lines
from headcount.io import inputs, interrupt
from helpers.memory import peak_memory
from helpers.programs import BARE, ROOT

pa = pytest.importorskip("pyarrow", reason="no pyarrow: make .venv/parquet")
pq = pytest.importorskip("pyarrow.parquet")
fastavro = pytest.importorskip("fastavro", reason="no fastavro: make .venv/avro")
arrow_json = pytest.importorskip("headcount.formats.arrow_json")
avro = pytest.importorskip("headcount.formats.avro")

KINDS = ("parquet", "avro", "csv", "tsv")
SAMPLES = ROOT.parent / "shared" / "cases" / "shapes"
UTC = datetime.UTC


def reader_of(kind, columns=None):
    def convert(path, head, chunks):
        return head, table_lines.blocks(path, head, chunks, kind, columns)

    return inputs.Reader(convert)


def blocks_of(path, kind, columns=None):
    return inputs.blocks([str(path)], reader=reader_of(kind, columns))


def read(path, kind, columns=None):
    """Objects, their numbers, rejects as (number, reason, detail, raw), and what was left out."""
    objects, numbers, rejects, left_out = [], [], [], 0
    for block in blocks_of(path, kind, columns):
        lines = bytes(block.text).splitlines(keepends=True)
        assert all(line.endswith(b"}\n") for line in lines) and len(lines) == block.lines()
        objects += map(json.loads, lines)
        numbers += [block.number(i) for i in range(block.lines())]
        rejects += [(number, *why[:2], raw) for why, _, number, raw in block.rejects]
        left_out += block.left_out
    return objects, numbers, rejects, left_out


VALUE = pa.struct(
    [("string_value", pa.string()), ("int_value", pa.int64()), ("double_value", pa.float64())]
)
PARAMS = pa.list_(pa.struct([("key", pa.string()), ("value", VALUE)]))
SCHEMA = pa.schema(
    [
        ("event_name", pa.string()),
        ("event_timestamp", pa.int64()),
        ("event_params", PARAMS),
        ("user_id", pa.string()),
        ("user_pseudo_id", pa.string()),
        ("device", pa.struct([("category", pa.string())])),
    ]
)


def avro_type(kind, names):
    if pa.types.is_struct(kind):
        fields = [{"name": field.name, "type": avro_type(field.type, names)} for field in kind]
        return ["null", {"type": "record", "name": f"Record{next(names)}", "fields": fields}]
    if pa.types.is_list(kind):
        return {"type": "array", "items": avro_type(kind.value_type, names)}
    return ["null", {"string": "string", "int64": "long", "double": "double"}[str(kind)]]


# As BigQuery's export to Avro has them: unions with null, and event_params as an array of records.
AVRO_SCHEMA = {
    "type": "record",
    "name": "Root",
    "fields": [
        {"name": field.name, "type": avro_type(field.type, iter(range(1, 100)))}
        if not pa.types.is_struct(field.type)
        else {"name": field.name, "type": avro_type(field.type, iter(range(100, 200)))}
        for field in SCHEMA
    ],
}


def event(i, rng):
    params = [{"key": "engagement_time_msec", "value": {"int_value": rng.randrange(9999)}}]
    if rng.random() < 0.5:
        text = rng.choice(["Grüße", 'say "hi", you', "two\nlines\ttabs", "back\\slash", "\x01", ""])
        params.append({"key": "page_title", "value": {"string_value": text}})
    if rng.random() < 0.3:
        params.append({"key": "value", "value": {"double_value": rng.choice([0.5, 1e300, -0.125])}})
    found = {
        "event_name": rng.choice(["user_engagement", "page_view"]),
        "event_timestamp": 1_768_060_800_000_000 + i,
        "event_params": params,
        "user_pseudo_id": f"u{i}",
    }
    if rng.random() < 0.3:
        found["user_id"] = rng.choice(["{brace", "[", '"quoted"', "ü", "{'a': 1}"])
    if rng.random() < 0.3:
        found["device"] = rng.choice([{"category": "mobile"}, {}])
    return found


def events(count, seed=1):
    rng = random.Random(seed)
    return [event(i, rng) for i in range(count)]


def cell(value):
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, dict | list) else value


def write(path, kind, rows, **options):
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), path, **options)
    elif kind == "avro":
        with open(path, "wb") as file:
            fastavro.writer(file, AVRO_SCHEMA, rows, **{"sync_interval": 1000} | options)
    else:
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, delimiter="," if kind == "csv" else "\t")
            writer.writerow(SCHEMA.names)
            writer.writerows([cell(row.get(name)) for name in SCHEMA.names] for row in rows)
    return path


def as_csv_has_it(row):
    """Numbers of columns of their own are text there."""
    return {name: str(value) if type(value) is int else value for name, value in row.items()}


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    return {kind: write(folder / kind, kind, events(500)) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_events_in_every_kind(kind, tables):
    expected = events(500)
    if kind in ("csv", "tsv"):
        expected = list(map(as_csv_has_it, expected))
    objects, numbers, rejects, left_out = read(tables[kind], kind)
    assert objects == expected and not rejects
    if kind in ("parquet", "avro"):
        assert numbers == list(range(1, 501)) and left_out == 0
    else:
        assert numbers == list(range(2, 502)) and left_out == 1


@pytest.mark.sample(3)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tool", ["gzip", "zstd", "fifo", "stdin", "stdin of gzip"])
def test_archives_pipes_and_standard_input(kind, tool, tables, tmp_path):
    data, expected = tables[kind].read_bytes(), read(tables[kind], kind)
    path = tmp_path / "input"
    if tool == "fifo":
        os.mkfifo(path)
        writer = threading.Thread(target=path.write_bytes, args=[data])
        writer.start()
        found = read(path, kind)
        writer.join()
    elif tool.startswith("stdin"):
        code = (
            f"import sys; sys.path[:0] = {[str(ROOT / 'lib'), str(ROOT / 'tests')]}\n"
            "from formats.test_table_lines import read; import json\n"
            f"print(json.dumps(read('-', {kind!r})))"
        )
        if tool.endswith("gzip"):
            data = gzip.compress(data)
        command = [ROOT / "lib" / "python", "-c", code]
        done = subprocess.run(command, input=data, capture_output=True, env=BARE, check=True)
        found = tuple(json.loads(done.stdout))
    else:
        if tool == "gzip":
            path.write_bytes(gzip.compress(data))
        else:
            path.write_bytes(inputs_zstd(data))
        found = read(path, kind)
    assert found == expected


def inputs_zstd(data):
    try:
        from compression import zstd
    except ImportError:
        from backports import zstd
    return zstd.compress(data)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_what_is_cut_short_or_damaged_is_an_error_with_its_name(kind, pack, tables, tmp_path):
    path = tmp_path / "input"
    data = pack(tables[kind].read_bytes())
    if kind in ("csv", "tsv") and pack is bytes:
        return  # any part of a text is one
    for size in (10, 50, len(data) // 3, len(data) - 20, len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(Failure, match=f"^{path}: ") as failure:
            read(path, kind)
        assert failure.value.status == 1 and "\n" not in str(failure.value)


def test_damaged_avro_says_which_record_and_that_nothing_was_counted(tmp_path):
    path = write(tmp_path / "input", "avro", events(500), codec="deflate")
    data, sync = path.read_bytes(), path.read_bytes()[-16:]
    ends = [at for at in range(len(data)) if data.startswith(sync, at)][1:]  # the header's is first
    assert len(ends) > 5
    before = fastavro.block_reader(io.BytesIO(data[: ends[2] + 16]))
    count = sum(block.num_records for block in before)
    message = (
        rf"input: record {count + 1}: Avro that is damaged or cut short: .*; nothing of it was"
    )
    for damage in (
        data[: ends[2] + 17],
        data[: ends[2] + 60],
        data[: ends[2] + 40] + bytes(20) + data[ends[2] + 60 :],
    ):
        path.write_bytes(damage)
        with pytest.raises(Failure, match=message):
            read(path, "avro")
    path.write_bytes(data[: ends[2]] + bytes(16) + data[ends[2] + 16 :])  # another sync marker
    with pytest.raises(Failure, match="sync marker"):
        read(path, "avro")
    path.write_bytes(b"Obj\x01" + bytes(100))
    with pytest.raises(Failure, match="record 1: "):
        read(path, "avro")


def test_an_avro_block_of_more_than_its_records_is_damaged(tmp_path):
    schema = {"type": "record", "name": "R", "fields": [{"name": "x", "type": "string"}]}
    with open(tmp_path / "input", "wb") as file:
        fastavro.writer(file, schema, [{"x": "abc"}] * 3)
    data = (tmp_path / "input").read_bytes()
    at = data.index(data[-16:]) + 16  # of the count of the only block: zigzag, so 3 is 6
    assert data[at] == 6
    (tmp_path / "input").write_bytes(data[:at] + b"\x04" + data[at + 1 :])
    with pytest.raises(Failure, match=r"record 2: .* more than its records"):
        read(tmp_path / "input", "avro")


@pytest.mark.parametrize("codec", ["null", "deflate", "bzip2", "xz", "zstandard", "snappy"])
def test_codecs_of_avro(codec, tmp_path):
    if codec == "snappy":
        pytest.importorskip("cramjam")
    path = write(tmp_path / "input", "avro", events(50), codec=codec)
    assert read(path, "avro")[0] == events(50)


def test_a_codec_of_avro_that_is_not_read_is_named(tmp_path):
    path = write(tmp_path / "input", "avro", events(5))
    path.write_bytes(path.read_bytes().replace(b"\x08null", b"\x08lz44", 1))
    with pytest.raises(Failure, match=r"codec: expected one of null, deflate.*, got 'lz44'"):
        read(path, "avro")


def test_snappy_without_its_package_says_which_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(avro, "find_spec", lambda name: None)
    path = write(tmp_path / "input", "avro", events(5))
    path.write_bytes(path.read_bytes().replace(b"\x08null", b"\x0csnappy", 1))
    with pytest.raises(Failure, match=r"codec: snappy needs .* cramjam, .*; write it with deflate"):
        read(path, "avro")


TIME = datetime.datetime(2026, 1, 10, 16, 0, 0, 123_400, UTC)
TYPES = {
    # the type of Parquet, that of Avro, a value, and the same as JSON
    "truth": (pa.bool_(), "boolean", True, True),
    "whole": (pa.int32(), "int", -7, -7),
    "long": (pa.int64(), "long", -(2**63), -(2**63)),
    "real": (pa.float64(), "double", 0.1, 0.1),
    "small": (pa.float32(), "float", 0.5, 0.5),
    "text": (pa.string(), "string", 'é"\\\n\x00\u2028', 'é"\\\n\x00\u2028'),
    "bytes": (pa.binary(), "bytes", 'é"'.encode(), 'é"'),
    "fixed": (pa.binary(2), {"type": "fixed", "name": "F", "size": 2}, b"ab", "ab"),
    "word": (
        pa.dictionary(pa.int8(), pa.string()),
        {"type": "enum", "name": "E", "symbols": ["v", "w"]},
        "w",
        "w",
    ),
    "micros": (
        pa.timestamp("us", "UTC"),
        {"type": "long", "logicalType": "timestamp-micros"},
        TIME,
        "2026-01-10T16:00:00.1234Z",
    ),
    "millis": (
        pa.timestamp("ms", "Europe/Paris"),
        {"type": "long", "logicalType": "timestamp-millis"},
        TIME.replace(microsecond=120_000),
        "2026-01-10T16:00:00.12Z",
    ),
    "minute": (
        pa.timestamp("us", "UTC"),
        {"type": "long", "logicalType": "timestamp-micros"},
        TIME.replace(second=0, microsecond=0),
        "2026-01-10T16:00:00Z",
    ),
    "local": (
        pa.timestamp("us"),
        {"type": "long", "logicalType": "local-timestamp-micros"},
        TIME.replace(tzinfo=None, second=10, microsecond=0),
        "2026-01-10T16:00:10",
    ),
    "day": (
        pa.date32(),
        {"type": "int", "logicalType": "date"},
        TIME.date(),
        "2026-01-10",
    ),
    "exact": (
        pa.decimal128(20, 2),
        {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 2},
        decimal.Decimal("123456789012345678.90"),
        decimal.Decimal("123456789012345678.90"),
    ),
    "uuid": (
        pa.uuid(),
        {"type": "string", "logicalType": "uuid"},
        uuid.UUID(int=5),
        str(uuid.UUID(int=5)),
    ),
    "list": (
        pa.list_(pa.int64()),
        {"type": "array", "items": ["null", "long"]},
        [1, None],
        [1, None],
    ),
    "none": (pa.list_(pa.int64()), {"type": "array", "items": "long"}, [], []),
    "map": (
        pa.map_(pa.string(), pa.int64()),
        {"type": "map", "values": ["null", "long"]},
        {'a"': 1, "gone": None, "b": 2},
        {'a"': 1, "b": 2},
    ),
    "wrapped": (
        pa.struct([("list", pa.list_(pa.struct([("element", pa.timestamp("us", "UTC"))])))]),
        {
            "type": "record",
            "name": "W",
            "fields": [
                {
                    "name": "list",
                    "type": {
                        "type": "array",
                        "items": {
                            "type": "record",
                            "name": "L",
                            "fields": [
                                {
                                    "name": "element",
                                    "type": {"type": "long", "logicalType": "timestamp-micros"},
                                }
                            ],
                        },
                    },
                }
            ],
        },
        {"list": [{"element": TIME}]},
        {"list": [{"element": "2026-01-10T16:00:00.1234Z"}]},
    ),
}


@pytest.mark.parametrize("kind", ["parquet", "avro"])
def test_every_type(kind, tmp_path):
    path = tmp_path / "input"
    if kind == "parquet":
        columns = {}
        for name, (arrow, _, value, _) in TYPES.items():
            values = [list(value.items()) if name == "map" else value, None]
            if name == "uuid":
                values = [value.bytes, None]
            columns[name] = pa.array(values, arrow)
        pq.write_table(pa.table(columns), path)
    else:
        fields = [{"name": n, "type": ["null", avro]} for n, (_, avro, _, _) in TYPES.items()]
        with open(path, "wb") as file:
            schema = {"type": "record", "name": "R", "fields": fields}
            row = {name: value for name, (_, _, value, _) in TYPES.items()}
            fastavro.writer(file, schema, [row, dict.fromkeys(TYPES)])
    (block,) = blocks_of(path, kind)
    first, second = bytes(block.text).splitlines()
    found = json.loads(first, parse_float=decimal.Decimal)
    for name, (_, _, _, expected) in TYPES.items():
        if name in ("real", "small"):
            found[name] = float(found[name])
        assert found[name] == expected, name
    assert second == b"{}"


@pytest.mark.parametrize(
    "arrow, value, expected",
    [
        (pa.large_string(), "é", "é"),
        (pa.large_list(pa.string()), ["é", None], ["é", None]),
        (pa.list_(pa.int8(), 2), [1, 2], [1, 2]),
        (pa.map_(pa.int32(), pa.string()), [(1, "a"), (2, None)], None),
        (pa.struct([("x", pa.list_(pa.float64()))]), {"x": [1e20, 5.0]}, {"x": [1e20, 5]}),
        (pa.time64("us"), datetime.time(1, 2, 3), "01:02:03.000000"),
        (pa.timestamp("ns"), 1_515_513_600_123_456_789, "2018-01-09T16:00:00.123456789"),
        (pa.uint64(), 2**64 - 1, 2**64 - 1),
        (pa.decimal128(38, 12), decimal.Decimal("1E-10"), 1e-10),
        (pa.float16(), 1.5, 1.5),
    ],
)
def test_more_types_of_parquet(arrow, value, expected, tmp_path):
    pq.write_table(pa.table({"x": pa.array([value, None, value], arrow)}), tmp_path / "input")
    if expected is None:
        expected = [{"key": 1, "value": "a"}, {"key": 2}]
    assert read(tmp_path / "input", "parquet")[0] == [{"x": expected}, {}, {"x": expected}]


def test_a_type_without_json_is_refused_by_name_if_it_is_wanted(tmp_path):
    table = pa.table({"a": [1], "x": pa.array([[5]], pa.list_(pa.duration("s")))})
    pq.write_table(table, tmp_path / "input")
    assert read(tmp_path / "input", "parquet", ["a"])[0] == [{"a": 1}]
    with pytest.raises(Failure, match=r"column 'x': cannot read values of type duration\[s\]"):
        read(tmp_path / "input", "parquet")


def test_unions_of_several_types_in_avro(tmp_path):
    kinds = ["null", "string", "long", "double", "boolean", {"type": "array", "items": "string"}]
    schema = {"type": "record", "name": "R", "fields": [{"name": "x", "type": kinds}]}
    rows = [{"x": value} for value in ("5", 5, 0.5, True, ["a"])]
    with open(tmp_path / "input", "wb") as file:
        fastavro.writer(file, schema, rows)
    assert read(tmp_path / "input", "avro")[0] == rows


def test_avro_without_records_of_fields_is_rejected_row_by_row(tmp_path):
    with open(tmp_path / "input", "wb") as file:
        fastavro.writer(file, {"type": "string"}, ["a", "b"])
    objects, _, rejects, _ = read(tmp_path / "input", "avro", ["x"])
    assert not objects
    assert rejects == [
        (1, "not an object", "a record is str", b'"a"'),
        (2, "not an object", "a record is str", b'"b"'),
    ]


BAD = [
    (1, {"x": [1.0], "b": [b"a"], "t": 0}, None),
    (2, {"x": [1.0, math.nan]}, ("no JSON number", "x: nan", b'{"x":[1.0,NaN],"t":0}')),
    (3, {"x": [-math.inf]}, ("no JSON number", "x: -inf", b'{"x":[-Infinity],"t":0}')),
    (4, {"b": [b"ok", b"\xffa"]}, ("not UTF-8", "b", b'{"b":["ok","\\\\xffa"],"t":0}')),
    (5, {"t": 2**62}, ("no such time", "t: 4611686018427387904", None)),
    (6, {"s": b"\xff"}, ("not UTF-8", "s", None)),
    (7, {"x": [2.0], "s": "é".encode()}, None),
]


@pytest.mark.parametrize("kind", ["parquet", "avro"])
def test_values_that_json_has_not_cost_their_row_alone(kind, tmp_path):
    path = tmp_path / "input"
    rows = [{"x": None, "b": None, "t": 0, "s": None} | row for _, row, _ in BAD]
    if kind == "parquet":
        strings = pa.array([row["s"] for row in rows], pa.binary())
        strings = pa.Array.from_buffers(pa.string(), len(rows), strings.buffers())  # unchecked
        columns = {
            "x": pa.array([row["x"] for row in rows], pa.list_(pa.float64())),
            "b": pa.array([row["b"] for row in rows], pa.list_(pa.binary())),
            "t": pa.array([row["t"] for row in rows], pa.timestamp("us", "UTC")),
            "s": strings,
        }
        pq.write_table(pa.table(columns), path)
    else:
        fields = {
            "x": ["null", {"type": "array", "items": "double"}],
            "b": ["null", {"type": "array", "items": "bytes"}],
            "t": {"type": "long", "logicalType": "timestamp-micros"},
            "s": ["null", "bytes"],
        }
        fields = [{"name": name, "type": kind} for name, kind in fields.items()]
        with open(path, "wb") as file:
            fastavro.writer(file, {"type": "record", "name": "R", "fields": fields}, rows)
        # what a writer claims to be text, is not looked at
        path.write_bytes(path.read_bytes().replace(b'"s", "type": ["null", "bytes"]',
                                                   b'"s","type": ["null", "string"]'))  # fmt: skip
    objects, numbers, rejects, _ = read(path, kind)
    assert numbers == [1, 7]
    assert [found.get("x") for found in objects] == [[1], [2]] and objects[1]["s"] == "é"
    expected = [(number, *bad[:2]) for number, _, bad in BAD if bad]
    assert [(number, reason, seen.lower()) for number, reason, seen, _ in rejects] == [
        (number, reason, seen.replace("inf", "infinity") if kind == "parquet" else seen)
        for number, reason, seen in expected
    ]
    for _, _, _, raw in rejects:
        assert raw.isascii() or raw.decode()
        assert isinstance(json.loads(raw), dict)  # as Python reads NaN
    assert b"NaN" in rejects[0][3] and b"-Infinity" in rejects[1][3] and b"xffa" in rejects[2][3]


def test_text_that_begins_like_json_and_is_none_stays_text(tmp_path):
    fields = [
        "{", "[1,]", "{'a':1}", '{"a":NaN}', '{"a":1} x', '["\ud800"]', "[" * 5000, '{"a":01}',
    ]  # fmt: skip
    fields[5] = '["\\ud800"]'
    good = ['{"a":\n [1.50, "x"]}', "[]", '{"a":"\\u00e9"}', "[1e999]"]
    with open(tmp_path / "input", "w", newline="") as file:
        csv.writer(file).writerows([("n", "x"), *enumerate(fields + good)])
    objects, *_ = read(tmp_path / "input", "csv")
    assert [found["x"] for found in objects] == fields + list(map(json.loads, good))
    (block,) = blocks_of(tmp_path / "input", "csv")
    assert b"1.50" in block.text and b"1e999" in block.text  # numbers stay as they are written


@pytest.mark.parametrize(
    "kind, text, objects",
    [
        ("csv", "a,b\n1,\n,2\n", [{"a": "1"}, {"b": "2"}]),
        ("csv", "\ufeffa;b\n1;2,5\n", [{"a": "1", "b": "2,5"}]),
        ("csv", '\r\n\r\na;b\r\n1;"x\r\n;y"\r\n', [{"a": "1", "b": "x\r\n;y"}]),
        ("csv", "a\n1\n", [{"a": "1"}]),
        ("csv", "a,b\n\\N,2\n", [{"b": "2"}]),
        ("csv", "a,b\n1,2", [{"a": "1", "b": "2"}]),
        ("tsv", "a\tb\n\\N\t2\n", [{"b": "2"}]),
        ("tsv", 'a\tb\n1\t{"k":"v, w"}\n', [{"a": "1", "b": {"k": "v, w"}}]),
        ("tsv", 'a\tb\n1\t"{""k"":""v\tw""}"\n', [{"a": "1", "b": '{"k":"v\tw"}'}]),
        ("tsv", 'a\tb\n1\t"x\ty\nz"\n', [{"a": "1", "b": "x\ty\nz"}]),
        ("csv", "a,b\n", []),
        ("csv", "", []),
    ],
)
def test_traps_of_text(kind, text, objects, tmp_path):
    (tmp_path / "input").write_text(text, newline="")
    assert read(tmp_path / "input", kind)[0] == objects


def test_places_rejects_and_what_is_left_out_of_text(tmp_path):
    lines = ["", "a,b", '1,"x', 'y"', "2", "", "3,z", '4,"open', "5,z"]
    (tmp_path / "input").write_text("\n".join(lines) + "\n")
    objects, numbers, rejects, left_out = read(tmp_path / "input", "csv")
    assert [found["a"] for found in objects] == ["1", "3", "5"]
    assert numbers == [3, 7, 9]
    assert left_out == 3
    assert rejects == [
        (5, "wrong number of fields", "1 in place of 2", b"2"),
        (8, "not CSV", "a quote that does not close", b'4,"open'),
    ]


def test_two_columns_of_one_name_are_refused(tmp_path):
    (tmp_path / "input").write_text("a,a\n1,2\n")
    with pytest.raises(Failure, match="a table of columns, got more than one column a in a, a"):
        read(tmp_path / "input", "csv")


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_wanted_columns_are_read(kind, tables):
    wanted = {"user_pseudo_id", "device", "not_there"}
    objects, *_ = read(tables[kind], kind, wanted)
    assert objects == [{k: v for k, v in row.items() if k in wanted} for row in events(500)]
    # of a table that has none of these all are read, so that one can say what it is
    none = read(tables[kind], kind, ["not_there"])[0]
    assert none == ([{}] * 500 if kind in ("csv", "tsv") else events(500))


def test_columns_that_are_not_wanted_cost_nothing_in_parquet(tmp_path):
    path = write(tmp_path / "input", "parquet", events(5))
    meta = pq.ParquetFile(path).metadata.row_group(0)
    chunk = next(
        c for c in map(meta.column, range(meta.num_columns)) if "user_id" in c.path_in_schema
    )
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    data = bytearray(path.read_bytes())
    data[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    path.write_bytes(data)
    assert len(read(path, "parquet", ["event_name"])[0]) == 5
    with pytest.raises(Failure):
        read(path, "parquet", ["user_id"])


def test_columns_of_avro_whose_type_another_column_defines(tmp_path):
    record = {"type": "record", "name": "V", "fields": [{"name": "v", "type": "long"}]}
    fields = [{"name": "a", "type": record}, {"name": "b", "type": "V"}]
    with open(tmp_path / "input", "wb") as file:
        schema = {"type": "record", "name": "R", "fields": fields}
        fastavro.writer(file, schema, [{"a": {"v": 1}, "b": {"v": 2}}])
    assert read(tmp_path / "input", "avro", ["b"])[0] == [{"b": {"v": 2}}]
    assert read(tmp_path / "input", "avro", ["a"])[0] == [{"a": {"v": 1}}]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("processes", [1, 2])
def test_counts_are_conserved(kind, processes, tables, tmp_path):
    def odd(line):
        found = json.loads(line)
        if found["event_name"] != "user_engagement":
            return None
        number = int(found["event_timestamp"]) % 10
        return Reject("seven") if number == 7 else line + b"\n"

    bad = write(tmp_path / "bad", kind, events(40, seed=2))
    if kind in ("csv", "tsv"):
        with open(bad, "a") as file:
            file.write('one field\n\n"open\n')
    only = tmp_path / "only"  # rejects and a header, but not one row
    only.write_bytes(b"a,b\n1\n2\n" if kind == "csv" else write(only, kind, []).read_bytes())
    paths = [str(tables[kind]), str(bad), str(only)]
    total = Result(b"")
    lines, rejects, inputs_of = 0, [], {}
    process = runner.each_line(odd)
    found = results(paths, process, processes, lambda _: None, reader=reader_of(kind))
    for name, count, result in found:
        lines += count
        inputs_of[name] = inputs_of.get(name, 0) + count
        rejects += result.rejects
        total = Result(
            total.rows + result.rows, total.kept + result.kept, total.filtered + result.filtered
        )
    rows = events(500) + events(40, seed=2)
    engaged = [row for row in rows if row["event_name"] == "user_engagement"]
    sevens = [row for row in engaged if row["event_timestamp"] % 10 == 7]
    is_text = kind in ("csv", "tsv")
    assert total.kept == len(engaged) - len(sevens) == total.rows.count(b"\n")
    extra = {"csv": 4, "tsv": 2}.get(kind, 0)
    assert len(rejects) == len(sevens) + extra
    assert lines == total.kept + total.filtered + len(rejects)
    header = {"csv": 8, "tsv": 6}.get(kind, 0)  # a header each, and what was added above
    assert lines == len(rows) + header
    for why, name, number, raw in rejects:
        if why.reason == "seven":
            assert name in paths and json.loads(raw)["event_timestamp"] in (
                (row := rows[(500 if name == str(bad) else 0) + number - (2 if is_text else 1)])[
                    "event_timestamp"
                ],
                str(row["event_timestamp"]),
            )


@pytest.mark.sample(3)
@pytest.mark.parametrize("kind", KINDS)
def test_blocks_are_small(kind, tmp_path):
    small = write(tmp_path / "small", kind, events(20_000))
    wide = [row | {"user_id": "x" * 10_000} for row in events(1000)]
    wide = write(tmp_path / "wide", kind, wide)
    for path, count in ((small, 20_000), (wide, 1000)):
        found = [(block.lines(), len(block.text)) for block in blocks_of(path, kind)]
        assert sum(lines for lines, _ in found) == count
        assert max(lines for lines, _ in found) <= 4096
        assert max(size for _, size in found) < 4 << 20, kind
        assert len(found) < 40


@pytest.mark.sample(2)
@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupt_ends_it_quietly(kind, tmp_path, monkeypatch):
    path = write(tmp_path / "input", kind, events(20_000))
    data = path.read_bytes()
    chunks = iter([data[i : i + 100_000] for i in range(0, len(data), 100_000)])
    found = table_lines.blocks(str(path), b"", chunks, kind)
    first = next(found)
    monkeypatch.setattr(interrupt, "requested", lambda: True)
    assert 0 < first.lines() < 20_000
    assert list(found) == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_an_interrupted_writer_left_behind_is_no_error(kind, tables, monkeypatch):
    """Then a pipe ends anywhere: within a record, a quote, a file."""
    monkeypatch.setattr(interrupt, "requested_soon", lambda: True)
    for end in (1000, 20_000):
        head = tables[kind].read_bytes()[:end]
        found = list(table_lines.blocks("-", head, iter([]), kind))
        assert not any(block.rejects for block in found)


def test_a_quote_that_an_interrupted_writer_left_open_is_no_reject(monkeypatch):
    def read_all():
        chunks = iter([b'2,"x\n', b"y\n"])
        found = list(table_lines.blocks("-", b"a,b\n1,z\n", chunks, "csv"))
        rejects = [number for block in found for _, _, number, _ in block.rejects]
        return b"".join(bytes(block.text) for block in found), rejects

    assert read_all()[1] == [3, 4]
    monkeypatch.setattr(interrupt, "requested_soon", lambda: True)
    assert read_all() == (b'{"a":"1","b":"z"}\n', [])


@pytest.mark.sample(8)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("source", ["file", "gzip"])
def test_memory_is_flat(kind, source, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys; sys.path[:0] = {[str(ROOT / 'lib')]}\n"
        "from headcount.formats import table_lines\n"
        "from headcount.io import inputs\n"
        "def convert(path, head, chunks):\n"
        f"    return head, table_lines.blocks(path, head, chunks, {kind!r})\n"
        "print(sum(b.lines() for b in inputs.blocks(sys.argv[1:], reader=inputs.Reader(convert))))"
    )
    peaks = []
    rows = [row | {"user_id": f"{i:050}"} for i, row in enumerate(events(10_000))]
    for copies in (3, 25):
        path = write(tmp_path / "input", kind, rows * copies)
        if source == "gzip":
            path.write_bytes(gzip.compress(path.read_bytes(), 1))
        peaks.append(peak_memory(ROOT / "lib" / "python", script, path))
    assert peaks[1] < peaks[0] + 30, peaks  # MB; the larger is 50 MB of JSON


def without_nulls(value):
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


scalars = st.sampled_from(
    [
        (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
        (pa.string(), st.text(st.sampled_from('ab",{}[]:\\\0\n\x1f é€\U0001f600')) | st.text()),
        (pa.float64(), st.floats(allow_nan=False, allow_infinity=False)),
        (pa.bool_(), st.booleans()),
        (pa.null(), st.none()),
    ]
)


def lists(inner):
    kind, values = inner
    return pa.list_(kind), st.lists(st.none() | values, max_size=4)


def structs(inner):
    names = ["a", 'b"', ""][: len(inner)]
    fields = {name: st.none() | values for name, (_, values) in zip(names, inner, strict=True)}
    kinds = [(name, kind) for name, (kind, _) in zip(names, inner, strict=True)]
    return pa.struct(kinds), st.fixed_dictionaries(fields)


kinds = st.recursive(
    scalars,
    lambda inner: inner.map(lists) | st.lists(inner, min_size=1, max_size=3).map(structs),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_arrow_as_json_is_what_json_is(data):
    kind, values = data.draw(kinds)
    rows = data.draw(st.lists(st.none() | values, max_size=8))
    start = data.draw(st.integers(0, len(rows)))
    try:
        json.dumps(rows, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return
    array = pa.array(rows, kind).slice(start)
    found = arrow_json.texts(array).to_pylist()
    assert [text if text is None else json.loads(text) for text in found] == [
        without_nulls(row) for row in rows[start:]
    ]
    lines = arrow_json.lines(["x", "y"], [arrow_json.texts(array)] * 2, len(array)).to_pylist()
    assert all(line.count("\n") == 1 for line in lines)


@pytest.mark.parametrize("name", ["40-list", "41-wrapped", "42-ts"])
def test_samples(name):
    path = SAMPLES / f"{name}.parquet"
    if not path.exists():
        pytest.skip(f"no samples at {SAMPLES}")
    objects, *_ = read(path, "parquet")
    assert [found["user_pseudo_id"] for found in objects] == ["u0", "u1", "u2", "u3"]
    params = objects[0]["event_params"]
    if name == "41-wrapped":
        params = [wrapped["item"] for wrapped in params["list"]]
    assert params[0] == {"key": "engagement_time_msec", "value": {"int_value": 5000}}
    time = objects[0]["event_timestamp"]
    assert time == ("2026-01-10T16:00:00Z" if name == "42-ts" else 1_768_060_800_000_000)
