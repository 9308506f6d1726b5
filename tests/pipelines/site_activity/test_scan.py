"""Lines taken apart at once are what the JSON parser makes of them one by one, or left to it."""

import json
import random
import uuid

import numpy as np
import pytest

from headcount.io.blocks import All, Block
from headcount.pipelines.site_activity import record, scan
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


def scanned(text):
    """As parse_all has them, sorted; None if it was left to the parser."""
    found = scan.Scanner()(All(Block(text)))
    if found is None:
        return None
    rows = []
    for some in found:
        for i, seconds in enumerate(some.times.tolist()):
            status = ("online" if some.online[i] else "offline") if some.status[i] else None
            rows.append(
                (
                    str(uuid.UUID(bytes=some.ids[i].tobytes())),
                    some.sites[i].tobytes().rstrip(b"\0").decode(),
                    seconds,
                    some.names[i].tobytes().rstrip(b"\0").decode(),
                    status,
                )
            )
    return sorted(rows, key=repr)


def parsed(text):
    """None where a line is rejected."""
    found = record.parse_all(All(Block(text)))
    if not all(type(one) is record.Chat for one in found):
        return None
    rows = [(one.id, one.site_id, one.timestamp, one.sender, one.status) for one in found]
    return sorted(rows, key=repr)


@pytest.mark.parametrize("seed", range(40))
def test_lines_of_one_spelling(seed):
    rng = random.Random(seed)
    text = b"\n".join(spelt(rng, rng.choice([1, 2, 50]))) + b"\n"
    found = scanned(text)
    assert found in (None, parsed(text))
    if b"extra" not in text:
        assert found is not None


def test_what_make_data_writes_is_taken_apart():
    text = run("make-data", "chat", "--lines", 3000, check=0).stdout
    assert scanned(text) == parsed(text) and scanned(text)


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
            found = scanned(wrong)
            if found is None:
                left += 1
            else:
                taken += 1
                assert found == parsed(wrong), (text, wrong)
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
    assert scanned(line * 3) == parsed(line * 3) != []
    wrong = line.replace(old, new)
    assert wrong != line
    for lines in (wrong, line + wrong, wrong + line, line * 3 + wrong):
        assert scanned(lines) is None


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
            assert of_words(words).tolist() == [codes[text] for text in fitting]
    assert list(codes) == list(dict.fromkeys(codes)) and len(codes) == len(set(texts))
