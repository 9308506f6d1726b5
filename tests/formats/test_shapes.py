"""Shapes of inputs: each is told from its start, and lines are never taken for anything else."""

import codecs
import gzip
import json
import subprocess
import sys
import types

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from headcount.errors import Failure
from headcount.formats import shapes
from headcount.io import inputs, interrupt
from headcount.io.blocks import BOM, Block
from helpers.programs import ROOT

CASES = ROOT.parent / "shared" / "cases" / "shapes"


def is_header(names):
    return "event_name" in names


WANTED = shapes.Wanted(("event_name",), is_header)
A, B = b'{"a": 1}', b'{"a": [2, {"b": "}{"}]}'


@pytest.fixture
def tables(monkeypatch):
    """What a reader of tables is given, in place of the one that is there."""
    given = []

    def blocks(path, head, chunks, kind, columns):
        given.append((path, head + b"".join(chunks), kind, columns))
        yield Block(b"{}\n", path)

    module = types.ModuleType("headcount.formats.table_lines")
    module.blocks = blocks
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr("headcount.formats.table_lines", module, raising=False)
    return given


def convert(data, size=1 << 20, wanted=WANTED):
    """How an input in chunks of that size is read: how it starts, what is left, its blocks."""
    chunks = iter([data[at : at + size] for at in range(0, len(data), size)])
    head, blocks = shapes.reader(wanted).convert("in", next(chunks, b""), chunks)
    return head, chunks, blocks


def read(data, size=1 << 20, wanted=WANTED):
    """The number and the text of each record; None for lines, which are to be read as they are."""
    head, chunks, blocks = convert(data, size, wanted)
    if blocks is None:
        assert head + b"".join(chunks) == data
        return None
    return [
        (block.number(i), line)
        for block in blocks
        for i, line in enumerate(bytes(block.text).removesuffix(b"\n").split(b"\n"))
    ]


SIZES = pytest.mark.parametrize("size", [1, 5, 1 << 20])


# -- documents


@SIZES
@pytest.mark.parametrize("before", [b"", BOM, b"\n \r\n", BOM + b"\n"])
@pytest.mark.parametrize(
    "data",
    [
        b"[" + A + b"," + B + b"]",
        b"[\n" + A + b",\n" + B + b"\n]\n",
        b"[ \n ]\n[]\r\n[" + A + b"]\n[" + B + b"]",
        A + B,
        A + b" " + B + b"\n",
        A + B + b"\n" + A + B + b"\n",
        b"{\n" + A[1:] + b"\n" + B,
        A[:-1] + b"\r\n}\r\n" + B,
        b"{\r\n  " + A[1:] + B,
        b"\x1e" + A + b"\n\x1e" + B + b"\n",
        b'{\n"damaged" 1}\n' + A,
        b"{}\x1e{}",
    ],
)
def test_documents_are_told_from_lines(data, before, size):
    texts = [text for _, text in read(before + data, size)]
    if data.startswith(b"{}"):
        assert texts == [b"{}", b"{}"]
    elif b"damaged" in data:
        assert texts == [b'{\t"damaged" 1}', A]
    else:
        values = list(map(json.loads, texts))
        assert values == [json.loads(A), json.loads(B)] * (len(values) // 2)


@SIZES
def test_a_first_value_of_any_length_is_waited_for(size):
    record = b'{"a":\n"' + b"x" * 100 + b'"}'
    assert read(record + b"\n" + A, size) == [(1, record.replace(b"\n", b"\t")), (3, A)]


@SIZES
def test_an_empty_array_holds_nothing(size):
    for data in (b"[]", b" [ ]\n", b"[]\n[\n]\n", BOM + b"[]"):
        assert read(data, size) == []


def test_places_count_the_byte_order_mark_and_what_stands_before():
    assert read(BOM + b"\n\n[\n" + A + b",\n" + B + b"]") == [(4, A), (5, B)]
    with pytest.raises(Failure, match="inside record 2, which begins at byte 14;"):
        read(BOM + b"[" + A + b"," + B[:-1])


@pytest.mark.parametrize("start", [b"[", b"[\n", b"[{", b'{\n  "a": 1,', b'{\n"a": {"b":\n1'])
def test_a_truncated_document_is_a_failure(start):
    with pytest.raises(Failure, match="in: truncated: it ends at byte"):
        read(start)


# -- lines


DAMAGED = [
    A[:-1],  # cut off
    A[:4],
    b'{"a": {"b":',
    b"{",
    b'{"a": 1',
    b'{"a": "b}',
    b'{"a": "b\\',
    b'{"a": [',
    A + B,  # a newline is lost
    A + b"}",
    b"{" + A,
    A[1:],
    b'{"a": NaN}',
    b'{"a": 1,}',
    b"{'a': 1}",
    b'{"a": "\xff"}',
    b"{}{",
    b'{"a":' * 5000,
    b"[" + A[1:],
    b"[1, 2]",
    b"[" + b'"a"' + b"]",
    b"]",
    b"\0\0\0\0",
    b"\0" * 4096,
    b"{\0" + A,
    b"\xff\xff",
    b"P",
    b"PAR",
    b"Obj",
    b"",
    b" ",
    b'"a","b"',
    b"a,b",
]


@SIZES
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("first", DAMAGED)
def test_lines_whose_first_is_damaged_are_still_lines(first, end, size):
    assert read(first + end + A + end + B + end, size) is None
    assert read(first + end + A + end, size) is None
    assert read(BOM + first + end + A, size) is None


@SIZES
@pytest.mark.parametrize(
    "data",
    [b"", b"\n", A, A + b"\n", B + b"\r\n" + A, b"  " + A + b"\n" + B, b"\n\n" + A, b"{", b"{}"],
)
def test_lines_are_lines(data, size):
    assert read(data, size) is None


rows = st.lists(
    st.dictionaries(st.text('{}[]",\\ab:é'), st.text('{}[]",\\ab:é') | st.integers(), max_size=3),
    min_size=2,
    max_size=4,
)


@settings(max_examples=300, deadline=None)
@given(rows, st.data())
def test_a_cut_in_the_first_line_makes_no_document_of_lines(rows, data):
    lines = [json.dumps(row).encode() for row in rows]
    cut = data.draw(st.integers(0, len(lines[0])))
    lost = data.draw(st.integers(cut, len(lines[0])))
    lines[0] = lines[0][:cut] + lines[0][lost:]
    assume(not lines[0].startswith(b"[{"))  # then it looks like an array, and is a failure
    size = data.draw(st.integers(1, 60))
    assert read(b"".join(line + b"\n" for line in lines), size) is None


def test_no_more_is_read_than_it_takes_to_decide():
    """So a slow stream flows, and JSON Lines cost nothing."""
    for data, needed in (
        (A + b"\n", len(A) + 1),
        (BOM + b"{]  ................\n", len(BOM) + 21),
        (b"[" + A, 2),
        (b"[1", 2),
        (b'{\n"a"', 3),
        (b"2001-01-01 a log\n", 17),
        (codecs.BOM_UTF16_LE + ("[1\n" * 11).encode("utf-16-le"), 64),
    ):
        taken = []
        chunks = (taken.append(byte) or bytes([byte]) for byte in data + A * 100)
        shapes.reader(WANTED).convert("in", next(chunks), chunks)
        assert len(taken) == needed


def test_what_cannot_be_told_within_a_megabyte_has_lines():
    endless = (b" " * 4096 for _ in range(10_000))
    head, blocks = shapes.reader(WANTED).convert("in", b"", endless)
    assert blocks is None and len(head) == 1 << 20
    for start in (b'{"a": "', b"a,event_name", b'{"a": [\n'):
        head, _, blocks = convert(start + b"1, " * 1_000_000, size=1 << 16)
        assert blocks is None and 1 << 20 <= len(head) <= 1 << 21
    assert read((A + b" ") * 200_000, 1 << 16)[-1] == (200_000, A)


# -- tables


@SIZES
@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"PAR1 and more", "parquet"),
        (b"Obj\x01 and more", "avro"),
        (b"user,event_name\nann,a\n", "csv"),
        (b"user;event_name\r\nann;a\r\n", "csv"),
        (b'"user","event_name"', "csv"),
        (b"user\tevent_name\nann\ta\n", "tsv"),
        (b'"user"\t"event_name"\nann\ta\n', "csv"),
        (b"event_name\na\n", None),
    ],
)
def test_tables_are_read_as_such(data, kind, size, tables):
    if kind is None:  # a lone name has no delimiter: the first one is taken
        kind = "tsv"
    assert read(data, size) == [(1, b"{}")]
    assert tables == [("in", data, kind, ("event_name",))]
    if kind != "parquet" and kind != "avro":
        tables.clear()
        assert read(BOM + data, size) == [(1, b"{}")]
        assert tables == [("in", data, kind, ("event_name",))]


@SIZES
def test_a_table_of_something_else_has_lines(size, tables):
    for data in (
        b"user,name\nann,a\n",
        b"user|name\nann|a\n",
        b'a,event_name,"\n"\n',
        b"PAR",
    ):
        assert read(data, size) is None or b'"' in data
    assert [kind for _, _, kind, _ in tables] in ([], ["csv"])


def test_of_sources_of_text_only_the_encoding_is_looked_at(tables):
    wanted = shapes.Wanted(None, is_header, text=True)
    for data in (b"[" + A + b"]", b"{\n" + A[1:], b"a,event_name\n", b"PAR1", b"\x1e" + A):
        assert read(data, wanted=wanted) is None
    assert read("a,é\nb".encode("utf-16"), wanted=wanted) == [(1, "a,é".encode()), (2, b"b")]
    head, _, blocks = convert(b"ab" + b"c" * 100, size=1, wanted=wanted)
    assert blocks is None and len(head) == 2
    assert not tables


# -- encodings


ENCODINGS = {  # with a byte order mark, and without
    "utf-16": codecs.BOM_UTF16,
    "utf-16-le": b"",
    "utf-16-be": b"",
    "utf-16-be with a mark": codecs.BOM_UTF16_BE,
    "utf-32": codecs.BOM_UTF32,
    "utf-32-le": b"",
    "utf-32-be": b"",
    "utf-32-be with a mark": codecs.BOM_UTF32_BE,
}


def encoded(text, name):
    name, is_marked, _ = name.partition(" with")
    return (("\ufeff" if is_marked else "") + text).encode(name)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4),
    st.sampled_from(sorted(ENCODINGS)),
    st.sampled_from(["lines", "array", "pretty"]),
    st.integers(1, 99),
)
def test_other_encodings_hold_the_same(values, encoding, shape, size):
    rows = [{"event_name": "an event", "value": value} for value in values]
    if shape == "lines":
        text = "".join(json.dumps(row, ensure_ascii=False) + "\r\n" for row in rows)
    else:
        indent = 2 if shape == "pretty" else None
        text = json.dumps(rows, ensure_ascii=False, indent=indent)
    records = read(encoded(text, encoding), size)
    assert [json.loads(text) for _, text in records] == rows
    if shape == "lines" or (len(rows) == 1 and shape == "array"):
        assert [number for number, _ in records] == list(range(1, len(rows) + 1))
    if shape == "pretty":
        assert [number for number, _ in records] == list(range(2, 2 + 4 * len(rows), 4))


@SIZES
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_table_of_text_in_another_encoding(encoding, size, tables):
    text = "имя,event_name\nаня,a\n" if ENCODINGS[encoding] else "name,event_name\nаня,a\n"
    assert read(encoded(text, encoding), size) == [(1, b"{}")]
    assert tables == [("in", text.encode(), "csv", ("event_name",))]


@pytest.mark.parametrize("size", [1, 3, 1 << 20])
@pytest.mark.parametrize("name", ["utf-16-le", "utf-16-be"])
def test_malformed_utf_16_is_a_failure(name, size, monkeypatch):
    text = (A.decode() + "\n") * 3
    good = encoded(text, name)
    bad = good + "\ud800".encode(name, "surrogatepass")
    with pytest.raises(Failure) as caught:
        read(bad + good, size)
    message = f"in: byte {len(good) + 1}: not {name.upper()}: illegal UTF-16 surrogate"
    assert str(caught.value) == f"{message}; nothing of it was counted"
    with pytest.raises(Failure, match=f"in: byte {len(good) + 1}: .*: truncated data"):
        read(good + b"\0", size)
    monkeypatch.setattr(interrupt, "_deadline", 1.0)
    assert len(read(good + b"\0", size)) == 3


# -- inputs


@pytest.mark.skipif(not CASES.exists(), reason="no shared cases beside this checkout")
@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("02-array-oneline.json", [1, 2, 3]),
        ("03-array-pretty.json", [2, 22, 42]),
        ("03b-array-perline.json", [2, 3, 4]),
        ("03c-concat-pretty.json", [1, 21, 41]),
        ("13b-utf16.jsonl", [1, 2, 3]),
    ],
)
def test_shared_cases(name, numbers):
    blocks = list(inputs.blocks([str(CASES / name)], reader=shapes.reader(WANTED)))
    assert [block.number(i) for block in blocks for i in range(block.lines())] == numbers
    lines = b"".join(bytes(block.text) for block in blocks).splitlines()
    assert [json.loads(line)["user_pseudo_id"] for line in lines] == ["u1", "u2", "u3"]


def test_inputs_of_several_shapes_archives_among_them(tmp_path):
    array = b"[" + b",".join([A] * 3) + b"]"
    files = {
        "a.json": array,
        "b.json.gz": gzip.compress(array),
        "c.jsonl": A + b"\n" + A,
        "d.jsonl": (A.decode() + "\n").encode("utf-16"),
        "e.jsonl": BOM + A + b"\n",
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    paths = [str(tmp_path / name) for name in files]
    found = [
        (block.name, block.line, block.lines(), bytes(block.text).split(b"\n")[0])
        for block in inputs.blocks(paths, reader=shapes.reader(WANTED))
    ]
    lines = dict.fromkeys(paths, 0)
    for path, line, count, first in found:
        assert line == lines[path] + 1 and first == A
        lines[path] += count
    assert list(lines.values()) == [3, 3, 2, 1, 1]


def test_only_files_of_lines_are_divisible(tmp_path):
    is_divisible = shapes.reader(WANTED).is_divisible
    files = {
        "lines": A + b"\n" + A,
        "log": b"one\ntwo\n",
        "empty": b"",
        "array": b"[" + A + b"]",
        "pretty": b"{\n" + A[1:],
        "gz": gzip.compress(A),
        "utf16": A.decode().encode("utf-16"),
        "csv": b"a,event_name\n",
        "parquet": b"PAR1",
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    divisible = [name for name in files if is_divisible(str(tmp_path / name))]
    assert divisible == ["lines", "log", "empty"]
    assert not is_divisible("-")
    with pytest.raises(OSError):
        is_divisible(str(tmp_path / "nothing"))


def test_lines_cost_no_libraries():
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "from headcount.formats import shapes\n"
        "reader = shapes.reader(shapes.Wanted(None, lambda names: False))\n"
        "assert reader.convert('-', b'{}\\n', iter(())) == (b'{}\\n', None)\n"
        "print({'numpy', 'pyarrow', 'fastavro'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"set()\n"
