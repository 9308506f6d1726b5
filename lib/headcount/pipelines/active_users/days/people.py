"""People who log in: the devices of one person count as one user (`--identity stitched`).

A device that was seen with one login is that person's, on all days that the database knows. One
that was seen with several is nobody's: it stays a user of its own. The sets of active_day are those
of devices, whatever is known of people, so all of this can be taken back.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from functools import lru_cache

from pyroaring import BitMap

from headcount.db import properties, sql
from headcount.values import tsv

_KEEP = (
    "INSERT INTO login (device_id, person_id, origin_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
)
_SOLE = (
    "SELECT device_id, min(person_id) AS person FROM login "
    "GROUP BY device_id HAVING count(DISTINCT person_id) = 1"
)


class Logins:
    """Those of a run: which devices were seen with which logins, by the origins that say so."""

    def __init__(self):
        self._people: dict[int, dict[bytes, set[bytes]]] = defaultdict(lambda: defaultdict(set))

    def add(self, origin: int, device: bytes, person: bytes) -> bool:
        """Whether it is news."""
        people = self._people[origin][device]
        if person in people:
            return False
        people.add(person)
        return True

    def drop(self, origin: int) -> None:
        """Forget what an origin brought."""
        self._people.pop(origin, None)

    def rename(self, others: dict[bytes, bytes | None]) -> None:
        """Give some devices and people other names; those of None go."""
        for devices in self._people.values():
            for device in list(devices):
                people = {others.get(person, person) for person in devices.pop(device)} - {None}
                name = others.get(device, device)
                if people and name is not None:
                    devices[name] |= people

    def devices_of(self, people: Collection[bytes]) -> dict[bytes, bytes]:
        """The devices that were seen with these alone, by what was collected here; each with one
        of them."""
        known: dict[bytes, set[bytes]] = defaultdict(set)
        for devices in self._people.values():
            for device, seen in devices.items():
                known[device] |= seen
        own = set(people)
        return {device: min(seen) for device, seen in known.items() if seen and seen <= own}

    def names(self) -> set[bytes]:
        """Their devices."""
        return {device for devices in self._people.values() for device in devices}

    def all_people(self) -> set[bytes]:
        """The logins themselves."""
        return {p for devices in self._people.values() for seen in devices.values() for p in seen}

    def people(self) -> dict[bytes, tuple[bytes]]:
        """The person of each device that was seen with one login, by what was collected here."""
        known: dict[bytes, set[bytes]] = defaultdict(set)
        for devices in self._people.values():
            for device, people in devices.items():
                known[device] |= people
        return {device: tuple(people) for device, people in known.items() if len(people) == 1}

    def merge(
        self,
        db: sqlite3.Connection,
        ids: dict[bytes, int],
        origin_ids: dict[int, int],
        replaced: Collection[int],
    ) -> BitMap:
        """Within a transaction: bring them into the database, where what `replaced` origins had
        brought is no longer; returns the devices that now count as another user than before.
        """
        if not self._people and not replaced:
            return BitMap()
        for origin in replaced:
            db.execute("DELETE FROM login WHERE origin_id > 0 AND origin_id = ?", [origin])
        everybody = {
            tsv.unescape(person.decode()): person
            for devices in self._people.values()
            for people in devices.values()
            for person in people
        }
        of_person = {everybody[key]: n for key, n in sql.ids(db, "person", everybody).items()}
        rows = {
            (ids[device], of_person[person], origin_ids[origin])
            for origin, devices in self._people.items()
            for device, people in devices.items()
            for person in people
        }
        db.executemany(_KEEP, sorted(rows))
        return restitch(db)


def restitch(db: sqlite3.Connection) -> BitMap:
    """Within a transaction: bring stitching in line with the logins; returns the devices that now
    count as another user than before."""
    devices_of: dict[int, list[int]] = defaultdict(list)
    for device, person in db.execute(_SOLE).fetchall():
        devices_of[person].append(device)
    now = {
        device: min(devices)
        for devices in devices_of.values()
        for device in devices
        if len(devices) > 1 and device != min(devices)
    }
    before = _mapping(*_stored(db))
    if now == before:
        return BitMap()
    devices = sorted(now)
    users = [now[device] for device in devices]
    db.execute("DELETE FROM stitching")
    if now:
        row = [array("I", devices).tobytes(), array("I", users).tobytes()]
        db.execute("INSERT INTO stitching (devices, users) VALUES (?, ?)", row)
    return BitMap(d for d in now.keys() | before.keys() if now.get(d) != before.get(d))


def fold(db: sqlite3.Connection, origin: int) -> None:
    """Within a transaction: keep the logins of an origin without its name."""
    where = "WHERE origin_id > 0 AND origin_id = ?"
    rows = db.execute(f"SELECT device_id, person_id FROM login {where}", [origin]).fetchall()
    db.execute(f"DELETE FROM login {where}", [origin])
    db.executemany(_KEEP, [(*row, 0) for row in rows])


def stitching(db: sqlite3.Connection) -> Callable[[BitMap], BitMap]:
    """What makes of a set of devices one of users."""
    devices, users = _stored(db)
    if not devices:
        return lambda users: users
    return lambda members: stitched(members, devices, users)


def stitched(members: BitMap, devices: bytes | None, users: bytes | None) -> BitMap:
    """A set of devices, with one for all that are the same person's: as the table stitching has
    them, in two arrays of 32 bits a number."""
    if not devices:
        return members
    mapping, all_moved = _parsed(devices, users)
    moved = members & all_moved
    return (members - moved) | BitMap(mapping[device] for device in moved) if moved else members


def devices_like(db: sqlite3.Connection, user: int) -> list[int]:
    """The devices that count as the same user as one of them."""
    mapping = _mapping(*_stored(db))
    return [user, *(device for device, other in mapping.items() if other == user)]


def names(db: sqlite3.Connection, users: Iterable[int]) -> dict[int, str]:
    """What to call users: as the device is, and behind it whose it is."""
    found = sql.keys(db, "user", users)
    query = f"SELECT device_id, key FROM ({_SOLE}) AS sole JOIN person ON person.id = sole.person"
    for device, person in db.execute(query).fetchall():
        if device in found:
            found[device] = f"{found[device]} ({person})"
    return found


def counted(db: sqlite3.Connection) -> dict[str, int]:
    """How many people there are, on how many devices, and how many devices are of several."""
    query = (
        "SELECT count(*), count(DISTINCT CASE WHEN people = 1 THEN person END), "
        "count(CASE WHEN people > 1 THEN 1 END) FROM "
        "(SELECT device_id, min(person_id) AS person, count(DISTINCT person_id) AS people "
        "FROM login GROUP BY device_id) AS devices"
    )
    devices, people, shared = db.execute(query).fetchone()
    return {"people": people, "devices": devices - shared, "shared devices": shared}


def remove_user(db: sqlite3.Connection, user_id: int) -> None:
    """Within a transaction: what is known of a device is no longer."""
    db.execute("DELETE FROM login WHERE device_id = ?", [user_id])


def devices_of(db: sqlite3.Connection, person: str) -> list[str]:
    """The devices that were seen with a login, and with no other."""
    query = (
        "SELECT key FROM user WHERE id IN (SELECT device_id FROM login GROUP BY device_id "
        "HAVING count(DISTINCT person_id) = 1 AND min(person_id) = "
        "(SELECT id FROM person WHERE key = ?))"
    )
    return [key for (key,) in db.execute(query, [person]).fetchall()]


def with_login(db: sqlite3.Connection, devices: Collection[str]) -> set[str]:
    """Those of some devices that were seen with a login."""
    query = "SELECT key, device_id FROM login JOIN user ON user.id = device_id WHERE key"
    return set(sql.select(db, query, sorted(devices)))


def remove(db: properties.Named, person: str, name: str) -> int:
    """Within a transaction: take a person out; how many there were.

    A device that was somebody else's, too, goes on being of several, one of whom has the new name.
    """
    own = "SELECT id FROM person WHERE key = ?"
    seen = f"SELECT 1 FROM login WHERE person_id IN ({own})"
    if any(db.execute(seen, [person]).fetchone() for _ in properties.each(db)):
        return rename(db, person, name)
    return db.execute("DELETE FROM person WHERE key = ?", [person]).rowcount


def rename(db: sqlite3.Connection, person: str, name: str) -> int:
    """Within a transaction: give a person another name; how many there were."""
    return db.execute("UPDATE person SET key = ? WHERE key = ?", [name, person]).rowcount


def _stored(db: sqlite3.Connection) -> tuple[bytes, bytes]:
    try:
        row = db.execute("SELECT devices, users FROM stitching").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        row = None  # a database of an earlier version, which is only read
    return (bytes(row[0]), bytes(row[1])) if row else (b"", b"")


@lru_cache(4)
def _parsed(devices: bytes, users: bytes) -> tuple[dict[int, int], BitMap]:
    mapping = _mapping(devices, users)
    return mapping, BitMap(mapping)


def _mapping(devices: bytes, users: bytes) -> dict[int, int]:
    return dict(zip(array("I", devices), array("I", users), strict=True))
