"""What the numbers of a database mean: the options it was made with, which later imports share."""

from __future__ import annotations

import sqlite3

from headcount.db import properties
from headcount.errors import OTHER_SETTINGS, Failure
from headcount.values.tsv import shown

# What databases were made with before there was an option for it.
_BEFORE = {"source": "ga4", "pseudonyms": "ever", "skip-bots": "", "identity": "user"}


def enter(db: sqlite3.Connection, settings: dict[str, str]) -> None:
    """Keep what the database is made with. Raises Failure 78 if it was made with others."""
    check(db, settings)
    db.executemany("INSERT INTO setting VALUES (?, ?) ON CONFLICT DO NOTHING", settings.items())


def is_made(db: sqlite3.Connection, settings: dict[str, str]) -> bool:
    """Whether the database was made with any of these settings, whatever they were."""
    made_with = {name for (name,) in db.execute("SELECT name FROM setting")}
    return not settings.keys().isdisjoint(made_with)


def check(db: sqlite3.Connection, settings: dict[str, str]) -> None:
    """Raises Failure 78 unless the database was made with these settings, or is new."""
    made_with = dict(db.execute("SELECT name, value FROM setting"))
    if is_made(db, settings):
        made_with = _BEFORE | made_with
    for name, value in settings.items():
        if made_with.get(name, value) != value:
            whose, other = "this database", "--db"
            if (of := getattr(db, "property", properties.DEFAULT)) != properties.DEFAULT:
                whose, other = f"property {shown(of)}", "--property"
            raise Failure(
                f"{whose} was made with --{name.rpartition('.')[2]} "
                f"{made_with[name] or '(none)'}, not "
                f"{value or '(none)'}: give the same options, or another {other}",
                OTHER_SETTINGS,
            )
