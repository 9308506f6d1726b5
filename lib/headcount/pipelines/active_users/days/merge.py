"""A run's rows, merged into the sets of each local day, from which the counts are derived."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from pyroaring import BitMap

from headcount.db import sql
from headcount.errors import REJECTS, Failure
from headcount.pipelines.active_users.days import origins, people, publish, sessions, store
from headcount.pipelines.active_users.days.pending import Engagements
from headcount.pipelines.active_users.days.people import Logins
from headcount.pipelines.active_users.days.sessions import Active, Sessions
from headcount.pipelines.active_users.definitions import ENGAGED_BEFORE, ENGAGED_SESSION, SUMMED
from headcount.values import tsv

_MANY = 20  # users: so many do not all go when a table is corrected
Users = dict[bytes, dict[bytes, int]]  # by day and signal: each with bits for its origins


Change = tuple[str, int, int]  # date, old count, new count


class Merged(NamedTuple):
    """What a run has changed."""

    changes: list[Change]
    notes: tuple[str, ...] = ()  # what else there is to say
    is_late: bool = False  # what came before of some input can no longer be taken out
    sketch_errors: tuple = ()  # where there are sketches beside the sets
    in_other: Mapping[str, int] = MappingProxyType({})  # how many values, of a field with too many


class Merger:
    """Merges the rows of a run, whose origins are numbered, within a transaction."""

    def __init__(self, db: sqlite3.Connection, paths: dict[int, str], replace: bool):
        self._db = db
        origins.fold(db)
        self._paths, self._replace = paths, replace
        self._entered = origins.enter(db, paths, replace=replace)
        self._least = store.least(db)
        self._corrigible: set[str] = set()

    def merge(
        self,
        users: Users,
        engagements: Engagements,
        new_sessions: Sessions,
        logins: Logins,
        run_id: int | None,
    ) -> Merged:
        """Brings all in and publishes the days that it touches. Raises Failure 65."""
        db, entered = self._db, self._entered
        for number in entered.left_out:
            engagements.drop(number)
            new_sessions.drop(number)
            logins.drop(number)
        names = set().union(*users.values())
        if entered.left_out:  # of that, no users are entered
            kept = ~sum(1 << number for number in entered.left_out)
            names = {user for some in users.values() for user, bits in some.items() if bits & kept}
        names = names.union(engagements.names(), new_sessions.names(), logins.names())
        ids = _user_ids(db, names)
        sets = {key: self._by_origin(users[key], ids) for key in users}
        sets = {tuple(key.decode().split("\t", 1)): found for key, found in sets.items() if found}
        brought = self._brought(sets, ids, engagements, new_sessions)
        self._check_moved(brought)
        unlike = {n for n in entered.settled if not origins.brought(db, n)}
        gained, lost = new_sessions.merge(db, ids, entered.ids, entered.replaced)
        touched = set(sets) | {(day, SUMMED) for day in engagements.days()}
        new_days = {day for day, _ in touched} | new_sessions.days()
        was = origins.corrigible(db, new_days)
        fixed = self._fixed(brought, new_days - was)
        settled = sorted(entered.settled[n] for n in unlike) if not fixed else []
        before = self._beside(touched, gained | lost)
        restitched = logins.merge(db, ids, entered.ids, entered.replaced)
        corrected = set()
        for origin in entered.replaced:
            corrected |= origins.replace(db, origin)
        touched |= corrected
        if self._named():
            for day in sorted(new_days):
                origins.keep_apart(db, day, is_new=day not in was)
        self._corrigible = origins.corrigible(db, {day for day, _ in touched})
        for day, signal in sorted(touched):
            if signal != SUMMED:
                self._put(day, signal, sets.get((day, signal), {}))
        for day in sorted({day for day, signal in touched if signal == SUMMED}):
            self._merge_engagements(day, engagements, ids)
        self._merge_active(gained, lost)
        days = sorted({day for day, _ in touched | gained | lost} | new_sessions.days())
        errors = tuple(before.update()) if before else ()
        reasons = dict.fromkeys((day for day, _ in corrected), "correction")
        if restitched:
            others = sorted(set(store.days_of(db, restitched)) - set(days))
            reasons |= dict.fromkeys(others, "login")
            days = sorted([*days, *others])
        changes = list(publish.publish(db, days, run_id, reasons))
        shared = people.counted(db)["shared devices"] if restitched or logins.names() else 0
        notes = (*self._left_out(), *_notes(fixed, settled, shared))
        return Merged(changes, notes, bool(fixed or settled), errors)

    def merge_tallies(self, tallies: dict[int, dict[bytes, list[int]]]) -> None:
        """How many events of each day had a user, had none, and were refused; by origin.

        What streams bring adds up.
        """
        for origin in self._entered.replaced:
            self._db.execute("DELETE FROM identity_day WHERE origin_id = ?", [origin])
        names = ("events", "unidentified", "refused")
        for is_told in (False, True):
            new = "excluded.{0}" if is_told else "identity_day.{0} + excluded.{0}"
            sets = ", ".join(f"{name} = {new.format(name)}" for name in names)
            by_day: dict[tuple[str, int], list[int]] = {}
            for number, days in tallies.items():
                origin = self._entered.ids.get(number)
                if origin is None or bool(origin) != is_told:
                    continue
                for day, numbers in days.items():
                    known = by_day.setdefault((day.decode(), origin), [0, 0, 0])
                    known[:] = map(sum, zip(known, numbers, strict=True))
            self._db.executemany(
                "INSERT INTO identity_day (date, origin_id, events, unidentified, refused) "
                f"VALUES (?, ?, ?, ?, ?) ON CONFLICT (date, origin_id) DO UPDATE SET {sets}",
                [(*key, *numbers) for key, numbers in by_day.items()],
            )

    def _named(self) -> bool:
        return any(self._entered.ids.values())

    def _by_origin(self, users: dict[bytes, int], ids: dict[bytes, int]) -> dict[int, BitMap]:
        """By the ids of their origins; those that are left out are not among them."""
        by_bits: dict[int, list[int]] = defaultdict(list)
        kinds = set(users.values())
        if len(kinds) == 1 and not self._entered.left_out:  # mostly all are of one origin
            by_bits[kinds.pop()] = [*map(ids.__getitem__, users)]
        else:
            for user, bits in users.items():
                if user in ids:
                    by_bits[bits].append(ids[user])
        found: dict[int, BitMap] = {}
        for bits, some in by_bits.items():
            some = BitMap(some)
            for number in range(bits.bit_length()):
                if bits >> number & 1 and number not in self._entered.left_out:
                    origin = self._entered.ids[number]
                    found[origin] = found[origin] | some if origin in found else some
        return found

    def _put(self, day: str, signal: str, new: dict[int, BitMap]) -> BitMap:
        """Bring one set in; returns what is now the whole."""
        if day in self._corrigible:
            found = origins.by_origin(self._db, day, signal)
            for origin, users in new.items():
                found[origin] = found.get(origin, BitMap()) | users
                origins.put(self._db, day, signal, origin, found[origin])
        else:
            found = {-1: store.bitmap(self._db, day, signal), **new}
        whole = store.union(found.values())
        store.put(self._db, day, signal, whole)
        return whole

    def _merge_engagements(self, day: str, engagements: Engagements, ids) -> None:
        db = self._db
        known = origins.by_origin(db, day, SUMMED)
        if day not in self._corrigible:
            known = {origins.UNTOLD: store.bitmap(db, day, SUMMED)}
        alone, together = engagements.merge(
            db,
            day,
            ids,
            self._entered.ids,
            self._least,
            lambda origin, user: user in known.get(origin, ()),
        )
        new: dict[int, BitMap] = defaultdict(BitMap)
        for origin, user in alone:
            new[origin].add(user)
        whole = self._put(day, SUMMED, new)
        store.put(db, day, SUMMED, whole | BitMap(together))

    def _merge_active(self, gained: Active, lost: Active) -> None:
        """Who is active through sessions: others of theirs may say so, too."""
        by_day: dict[str, tuple[BitMap, BitMap]] = defaultdict(lambda: (BitMap(), BitMap()))
        for i, pairs in enumerate((gained, lost)):
            for day, user in pairs:
                by_day[day][i].add(user)
        for day, (more, fewer) in by_day.items():
            users = store.bitmap(self._db, day, ENGAGED_SESSION)
            if fewer:
                more |= sessions.active_on(self._db, day)
                more |= store.bitmap(self._db, day, ENGAGED_BEFORE)
            store.put(self._db, day, ENGAGED_SESSION, (users - fewer) | more)

    def _beside(self, touched: Iterable[tuple[str, str]], active: Active):
        """The sketches of all days that are about to change, if there are any."""
        if not store.sketch_mode(self._db):
            return None
        from headcount.pipelines.active_users.days.sketches import Beside  # few have them

        days = {day for day, _ in touched} | {day for day, _ in active}
        for origin in self._entered.replaced:
            days |= {day for day, _ in origins.touches(self._db, origin)}
        return Beside(self._db, sorted(days))

    def _brought(self, sets, ids, *more) -> dict[int, tuple[BitMap, set[str]]]:
        """The users, devices and days of each origin."""
        brought = {origin: (BitMap(), set()) for origin in self._entered.ids.values()}
        for (day, _), found in sets.items():
            for origin, users in found.items():
                brought[origin][0].update(users)
                brought[origin][1].add(day)
        for number, origin in self._entered.ids.items():
            for kind in more:
                names, days = kind.of(number)
                brought[origin][0].update(ids[name] for name in names)
                brought[origin][1].update(days)
        return brought

    def _fixed(self, brought, days: set[str]) -> tuple[str, ...]:
        """Days to which a new version comes, and whose origins are not told apart any more."""
        replaced = brought if self._replace else brought.keys() & self._entered.replaced
        again = set().union(*(brought[origin][1] for origin in replaced))
        there = "SELECT 1 FROM active_day WHERE date = ? LIMIT 1"
        return tuple(
            day for day in sorted(again & days) if self._db.execute(there, [day]).fetchone()
        )

    def _check_moved(self, brought) -> None:
        for origin, path in () if self._replace else self._entered.moved.items():
            old = origins.brought(self._db, origin)
            new = brought[origin][0]
            if min(len(old), len(new)) >= _MANY and not old & new:
                now = next(p for n, p in self._paths.items() if self._entered.ids.get(n) == origin)
                raise Failure(
                    f"{tsv.shown(now)}: expected a new version of the table that came from {path}, "
                    "got one with none of its users. If it is of another property, name a folder "
                    "above it analytics_PROPERTY; if it is the new version, --replace takes it. "
                    "Nothing was imported",
                    REJECTS,
                )

    def _left_out(self) -> tuple[str, ...]:
        pairs = sorted(self._entered.left_out.items())
        return tuple(
            f"{tsv.shown(self._paths[number])} is left out, for {table} is there"
            for number, table in pairs
        )


def _notes(fixed: Sequence[str], settled: Sequence[str], shared: int) -> Iterator[str]:
    """Sentences about shared devices, and what can no longer be corrected."""
    if shared:
        yield f"{shared} devices were seen with several logins: each is a user of its own"
    if fixed:
        yield (
            f"{fixed[0]} to {fixed[-1]}: {len(fixed)} days can no longer be corrected: what came "
            "before of these inputs stays in them; for a count anew, import all into another --db"
        )
    for name in settled:
        yield (
            f"{name} came before, more than 72 hours ago: what it had brought stays, and can no "
            "longer be corrected"
        )


def _user_ids(db: sqlite3.Connection, rows: set[bytes]) -> dict[bytes, int]:
    """The id of each user, as the rows spell it."""
    joined = b"\n".join(rows).decode()
    if not rows or "\\" in joined:
        texts = {tsv.unescape(row.decode()): row for row in rows}
    else:
        texts = dict(zip(joined.split("\n"), rows, strict=True))
    return {texts[key]: known for key, known in sql.ids(db, "user", texts).items()}
