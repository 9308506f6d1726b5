"""The checks of a database: what each has found, of one property or of each."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from headcount.db import properties
from headcount.errors import USAGE, Failure
from headcount.reports import catalogue


class Finding(NamedTuple):
    """The rows that a check has found wrong, under their columns."""

    check: catalogue.Report
    property: str
    columns: list[str]
    rows: list[tuple]


def number(name: str, value: str) -> float:
    """The value of a parameter. Raises Failure 2."""
    try:
        return float(value)
    except ValueError:
        raise Failure(f"--param {name}={value}: no number", USAGE) from None


def findings(
    db: sqlite3.Connection,
    checks: Sequence[catalogue.Report],
    given: Mapping[str, float],
    whose: str | None = None,
) -> Iterator[Finding]:
    """What checks find wrong, of one property or of all; what is of none is told with the default
    one."""
    names = properties.names(db) if whose is None else [whose]
    others: dict[str, list[tuple]] = defaultdict(list)  # what is wrong, whatever the property
    if names != [properties.DEFAULT]:
        properties.show_none(db)
        others |= {check.name: _found(db, check, given)[1] for check in checks}
    for name in names:
        properties.show(db, name)
        for check in checks:
            columns, rows = _found(db, check, given)
            if name != properties.DEFAULT:
                rows = [row for row in rows if row not in others[check.name]]
            if rows:
                yield Finding(check, name, columns, rows)


def _found(
    db: sqlite3.Connection, check: catalogue.Report, given: Mapping[str, float]
) -> tuple[list[str], list[tuple]]:
    defaults = {name: number(name, value) for name, value in check.params.items()}
    cursor = db.execute(check.sql, defaults | given)
    return [column[0] for column in cursor.description], cursor.fetchall()
