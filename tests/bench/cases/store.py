"""The cases of the database: importing, one more day on a year of history, and a month's users."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from bench import OUR_PYTHON, ROOT, year
from bench.case import Case
from bench.contenders import (
    OURS,
    Contender,
    counted_in,
    counts,
    importing,
    ours,
    remove_database,
)
from bench.data import Data, made
from bench.targets import AtMost, Faster, Within


def fresh_import(data: Data, shape: str = "") -> Case:
    events = data.shape(shape) if shape else data.events()
    count = ours("count-active-users", events, name="the count alone", role="baseline")
    return Case(
        "import, new database",
        [importing(data.work / "import.db", events), count],
        [AtMost(1.3, count.name)],
        data.truth(events),
        shape,
    )


def one_more_day(data: Data, users: int) -> Case:
    """Importing a day into a copy of the year, which is made anew for each run, or into nothing."""
    day, history, db = data.day(), _year(data, users), data.work / "year.db"

    def ready() -> None:
        remove_database(db)
        shutil.copyfile(history, db)
        with db.open("rb") as file:
            os.fsync(file)  # or the import would have to wait for the disk to take the copy

    into_nothing = importing(
        data.work / "day.db", day, name="into an empty database", role="baseline"
    )
    return Case(
        "one more day after a year",
        [
            importing(db, day, ready=ready, answer=counted_in(db, str(year.END))),
            into_nothing,
        ],
        [AtMost(1.2, into_nothing.name)],
        data.truth(day),
    )


def monthly(data: Data, users: int) -> Case:
    """Distinct users of 30 days: ours from the sets of the year, SQLite's from rows."""
    history = _year(data, users)
    rows = made(data.folder / f"month-{users}.db", lambda path: year.rows_of_a_month(path, history))

    def timed(name: str, kind: str, db: Path, role: str) -> Contender:
        script = str(Path(__file__).parents[1] / "mau.py")
        days = year.days(year.MONTH)
        command = [str(OUR_PYTHON), script, kind, str(db), days[0], days[-1]]
        return Contender(name, command, role, answer=str.strip, inside=True)

    return Case(
        "monthly users from the store",
        [timed(OURS, "sets", history, "ours"), timed("SQLite", "rows", rows, "peer")],
        [Faster(100)],
    )


def report_of_a_year(name: str, *params: str, by: str = "") -> Callable[[Data, int], Case]:
    """A report of the sets of the whole year; or of those of each value of a field."""
    params += (f"by={by}",) if by else ()

    def case(data: Data, users: int) -> Case:
        given = [word for param in params for word in ("--param", param)]
        history = _year(data, users, has_countries=bool(by))
        command = ["--db", history, "--format", "csv", *given]
        asked = ours("show-report", name, *command, answer=str.strip)
        return Case(f"a year's {' '.join([name, *params])}", [asked], [Within(1)])

    return case


def sample(data: Data) -> Case:
    """The import of the project's own sample: how long a small input takes."""
    events = ROOT / "data/sample/events.jsonl.gz"
    truth = counts((events.parent / "truth.tsv").read_text())
    return Case(
        "import of the sample",
        [importing(data.work / "sample.db", events)],
        [Within(0.35)],
        truth,
    )


def _year(data: Data, users: int, *, has_countries: bool = False) -> Path:
    day, name = data.day(), f"year-by-{users}.db" if has_countries else f"year-{users}.db"

    def write(path: Path) -> None:
        year.build(path, day, users, has_countries=has_countries)

    return made(data.folder / name, write)
