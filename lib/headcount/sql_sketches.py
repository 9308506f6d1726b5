"""Sketches of users in SQL, as active_day_sketch has them; NULL is the one of nobody.

sketch_count(a)              about how many users it has seen
sketch_low(a), sketch_high(a)   between which there are as many, with 95 % of certainty
sketch_or(a)                 the sketch of all users of the rows' sketches (an aggregate)
"""

from __future__ import annotations

import sqlite3

from headcount import sketches


def register(db: sqlite3.Connection) -> None:
    """Let the queries of a connection use them."""
    for name, bound in (("sketch_count", 0), ("sketch_low", -2), ("sketch_high", 2)):
        db.create_function(name, 1, _estimate(bound), deterministic=True)
    db.create_aggregate("sketch_or", 1, Union)


def _estimate(bound: int):
    return lambda sketch: sketches.estimate(sketch, bound)


class Union:
    """Of all rows' users."""

    def __init__(self):
        self._sketches: list[bytes] = []

    def step(self, sketch: bytes | None) -> None:
        if sketch is not None:
            self._sketches.append(sketch)

    def finalize(self) -> bytes:
        return sketches.merged(self._sketches)
