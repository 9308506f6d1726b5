"""mau.py sets|rows DB FIRST LAST - distinct users of a range of days, from sets or from rows

The sets are those of our database, the rows are (day, user_id). Prints the number; on stderr the
seconds that it took to open the database, ask and close it: both are timed within the same Python
and its SQLite, without the start of the process.
"""

import sqlite3
import sys
import time

from pyroaring import BitMap


def from_sets(db: sqlite3.Connection, first: str, last: str) -> int:
    """The union of the days; active is who was engaged and valuable on one of them."""
    found = {}
    query = "SELECT date, signal, users FROM active_day WHERE date BETWEEN ? AND ?"
    for day, signal, users in db.execute(query, [first, last]):
        found.setdefault(day, {})[signal] = BitMap.deserialize(users)
    none = BitMap()
    active = []
    for day in found.values():
        active.append(day.get("engaged,valuable", none))
        active.append(day.get("engaged", none) & day.get("valuable", none))
    return len(BitMap.union(*active))


def from_rows(db: sqlite3.Connection, first: str, last: str) -> int:
    query = "SELECT count(DISTINCT user_id) FROM active WHERE day BETWEEN ? AND ?"
    numbers = [int(day.replace("-", "")) for day in (first, last)]
    return db.execute(query, numbers).fetchone()[0]


if __name__ == "__main__":
    kind, path, *between = sys.argv[1:]
    begin = time.perf_counter()
    db = sqlite3.connect(path)
    number = from_sets(db, *between) if kind == "sets" else from_rows(db, *between)
    db.close()
    print(time.perf_counter() - begin, file=sys.stderr)
    print(number)
