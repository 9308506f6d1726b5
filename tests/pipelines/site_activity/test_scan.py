"""Lines taken apart at once are what the JSON parser makes of them one by one, or left to it."""

import json
import random
import uuid

import numpy as np
import pytest

from headcount.io.blocks import All, Block
from headcount.pipelines.site_activity import record, scan
from headcount.pipelines.site_activity.chat_table import KINDS
from headcount.pipelines.site_activity.interning import Codes, WordCodes
from helpers.programs import run

SENDERS = ["a", "visitor1", "visitor22", "12345678", "1234567890123456", "x" * 40, "Ω", "é" * 9]


def spelt(rng, number):
    """Lines of one program: the same keys in the same order, the same spaces."""
    keys = ["id", "type", "from", "site_id", "timestamp", "data", "extra"]
    rng.shuffle(keys)
    keys = [key for key in keys if key != "extra" or rng.random() < 0.3]
    separators = rng.choice([(",", ":"), (", ", ": "), (",", ": ")])
    with_data, lines = rng.random() < 0.8, []
    for _ in range(number):
        status = rng.random() < 0.3
        record = {
            "id": str(uuid.UUID(int=rng.getrandbits(128))),
            "type": "status" if status else "message",
            "from": rng.choice(SENDERS),
            "site_id": rng.choice(["1", "22", "a site with a long name"]),
            "timestamp": rng.choice([0, 7, 1_709_856_000, rng.randrange(2 * 10**11)]),
            "data": {"message": rng.choice(["", "hi {there}: [1], 2", "ü"]), "more": "x"},
            "extra": {"a": 1} if rng.random() < 0.01 else 7,
        }
        if status:
            record["data"] = {"status": rng.choice(["online", "offline"])}
        record = {key: record[key] for key in keys if status or with_data or key != "data"}
        lines.append(json.dumps(record, separators=separators, ensure_ascii=False).encode())
    return lines


def scanned(text, scanner=None):
    """As parse_all has them, sorted; and the lines that were left to the parser."""
    block = Block(text)
    found, spans = (scanner or scan.Scanner())(block.text)
    rows = []
    for i, seconds in enumerate([] if found is None else found.times.tolist()):
        kind = found.kinds[i]
        rows.append(
            (
                str(uuid.UUID(bytes=found.ids[i].tobytes())),
                found.sites[i].tobytes().rstrip(b"\0").decode(),
                seconds,
                found.names[i].tobytes().rstrip(b"\0").decode(),
                next(status for status in KINDS if KINDS[status] == kind),
            )
        )
    left = [text[start:end] for start, end in spans]
    assert spans == sorted(spans) and len(rows) + len(left) == block.lines()
    return sorted(rows, key=repr), left


def parsed(text):
    """The lines that are not rejected."""
    found = record.parse_all(All(Block(text)))
    chats = [one for one in found if type(one) is record.Chat]
    rows = [(one.id, one.site_id, one.timestamp, one.sender, one.status) for one in chats]
    return sorted(rows, key=repr)


def assert_right(text, scanner=None):
    """What is taken apart and what the parser makes of the rest are together what they should be;
    returns how many lines were left to it.
    """
    rows, left = scanned(text, scanner)
    assert sorted(rows + parsed(b"".join(left)), key=repr) == parsed(text), text
    return len(left)


@pytest.mark.parametrize("seed", range(40))
def test_lines_of_one_spelling(seed):
    rng = random.Random(seed)
    text = b"\n".join(spelt(rng, rng.choice([1, 2, 50]))) + b"\n"
    left = assert_right(text)
    if b'"extra"' not in text:
        assert not left


def test_what_make_data_writes_is_taken_apart():
    text = run("make-data", "chat", "--lines", 3000, check=0).stdout
    assert assert_right(text) == 0


@pytest.mark.parametrize("seed", range(10))
def test_lines_of_several_programs_and_others_between_them(seed):
    rng = random.Random(seed)
    lines = [line for _ in range(3) for line in spelt(rng, 100) if b'"extra"' not in line]
    others = [
        b"",
        b"{",
        b'{"id":"\xff"}',
        lines[0].replace(b"-", b"\\u002d"),
        lines[0].replace(b'"id"', b'"id" \t'),
        lines[0] + b"\r",
        lines[0].replace(b'"id"', b'"di"'),
        lines[0][: lines[0].index(b"from") + 9],
    ]
    text = lines + others * 2
    scanner = scan.Scanner()
    for _ in range(9):
        rng.shuffle(text)
        number = assert_right(b"\n".join(text) + b"\n", scanner)
    assert number == len(others * 2)
    assert assert_right(b"\n".join(text), scanner) <= len(others * 2) + 1


def test_a_text_with_a_quote_within_is_another_spelling():
    line = (
        b'{"id":"11111111-2222-3333-4444-555555555555","type":"message","from":"ann",'
        b'"site_id":"s","timestamp":7,"data":{"message":"hi"}}\n'
    )
    more = line.replace(b'"hi"', b'"hi","page":"x"')
    twice = line.replace(b'"hi"', b'"hi","page":"x","page":"y"')
    no_object = line.replace(b'"hi"', b'"h"i"')
    assert assert_right((line + more) * 3 + twice) == 1
    assert assert_right((line + no_object) * 3) == 3


def test_a_line_that_breaks_off_does_not_go_on_in_the_next():
    line = (
        b'{"id":"11111111-2222-3333-4444-555555555555","type":"message","from":"ann",'
        b'"site_id":"s","timestamp":7,"data":{"message":"hi"}}\n'
    )
    for place in range(1, len(line) - 1):
        assert assert_right(line + line[:place] + b"\n" + line[place:] + line) == 2


def test_a_short_text_at_the_end():
    assert scanned(b"")[1] == []
    for text in (b"\n", b"{", b"{}\n", b'"\n"'):
        assert assert_right(text) == Block(text).lines()


@pytest.mark.sample(6)
@pytest.mark.parametrize("seed", range(8))
def test_a_wrong_byte_anywhere_is_not_taken_for_a_right_one(seed):
    rng = random.Random(seed)
    taken = left = 0
    for _ in range(40):
        text = b"\n".join(spelt(rng, 6)) + b"\n"
        for _ in range(60):
            at, new = (
                rng.randrange(len(text)),
                rng.choice(b'"{}[]:,\\ \n\r\t\0-+.0123456789aefo\xc3\xff'),
            )
            how = rng.randrange(3)  # in place of another, before it, or without it
            wrong = text[:at] + bytes([new] * (how < 2)) + text[at + (how != 1) :]
            if assert_right(wrong):
                left += 1
            else:
                taken += 1
    assert left > 100 and taken > 20


@pytest.mark.parametrize(
    "old, new",
    [
        (b'"timestamp":7', b'"timestamp":07'),
        (b'"timestamp":7', b'"timestamp":-7'),
        (b'"timestamp":7', b'"timestamp":7.0'),
        (b'"timestamp":7', b'"timestamp":"7"'),
        (b'"timestamp":7', b'"timestamp":253370764800'),
        (b'"timestamp":7', b'"timestamp":' + b"9" * 17),
        (b'"from":"ann"', b'"from":""'),
        (b'"from":"ann"', b'"from":"a\\u0041"'),
        (b'"from":"ann"', b'"from":"' + b"x" * 41 + b'"'),
        (b'"from":"ann"', b'"from":"ann","from":"bob"'),
        (b'"status":"online"', b'"status":"onlines"'),
        (b'"status":"online"', b'"Status":"online"'),
        (b'"data":{', b'"data":[{'),
        (b"-4444-", b"-444:-"),
        (b"-4444-", b"-444G-"),
        (b"-4444-", b"-444o-"),
        (b"-4444-", b"-444A-"),
        (b"-4444-", b"-4-44-"),
        (b"-4444-", b"44444-"),
    ],
)
def test_what_is_left_to_the_parser(old, new):
    line = (
        b'{"id":"11111111-2222-3333-4444-555555555555","type":"status","from":"ann",'
        b'"site_id":"s","timestamp":7,"data":{"status":"online"}}\n'
    )
    assert assert_right(line * 3) == 0
    wrong = line.replace(old, new)
    assert wrong != line
    for lines in (wrong, line + wrong, wrong + line, line * 3 + wrong):
        assert assert_right(lines) == 1
        assert scanned(lines)[1] == [wrong]


def test_texts_keep_their_codes_however_many_there_are():
    rng = random.Random(2)
    codes = Codes()
    of_words = WordCodes(codes)
    texts = [f"{rng.getrandbits(rng.choice([8, 60, 250]))}"[:40] for _ in range(20_000)]
    for start in range(0, len(texts), 500):
        some = texts[start : start + 500] + rng.sample(texts[: start + 500], 500)
        for width in (40, 8):
            fitting = [text for text in some if len(text) <= width]
            words = np.array([text.encode().ljust(width, b"\0") for text in fitting])
            words = words.view(np.uint64).reshape(len(fitting), -1).copy()
            assert of_words(words).tolist() == codes.of(fitting)
    assert list(codes) == list(dict.fromkeys(codes)) and len(codes) == len(set(texts))
