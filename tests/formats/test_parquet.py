"""Doors of Parquet: what is encrypted, what was not asked for, what is binary."""

import base64
import decimal
import json

import pytest

from helpers.programs import run

pa = pytest.importorskip("pyarrow", reason="no pyarrow: make .venv/parquet")
pq = pytest.importorskip("pyarrow.parquet")
encryption = pytest.importorskip("pyarrow.parquet.encryption")


class Keys(encryption.KmsClient):
    """Wraps keys by doing nothing to them."""

    def wrap_key(self, key, _master):
        return base64.b64encode(key)

    def unwrap_key(self, wrapped, _master):
        return base64.b64decode(wrapped)


def write_encrypted(path, table, columns, *, plaintext_footer):
    configuration = encryption.EncryptionConfiguration(
        footer_key="footer", column_keys={"column": columns}, plaintext_footer=plaintext_footer
    )
    factory = encryption.CryptoFactory(lambda _: Keys())
    connection = encryption.KmsConnectionConfig()
    properties = factory.file_encryption_properties(connection, configuration)
    with pq.ParquetWriter(path, table.schema, encryption_properties=properties) as writer:
        writer.write_table(table)


TEXTS = pa.table({"h_id": ["1", "2"], "message": ["a", "b"]})
EVENTS = pa.table(
    {
        "event_name": ["user_engagement"],
        "event_timestamp": [1577836800000000],
        "user_pseudo_id": ["ann"],
        "geo": ["x"],
    }
)
COUNT = ["--tz", "UTC", "--definition", "any-event"]
READERS = [
    ["read-table"],
    ["read-table", "--columns", "h_id", "--allow-empty"],
    ["read-table", "--from", "csv", "--header", "a", "--encoding", "latin-1"],
    ["read-table", "--from", "parquet"],
    ["import-comments", "--db", "my.db", "--text"],
    ["import-comments", "--db", "my.db", "--allow-empty", "--posts"],
    ["import-event-metrics", "--db", "my.db"],
    ["import-event-metrics", "--db", "my.db", "--header", "a,b"],
    ["import-event-metrics", "--db", "my.db", "--first-dimensions"],
    ["count-active-users", "--tz", "UTC"],
    ["count-active-users", "--tz", "UTC", "--allow-empty"],
    ["import-active-users", "--db", "my.db", "--tz", "UTC"],
]


@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_an_encrypted_file_is_one_clear_error(command, tmp_path):
    """For every program that reads tables, whatever its options say they are."""
    write_encrypted(tmp_path / "a.parquet", EVENTS, ["geo"], plaintext_footer=False)
    assert (tmp_path / "a.parquet").read_bytes()[:4] == b"PARE"
    program, *options = command
    more = []
    if "--first-dimensions" in options:
        more = ["events.tsv"]
        columns = "id\tfirst_dimension_id\tsecond_dimension_id\trecorded_date\tcreated_date"
        (tmp_path / "events.tsv").write_text(columns + "\tevent_metrics\n")
    done = run(program, *options, "a.parquet", *more, check=66, cwd=tmp_path)
    told = f"{program}: a.parquet: encrypted Parquet: write it without encryption".encode()
    assert done.stderr.count(told) == 1 == done.stderr.count(b"a.parquet") and not done.stdout


@pytest.mark.parametrize("program", ["read-table", "count-active-users"])
def test_a_pipe_of_encrypted_parquet(program, tmp_path):
    path = tmp_path / "a.parquet"
    write_encrypted(path, EVENTS, ["geo"], plaintext_footer=False)
    done = run(program, stdin=path.read_bytes(), check=66)
    assert done.stderr.startswith(f"{program}: stdin: encrypted Parquet: ".encode())


def test_text_may_begin_as_encrypted_parquet_does():
    done = run("read-table", stdin=b"PARENT,x\n1,2\n", check=0)
    assert done.stdout == b'{"PARENT":"1","x":"2"}\n'


def test_an_encrypted_column_is_an_error_only_where_it_is_wanted(tmp_path):
    path = tmp_path / "a.parquet"
    write_encrypted(path, TEXTS, ["message"], plaintext_footer=True)
    assert path.read_bytes()[-4:] == b"PAR1"
    told = f"{path}: encrypted Parquet, column 'message': write it without encryption".encode()
    for options in ([], ["--columns", "h_id,message"]):
        done = run("read-table", *options, path, check=66)
        assert done.stderr.startswith(b"read-table: " + told) and not done.stdout
    assert run("read-table", "--columns", "h_id", path, check=0).stdout.count(b"\n") == 2
    done = run("import-comments", "--db", tmp_path / "my.db", "--text", path, check=66)
    assert done.stderr.startswith(b"import-comments: " + told)


def test_an_encrypted_column_of_events(tmp_path):
    path = tmp_path / "a.parquet"
    write_encrypted(path, EVENTS, ["user_pseudo_id"], plaintext_footer=True)
    done = run("count-active-users", path, check=66)
    assert f"{path}: encrypted Parquet, column 'user_pseudo_id': ".encode() in done.stderr
    write_encrypted(path, EVENTS, ["geo"], plaintext_footer=True)
    done = run("count-active-users", *COUNT, path, check=0)
    assert done.stdout == b"2020-01-01\t1\n"
    # none is wanted, so one can be told what it is
    write_encrypted(path, TEXTS, ["message"], plaintext_footer=True)
    done = run("count-active-users", path, check=66)
    assert b"got JSON objects with the keys h_id, without user_pseudo_id" in done.stderr


ODD = {
    "struct": pa.array([{"x": {"y": 1}}]),
    "list": pa.array([[1, None]]),
    "map": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int32())),
    "variant": pa.array([{"metadata": b"\x01\0\0", "value": b"\xff"}]),
    "binary": pa.array([b"\xff"]),
    "fixed": pa.array([b"\xff\xfe"], pa.binary(2)),
    "decimal256": pa.array([decimal.Decimal("1e40")], pa.decimal256(50, 2)),
    "dictionary": pa.array(["a"]).dictionary_encode(),
    "uuid": pa.array([b"0" * 16], pa.uuid()),
    "json": pa.array(["{}"], pa.json_()),
    "duration": pa.array([1], pa.duration("s")),
    "durations": pa.array([[1]], pa.list_(pa.duration("us"))),
    "null": pa.nulls(1),
    "nan": pa.array([float("nan")]),
    "far": pa.array([2**62], pa.timestamp("us")),
    "message.x": pa.array([1], pa.duration("s")),
}


@pytest.mark.parametrize("kind", ODD)
def test_columns_that_nobody_asked_for_refuse_nothing(kind, tmp_path):
    path = tmp_path / "a.parquet"
    column = ODD[kind]
    table = TEXTS.slice(0, 1).append_column(kind, column).append_column(kind, column)
    pq.write_table(table, path)
    done = run("read-table", "--columns", "message,h_id", path, check=0)
    assert done.stdout == b'{"message":"a","h_id":"1"}\n' and not done.stderr
    done = run("import-comments", "--db", tmp_path / "my.db", "--text", path, check=0)
    assert done.stdout == b"waiting_text\t0\t1\n"
    pq.write_table(EVENTS.append_column(kind, column).append_column(kind, column), path)
    done = run("count-active-users", *COUNT, path, check=0)
    assert done.stdout == b"2020-01-01\t1\n" and not done.stderr


def test_a_file_without_wanted_columns_is_described_by_what_can_be_read(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(TEXTS.append_column("took", pa.array([1, 2], pa.duration("s"))), path)
    done = run("count-active-users", path, check=66)
    assert b"got JSON objects with the keys h_id, message, without user_pseudo_id" in done.stderr


BYTES = {
    "binary": (pa.binary(), [b"\xff\0", b"a", None, b""]),
    "large": (pa.large_binary(), [b"\xff\0", b"a", None, b""]),
    "view": (pa.binary_view(), [b"\xff\0", b"a", None, b""]),
    "fixed": (pa.binary(2), [b"\xff\0", b"ab", None, b"cd"]),
    "words": (pa.dictionary(pa.int32(), pa.binary()), [b"\xff\0", b"a", None, b"a"]),
}


@pytest.mark.parametrize("kind", BYTES)
def test_a_binary_column_is_base64_where_that_is_asked_for(kind, tmp_path):
    """All of its values, be they text or not: so one can tell what they are."""
    path = tmp_path / "a.parquet"
    arrow, values = BYTES[kind]
    pq.write_table(pa.table({"n": [1, 2, 3, 4], "b": pa.array(values, arrow)}), path)
    done = run("read-table", "--base64", "b", path, check=0)
    found = [json.loads(line)["b"] for line in done.stdout.splitlines()]
    assert found == [value and base64.b64encode(value).decode() for value in values[:3]] + [
        base64.b64encode(values[3]).decode()
    ]
    done = run("read-table", "--columns", "b", path, check=65)
    found = [json.loads(line)["b"] for line in done.stdout.splitlines()]
    assert found == [None if value is None else value.decode() for value in values[1:]]
    way_out = "not UTF-8: b: if it is binary, read-table --base64 b prints it"
    assert f"{path}:1: {way_out}\n".encode() in done.stderr


def test_base64_of_what_is_not_binary(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(TEXTS, path)
    done = run("read-table", "--base64", "message", path, check=1)
    assert b"--base64 message: is string, not binary: leave it out" in done.stderr
    for options in (["--base64", "none"], ["--base64", "message", "--columns", "h_id"]):
        done = run("read-table", *options, path, check=1)
        assert b": no such column is read" in done.stderr
    done = run("read-table", "--base64", "a", stdin=b"a,b\n1,2\n", check=1)
    assert b"stdin: is text, which has no bytes: leave out --base64" in done.stderr


def test_bytes_of_events_say_what_prints_them(tmp_path):
    path = tmp_path / "a.parquet"
    users = pa.array([b"\xff"], pa.binary())
    pq.write_table(EVENTS.set_column(2, "user_pseudo_id", users), path)
    done = run("count-active-users", *COUNT, path, check=65)
    way_out = "not UTF-8: user_pseudo_id: if it is binary, read-table --base64 user_pseudo_id"
    assert f"{path}:1: {way_out}".encode() in done.stderr
