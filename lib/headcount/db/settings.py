"""What the numbers of a database mean: the options it was made with, which later imports share."""

from __future__ import annotations

import argparse
import sqlite3
from collections.abc import Callable, Mapping

from headcount.cli import types
from headcount.errors import OTHER_SETTINGS, Failure


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


def option(spellings: Mapping[str, Callable[[str], str]]) -> Callable[[str], tuple[str, str]]:
    """The type of an option NAME=VALUE; `spellings` has what brings values into one spelling.

    (3.0 is 3; the order of valuable events means nothing; in place of a file with a key comes what
    tells that key from others.) Each is told by its setting's name, and may raise ValueError.
    """

    def parse(text: str) -> tuple[str, str]:
        name, equals, value = text.partition("=")
        if not equals:
            raise types.expected("NAME=VALUE", text)
        try:
            return name, spellings.get(name, str)(value)
        except (ValueError, argparse.ArgumentTypeError) as error:
            raise argparse.ArgumentTypeError(f"--{name.rpartition('.')[2]}: {error}") from None

    return parse
