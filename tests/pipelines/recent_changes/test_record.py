"""Events of recent changes: what is one, what is none, and why."""

import json
import sqlite3

import pytest

from headcount.filters.rejects import Reject
from headcount.pipelines.recent_changes import record

GOOD = {
    "meta": {
        "id": "da75cd5f-4dc4-4954-8a88-b5b6d4fec7e4",
        "domain": "en.wikipedia.org",
        "topic": "eqiad.mediawiki.recentchange",
        "partition": 0,
        "offset": 7,
    },
    "type": "edit",
    "timestamp": 1670732822,
    "user": "Ω",
    "bot": False,
    "wiki": "enwiki",
}
PLACE = ("eqiad.mediawiki.recentchange", 0, 7)


def parse(**changed):
    meta = GOOD["meta"] | changed.pop("meta", {})
    event = GOOD | {"meta": meta} | changed
    event = {name: value for name, value in event.items() if value is not ...}
    event["meta"] = {name: value for name, value in meta.items() if value is not ...}
    return record.parse(json.dumps(event, ensure_ascii=False).encode())


def test_a_sound_one():
    change, place = parse()
    assert (
        change.meta.id,
        change.wiki,
        change.type,
        change.bot,
        change.timestamp,
        change.user,
    ) == (
        GOOD["meta"]["id"],
        "enwiki",
        "edit",
        False,
        1670732822,
        "Ω",
    )
    assert place == PLACE


@pytest.mark.parametrize("domain", ["en.wikipedia.org", "canary"])
def test_what_sqlite_would_not_take_for_json_is_rejected(domain):
    data = json.dumps(GOOD | {"meta": GOOD["meta"] | {"domain": domain}}).encode()
    assert record.parse(b"\xef\xbb\xbf" + data)[0].reason == "not JSON"


@pytest.mark.parametrize("timestamp", ["1670732822", 1670732822.0, "1670732822.0"])
def test_a_number_in_any_spelling_is_the_same(timestamp):
    change, place = parse(timestamp=timestamp)
    assert change.timestamp == 1670732822 and place == PLACE


@pytest.mark.parametrize(
    "changed, reason",
    [
        ({"wiki": ...}, "wiki is missing"),
        ({"wiki": None}, "wiki is missing"),
        ({"wiki": ""}, "wiki is missing"),
        ({"wiki": 7}, "wrong type"),
        ({"type": ...}, "type is missing"),
        ({"bot": ...}, "bot is missing"),
        ({"bot": 1}, "wrong type"),
        ({"bot": "true"}, "wrong type"),
        ({"timestamp": ...}, "timestamp is missing"),
        ({"timestamp": -1}, "bad timestamp"),
        ({"timestamp": 1.5}, "bad timestamp"),
        ({"timestamp": "soon"}, "bad timestamp"),
        ({"timestamp": 10**12}, "bad timestamp"),
        ({"timestamp": True}, "bad timestamp"),
        ({"user": 7}, "wrong type"),
    ],
)
def test_what_is_missing_or_of_another_type_is_said_and_was_not_lost(changed, reason):
    reject, place = parse(**changed)
    assert type(reject) is Reject and reject.reason == reason and place == PLACE


@pytest.mark.parametrize("ident", [..., None, ""])
def test_without_an_id_it_was_not_lost(ident):
    assert parse(meta={"id": ident}) == (Reject("meta.id is missing"), PLACE)


@pytest.mark.parametrize("meta", [{"id": 7}, {"offset": "7"}, {"offset": -2}, {"partition": []}])
def test_without_a_sound_meta_it_is_nowhere(meta):
    reject, place = parse(meta=meta)
    assert reject.reason == "wrong type" and place is None
    assert parse(meta=meta | {"domain": "canary"}) == (None, None)


@pytest.mark.parametrize("name", ["topic", "partition", "offset"])
def test_without_a_place_it_still_counts(name):
    change, place = parse(meta={name: ...})
    assert type(change) is record.Change and place is None
    assert parse(meta={"offset": -1})[1] is None


@pytest.mark.parametrize("changed", [{}, {"wiki": ...}, {"bot": "no"}, {"timestamp": "soon"}])
def test_a_canary_is_one_whatever_else_it_lacks(changed):
    assert parse(meta={"domain": "canary"}, **changed) == (None, PLACE)


def test_a_canary_without_an_id():
    assert parse(meta={"domain": "canary", "id": ...}) == (None, PLACE)


@pytest.mark.parametrize(
    "spoilt",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"meta": 7}',
        b"\xff",
        json.dumps(GOOD).encode() + b"}",
        json.dumps(GOOD).encode()[:-1],
        json.dumps(GOOD).replace("edit", "\\ud800").encode(),
        json.dumps(GOOD | {"comment": 1}).replace("1}", "NaN}").encode(),
        json.dumps(GOOD).encode().replace(b"edit", b"ed\xffit"),
        json.dumps(GOOD | {"x": ""}).encode().replace(b'""', b"[" * 3000 + b"]" * 3000),
    ],
)
def test_what_is_no_event_is_a_reject(spoilt):
    assert type(record.parse(spoilt)[0]) is Reject


def test_whatever_is_kept_sqlite_can_query():
    """An event that its JSON functions cannot follow would spoil every query of the table."""
    db = sqlite3.connect(":memory:")
    for depth in (1, 100, 400, 900, 950, 999, 1000, 1500, 1999, 2001, 20_000):
        data = json.dumps(GOOD | {"x": "@"}).replace('"@"', "[" * depth + "]" * depth).encode()
        change, _ = record.parse(data)
        if type(change) is not Reject:
            assert db.execute("SELECT json_extract(?, '$.wiki')", [data.decode()]).fetchone()
    assert type(change) is Reject
