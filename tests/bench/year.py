"""A database that has a year of history, to add a day to; and the same days as plain rows.

As large as a real one: 365 days, each with a quarter of its 2 million users active. Most users of
the day that is added are among them, as they are in life. With countries, each user has one of 50,
of which the first have most of the users.
"""

import itertools
import math
import random
import re
import sqlite3
import subprocess
from array import array
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from pyroaring import BitMap

from bench import BIN

USERS = 2_000_000
DAYS = 365
MONTH = 30
END = date(2024, 3, 8)  # where make-data begins
ROOM = 1300  # bytes for each user: two years, a copy to add to, and the rows of a month

_USER = re.compile(rb'"user_pseudo_id":"([0-9a-f]{32})"')
_KNOWN = 0.9  # of the users of the day that is added
FIELD = "geo.country"
_COUNTRIES = 50


def days(number: int) -> list[str]:
    """The last days of the year, in ISO spelling."""
    return [str(END - timedelta(back)) for back in range(number, 0, -1)]


def build(path: Path, day: Path, users: int, *, has_countries: bool = False) -> None:
    """The database of the year, in a new file; `day` are the events that will be added."""
    nothing = path.with_name(path.name + ".jsonl")
    nothing.touch()
    # It writes the schema, the settings and a run, as for every database.
    subprocess.run([BIN / "import-active-users", "--quiet", "--db", path, nothing], check=True)
    rng = random.Random(1)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA synchronous = OFF")
    db.execute("PRAGMA cache_size = -1000000")
    db.execute("BEGIN")
    db.executemany("INSERT INTO user (id, key) VALUES (?, ?)", _dictionary(day, users, rng))
    countries = _countries(users) if has_countries else {}
    if countries:
        db.execute("INSERT INTO dimension VALUES (?, 1, ?)", [FIELD, days(DAYS)[0]])
    for day_before, active in zip(days(DAYS), _active(users, rng), strict=False):
        _enter(db, day_before, active)
        _enter_countries(db, day_before, active, countries)
    db.execute("COMMIT")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    for extra in ("-wal", "-shm", ".lock", ".jsonl"):
        path.with_name(path.name + extra).unlink(missing_ok=True)


def _dictionary(day: Path, users: int, rng: random.Random) -> Iterator[tuple[int, str]]:
    """A number and a key for each user, in no order of the keys."""
    with day.open("rb") as events:
        coming = sorted({found[1].decode() for line in events if (found := _USER.search(line))})
    known = rng.sample(coming, min(int(len(coming) * _KNOWN), users))
    keys = known + [f"{rng.getrandbits(128):032x}" for _ in range(users - len(known))]
    rng.shuffle(keys)
    return enumerate(keys, 1)


def _active(users: int, rng: random.Random) -> Iterator[BitMap]:
    """The sets of days without end: a quarter of the users, of no order."""
    shuffled = array("I", range(1, users + 1))
    rng.shuffle(shuffled)
    shuffled += shuffled
    while True:
        first = rng.randrange(users)
        yield BitMap(shuffled[first : first + users // 4])


def _enter(db: sqlite3.Connection, day: str, active: BitMap) -> None:
    """A day as an import enters it."""
    final_at = f"{date.fromisoformat(day) + timedelta(4)}T06:00:00Z"
    db.execute(
        "INSERT INTO active_day VALUES (?, 'engaged,valuable', ?)", [day, active.serialize()]
    )
    db.execute("INSERT INTO active_user_table VALUES (?, ?)", [day, len(active)])
    db.execute("INSERT INTO local_day VALUES (?, ?)", [day, final_at])
    history = "INSERT INTO active_user_history VALUES (?, 1, ?, 'final', ?, NULL)"
    db.execute(history, [day, len(active), final_at])


def _countries(users: int) -> dict[str, BitMap]:
    """Who lives in each: of n countries the r-th has log(1 + 1/r) / log(n + 1) of all users."""
    rng = random.Random(2)
    shuffled = array("I", range(1, users + 1))
    rng.shuffle(shuffled)
    bounds = [users * math.log(i + 1) / math.log(_COUNTRIES + 1) for i in range(_COUNTRIES + 1)]
    return {
        f"Country {i:02}": BitMap(shuffled[round(since) : round(until)])
        for i, (since, until) in enumerate(itertools.pairwise(bounds))
    }


def _enter_countries(
    db: sqlite3.Connection, day: str, active: BitMap, countries: dict[str, BitMap]
) -> None:
    """The same for the users of each country."""
    changed_at = f"{date.fromisoformat(day) + timedelta(1)}T06:00:00Z"
    for country, users in countries.items():
        if not (here := active & users):
            continue
        insert = "INSERT INTO active_day_by VALUES (?, 'engaged,valuable', ?, ?, ?)"
        db.execute(insert, [day, FIELD, country, here.serialize()])
        key = [day, FIELD, country]
        db.execute("INSERT INTO active_users_by VALUES (?, ?, ?, ?)", [*key, len(here)])
        history = "INSERT INTO active_users_by_history VALUES (?, ?, ?, 1, ?, ?)"
        db.execute(history, [*key, len(here), changed_at])


def rows_of_a_month(path: Path, year: Path) -> None:
    """The last month of the year as a table (day, user_id), as one would keep it without sets."""
    source = sqlite3.connect(year)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA synchronous = OFF")
    db.execute(
        "CREATE TABLE active (day INTEGER, user_id INTEGER, PRIMARY KEY (day, user_id)) "
        "WITHOUT ROWID"
    )
    db.execute("BEGIN")
    for day in days(MONTH):
        query = "SELECT users FROM active_day WHERE date = ?"
        users = BitMap.deserialize(source.execute(query, [day]).fetchone()[0])
        number = int(day.replace("-", ""))
        db.executemany("INSERT INTO active VALUES (?, ?)", ((number, user) for user in users))
    db.execute("COMMIT")
    db.close()
    source.close()
