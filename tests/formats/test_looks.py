"""What an input looks like, by its first bytes."""

import gzip
import json
import sqlite3

import pytest

from headcount.formats import looks

OBJECT = {"a": 1, "b": {"inner": [1]}, "c": None}


def database() -> bytes:
    with sqlite3.connect(":memory:") as db:
        db.execute("CREATE TABLE a (b)")
        return db.serialize()


CASES = {
    "a JSON array": [
        b'[{"a": 1}]', b"[\n  {\n", b"[", b"[]", b'["a"]', b"[1, 2]", b"\xef\xbb\xbf [ {",
    ],
    "JSON objects with the keys a, b, c": [
        json.dumps(OBJECT).encode() + b"\n" + b'{"other": 1}\n',
        json.dumps(OBJECT, indent=2).encode() + b"\n",
        json.dumps(OBJECT).encode()[:-1],  # cut off
        b"\n\n" + json.dumps(OBJECT).encode(),
    ],
    "JSON objects with the keys k0, k1, k2, k3, k4, k5, k6, k7, …": [
        json.dumps({f"k{i}": i for i in range(9)}).encode()
    ],
    "CSV with the columns id, first name": [
        b"id,first name\n1,x\n", b'id,"first name"\r\n1,"x\ny"\r\n', b"id;first name\n1;x\n",
    ],
    "CSV with the columns message, h_id": [
        b"message,h_id\n", b'message,h_id\n"a\nb', b"message,h_id",
    ],
    "TSV with the columns id, name": [b"id\tname\n1\tx, y\n"],
    "an access log": [
        b'1.2.3.4 - - [10/Jan/2026:16:00:00 +0000] "GET /?a=1,2 HTTP/1.1" 200 12 "-" "M/5"\n',
        b'10.0.0.1 - Ann Lee [10/Jan/2026:16:00:00 +0000] "GET / HTTP/1.1" 200 12\n',
    ],
    "HTML": [b"<!DOCTYPE html>\n<html>", b"\n<HTML lang=de>", b"<!-- x -->\n<head>"],
    "XML": [b'<?xml version="1.0"?>\n<a>', b'<feed xmlns="x">\n'],
    "a PNG image": [b"\x89PNG\r\n\x1a\n\0\0", b"\x89PNG\n\x1a"],
    "a SQLite database": [database()],
    "Parquet": [b"PAR1\x15\x04\x15"],
    "encrypted Parquet": [b"PARE\x15\x04\x15"],
    "CSV with the columns PARENT, x": [b"PARENT,x\n1,2\n"],
    "CSV with the columns PAR1, PAR2": [b"PAR1,PAR2\n1,2\n"],
    "Avro": [b"Obj\x01\x04\x16avro.schema"],
    "UTF-16 text": [
        '{"a": 1}\n'.encode("utf-16"),
        '{"a": 1}\n'.encode("utf-16-le"),
        '{"a": "ä"}'.encode("utf-16-be"),
    ],
    "server-sent events": [b"data: {}\n\n", b": ok\n", b"event: a\r\ndata: 1\r\n", b"id\r"],
    "text: 'first 40 characters of a longer line, an…'": [
        b"first 40 characters of a longer line, and the rest\n"
    ],
    "text: 'event_name'": [b"event_name\nengaged\n"],
    "text: '[x] done'": [b"[x] done\n"],
    "text: '{not: JSON}'": [b"{not: JSON}\n"],
    "text that is not UTF-8: 'Käse'": ["Käse\n".encode("latin-1")],
    "binary data: 00 01 02 03 ff 04…": [b"\0\1\2\3\xff\4"],
    "nothing": [b"", b" \n\n", b"\xef\xbb\xbf"],
}  # fmt: skip


@pytest.mark.parametrize(
    "head, name", [(head, name) for name, heads in CASES.items() for head in heads]
)
def test_each_is_described(head, name):
    assert looks.described(head) == name


@pytest.mark.parametrize("heads", CASES.values(), ids=CASES)
def test_text_that_may_be_a_table_is_not_foreign(heads):
    """Nor is what only its bytes tell apart: an encoding may be right for it."""
    names = {looks.described(head) for head in heads}
    may_be = ("CSV", "TSV", "text", "an access", "server", "binary", "nothing")
    for head in heads:
        assert looks.is_foreign(head) != all(name.startswith(may_be) for name in names)


def test_only_the_start_is_looked_at():
    text = "ä,b\n" + "ä,1\n" * 10_000
    for cut in range(looks.HEAD - 3, looks.HEAD + 3):
        assert looks.described(text.encode()[:cut]) == "CSV with the columns ä, b"
    deep = b'{"a":' * 100_000
    assert looks.described(deep) == "JSON objects with the keys a"
    assert looks.described(gzip.compress(b"{}")).startswith("binary data: 1f 8b 08")
