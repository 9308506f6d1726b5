"""Why the values of a field have the counts that they have on a local day."""

from __future__ import annotations

import sqlite3

from headcount.errors import USAGE, Failure
from headcount.pipelines.active_users.options.breakdown_options import OTHER, UNKNOWN
from headcount.reports import day_views

_COUNTS = """
WITH
of_day AS MATERIALIZED (
    SELECT value, users FROM v_active_day_by WHERE own AND date = ? AND dimension = ?
),
often AS MATERIALIZED (SELECT bitmap_several(users) AS users FROM of_day)
SELECT value, bitmap_count(of_day.users) AS number, bitmap_count(of_day.users, often.users)
FROM of_day, often ORDER BY number DESC, value
"""

_PUBLISHED = "SELECT value, active_user_count FROM active_users_by WHERE date = ? AND dimension = ?"

_EVER = "SELECT 1 FROM active_users_by_history WHERE dimension = ? AND value = ? LIMIT 1"

_FOLDED = """
SELECT run_id, in_other FROM run_dimension
WHERE field = ? AND in_other > 0 AND run_id IN (
    SELECT run_id FROM active_users_by_history WHERE date = ? AND dimension = ? AND value = ?
)
ORDER BY run_id
"""


class Asked:
    """What is known of FIELD[=VALUE] on a day. `told` is that as a dict; `users` is how many the
    value has, None without one; `agrees` says of all values whether the table has what their sets
    say.

    With a value, active_user_table and active_user_history of the connection are of it alone from
    then on. Raises Failure 2 for a field by which the database has no counts, and for a value that
    the field never had.
    """

    def __init__(self, db: sqlite3.Connection, day: str, text: str):
        field, self.value = _named(db, text)
        keys = ("value", "users", "in_several")
        values = [dict(zip(keys, row, strict=True)) for row in db.execute(_COUNTS, [day, field])]
        published = dict(db.execute(_PUBLISHED, [day, field]).fetchall())
        self.agrees = published == {row["value"]: row["users"] for row in values}
        self.users = None
        if self.value is not None:
            values = [row for row in values if row["value"] == self.value]
            self.users = values[0]["users"] if values else 0
            day_views.Narrowing(db, field, [self.value]).to(self.value)
        notes = _notes(db, day, field, [row["value"] for row in values])
        self.told = {"by": field, "value": self.value, "values": values, "notes": notes}

    def sets(self, active: int) -> dict[str, int]:
        """Of a value: its users among all who are active."""
        (row,) = self.told["values"] or [{"in_several": 0}]
        return {
            "with this value": self.users,
            "of them with other values": row["in_several"],
            "active in all": active,
        }


def _named(db: sqlite3.Connection, text: str) -> tuple[str, str | None]:
    fields = [field for (field,) in db.execute("SELECT field FROM dimension ORDER BY field")]
    if text in fields:
        return text, None
    for field in fields:
        if text.startswith(f"{field}="):
            value = text.removeprefix(f"{field}=")
            if not db.execute(_EVER, [field, value]).fetchone():
                text = f"--by: the database has no {field} {value!r}"
                raise Failure(f"{text}; --by {field} lists what the day has", USAGE)
            return field, value
    expected = f"one of {', '.join(fields)}" if fields else "a field of import-active-users --by"
    raise Failure(f"--by: expected {expected}, got {text!r}", USAGE)


def _notes(db: sqlite3.Connection, day: str, field: str, values: list[str]) -> list[str]:
    """What those of the values mean that are not a text of events."""
    notes = []
    if UNKNOWN in values:
        notes.append(f"{UNKNOWN}: active users whose events came without --by {field}")
    if OTHER in values:
        folded = db.execute(_FOLDED, [field, day, field, OTHER])
        runs = ", ".join(f"{number} in run {run}" for run, number in folded)
        notes.append(f"{OTHER}: users of values beyond --max-values: {runs}")
    return notes
