"""Sets of users in SQL: functions of bitmaps or sketches, besides a view of who was active when.

A set is a Roaring bitmap of user.id, in the portable serialisation, as active_day has them; NULL
is the empty one.

    bitmap_count(a)      how many there are; bitmap_count(a, b): in both
    bitmap_or(a)         who is in any of the rows' sets (an aggregate); of two: bitmap_or(a, b)
    bitmap_and(a)        who is in all of them, likewise (of no rows both are NULL)
    bitmap_several(a)    who is in more than one of the rows' sets (an aggregate)
    bitmap_andnot(a, b)  who is in a and not in b
    bitmap_each(a)       their ids as a JSON array, for json_each
    rolling_counts(date, a, days)   of rows by date: how many there are in so many days, as a JSON
                         object, for json_each, by the last of them (an aggregate; NULL days: in all
                         days so far)

The view v_active_day (date, definition, users, own) has who was active on each local day, by each
definition that the database keeps; `own` tells the one of active_user_table. The weekly active
users of each day, say, those of the seven days that end with it:

    SELECT day.date, bitmap_count(bitmap_or(back.users)) AS users
    FROM active_user_table AS day
    JOIN v_active_day AS back ON back.date > date(day.date, '-7 days') AND back.date <= day.date
    WHERE own GROUP BY day.date

The view v_active_day_by (date, definition, dimension, value, users, own) has them by the values of
the fields that imports were told to break down --by: a user may have several; (unknown) are those
whose events came without. It knows definitions for which one event is enough. Who was active on
Android *and* in Germany: bitmap_and of the two sets.

    in_several(date, dimension, value)   how many users of that day with this value (NULL: of all)
                         have others of the field, too; a fourth argument names another
                         definition than the database's own. The date may be found by a query,
                         which for the view would mean the sets of all days

A sketch is one of active_day_sketch; NULL is the one of nobody.

    sketch_count(a)      about how many users it has seen
    sketch_low(a), sketch_high(a)   between which there are as many, with 95 % of certainty
    sketch_or(a)         the sketch of all users of the rows' sketches (an aggregate)

All these are those of a connection: programs that do not know them see the tables alone.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from datetime import date
from functools import partial

from pyroaring import BitMap

from headcount.pipelines.active_users.days import people as people_of
from headcount.reports import day_views
from headcount.values import sketches

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # as malloc.h has them

_AT_ONCE = 64  # sets of a union, in bounded memory
_IN_SEVERAL = """
WITH of_day AS MATERIALIZED (
    SELECT value, users FROM v_active_day_by
    WHERE iif(?4 = '', own, definition = ?4) AND date = ?1 AND dimension = ?2
)
SELECT bitmap_count(
    (SELECT bitmap_several(users) FROM of_day),
    (SELECT bitmap_or(users) FROM of_day WHERE ?3 IS NULL OR value = ?3)
)
"""

_MOST_DAYS = 3660
_MOST_IDS = 5_000_000  # of bitmap_each: a few bytes can say that there are billions


def _keep_memory() -> None:
    """Large sets come and go, and glibc hands the memory of each back to the system: with a year of
    them that takes longer than all else. Another C library has no mallopt, or ignores it."""
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)
        mallopt(_M_TRIM_THRESHOLD, 256 << 20)


def register(db: sqlite3.Connection) -> None:
    """Let the queries of a connection use them."""
    db.create_function("bitmap_count", 1, count, deterministic=True)
    db.create_function("bitmap_count", 2, count_both, deterministic=True)
    db.create_function("bitmap_each", 1, each, deterministic=True)
    db.create_function("bitmap_or", 2, either, deterministic=True)
    db.create_function("bitmap_and", 2, both, deterministic=True)
    db.create_function("bitmap_andnot", 2, without, deterministic=True)
    db.create_function("stitched", 3, stitched, deterministic=True)
    db.create_aggregate("bitmap_or", 1, Union)
    db.create_aggregate("bitmap_and", 1, Intersection)
    db.create_aggregate("bitmap_several", 1, Several)
    db.create_aggregate("rolling_counts", 3, RollingCounts)
    for given, definition in ((3, [""]), (4, [])):
        db.create_function("in_several", given, partial(_in_several, db, definition))
    for name, bound in (("sketch_count", 0), ("sketch_low", -2), ("sketch_high", 2)):
        db.create_function(name, 1, _estimate(bound), deterministic=True)
    db.create_aggregate("sketch_or", 1, SketchUnion)
    _keep_memory()
    # The sets of a year may be 100 MB: a report that holds them in a file takes twice as long.
    db.execute("PRAGMA temp_store = MEMORY")
    day_views.make(db)


def _in_several(db: sqlite3.Connection, more: list[str], *asked: str | None) -> int:
    return db.execute(_IN_SEVERAL, [*asked, *more]).fetchone()[0]


def _set(users: bytes | None) -> BitMap:
    if users is None:
        return BitMap()
    try:
        return BitMap.deserialize(users)
    except (ValueError, IndexError, TypeError):  # as another text, an empty one, a number has it
        raise ValueError("no bitmap") from None


def count(users: bytes | None) -> int:
    """How many there are."""
    return len(_set(users))


def count_both(a: bytes | None, b: bytes | None) -> int:
    """How many are in both sets."""
    return _set(a).intersection_cardinality(_set(b))


def each(users: bytes | None) -> str:
    """Their ids, in order, as a JSON array. Raises ValueError for more than five million."""
    members = _set(users)
    if len(members) > _MOST_IDS:
        raise ValueError(f"more than {_MOST_IDS} ids")
    return f"[{','.join(map(str, members))}]"


def stitched(users: bytes | None, devices: bytes | None, people: bytes | None) -> bytes | None:
    """A set of devices, those of a person as one, as the table stitching has them."""
    if not devices:
        return users
    return people_of.stitched(_set(users), bytes(devices), bytes(people)).serialize()


def either(a: bytes | None, b: bytes | None) -> bytes:
    """Who is in one of the sets."""
    return (_set(a) | _set(b)).serialize()


def both(a: bytes | None, b: bytes | None) -> bytes:
    """Who is in both sets."""
    return (_set(a) & _set(b)).serialize()


def without(a: bytes | None, b: bytes | None) -> bytes:
    """Who is in the first set alone."""
    return (_set(a) - _set(b)).serialize()


class Union:
    """Who is in any row's set. Many at once take a fraction of the time of one after the other."""

    def __init__(self):
        self._sets: list[BitMap] = []
        self._only: bytes | None = None  # the first row's, as long as there is no other

    def step(self, users: bytes | None) -> None:
        self._only = None if self._sets else users
        self._sets.append(_set(users))
        if len(self._sets) >= _AT_ONCE:
            self._sets = [BitMap.union(*self._sets)]

    def finalize(self) -> bytes:
        return self._only or BitMap.union(BitMap(), *self._sets).serialize()


class Intersection:
    """Who is in every row's set."""

    def __init__(self):
        self._users: BitMap | None = None

    def step(self, users: bytes | None) -> None:
        members = _set(users)
        self._users = members if self._users is None else self._users & members

    def finalize(self) -> bytes:
        return (self._users or BitMap()).serialize()


class Several:
    """Who is in more than one row's set."""

    def __init__(self):
        self._once, self._often = BitMap(), BitMap()

    def step(self, users: bytes | None) -> None:
        members = _set(users)
        self._often |= self._once & members
        self._once |= members

    def finalize(self) -> bytes:
        return self._often.serialize()


class RollingCounts:
    """How many are in the union of the last so many days, for each day; rows come by date.

    A union cannot give up a set again. So the days of the window are two stacks, as in the queue
    that is made of these: `_newer` has the sets since the older ones were turned over, and their
    union; `_older`, for each of the others, the union of it and all between it and those. Each set
    takes part in three unions, however long the window is.
    """

    def __init__(self):
        self._counts: dict[str, int] = {}
        self._older: list[tuple[int, BitMap]] = []
        self._newer: list[tuple[int, BitMap]] = []
        self._of_newer = BitMap()
        self._last: int | None = None

    def step(self, day: str, users: bytes | None, days: int | None) -> None:
        number = date.fromisoformat(day).toordinal()
        if days is not None and days not in range(1, _MOST_DAYS + 1):
            raise ValueError(f"not 1 to {_MOST_DAYS} days")
        window = number if days is None else days
        if self._last is not None:
            if number <= self._last:
                raise ValueError("the rows do not come in the order of their dates")
            if days is not None:  # days without anybody
                for between in range(self._last + 1, min(number, self._last + window)):
                    self._note(between, window)
        members = _set(users)
        self._last = number
        if days == 1:
            self._counts[date.fromordinal(number).isoformat()] = len(members)
            return
        self._newer.append((number, members if days is not None else BitMap()))
        self._of_newer = self._of_newer | members  # (|= takes longer, if it is small)
        self._note(number, window)

    def _note(self, number: int, window: int) -> None:
        while (oldest := self._older[-1:] or self._newer[:1]) and oldest[0][0] <= number - window:
            self._drop()
        older = self._older[-1][1] if self._older else BitMap()
        count = older.union_cardinality(self._of_newer)
        self._counts[date.fromordinal(number).isoformat()] = count

    def _drop(self) -> None:
        """The oldest day leaves the window."""
        if not self._older:
            union = BitMap()
            while self._newer:
                day, users = self._newer.pop()
                union = union | users
                self._older.append((day, union))
            self._of_newer = BitMap()
        self._older.pop()

    def finalize(self) -> str:
        return json.dumps(self._counts)


def _estimate(bound: int):
    return lambda sketch: sketches.estimate(sketch, bound)


class SketchUnion:
    """Of all rows' users."""

    def __init__(self):
        self._sketches: list[bytes] = []

    def step(self, sketch: bytes | None) -> None:
        if sketch is not None:
            self._sketches.append(sketch)

    def finalize(self) -> bytes:
        return sketches.merged(self._sketches)
