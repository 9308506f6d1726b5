"""Events without a user: how many there were on each day, and where their share jumped."""

import json

import pytest

from helpers.events import NOON, event
from helpers.programs import run
from pipelines.active_users.test_definitions import DAY


def lines(day, known, unknown, refused=0):
    """Events of a day, some of which have no user; some of these say that consent was refused."""
    at = NOON + day * DAY
    found = [event(user=f"u{n % 3}", micros=at + n) for n in range(known)]
    for n in range(unknown):
        record = json.loads(event(micros=at + n))
        del record["user_pseudo_id"]
        record["privacy_info"] = {"analytics_storage": "No" if n < refused else "Unset"}
        found.append(json.dumps(record).encode() + b"\n")
    return b"".join(found)


def report(db, **params):
    given = [word for pair in params.items() for word in ("--param", "=".join(map(str, pair)))]
    done = run("show-report", "--db", db, "events_without_identity", "--format", "json", *given)
    rows = json.loads(done.stdout)
    names = ("date", "with_identity", "without_identity", "refused", "percent", "jumped")
    return [tuple(row[name] for name in names) for row in rows]


MODES = {
    "fused": [],
    "pipe": ["--pipe"],
    "jobs": ["--jobs", "2"],
    "device": ["--tz", "device"],
    "events": ["--valuable-events", "user_engagement"],
    "definitions": ["--definition", "engaged-valuable,ga4-active,summed"],
    "any": ["--definition", "any-event"],
}


@pytest.mark.parametrize("mode", MODES)
def test_events_of_each_day(mode, tmp_path):
    db, given = tmp_path / "my.db", ["--max-rejects", "100%", "--quiet", *MODES[mode]]
    paths = []
    for day, numbers in enumerate([(90, 10, 4), (80, 12, 0), (50, 50, 50)]):
        text = lines(day, *numbers)
        if mode == "device":
            text = text.replace(b'"event_name"', b'"time_zone_offset_seconds": 0, "event_name"')
        paths.append(tmp_path / f"{day}.jsonl")
        paths[-1].write_bytes(text)
    for some in (paths[:2], paths):  # which come again, as parts of another import
        run("import-active-users", "--db", db, *given, *some, check=65)
        for path in some:
            path.touch()
    assert report(db) == [
        ("2019-12-31", 90, 10, 4, 10.0, ""),
        ("2020-01-01", 80, 12, 0, 13.0, ""),
        ("2020-01-02", 50, 50, 50, 50.0, "yes"),
    ]
    assert report(db, points=50, since="2020-01-02")[0][-1] == ""


def test_parts_and_streams(tmp_path):
    part, db = tmp_path / "one.part", tmp_path / "my.db"
    run("count-active-users", "--part", part, stdin=lines(0, 9, 1), check=65)
    run("merge-parts", "--db", db, "--max-rejects", "100%", part, check=65)
    assert report(db) == [("2019-12-31", 9, 1, 0, 10.0, "")]
    other = ["--definition", "engaged-valuable"]
    run("import-active-users", "--db", db, *other, "--max-rejects", "100%", stdin=lines(0, 1, 1))
    assert report(db)[0][1:3] == (10, 2)  # what a stream brings adds up


def test_other_sources_have_them_too(tmp_path):
    db = tmp_path / "my.db"
    one = {"event": "x", "type": "track"}
    text = b"".join(
        json.dumps(one | {"userId": user, "timestamp": at}).encode() + b"\n"
        for at in ("2024-03-10T12:00:00Z", "2024-03-11T12:00:00Z")
        for user in ("ann", None, "bob")
    )
    given = ["--source", "segment", "--max-rejects", "100%", "--tz", "UTC"]
    run("import-active-users", "--db", db, *given, stdin=text)
    assert report(db) == [(f"2024-03-{day}", 2, 1, 0, 33.3, "") for day in (10, 11)]


def test_the_share_is_of_events_that_would_count(tmp_path):
    db = tmp_path / "my.db"
    short = b"".join(event(user="ann", micros=NOON + n, msec=1000) for n in range(9))
    without = json.loads(event(msec=1000))
    del without["user_pseudo_id"]
    text = short + lines(0, 4, 1) + json.dumps(without).encode() + b"\n"
    run("import-active-users", "--db", db, "--max-rejects", "100%", stdin=text, check=65)
    assert report(db) == [("2019-12-31", 4, 1, 0, 20.0, "")]
