"""The table of events, of which several with one id become one.

It is the one created last, or else the greatest: so it makes no difference in which order rows
come, or how often. (Or the one that comes last, where someone says so.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from headcount.db.sql import quoted
from headcount.db.staging import Row
from headcount.pipelines.event_metrics.record import COLUMNS

OTHERS = "other_metrics"
_BY_TIME = (4, 3, 1, 2)  # the places of created_date, recorded_date and so on


class EventTable(NamedTuple):
    """The table, or a stage of it, with a column for each known metric."""

    known: tuple[str, ...]  # names of columns
    run: int | None = None  # goes with each row into the database
    replaces: bool = False  # rows that come replace those that are there

    name = "event"
    key = "id INTEGER"

    @property
    def columns(self) -> tuple[str, ...]:
        """All that stand in a row, quoted."""
        return (*COLUMNS[:5], *map(quoted, self.known), OTHERS)

    def merged(self, one: Row, other: Row) -> Row:
        """One row of two with the same id."""
        return max(one, other, key=_rank)

    def merge_into(self, target: str, rows: str) -> str:
        """The statement that merges a query's rows into a table.

        It changes as many rows as are new or become others.
        """
        columns, values = self.columns, self.columns
        if target == f"main.{self.name}":
            columns, values = (*columns, "run_id"), (*columns, str(self.run))
        sets = ", ".join(f"{name} = excluded.{name}" for name in columns[1:])
        if self.replaces and target == f"main.{self.name}":
            wins = " OR ".join(f"excluded.{name} IS NOT old.{name}" for name in self.columns[1:])
        else:
            wins = f"({self._rank('excluded.')}) > ({self._rank('old.')})"
        return (
            f"INSERT INTO {target} AS old ({', '.join(columns)}) "
            f"SELECT {', '.join(values)} FROM ({rows}) AS staged WHERE true "
            f"ON CONFLICT (id) DO UPDATE SET {sets} WHERE {wins}"
        )

    def _rank(self, prefix: str) -> str:
        """What `_rank` says, in SQL."""
        terms = [prefix + COLUMNS[place] for place in _BY_TIME]
        for name in self.columns[5:]:
            none = "''" if name == OTHERS else "0"
            terms += [f"{prefix}{name} IS NOT NULL", f"coalesce({prefix}{name}, {none})"]
        return ", ".join(terms)


def _rank(row: Sequence) -> tuple:
    """Of two rows with one id, the one with the greater rank is kept."""
    return (
        *(row[place] for place in _BY_TIME),
        *((value is not None, value) if value is not None else (False,) for value in row[5:]),
    )
