"""JSON arrays and other documents: each record comes out once, whole, and with its place."""

import json
import re
import sys
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headcount.errors import Failure
from headcount.formats import json_documents
from headcount.io import interrupt
from helpers.memory import peak_memory


def cut(data, sizes):
    """The data in chunks of these sizes, over and over."""
    chunks, at, turn = [], 0, 0
    while at < len(data):
        chunks.append(data[at : at + sizes[turn % len(sizes)]])
        at += len(chunks[-1])
        turn += 1
    return chunks


def read(data, sizes=(1 << 30,)):
    """The number and the text of each record."""
    records, size = [], 0
    for block in json_documents.blocks("in.json", cut(data, sizes)):
        text = bytes(block.text)
        assert text.endswith(b"\n")
        lines = text[:-1].split(b"\n")
        assert block.lines() == len(lines)
        assert data[block.start :].startswith(lines[0][:1]) or lines[0] == b","
        if block.numbers is not None:
            assert len(block.numbers) == len(lines)
            assert set(map(type, block.numbers)) == {int}
        else:
            assert block.line == size + 1
        size += len(lines)
        records += [(block.number(i), line) for i, line in enumerate(lines)]
    return records


def texts_of(data, sizes=(1 << 30,)):
    return [text for _, text in read(data, sizes)]


# -- sound documents


texts = st.text(st.sampled_from('{}[]",:\\ab \n\r\t\0\x1e/é€\U0001f600\u2028')) | st.text()
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
objects = st.lists(st.dictionaries(texts, values, max_size=4), max_size=8)


def written(rows, shape, indent, is_ascii):
    """The rows in one of the shapes; more than one array for some."""

    def dump(value, **options):
        return json.dumps(value, ensure_ascii=is_ascii, **options)

    if shape == "array":
        return dump(rows)
    if shape == "pretty array":
        return dump(rows, indent=indent)
    if shape == "object a line":
        return "[\n" + ",\n".join(map(dump, rows)) + "\n]\n"
    if shape == "comma first":
        return "[ " + "\r\n, ".join(map(dump, rows)) + "\r\n]\r\n"
    if shape == "arrays":
        return "\n".join([dump(rows[:2]), "[]", dump(rows[2:], indent=indent)])
    if shape == "pretty":
        return "\n".join(dump(row, indent=indent) for row in rows)
    if shape == "sequence":
        return "".join(f"\x1e{dump(row)}\n" for row in rows)
    if shape == "concatenated":
        return "".join(map(dump, rows))
    assert shape == "lines"
    return "".join(f"{dump(row)}\n" for row in rows)


SHAPES = [
    "array",
    "pretty array",
    "object a line",
    "comma first",
    "arrays",
    "pretty",
    "sequence",
    "concatenated",
    "lines",
]
sizes = st.lists(st.integers(1, 9) | st.integers(1, 500), min_size=1, max_size=5)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(objects, st.sampled_from(SHAPES), st.sampled_from([0, 1, 2, 7, "\t"]), st.booleans(), sizes)
def test_objects_come_back_whatever_their_shape_and_however_it_is_cut(
    rows, shape, indent, is_ascii, sizes
):
    data = written(rows, shape, indent, is_ascii).encode(errors="surrogatepass")
    assert list(map(json.loads, texts_of(data, sizes))) == rows


def test_a_record_is_its_own_text():
    record = b'{"a" : [1.0,  1e2, "\\u0041\\"],[", {}],"b":{ }}'
    assert texts_of(b"[" + record + b" , " + record + b"]") == [record, record]
    assert texts_of(b'{"a":\r\n  1\n}') == [b'{"a":\t\t  1\t}']


def test_nesting_of_any_depth():
    deep = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    assert texts_of(b"[" + deep + b"," + deep + b"]", [70_001]) == [deep, deep]


def test_nothing_and_empty_arrays_hold_no_records():
    for data in (b"", b" \n", b"[]", b"[ \n ]\n", b"[][]\n[ ]"):
        assert read(data, [1]) == []


# -- places


@pytest.mark.parametrize("sizes", [[1], [3, 5], [1 << 20]])
def test_numbers_are_lines_where_records_stand_on_their_own_lines(sizes):
    assert read(b'[\n{"a":1},\n\n{"a":2}\n,{"a":3}]', sizes) == [
        (2, b'{"a":1}'),
        (4, b'{"a":2}'),
        (5, b'{"a":3}'),
    ]
    pretty = json.dumps([{"a": 1}, {"a": 2}, {"a": 3}], indent=2).encode()
    assert [number for number, _ in read(pretty, sizes)] == [2, 5, 8]
    assert [number for number, _ in read(b'\n\n{\n"a":1}{\n"a":2}', sizes)] == [3, 4]
    assert [number for number, _ in read(b'\n{"a":1}\n"b"\n x\n{"a":2}', sizes)] == [2, 3, 4, 5]
    assert read(b'\n\n{"a":1}', sizes) == [(3, b'{"a":1}')]
    assert read(b'"\n"1', sizes) == [(1, b'"\t"'), (2, b"1")]


@pytest.mark.parametrize("sizes", [[1], [3, 5], [1 << 20]])
def test_numbers_count_records_where_the_first_two_share_a_line(sizes):
    data = b'\n[{"a":1}, {"a":2},\n{"a":3}, 4,\n\n{"a":5}]'
    assert [number for number, _ in read(data, sizes)] == [1, 2, 3, 4, 5]
    assert [number for number, _ in read(b'{"a":1}{"a":2}\n\n{"a":3}', sizes)] == [1, 2, 3]
    assert [number for number, _ in read(b'1"\n"\n2', sizes)] == [1, 2, 3]


def test_a_record_waits_for_no_more_than_it_takes_to_number_it():
    """So a slow stream is read as it comes."""
    sent = []

    def chunks():
        for chunk in (b'[{"a":1},', b'{"a":2', b'},{"a":3}', b"]"):
            sent.append(chunk)
            yield chunk

    blocks = json_documents.blocks("-", chunks())
    assert bytes(next(blocks).text) == b'{"a":1}\n' and len(sent) == 2
    assert bytes(next(blocks).text) == b'{"a":2}\n{"a":3}\n' and len(sent) == 3


# -- unsound documents


@pytest.mark.parametrize(
    ("data", "records"),
    [
        ('[1, {"a":1}]', ["1", '{"a":1}']),
        ('[null,"a, [b]",{"a":1},true]', ["null", '"a, [b]"', '{"a":1}', "true"]),
        ('[{"a":1},,{"a":2},]', ['{"a":1}', ",", '{"a":2}', ","]),
        ('[,{"a":1} {"a":2}]', [",", '{"a":1}', '{"a":2}']),
        ('{"a":1},\n{"a":2},\n', ['{"a":1}', '{"a":2}']),
        ('{"a":1},,\n{"a":2},[{"a":3}],', ['{"a":1}', ",", '{"a":2}', '{"a":3}', ","]),
        (',{"a":1},[]', [",", '{"a":1}']),
        ('{"a":1}\nError: no more  \n{"a":2}', ['{"a":1}', "Error: no more", '{"a":2}']),
        ('{"a":1}]}{"a":2}', ['{"a":1}', "]", "}", '{"a":2}']),
        ('[{"a":1}}{"a":2}', ['{"a":1}', "}", '{"a":2}']),
        ('[{"a":1},x"y" \\"z,{"a":2}] 12', ['{"a":1}', "x", '"y"', '\\"z', '{"a":2}', "12"]),
        ('[{"a":1},x,{"a":2},x,{"a":3}]', ['{"a":1}', "x", '{"a":2}', "x", '{"a":3}']),
        ('[{"a":1}}{"a":2},{"a":3}', ['{"a":1}', "}", '{"a":2}', '{"a":3}']),
        ('[{"a":1},{"a":2}]{"a":3},{"a":4}', [*map('{{"a":{}}}'.format, "1234")]),
        ('[[{"a":1}],{"a":[}]]', ['[{"a":1}]', '{"a":[}]']),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_what_should_not_be_there_is_a_record_too(data, records, size):
    assert texts_of(data.encode(), [size]) == [record.encode() for record in records]


def test_a_line_break_in_a_string_is_not_made_sound():
    (text,) = texts_of(b'[{"a":"x\ny"}]')
    with pytest.raises(json.JSONDecodeError, match="control character"):
        json.loads(text)


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b'[{"a":1},\n{"a":', "it ends at byte 15 inside record 2, which begins at byte 11;"),
        (b'[{"a":1},{"a":2}', "it ends at byte 16 inside an array, after its record 2;"),
        (b'[{"a":1},', "inside an array, after its record 1;"),
        (b"[ ", "it ends at byte 2 inside an array;"),
        (b'[{"a":1},"ab', "inside record 2, which begins at byte 10;"),
        (b'{\n"a":"}\n', "inside record 1, which begins at byte 1;"),
        (b'{\n"a":"}\\"', "inside record 1, which begins at byte 1;"),
    ],
)
@pytest.mark.parametrize("size", [1, 4, 100])
def test_a_truncated_input_is_a_failure(data, where, size, monkeypatch):
    with pytest.raises(Failure, match=re.escape(where)) as caught:
        read(data, [size])
    assert str(caught.value).startswith("in.json: truncated: it ends at byte ")
    assert str(caught.value).endswith("; nothing of it was counted")
    monkeypatch.setattr(interrupt, "_deadline", 1.0)
    whole = data.count(b"}") - data.count(b'"}')
    assert texts_of(data, [size]) == [b'{"a":%d}' % (i + 1) for i in range(whole)]


def test_a_record_that_is_too_long_is_a_failure(monkeypatch):
    monkeypatch.setattr(json_documents, "MAX_RECORD", 3 << 20)
    big = b'{"events": [' + b'{"a":1},' * 500_000 + b"{}]}"
    for before in (b"", b'[{"a":1},\n'):
        number, byte = before.count(b"{") + 1, len(before) + 1
        message = f"in.json: record {number}, which begins at byte {byte}: expected at most 3 MB"
        with pytest.raises(Failure, match=re.escape(message)) as caught:
            read(before + big, [1 << 20])
        assert "jq -c '.events[]'" in str(caught.value)
    for junk in (b'["' + b"x" * (4 << 20), b"x" * (4 << 20)):
        with pytest.raises(Failure, match="expected at most 3 MB"):
            read(junk, [1 << 20])


# -- anything at all


def brackets(data):
    """Of any bytes the records with brackets, and whether an array or a record is open at the end:
    by one character after the other."""
    records, depth, start, in_array, in_string, slashes = [], 0, None, False, False, 0
    for at, char in enumerate(data.decode("latin-1")):
        is_escaped, slashes = slashes % 2 == 1, slashes + 1 if char == "\\" else 0
        if char == '"' and not is_escaped:
            in_string = not in_string
        elif in_string:
            continue
        elif char in "[{":
            if depth == 0:
                in_array = char == "["
            if depth == in_array and not (depth == 0 and in_array):
                start = at
            depth += 1
        elif char in "]}" and depth:
            depth -= 1
            if depth == in_array and start is not None:
                records.append(data[start : at + 1])
                start = None
    return records, bool(depth or in_string)


soup = st.text(st.sampled_from('{{}}[]"",\\\\ \n\r\tab1\x1e')).map(str.encode)


@settings(max_examples=500, deadline=None)
@given(soup, sizes)
def test_of_anything_at_all_nothing_is_lost_and_no_cut_makes_a_difference(data, sizes):
    wanted, is_open = brackets(data)
    if is_open:
        with pytest.raises(Failure, match="truncated") as whole:
            read(data)
        with pytest.raises(Failure, match="truncated") as parts:
            read(data, sizes)
        assert str(parts.value) == str(whole.value)
        return
    records = read(data)
    assert read(data, sizes) == records
    texts = [text for _, text in records]
    on_one_line = data.translate(bytes.maketrans(b"\n\r", b"\t\t"))
    left = iter(texts)
    for record in wanted:
        assert record.translate(bytes.maketrans(b"\n\r", b"\t\t")) in left  # in that order
    at = 0
    for text in texts:  # between them stands what may stand there
        place = on_one_line.find(text, at)
        if (text == b"," and place < 0) or on_one_line[at:place].strip(b" \t\x1e,[]"):
            place = on_one_line.find(b"]", at)  # a comma takes the place of the bracket behind it
            assert text == b"," and not on_one_line[at:place].strip(b" \t\x1e,[]")
        assert not on_one_line[at:place].strip(b" \t\x1e,[]")
        at = place + len(text)
    assert not on_one_line[at:].strip(b" \t\x1e,[]")
    assert all(text.strip() for text in texts)


# -- resources


def test_memory_stays_flat(tmp_path):
    row = json.dumps({"event": "x" * 900, "at": 1, "more": [{"key": 'a"b'}] * 5})
    path = tmp_path / "array.json"
    with open(path, "w") as file:
        file.write("[" + row)
        for _ in range(100):
            file.write(("," + row) * 1000)
        file.write("\n" * 100_000_000 + "]")  # nothing can also be much
    script = (
        "import sys; from headcount.formats import json_documents as documents\n"
        "with open(sys.argv[1], 'rb') as file:\n"
        "    chunks = iter(lambda: file.read(1 << 20), b'')\n"
        "    assert sum(b.lines() for b in documents.blocks('-', chunks)) == 100_001\n"
    )
    code = f"import sys; sys.path[:0] = {sys.path!r}\n{script}"
    assert peak_memory(sys.executable, "-c", code, path) < 80


@pytest.mark.parametrize(
    ("start", "end"), [(b'[{"a":"', b'"}]'), (b'["', b'"]'), (b"", b""), (b'{"a":"\\', b'"}')]
)
def test_time_is_linear_in_the_length_of_a_record(start, end):
    def seconds(size):
        begun = time.perf_counter()
        assert len(read(start + b"x" * size + end, [4096])) == 1
        return time.perf_counter() - begun

    seconds(1 << 20)
    assert seconds(16 << 20) < 24 * max(seconds(2 << 20), 0.01)  # measured: 8 times
