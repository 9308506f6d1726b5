"""Many events as columns: of times, of users.

What is done to a column at once costs a fraction of what it costs event by event.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from headcount.filters.rejects import Reject
from headcount.pipelines.active_users.definitions import ANY_EVENT
from headcount.pipelines.active_users.events.source import Fields
from headcount.values import instants

_LEAST = 11  # characters: shorter texts are dates without a time of day
_DIGITS = 16


class Datetimes(NamedTuple):
    """Times that are datetimes of one zone, or of none, which is UTC."""

    zone: tzinfo | None

    @property
    def _epoch(self) -> datetime:
        return datetime(1970, 1, 1, tzinfo=self.zone)

    def micros(self, time: datetime) -> int:
        """The instant in microseconds since 1970, UTC."""
        since = time - self._epoch
        return (since.days * 86_400 + since.seconds) * instants.SECOND + since.microseconds

    def bound(self, micros: int) -> datetime:
        """An instant to compare times with."""
        return self._epoch + timedelta(microseconds=micros)


class Numbers(NamedTuple):
    """Times that are numbers of a unit."""

    unit: str

    def holds(self, times: list) -> bool:
        """Whether all are whole ones."""
        return set(map(type, times)) == {int}

    def micros(self, time: int | float) -> int:
        """The instant in microseconds since 1970, UTC; rounded down."""
        return instants.of_number(time, self.unit)

    def bound(self, micros: int) -> int:
        """An instant to compare times with; the unit it is in, if it is within one."""
        power = instants.UNITS[self.unit]
        return micros // 10**power if power >= 0 else micros * 10**-power


class Digits(NamedTuple):
    """Times that are texts of 16 digits: microseconds from 2001 to 2286, in the order of texts."""

    unit: str = "16 digits"

    def holds(self, times: list) -> bool:
        """Whether all are such texts."""
        if set(map(type, times)) != {str} or set(map(len, times)) != {_DIGITS}:
            return False
        joined = "".join(times)
        return joined.isascii() and joined.isdigit()

    def micros(self, time: str) -> int:
        """The instant in microseconds since 1970, UTC."""
        return int(time)

    def bound(self, micros: int) -> str:
        """An instant to compare times with; one behind all of them is a colon."""
        text = f"{max(micros, 0):0{_DIGITS}}"
        return text if len(text) == _DIGITS else ":"


class Column(NamedTuple):
    """Events that say the same of their users: their times, their users, the places of their
    lines."""

    signals: str
    times: list
    users: list[str]
    places: Sequence[int]


class Plain(NamedTuple):
    """Events that make their users active, in columns; and what their times are.

    `others` are events or Rejects that are not in them, each with the place of its line.
    """

    columns: list[Column]
    scale: Datetimes | Numbers | Digits
    others: Sequence[tuple[int, tuple | Reject]] = ()


def columns(
    events: list,
    times: list[Callable],
    users: list[Callable],
    names: list[Callable],
    fields: Fields,
    wanted: frozenset[str],
) -> Plain | None:
    """The columns of events; None if there is one that may have to be rejected, for then they are
    looked at one after the other.

    `times`, `users` and `names` get the fields of an event, of which the first present one counts.
    With `wanted`, only events of these names make active.
    """
    who = _users(_filled(events, users))
    if who is None:
        return None
    found = _times(_filled(events, times), fields)
    if found is None:
        return None
    when, scale = found
    places = range(len(events))
    if names:
        what = _filled(events, names)
        if None in what or "" in what:
            return None
        if wanted:
            is_wanted = [(name if type(name) is str else str(name)) in wanted for name in what]
            when = list(itertools.compress(when, is_wanted))
            who = list(itertools.compress(who, is_wanted))
            places = list(itertools.compress(places, is_wanted))
    return Plain([Column(ANY_EVENT, when, who, places)], scale)


def of_texts(
    users: list[str], times: list[str], fields: Fields, keep: list[bool] | None
) -> Plain | None:
    """The columns of events whose values are text, of which `keep` says which count."""
    found = _times(times, fields)
    if found is None:
        return None
    when, scale = found
    places = range(len(users))
    if keep is not None and not all(keep):
        when = list(itertools.compress(when, keep))
        users = list(itertools.compress(users, keep))
        places = list(itertools.compress(places, keep))
    return Plain([Column(ANY_EVENT, when, users, places)], scale)


def _filled(events: list, getters: list[Callable]) -> list:
    """Of each event the first value that is present; None where there is none."""
    try:
        values = list(map(getters[0], events))
        if all(values):
            return values
        for getter in getters[1:]:
            if None not in values and "" not in values:
                break
            others = map(getter, events)
            values = [
                value or (other if value is None or value == "" else value)
                for value, other in zip(values, others, strict=True)
            ]
    except AttributeError:  # an object on the way is missing
        return [None]
    if len(getters) > 1 and "" in values:
        return [None]
    return values


def _users(values: list) -> list[str] | None:
    kinds = set(map(type, values))
    if not kinds <= {str, int} or "" in values:
        return None
    return list(map(str, values)) if int in kinds else values


def _times(values: list, fields: Fields) -> tuple[list, Datetimes | Numbers] | None:
    """Times that can be compared with each other, all of them plausible, and what they are."""
    kinds = set(map(type, values))
    if kinds == {str}:
        if fields.unit != instants.ISO and {text[4:5] for text in values} != {"-"}:
            return None  # numbers, perhaps
        found = _read(values)
    elif kinds <= {int, float} and fields.unit != instants.ISO:
        found = values, Numbers(fields.unit), min(values), max(values)
    else:
        return None
    if found is None:
        return None
    values, scale, first, last = found
    try:
        low, high = scale.bound(fields.earliest), scale.bound(fields.latest)
    except OverflowError:  # no calendar has such a day
        return None
    return (values, scale) if low <= first and last < high else None


def _read(texts: list[str]) -> tuple[list[datetime], Datetimes, datetime, datetime] | None:
    """Datetimes of ISO texts, as instants.of_text has them; their zone, the first and the last."""
    try:
        values = list(map(datetime.fromisoformat, texts))
    except ValueError:
        return None
    try:
        first, last = min(values), max(values)
        if first.tzinfo:  # or they could not be compared
            return values, Datetimes(UTC), first, last
    except TypeError:  # some are of no zone
        values = [at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at for at in values]
        first, last = min(values), max(values)
    if min(map(len, texts)) < _LEAST:
        return None
    return values, Datetimes(None), first, last
