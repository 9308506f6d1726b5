"""Rows of active users, collected: into the sets of each local day, or counted."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence, Set
from datetime import date
from functools import partial
from itertools import chain

from headcount.db import tombstones
from headcount.db.tombstones import Tombstones
from headcount.filters.rejects import Reject
from headcount.filters.results import Result
from headcount.filters.runner import BY, EVENTS, FROM_INPUT, USERS, each_line
from headcount.io.blocks import Block
from headcount.pipelines.active_users.days import breakdowns, origins, people, publish, store
from headcount.pipelines.active_users.days.merge import Change, Merged, Merger
from headcount.pipelines.active_users.days.pending import Engagements
from headcount.pipelines.active_users.days.people import Logins
from headcount.pipelines.active_users.days.sessions import Piece, Sessions
from headcount.pipelines.active_users.definitions import (
    AMOUNT,
    ANY_EVENT,
    BOTH,
    DEFINITIONS,
    ENGAGED,
    ENGAGED_SESSION,
    GA4_EVENT,
    GA4_FLAG,
    GA4_NOT_ACTIVE,
    KEY,
    LOGIN,
    OWN,
    PENDING,
    SESSION,
    SUMMED,
    TIMED,
    VALUABLE,
    VIEW,
)
from headcount.values import clock, decimals, tsv

_SIGNALS = {signal.encode() for signal in (ENGAGED, VALUABLE, BOTH)}
_ONE_BY_ONE = {ENGAGED, VALUABLE, GA4_EVENT, GA4_FLAG, GA4_NOT_ACTIVE, TIMED, ANY_EVENT}


class ActiveUsers:
    """Collects rows (date, user, signals; and what else qualify.py gives).

    They go into the store; or are counted, by a definition and the least engagement (milliseconds).
    """

    def __init__(self, definition: str = OWN, least=None):
        self._definition, self._least = definition, least
        # "date\tsignal", or "date\tsignal\tfield\tvalue" for those whose event had the value:
        # users, each with a bit for every origin that brought the user
        self._users: dict[bytes, dict[bytes, int]] = defaultdict(dict)
        self._engagements, self._sessions, self._logins = Engagements(), Sessions(), Logins()
        self._new = self._in_one = 0  # rows that were news, and rows that came many in a line
        self._numbers: dict[str, int] = {}  # of origins, by path
        self._origin, self._bit = origins.UNTOLD, 1
        self._tallies: dict[int, dict[bytes, list[int]]] = defaultdict(dict)
        self._tally = self._tallies[origins.UNTOLD]
        notes = {
            FROM_INPUT: self._begin,
            EVENTS: self._add_events,
            USERS: self._add_users,
            BY: self._add_values,
        }
        self.add_held = each_line(self._add, notes=notes)

    def add(self, block: Block) -> Result:
        """Take in the rows of a block; one that says nothing new is a duplicate."""
        before, self._in_one = self._new, 0
        counted = self.add_held(block)
        kept, rows = self._new - before, counted.kept + self._in_one
        records = block.lines() if counted.records is None else counted.records
        more = {"records": records + self._in_one} if self._in_one else {}
        return counted._replace(rows=b"", kept=kept, duplicate=rows - kept, **more)

    def add_inputs(self, paths: Iterable[str]) -> None:
        """Inputs that were read, also those that brought no rows."""
        for path in paths:
            self._numbers.setdefault(path, len(self._numbers) + 1)

    def _begin(self, path: bytes) -> bytes:
        """The next rows come from this input."""
        text = tsv.unescape(path.decode(errors="surrogateescape"))
        self.add_inputs([text])
        self._origin = self._numbers[text]
        self._bit = 1 << self._origin
        self._tally = self._tallies[self._origin]
        return b""

    def _add_events(self, rest: bytes) -> bytes:
        """How many events a day has beyond the rows, without a user, and without consent."""
        day, *numbers = rest.split(b"\t")
        tally = self._tally.setdefault(day, [0, 0, 0])
        tally[:] = (old + int(new) for old, new in zip(tally, numbers, strict=True))
        return b""

    def _add_users(self, rest: bytes) -> bytes:
        """The rest of a line that is many rows: a day, signals, and the users who have these."""
        day, signals, *users = rest.split(b"\t")
        self._tally.setdefault(day, [0, 0, 0])[0] += len(users)
        self._in_one += len(users)
        new: set[bytes] = set()
        for signal in [signals] if signals in _SIGNALS else _sets(_names(signals)):
            key = b"%b\t%b" % (day, signal)
            new.update(set(users).difference(self._users[key]))
            self._add_to(key, users)
        self._new += len(new)
        return b""

    def _add_values(self, rest: bytes) -> bytes:
        """Users whose events had a value: a day, signals, a field, the value, and they."""
        day, signals, field, value, *users = rest.split(b"\t")
        for signal in _sets(_names(signals) - {LOGIN}):
            self._add_to(b"\t".join([day, signal, field, value]), users)
        return b""

    def _add_to(self, key: bytes, users: list[bytes]) -> None:
        known, bit = self._users[key], self._bit
        if known:
            known.update([(user, known.get(user, 0) | bit) for user in users])
        else:
            known.update(dict.fromkeys(users, bit))

    def _add(self, line: bytes) -> bytes | Reject:
        try:
            day, user, signals, *details = line.split(b"\t")
            date.fromisoformat(day.decode())
            user.decode()
            tally = self._tally.get(day)
            if tally is None:
                tally = self._tally[day] = [0, 0, 0]
            tally[0] += 1
            if details:
                names, news = _names(signals), False
                if LOGIN in names:
                    *details, person = details
                    person.decode()
                    news = self._logins.add(self._origin, user, person)
                return self._add_pending(day, user, names - {LOGIN}, news, *details)
        except (ValueError, TypeError):
            return Reject("not a row of date, user and signals")
        if signals in _SIGNALS:
            return self._add_signals(day, user, [signals])
        names = _names(signals)
        if not names <= _ONE_BY_ONE:
            return Reject("unknown signal")
        return self._add_signals(day, user, _sets(names))

    def _add_signals(self, day: bytes, user: bytes, signals: Iterable[bytes]) -> bytes:
        news = False
        for signal in signals:
            users = self._users[b"%b\t%b" % (day, signal)]
            bits = users.get(user)
            if bits is None:
                users[user] = self._bit
                news = True
            elif not bits & self._bit:
                users[user] = bits | self._bit
        self._new += news
        return b""

    def _add_pending(
        self,
        day: bytes,
        user: bytes,
        names: set[str],
        news: bool,
        event: bytes = b"0",
        amount: bytes = b"",
        session: bytes = b"",
        device: bytes = b"",
    ) -> bytes | Reject:
        """A row of one event that is a part of a sum, or of a session, or both; or a login.

        `event` tells it from others (ga4.identity); a `device` is told if it is not the user.
        Raises ValueError.
        """
        if not names <= _ONE_BY_ONE | PENDING:
            return Reject("unknown signal")
        identity, text = event.decode(), day.decode()
        micros = int(identity.partition(":")[0])
        if AMOUNT in names:
            msec = decimals.exact(amount.decode())
            news |= self._engagements.add(self._origin, text, user, identity, msec)
        if SESSION in names:
            device.decode()
            view = identity if VIEW in names else None
            piece = Piece(micros, micros, view, view, int(KEY in names))
            if device and device != user:
                piece = piece._replace(owner_event=identity, owner=user)
            key = device or user, int(session)
            news |= self._sessions.add(self._origin, text, key, piece)
        before = self._new
        self._add_signals(day, user, _sets(names - PENDING))
        self._new = before + (news or self._new > before)
        return b""

    def rows(self) -> bytes:
        """How many users are active on each day, by what was collected here alone."""
        for day, user in self._engagements.enough(self._least):
            self._users[f"{day}\t{SUMMED}".encode()][user] = 1
        for day, user in self._sessions.active():
            self._users[f"{day}\t{ENGAGED_SESSION}".encode()][user] = 1
        counts, people = {}, self._logins.people()
        for day in {key.split(b"\t")[0] for key in self._users}:
            users = DEFINITIONS[self._definition].active(partial(self._of, day, people))
            counts[day] = len(users)
        return b"".join(b"%b\t%d\n" % (day, counts[day]) for day in sorted(counts) if counts[day])

    def rows_by(self, fields: Sequence[str], most: int) -> tuple[bytes, dict[str, int], dict]:
        """The same for each value of some fields: date, field, value, count.

        And by field, how many values the rows have in one (breakdowns.bound), and how many times a
        user has several values on a day.
        """
        folded = breakdowns.counted(breakdowns.bound(self._users, most))
        people, rule = self._logins.people(), DEFINITIONS[self._definition]
        days: dict[bytes, dict[tuple[bytes, bytes], set[bytes]]] = defaultdict(dict)
        for key, users in self._users.items():
            day, signal, *of_value = key.split(b"\t")
            if of_value and signal.decode() in rule.signals():
                users = {people.get(user, user) for user in users}
                days[day].setdefault(tuple(of_value), set()).update(users)
        rows, several = [], dict.fromkeys(fields, 0)
        for day, values in sorted(days.items()):
            active = rule.active(partial(self._of, day, people))
            for field in fields:
                name = tsv.escape(field).encode()
                found = {value: values[f, value] & active for f, value in values if f == name}
                several[field] += sum(n > 1 for n in Counter(chain(*found.values())).values())
                for value in sorted(found):
                    if count := len(found[value]):
                        rows.append(b"%b\t%b\t%b\t%d\n" % (day, name, value, count))
        return b"".join(rows), folded, several

    def _of(self, day: bytes, people: dict[bytes, tuple[bytes]], signal: str) -> Set:
        """Who has a signal on a day, the devices of a person as one."""
        users = self._users.get(b"%b\t%b" % (day, signal.encode()), {}).keys()
        return {people.get(user, user) for user in users} if people else users

    def _forget(self, db: sqlite3.Connection, erased: Tombstones, *, has_names: bool) -> list[str]:
        """Let those who were erased have their random names, if the store `has_names`, or none:
        then they do not count, and neither do devices that were seen with such a login alone, from
        now on. Returns these devices."""
        names = {user for users in self._users.values() for user in users}
        names |= self._engagements.names() | self._sessions.names() | self._logins.names()
        names |= self._logins.all_people()
        texts = {tsv.unescape(name.decode()): name for name in names}
        found = erased.find_all(tombstones.KEY, texts)
        others = {texts[t]: e.name and tsv.escape(e.name).encode() for t, e in found.items()}
        if not has_names:
            others = {name: other for name, other in others.items() if other is None}
        gone = {texts[t]: e.erasure for t, e in found.items() if e.name is None}
        devices = {
            tsv.unescape(device.decode()): (device, gone[person])
            for device, person in self._logins.devices_of(gone).items()
        }
        for shared in people.with_login(db, devices):
            del devices[shared]
        others |= dict.fromkeys(device for device, _ in devices.values())
        for users in self._users.values() if others else ():
            for user in users.keys() & others.keys():
                bits, other = users.pop(user), others[user]
                if other is not None:
                    users[other] = users.get(other, 0) | bits
        for kind in (self._engagements, self._sessions, self._logins):
            kind.rename(others)
        learnt = {text: erasure for text, (_, erasure) in devices.items() if text not in found}
        erased.learn(db, learnt)
        return sorted(learnt)

    def merge(
        self,
        db: sqlite3.Connection,
        run_id: int | None,
        *,
        replace: bool,
        erased: Tombstones | None = None,
        by: Sequence[str] = (),
        most: int = 0,
    ) -> Merged:
        """Within a transaction: merge all, but for those who were erased; derive the counts.

        Fields `by` which there are values have the `most` of these, and one for all others.

        With `replace`, what the same files and tables had brought before is no longer.
        Raises Failure 65 for a table that cannot be a new version of the one of its name.
        """
        has_names = store.sketch_mode(db) != "instead"
        learnt = self._forget(db, erased, has_names=has_names) if erased else []
        if not has_names:
            from headcount.pipelines.active_users.days import sketches  # few have them

            days = sorted({key.split(b"\t")[0].decode() for key in self._users})
            sketches.merge(db, self._users, days if replace else ())
            return Merged(list(publish.publish(db, days, run_id)))
        merger = Merger(db, {number: path for path, number in self._numbers.items()}, replace)
        more = (self._engagements, self._sessions, self._logins)
        merger.merge_tallies(self._tallies)
        entered = breakdowns.enter(db, run_id, self._users, by, most)
        removed = publish.remove(db, learnt, run_id)[db.property] if learnt else []
        merged = merger.merge(self._users, *more, run_id)
        for day in sorted(entered.days):
            breakdowns.publish(db, day, run_id, clock.now())
        merged = merged._replace(in_other=entered.in_other)
        return merged._replace(changes=_in_one(removed, merged.changes)) if removed else merged


def _in_one(first: list[Change], second: list[Change]) -> list[Change]:
    """Changes, one after the other, as one each day."""
    changes = {day: (old, new) for day, old, new in first}
    for day, old, new in second:
        changes[day] = (changes.get(day, (old,))[0], new)
    return [(day, *both) for day, both in sorted(changes.items()) if both[0] != both[1]]


def _names(signals: bytes) -> set[str]:
    return set(signals.decode().split(","))


def _sets(names: set[str]) -> list[bytes]:
    """What they are in the store, where engaged and valuable in one are a signal of its own."""
    if {ENGAGED, VALUABLE} <= names:
        names = names - {ENGAGED, VALUABLE} | {BOTH}
    return [name.encode() for name in names]
