"""Everything that is known of the active users of a local day."""

from __future__ import annotations

import sqlite3

from headcount.pipelines.active_users.days import people, publish, store
from headcount.pipelines.active_users.definitions import OWN, STITCHED
from headcount.reports import explain, render, values_of_day
from headcount.values import clock

SHOWN = 100  # inputs, values

CHANGES = """
SELECT changed_at, run_id AS run, active_user_count AS users,
    active_user_count - lag(active_user_count, 1, 0) OVER (ORDER BY run_id) AS change{more}
FROM active_user_history AS history JOIN run ON run.id = run_id
WHERE date = ? ORDER BY run_id
"""

MORE = ", history.status, reason, version, zone_rules"  # of the history of all users

INPUTS = """
SELECT run_id AS run, path, lines, size AS bytes FROM run_input
WHERE status = 'read' AND run_id IN (SELECT run_id FROM active_user_history WHERE date = ?)
ORDER BY run_id, path
"""


def rows(db: sqlite3.Connection, sql: str, day: str) -> list[dict]:
    """What a query about the day finds, by column."""
    cursor = db.execute(sql, [day])
    columns = [column[0] for column in cursor.description]
    return [dict(zip(columns, row, strict=True)) for row in cursor]


def known_of(db: sqlite3.Connection, day: str, by: str | None) -> dict:
    """All that is known of a day's count, as a dict; `by` is FIELD or FIELD=VALUE.

    Among it: `active_users`, `status` (of the day), `settings`, `sets` (sizes by name), `changes`
    (every value so far: changed_at, run, users, change and more), `inputs` (files of these runs),
    and `agrees`: whether table, sets and the last change say the same. Raises Failure 2 for a
    field or a value that the database does not have.
    """
    asked = None if by is None else values_of_day.Asked(db, day, by)
    of_value = asked is not None and asked.value is not None
    published = db.execute(
        "SELECT active_user_count FROM active_user_table WHERE date = ?", [day]
    ).fetchone()
    final_at = db.execute("SELECT final_at FROM local_day WHERE date = ?", [day]).fetchone()
    own, *_ = kept = store.definitions(db)
    signals, sets = store.signals(db, day), {}
    sketched = store.sketch_mode(db) == "instead"
    if OWN in kept and not sketched:
        sets = {"engaged": len(signals.engaged), "valuable": len(signals.valuable)}
    for name in kept:
        label = "engaged and valuable" if name == OWN and not sketched else name
        sets[label] = publish.count(db, day, name)
    active = publish.count(db, day, own)
    if of_value:
        sets, active = asked.sets(active), asked.users
    changes = rows(db, CHANGES.format(more="" if of_value else MORE), day)
    users = published[0] if published else 0
    return {
        "date": day,
        "active_users": users,
        "status": final_at and ("provisional" if clock.now() < final_at[0] else "final"),
        "final_at": final_at and final_at[0],
        "settings": dict(db.execute("SELECT name, value FROM setting WHERE name NOT LIKE '%.%'")),
        "sets": sets,
        "old_rules": explain.earlier_rules(db, kept, changes),
        "people": people.counted(db) if store.setting(db, "identity") == STITCHED else None,
        "agrees": users == active == (changes[-1]["users"] if changes else 0)
        and (of_value or asked is None or asked.agrees),
        "changes": changes,
        "inputs": rows(db, INPUTS, day),
    } | (asked.told if asked else {})


def text(known: dict) -> str:
    """The same for people, in a terminal."""
    value = known.get("value")
    of = "" if value is None else f" with {known['by']} {render.one_line(value) or '(empty)'}"
    if not known["changes"] and known["agrees"]:
        return f"{known['date']}: no active users{of}: no import has brought any\n"
    since = {"final": "since", "provisional": "until", None: ""}[known["status"]]
    state = f"{known['status']} {since} {known['final_at']}" if since else "of unknown status"
    settings = [f"{name} {value}" for name, value in known["settings"].items() if value]
    sets = [f"{size} {name}" for name, size in known["sets"].items()]
    parts = [
        f"{known['date']}: {known['active_users']} active users{of}, {state}\n"
        f"counted with: {', '.join(settings)}\n"
        f"users: {', '.join(sets)}\n"
    ]
    if known["old_rules"]:
        parts.append(known["old_rules"] + "\n")
    if known["people"]:
        numbers = ", ".join(f"{number} {what}" for what, number in known["people"].items())
        parts.append(f"of the whole database: {numbers}\n")
    if not known["agrees"]:
        parts.append("WRONG: the table, these sets and the last value below differ\n")
    parts += [f"{note}\n" for note in known.get("notes", [])]
    values = known.get("values", []) if value is None else []
    for what, shown in (("value", values), ("", known["changes"]), ("file", known["inputs"])):
        some = shown[:SHOWN] if what else shown
        if some:
            parts.append(render.table(list(some[0]), [tuple(row.values()) for row in some]))
        if left := len(shown) - len(some):
            parts.append(f"and {left} more {what}{'' if left == 1 else 's'}: --json names all\n")
    return "\n".join(parts)
