"""Who takes part in a case: a command, what to do before it, and how to read its answer."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import BIN, PEERS, PEERS_PYTHON

OURS = "Headcount"


def counts(text: str) -> str:
    """Lines of date and count, without what formats differ in."""
    lines = (line.split() for line in text.splitlines() if line.strip())
    return "".join(f"{day}\t{count}\n" for day, count in sorted(lines))


def no_answer(text: str) -> None:
    """For a baseline, which answers another question."""


@dataclass(frozen=True)
class Contender:
    """`ready` comes before each run and takes no part in its time.

    A `check` runs in the first round alone, to know the answer. `share` is the part of the data
    that is read: less than 1 for a slow program on a slice, and the answer is the slice's then.
    One that is timed `inside` says on stderr how many seconds it took.
    """

    name: str
    command: list[str]
    role: str = "peer"  # or ours, baseline, check
    ready: Callable[[], None] = lambda: None
    answer: Callable[[str], str | None] = counts
    status: int = 0
    share: float = 1
    inside: bool = False


def ours(program: str, *arguments, **options) -> Contender:
    options = {"name": OURS, "role": "ours"} | options
    return Contender(command=[str(BIN / program), *map(str, arguments)], **options)


def peers(*arguments) -> list[Contender]:
    """The engines, each with its own script."""
    return [
        Contender(name, [str(PEERS_PYTHON), "-I", str(PEERS / script), *map(str, arguments)])
        for name, script in (
            ("DuckDB", "duckdb_count.py"),
            ("chDB", "chdb_count.py"),
            ("Polars", "polars_count.py"),
        )
    ]


def counted_in(db: Path, since: str = "") -> Callable[[str], str]:
    """The answer of a program that writes into a database: its days from `since` on."""

    def read(_: str) -> str:
        connection = sqlite3.connect(db)
        try:
            query = "SELECT date, active_user_count FROM active_user_table WHERE date >= ?"
            rows = connection.execute(query, [since])
            return counts("".join(f"{day}\t{count}\n" for day, count in rows))
        finally:
            connection.close()

    return read


def remove_database(db: Path) -> None:
    """The database and all that stands beside it."""
    for path in db.parent.glob(db.name + "*"):
        path.unlink()


def importing(db: Path, *arguments, **options) -> Contender:
    """An import into a database that is not there yet."""
    ready = {"ready": lambda: remove_database(db), "answer": counted_in(db)}
    return ours("import-active-users", "--quiet", "--db", db, *arguments, **(ready | options))
