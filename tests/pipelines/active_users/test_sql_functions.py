"""The functions of SQL for sets of users: against Python's sets, and against what is no set."""

import json
import sqlite3
from datetime import date, timedelta
from functools import reduce
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from headcount.reports import set_functions
from pipelines.active_users.test_reference import examples

# An error in a function of SQL is one of the query; Python, if asked to, tells it besides.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

IDS = st.frozensets(
    st.one_of(st.integers(0, 40), st.integers(65_530, 65_545), st.integers(0, 2**32 - 1)),
    max_size=12,
)


@pytest.fixture(scope="module")
def db():
    connection = sqlite3.connect(":memory:")
    set_functions.register(connection)
    return connection


def one(db, expression, *values):
    return db.execute(f"SELECT {expression}", values).fetchone()[0]


def blob(ids):
    return BitMap(ids).serialize()


def ids(users):
    return set() if users is None else set(BitMap.deserialize(users))


@given(a=IDS, b=IDS)
@examples(200)
def test_two_sets(db, a, b):
    x, y = blob(a), blob(b)
    assert one(db, "bitmap_count(?)", x) == len(a)
    assert json.loads(one(db, "bitmap_each(?)", x)) == sorted(a)
    assert one(db, "bitmap_count(?, ?)", x, y) == len(a & b)
    assert one(db, "bitmap_count(?, NULL)", x) == one(db, "bitmap_count(NULL, ?)", x) == 0
    assert ids(one(db, "bitmap_or(?, ?)", x, y)) == a | b
    assert ids(one(db, "bitmap_and(?, ?)", x, y)) == a & b
    assert ids(one(db, "bitmap_andnot(?, ?)", x, y)) == a - b
    for call in ("bitmap_or(?, NULL)", "bitmap_or(NULL, ?)", "bitmap_andnot(?, NULL)"):
        assert ids(one(db, call, x)) == a
    for call in ("bitmap_and(?, NULL)", "bitmap_and(NULL, ?)", "bitmap_andnot(NULL, ?)"):
        assert ids(one(db, call, x)) == set()


@given(sets=st.lists(st.one_of(st.none(), IDS), max_size=5))
@examples(100)
def test_many_sets(db, sets):
    rows = json.dumps([None if one is None else blob(one).hex() for one in sets])
    query = "FROM (SELECT unhex(value) AS users FROM json_each(?))"
    db.create_function("unhex", 1, lambda text: text and bytes.fromhex(text))
    known = [one or frozenset() for one in sets]
    union, common, several = (
        ids(db.execute(f"SELECT bitmap_{name}(users) {query}", [rows]).fetchone()[0])
        for name in ("or", "and", "several")
    )
    assert union == set().union(*known)
    assert common == (reduce(frozenset.intersection, known) if known else set())
    assert several == {one for one in union if sum(one in some for some in known) > 1}


WINDOWS = st.one_of(st.none(), st.integers(1, 12))


@given(days=st.dictionaries(st.integers(0, 30), st.frozensets(st.integers(0, 5))), window=WINDOWS)
@examples(300)
def test_rolling_counts(db, days, window):
    first = date(2024, 2, 20)
    texts = {number: str(first + timedelta(number)) for number in range(-40, 80)}
    rows = [[texts[number], blob(days[number]).hex()] for number in sorted(days)]
    db.create_function("unhex", 1, bytes.fromhex)
    query = "SELECT value ->> 0 AS date, unhex(value ->> 1) AS users FROM json_each(?)"
    found = one(db, f"rolling_counts(date, users, ?) FROM ({query})", window, json.dumps(rows))
    expected = {}
    for number in range(min(days, default=0), max(days, default=-1) + 1):
        back = range(number - (window or 99) + 1, number + 1)
        if number in days or (window and days.keys() & set(back)):
            expected[texts[number]] = len(set().union(*(days.get(n, ()) for n in back)))
    assert json.loads(found or "{}") == expected


@pytest.mark.parametrize(
    "dates, window",
    [(["2024-02-02", "2024-02-01"], 2), (["2024-02-01"] * 2, 2), (["2024-02-30"], 2)]
    + [(["2024-02-01"], window) for window in (0, -1, 4000, "7", 2.5, b"7")],
)
def test_rolling_counts_of_no_sense(db, dates, window):
    query = "SELECT value AS date FROM json_each(?)"
    with pytest.raises(sqlite3.OperationalError):
        one(db, f"rolling_counts(date, NULL, ?) FROM ({query})", window, json.dumps(dates))


def test_null_is_nobody(db):
    assert one(db, "bitmap_count(NULL)") == 0 and one(db, "bitmap_each(NULL)") == "[]"


@pytest.mark.parametrize("bad", ["'users'", "5", "2.5", "''", "x''", "x'3a30'", "zeroblob(90)"])
@pytest.mark.parametrize("call", ["bitmap_count({})", "bitmap_each({})", "bitmap_or({}, NULL)"])
def test_what_is_no_set_is_an_error(db, bad, call):
    with pytest.raises(sqlite3.OperationalError, match="user-defined function"):
        one(db, call.format(bad))
    for name in ("bitmap_or", "bitmap_and"):
        with pytest.raises(sqlite3.OperationalError, match="user-defined aggregate"):
            one(db, f"{name}(a) FROM (SELECT {bad} AS a)")


def test_damaged_sets_are_an_error_or_a_set(db):
    """Whoever may send SQL may send these: no crash, no endless answer."""
    rng = Random(1)
    full = BitMap(range(1 << 17))
    full.run_optimize()
    good = [blob(range(1000)), blob(rng.sample(range(1 << 22), 9000)), full.serialize()]
    refused = 0
    for _ in range(3000):
        bad = bytearray(rng.choice(good))
        for _ in range(rng.randrange(1, 5)):
            bad[rng.randrange(min(len(bad), 64))] = rng.randrange(256)
        try:
            one(db, "bitmap_count(bitmap_or(?, x'3a30000000000000'))", bytes(bad))
        except sqlite3.OperationalError:
            refused += 1
    assert refused > 1000


def test_not_billions_of_ids_of_a_few_bytes(db):
    everybody = BitMap(range(1 << 31))
    everybody.run_optimize()
    small = everybody.serialize()
    assert one(db, "bitmap_count(?)", small) == 1 << 31
    with pytest.raises(sqlite3.OperationalError):
        one(db, "bitmap_each(?)", small)
