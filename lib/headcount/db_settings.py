"""What the numbers of a database mean: the options it was made with, which later imports share."""

from __future__ import annotations

import argparse
import sqlite3

from headcount import decimals, pseudonyms, signals
from headcount.failure import OTHER_SETTINGS, Failure


def enter(db: sqlite3.Connection, settings: dict[str, str]) -> None:
    """Keep what the database is made with. Raises Failure 78 if it was made with others."""
    check(db, settings)
    db.executemany("INSERT INTO setting VALUES (?, ?) ON CONFLICT DO NOTHING", settings.items())


def check(db: sqlite3.Connection, settings: dict[str, str]) -> None:
    """Raises Failure 78 unless the database was made with these settings, or is new."""
    made_with = dict(db.execute("SELECT name, value FROM setting"))
    for name, value in settings.items():
        if made_with.get(name, value) != value:
            raise Failure(
                f"this database was made with --{name.rpartition('.')[2]} "
                f"{made_with[name] or '(none)'}, not "
                f"{value or '(none)'}: give the same options, or another --db",
                OTHER_SETTINGS,
            )


def _seconds(text: str) -> str:
    value = decimals.exact(text)
    if not 0 <= value < 10**9:
        raise ValueError("no sensible number of seconds")
    return decimals.plain(value)


def option(text: str) -> tuple[str, str]:
    """NAME=VALUE, in one spelling: 3.0 is 3, and the order of valuable events means nothing.

    In place of a file with a key comes what tells that key from others.
    """
    name, equals, value = text.partition("=")
    try:
        if name == "min-engagement":
            value = _seconds(value)
        if name == "recent-changes.fraction":
            value = decimals.plain(decimals.exact(value))
        if name == "pseudonym-key" and value:
            value = pseudonyms.key_id(pseudonyms.key(value))
        if name in ("valuable-events", "key-events"):
            value = ",".join(sorted(set(value.split(","))))
        if name == "definition":
            value = ",".join(signals.listed(value))
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"--{name}: {error}") from None
    except ValueError as error:
        short = name.rpartition(".")[2]
        raise argparse.ArgumentTypeError(f"--{short}: {value!r} is {error}") from None
    if not equals:
        raise argparse.ArgumentTypeError("NAME=VALUE")
    return name, value
