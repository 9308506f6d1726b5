"""Tables of any kind: every trap of CSV, every type of Parquet, and nothing valid lost."""

import csv
import datetime
import decimal
import io
import json
import os
import random
import subprocess
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headcount.errors import Failure
from headcount.formats import delimited, tables
from headcount.io.blocks import Block
from headcount.values import tsv
from helpers.programs import BARE, BIN, REAL, run
from helpers.thorough import long

pa = pytest.importorskip("pyarrow", reason="no pyarrow: make .venv/parquet")
pq = pytest.importorskip("pyarrow.parquet")


def rows_of(*arguments, stdin=b"", check=0, **options):
    done = run("read-table", *arguments, stdin=stdin, check=check, **options)
    return [json.loads(line) for line in done.stdout.splitlines()]


def split(data, how, sizes):
    """What the library makes of CSV that comes in blocks of whole lines, of so many each."""
    lines = data.split(b"\n")
    lines = [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    blocks, at = [], 0
    for size in sizes:
        blocks.append(Block(b"".join(lines[at : at + size]), line=at + 1))
        at += size
    blocks.append(Block(b"".join(lines[at:]), line=at + 1))
    blocks = [block for block in blocks if len(block.text)]
    return list(delimited.batches(blocks, "-", how._replace(kind=tables.CSV)))


texts = st.text(st.sampled_from('ab",\n\r\0\t é€\U0001f600\\;\u2028')) | st.text()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(texts, texts, texts), max_size=30),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n"]),
    st.lists(st.integers(1, 9), max_size=8),
)
def test_csv_comes_back_whatever_is_in_it_and_however_it_is_cut(rows, delimiter, end, sizes):
    written = io.StringIO(newline="")
    writer = csv.writer(written, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([("a", "b", "c"), *rows])
    data = written.getvalue().encode(errors="surrogatepass")
    try:
        data.decode()
    except UnicodeDecodeError:
        return
    found = split(data, tables.How(delimiter=delimiter), sizes)
    assert [row for batch in found for row in batch.rows] == rows
    assert sum(batch.records for batch in found) == len(rows) + 1
    assert not any(batch.rejects for batch in found)
    numbers = [number for batch in found for number in batch.numbers]
    lines = data.split(b"\n")
    for row, number in zip(rows, numbers, strict=True):
        start = f'"{row[0]}'.replace('"', '""')[1:].encode().split(b"\n")[0]
        assert lines[number - 1].startswith(start)


@pytest.mark.parametrize(
    "text, rows",
    [
        ('a,b\n1,"x ""y"" z"\n', [{"a": "1", "b": 'x "y" z'}]),
        ('a,b\n1,"x\r\ny"\r\n2,z\r\n', [{"a": "1", "b": "x\r\ny"}, {"a": "2", "b": "z"}]),
        ("a,b\n1,x\0y\n", [{"a": "1", "b": "x\0y"}]),
        ("a,b\n1,\n", [{"a": "1", "b": ""}]),
        ('a,b\n1,5" tall\n', [{"a": "1", "b": '5" tall'}]),
        ("\ufeffa,b\n1,2", [{"a": "1", "b": "2"}]),
        ("\n\na,b\n\n1,2\n   \n3,4\n\n", [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]),
        ('"a","b"\n"1","2"\n', [{"a": "1", "b": "2"}]),
        ("a,b\n1,x\u2028y\x0bz\x85\n", [{"a": "1", "b": "x\u2028y\x0bz\x85"}]),
        ("a\n \n1\n", [{"a": " "}, {"a": "1"}]),
        ("a,b\n", []),
        ("", []),
    ],
)
def test_traps_of_csv(text, rows):
    assert rows_of(stdin=text.encode()) == rows


@pytest.mark.parametrize(
    "bad, reason",
    [
        ("1", "wrong number of fields: 1 in place of 2"),
        ("1,2,3", "wrong number of fields: 3 in place of 2"),
        ('"1"x,2', "not CSV: "),
        ("1\r2,3", "not CSV: "),
        ('1,"2', "not CSV: a quote that does not close"),
    ],
)
def test_a_bad_record_costs_its_line_and_no_more(bad, reason, tmp_path):
    good = [f"{i},good" for i in range(50)]
    text = "\n".join(["a,b", *good[:20], bad, *good[20:], ""])
    kept = tmp_path / "rejects"
    done = run("read-table", "--rejects", kept, stdin=text.encode(), check=65)
    found = [json.loads(line)["a"] for line in done.stdout.splitlines()]
    assert found == [str(i) for i in range(50)]
    reject = json.loads(kept.read_text())
    assert reject["line"] == 22 and reject["raw"] == bad and reject["reason"].startswith(reason)
    assert f"read-table: stdin:22: {reason}".encode() in done.stderr


def test_two_encodings_in_one_file(tmp_path):
    lines = ["h_id,message", "1,naïve", "2,plain", '3,"say ""é""\nno"', "4,ß"]
    data = b"\n".join(
        line.encode("cp1252" if i in (1, 3) else "utf-8") for i, line in enumerate(lines)
    )
    both = rows_of("--encoding", "utf-8,cp1252", stdin=data)
    assert [row["message"] for row in both] == ["naïve", "plain", 'say "é"\nno', "ß"]
    kept = tmp_path / "rejects"
    one = rows_of("--rejects", kept, stdin=data, check=65)
    assert [row["h_id"] for row in one] == ["2", "4"]
    rejects = list(map(json.loads, kept.read_text().splitlines()))
    assert [reject["line"] for reject in rejects] == [2, 4]
    assert all("raw_base64" in reject for reject in rejects)
    assert "not utf-8" in rejects[0]["reason"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
def test_encodings_in_which_a_byte_is_no_character(encoding, tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes('a,b\n1,"Ċ\nਊ"\n'.encode(encoding))
    assert rows_of("--encoding", encoding, path) == [{"a": "1", "b": "Ċ\nਊ"}]
    path.write_bytes('a,b\n1,"Ċ"\n'.encode("utf-16")[:-1])
    done = run("read-table", "--encoding", "utf-16", path, check=1)
    assert str(path).encode() in done.stderr


def test_escapes_as_spark_writes_them():
    data = rb"""a,b
1,"she said \"hi, you\" and left"
2,"a \\ b"
"""
    found = rows_of("--escape", "\\", stdin=data)
    assert [row["b"] for row in found] == ['she said "hi, you" and left', "a \\ b"]


def test_columns_by_name_in_any_order(tmp_path):
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    one.write_text("a,b,c\n1,2,3\n")
    other.write_text("c;a;b\n6;4;5\n".replace(";", ","))
    for options, row in (
        (["--columns", "c,a"], b"3\t1\n6\t4\n"),
        (["--columns", "b"], b"2\n5\n"),
    ):
        assert run("read-table", "--format", "tsv", *options, one, other, check=0).stdout == row
    done = run("read-table", "--columns", "a,x", one, check=66)
    told = f"{one}: expected a table with the columns a, x, got no column x in a, b, c;"
    assert told.encode() in done.stderr
    done = run("read-table", "--format", "tsv", one, other, check=1)
    assert b"other columns" in done.stderr
    assert rows_of("--header", "x,y,z", "--columns", "y", one) == [{"y": "b"}, {"y": "2"}]
    one.write_text("a,a\n1,2\n")
    done = run("read-table", "--columns", "a", one, check=66)
    assert b"got more than one column a in a, a" in done.stderr


def test_tsv_is_what_stands_between_filters(tmp_path):
    rows = [("a\tb", "\\N", "x\ny"), (None, "", "\r\\")]
    path = tmp_path / "table.tsv"
    path.write_bytes(b"a\tb\tc\n" + b"".join(tsv.row(*row) for row in rows))
    found = rows_of(path)
    assert [tuple(row.values()) for row in found] == rows
    again = run("read-table", "--format", "tsv", "--from", "tsv", stdin=path.read_bytes(), check=0)
    assert again.stdout == path.read_bytes().partition(b"\n")[2]


@pytest.mark.parametrize("tool", ["gzip", "xz", "bzip2"])
def test_archives(tool, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,b\n" + "1,2\n" * 1000)
    packed = subprocess.run([tool, "-c", path], capture_output=True, check=True).stdout
    assert len(rows_of(stdin=packed)) == 1000
    run("read-table", stdin=packed[:-9], check=1)


@long
def test_a_quote_that_never_closes_takes_no_long_time_and_little_memory(tmp_path):
    path = tmp_path / "table.csv"
    # each line opens a quote that the next one closes with something behind it
    path.write_text("a,b\n" + '1,"x\n' * 200_000 + "2,y\n" * 200_000)
    begin = time.monotonic()
    done = run("read-table", path, check=65)
    assert time.monotonic() - begin < 20
    assert done.stdout.count(b"\n") == 200_000
    # one that is open over megabytes
    path.write_text('a,b\n1,"x\n' + "2,y\n" * 3_000_000)
    code = f'ulimit -v 600000; exec "{BIN}/read-table" --max-record 1000000 "{path}"'
    begin = time.monotonic()
    done = subprocess.run(["bash", "-c", code], env=BARE, capture_output=True)
    assert done.returncode == 65 and done.stdout.count(b"\n") == 3_000_000
    assert time.monotonic() - begin < 60


def test_memory_is_flat(tmp_path):
    peaks = []
    for copies in (100_000, 800_000):
        path = tmp_path / "table.csv"
        path.write_text("h_id,message\n" + 'MTU5MzgwNTM5,"text, with ""some""\nlines"\n' * copies)
        code = (
            "import resource, subprocess, sys; "
            f"subprocess.run(['{BIN}/read-table', '{path}'], stdout=subprocess.DEVNULL); "
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        peaks.append(int(subprocess.check_output(["python3", "-c", code])))
    assert peaks[1] < peaks[0] + 10_000, peaks  # KB


VALUES = {
    "whole": (pa.int64(), [1, None, -(2**63)], [1, None, -(2**63)]),
    "real": (pa.float64(), [0.5, None, 1e300], [0.5, None, 1e300]),
    "truth": (pa.bool_(), [True, None, False], [True, None, False]),
    "text": (pa.string(), ["a\0b", None, "é\n"], ["a\0b", None, "é\n"]),
    "word": (pa.dictionary(pa.int32(), pa.string()), ["v", None, "v"], ["v", None, "v"]),
    "bytes": (pa.binary(), [b"x", None, "é".encode()], ["x", None, "é"]),
    "day": (pa.date32(), [datetime.date(2018, 1, 9), None, datetime.date(1, 1, 1)], None),
    "exact": (pa.decimal128(10, 2), [decimal.Decimal("1.10"), None, decimal.Decimal(-3)], None),
    "time": (pa.timestamp("ns"), [1515513600000000000, None, 1515513600123456789], None),
    "instant": (pa.timestamp("us", "America/Chicago"), [0, None, -1], None),
    "second": (pa.timestamp("s"), [0, None, -1], None),
    "list": (pa.list_(pa.int32()), [[1, None], None, []], [[1, None], None, []]),
    "struct": (
        pa.struct([("x", pa.string())]),
        [{"x": "y"}, None, {"x": None}],
        [{"x": "y"}, None, {"x": None}],
    ),
}
AS_TEXT = {
    "day": ["2018-01-09", None, "0001-01-01"],
    "exact": [1.1, None, -3.0],
    "time": ["2018-01-09T16:00:00", None, "2018-01-09T16:00:00.123456789"],
    "instant": ["1970-01-01T00:00:00Z", None, "1969-12-31T23:59:59.999999Z"],
    "second": ["1970-01-01T00:00:00", None, "1969-12-31T23:59:59"],
}


@pytest.fixture
def parquet(tmp_path):
    path = tmp_path / "table.parquet"
    columns = {name: pa.array(values, kind) for name, (kind, values, _) in VALUES.items()}
    pq.write_table(pa.table(columns), path, row_group_size=2)
    return path


def test_every_type_of_parquet_from_files_and_pipes(parquet):
    expected = {name: AS_TEXT.get(name) or shown for name, (_, _, shown) in VALUES.items()}
    for found in (rows_of(parquet), rows_of(stdin=parquet.read_bytes())):
        assert [list(row) for row in found] == [list(VALUES)] * 3
        for name in VALUES:
            assert [row[name] for row in found] == expected[name], name
    some = run("read-table", "--format", "tsv", "--columns", "list,exact,text", parquet, check=0)
    assert some.stdout == b"[1,null]\t1.10\ta\0b\n\\N\t\\N\t\\N\n[]\t-3.00\t\xc3\xa9\\n\n"


def test_values_of_parquet_that_json_has_not(tmp_path):
    path = tmp_path / "table.parquet"
    table = {
        "x": pa.array([1.0, float("nan"), float("inf"), 2.0]),
        "y": [b"a", b"b", b"c", b"\xff"],
    }
    pq.write_table(pa.table(table), path)
    done = run("read-table", path, check=65)
    assert done.stdout == b'{"x":1.0,"y":"a"}\n'
    assert f"{path}:2: no JSON number: x: nan".encode() in done.stderr
    assert f"{path}:4: not UTF-8: y".encode() in done.stderr


def test_nested_values_of_every_type(tmp_path):
    """As event_params of GA4 has them: doubles in lists; and times, bytes, decimals, maps."""
    path = tmp_path / "table.parquet"
    time, exact = datetime.datetime(2026, 1, 10, 16), decimal.Decimal("12345678901234567.89")
    kinds = {
        "params": pa.list_(pa.struct([("key", pa.string()), ("value", pa.float64())])),
        "deep": pa.struct([("at", pa.timestamp("us", "UTC")), ("b", pa.binary())]),
        "map": pa.map_(pa.string(), pa.decimal128(20, 2)),
    }
    rows = [
        {"params": [{"key": "a", "value": 0.5}], "deep": {"at": time}, "map": [("k", exact)]},
        {"params": [{"key": "n", "value": float("nan")}]},
        {"deep": {"b": b"\xff"}},
        {},
    ]
    pq.write_table(pa.Table.from_pylist(rows, pa.schema(kinds)), path)
    done = run("read-table", path, check=65)
    assert done.stdout.splitlines() == [
        b'{"params":[{"key":"a","value":0.5}],"deep":{"at":"2026-01-10T16:00:00Z"},'
        b'"map":{"k":12345678901234567.89}}',
        b'{"params":null,"deep":null,"map":null}',
    ]
    assert f"{path}:2: no JSON number: params: NaN".encode() in done.stderr
    assert f"{path}:3: not UTF-8: deep".encode() in done.stderr
    table = pa.table({"x": pa.array([1], pa.duration("s"))})
    pq.write_table(table, path)
    done = run("read-table", path, check=1)
    assert b"column 'x': cannot read values of type duration[s]" in done.stderr


def test_damaged_parquet_is_an_error_with_its_name(parquet):
    data = parquet.read_bytes()
    empty = pa.table({"x": pa.array([], pa.int64())})
    pq.write_table(empty, parquet)
    assert rows_of(parquet) == []
    for size in (4, 8, 100, len(data) // 2, len(data) - 4, len(data) - 1):
        parquet.write_bytes(data[:size])
        done = run("read-table", parquet, check=1)
        assert str(parquet).encode() in done.stderr and done.stderr.count(b"\n") == 1


def test_real_posts():
    folder = REAL / "comments" / "post_meta"
    if not folder.exists():
        pytest.skip(f"no real data at {folder}")
    found = rows_of(*sorted(folder.iterdir()))
    assert len(found) == 10_200
    assert len({row["post_h_id"] for row in found}) == 3_531
    assert found[0]["created_time"] == "2018-01-09T16:00:00"


def test_rows_that_repeat_may_come_once(parquet):
    table = pa.table({"id": ["a", "b", "a", None, "a", None], "x": [1, 2, 1, 3, 4, 3]})
    pq.write_table(table, parquet)
    (batch,) = tables.batches(str(parquet), tables.How(distinct=True))
    found = sorted(zip(batch.numbers, batch.rows, strict=True))
    assert found == [(1, ("a", 1)), (2, ("b", 2)), (4, (None, 3)), (5, ("a", 4))]
    assert batch.duplicate == 2 and batch.records == 6


def test_wrong_options():
    for option, value in (
        ("--encoding", "klingon"),
        ("--delimiter", "ab"),
        ("--delimiter", '"'),
        ("--escape", ""),
        ("--format", "xml"),
    ):
        assert b"Try" in run("read-table", option, value, check=2).stderr


def test_the_account_is_of_records(tmp_path):
    account = tmp_path / "account"
    run("read-table", "--account", account, stdin=b'a,b\n1,"x\ny"\n\n3\n4,5\n', check=65)
    found = json.loads(account.read_text())
    assert [found[name] for name in ("lines", "kept", "filtered", "duplicate")] == [5, 2, 2, 0]
    assert found["reasons"] == {"wrong number of fields": 1}
    assert os.stat(account).st_mode & 0o777 == 0o600


@pytest.mark.parametrize("seed", range(300))
def test_lines_without_quotes_are_read_as_the_others(seed, monkeypatch):
    """By splitting them, as by the CSV reader: same rows, same rejects, same numbers of lines."""
    rng = random.Random(seed)
    odd = ["a", "é", "", " ", "\t", "\0", "x" * 9, "\r", '"', '""', "\udcff"]
    weights = [9, 3, 3, 1, 1, 0.2, 1, *rng.choice([(0, 0, 0, 0), (0.2, 0.3, 0.3, 0.1)])]

    def field():
        return "".join(rng.choices(odd, weights, k=rng.randrange(3)))

    width, end = rng.randint(1, 3), rng.choice(["\n", "\r\n"])
    lines = [",".join(field() for _ in range(width)) for _ in range(rng.randrange(12))]
    if rng.random() < 0.4:
        lines.append(",".join("x" * rng.randrange(5)))
    if rng.random() < 0.2:  # a field more and a field less, so that as many are there
        lines += [",".join("x" * (width + 1)), ",".join("x" * (width - 1))]
    names = ["a", "b", "c"][:width] if rng.random() < 0.9 else ["", "a b", '"c"'][:width]
    text = end.join([",".join(names), *lines]) + rng.choice(["", end])
    data = io.BytesIO(text.encode(errors="surrogateescape")).readlines()
    blocks = []
    while data:
        size = rng.randint(1, len(data))
        blocks.append(b"".join(data[:size]))
        data = data[size:]
    how = tables.How(kind=tables.CSV, delimiter=rng.choice([",", None]))

    def read():
        try:
            found = [b for b in delimited.batches(map(Block, blocks), "f", how) if b.records]
        except Failure as failure:
            return str(failure)
        rows = [row for batch in found for row in batch.rows]
        numbers = [number for batch in found for number in batch.numbers]
        return rows, numbers, sum(b.filtered for b in found), [r for b in found for r in b.rejects]

    fast = read()
    monkeypatch.setattr(delimited._Table, "_plain_header", lambda *_: 0)
    monkeypatch.setattr(delimited._Table, "_plain_batch", lambda *_: None)
    assert fast == read()


def test_a_delimiter_that_is_part_of_a_character_is_none():
    """In GBK the second byte of a character may be that of |."""
    lines = ["a|b", "\u4e85|1", "\u5008x", "2|\u4e85", "y"]
    data = "\n".join(lines).encode("gbk") + b"\n"
    assert data.count(b"|") > "".join(lines).count("|")
    how = tables.How(kind=tables.CSV, delimiter="|", encodings=("gbk",))
    (batch, _) = delimited.batches([Block(data)], "f", how)
    assert batch.rows == [("\u4e85", "1"), ("2", "\u4e85")]
    assert [number for _, _, number, _ in batch.rejects] == [3, 5]
    data = "a|b\n\u5008\n1|2\n".encode("gbk")
    (batch, _) = delimited.batches([Block(data)], "f", how)
    assert batch.rows == [("1", "2")] and len(batch.rejects) == 1
