"""Holes in the offsets of a stream, against sets of numbers."""

import random
import sqlite3

import pytest

from headcount.pipelines.recent_changes.gaps import Gaps, merged, without
from helpers.programs import ROOT


@pytest.fixture
def db():
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.executescript((ROOT / "schema.sql").read_text())
    return db


def gaps_of(db):
    return db.execute(
        "SELECT topic, partition, first_offset, last_offset FROM stream_gap ORDER BY 1, 2, 3"
    ).fetchall()


def expected(seen):
    found = []
    for (topic, partition), numbers in sorted(seen.items()):
        missing = sorted(set(range(min(numbers), max(numbers))) - numbers)
        found += [(topic, partition, *gap) for gap in merged((n, n) for n in missing)]
    return found


@pytest.mark.parametrize("seed", range(60))
def test_any_offsets_in_any_order_and_batches(db, seed):
    rng = random.Random(seed)
    gaps, seen = Gaps(db), {}
    for _ in range(rng.randrange(1, 60)):
        part = rng.choice([("a", 0), ("a", 1), ("b", 0)])
        start = rng.randrange(120)
        batch = [start + i for i in range(rng.randrange(1, 25)) if rng.random() < 0.8]
        batch += [rng.randrange(150) for _ in range(rng.randrange(3))]
        rng.shuffle(batch)
        if not batch:
            continue
        if rng.random() < 0.2:
            gaps = Gaps(db)  # another run
        gaps.enter(*part, batch, None)
        seen.setdefault(part, set()).update(batch)
        assert gaps_of(db) == expected(seen)


def test_merged_and_without():
    assert list(merged([(5, 6), (1, 2), (3, 3), (6, 9)])) == [(1, 3), (5, 9)]
    assert list(merged([])) == []
    assert without((1, 9), [(0, 1), (3, 4), (9, 12)]) == [(2, 2), (5, 8)]
    assert without((1, 9), [(0, 20)]) == []
    assert without((1, 9), [(20, 30)]) == [(1, 9)]


def test_a_hole_keeps_when_it_was_noticed_while_it_is_filled(db):
    gaps = Gaps(db)
    gaps.enter("a", 0, [1, 10], "2024-03-08T00:00:00Z")
    db.execute("UPDATE stream_gap SET noticed_at = 'then'")
    gaps.enter("a", 0, [5], "2024-03-09T00:00:00Z")
    rows = db.execute("SELECT first_offset, last_offset, near, noticed_at FROM stream_gap")
    assert rows.fetchall() == [
        (2, 4, "2024-03-08T00:00:00Z", "then"),
        (6, 9, "2024-03-08T00:00:00Z", "then"),
    ]


def test_offsets_as_large_as_sqlite_can_hold(db):
    Gaps(db).enter("a", 0, [0, 2**63 - 1], None)
    assert gaps_of(db) == [("a", 0, 1, 2**63 - 2)]
