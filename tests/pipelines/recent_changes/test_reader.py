"""Lines of read-sse, which are not looked through once more, against those of anybody."""

import json
import random

from headcount.formats.sse import Captured
from headcount.io.blocks import Block
from headcount.pipelines.recent_changes.reader import Reader
from helpers.programs import run

TEXTS = ["", '"', '","data":', '\\","data":', "\\", "é", "\u2028", "a\tb", '{"id":"","event":""}']


def some_object(key, text):
    return json.dumps({key: text, "data": [text, {}]}, separators=(",", ":"))


def test_lines_of_read_sse_are_read_as_those_of_anybody():
    rng = random.Random(1)
    body = ""
    for _ in range(2000):
        ident, kind, text, key = (rng.choice(TEXTS) for _ in range(4))
        data = rng.choice([text, some_object(key, text), "{}", "[1]", "1"])
        body += f"event: {kind}\nid: {ident}\ndata: {data}\n\n"
    lines = run("read-sse", check=0, stdin=body.encode()).stdout
    block = Block(lines)
    known, others = (
        list(Reader(Captured(1 << 24, print), is_of_read_sse=known).events(block))
        for known in (True, False)
    )
    assert known == others and len(known) == 2000
