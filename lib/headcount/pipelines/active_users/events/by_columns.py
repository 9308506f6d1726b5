"""The parser of many lines of text at once, by a few of their columns."""

from __future__ import annotations

import re
from collections.abc import Callable

from headcount.filters.rejects import Reject
from headcount.io.blocks import All, Some
from headcount.pipelines.active_users.definitions import ANY_EVENT
from headcount.pipelines.active_users.events import bots, plain
from headcount.pipelines.active_users.events.source import Fields, Source
from headcount.values import instants

UNUSUAL = Reject("unusual")  # a line that needs a look of its own
_KEPT = 100_000  # times and names
_LOGGED = 26  # characters of a time in an access log
_JOINED = re.compile(r"(?:[^+\\]|\\.)+", re.DOTALL)


def joined_names(text: str) -> list[str]:
    """The names that a `+` joins."""
    return _JOINED.findall(text)


def joined_user(values: list[str]) -> str:
    """A user that is made of several values, each of which can be told from it: they have a space
    between them, so a space within any but the last has a backslash before it."""
    *others, last = values
    escaped = [value.replace("\\", "\\\\").replace(" ", "\\ ") for value in others]
    return " ".join([*escaped, last])


class Columns:
    """Parses lines of a source that has a `table`, by the fields that a definition names.

    It gives what by_fields.Parser gives for each line, or UNUSUAL: that is for every line that
    lacks something, too.
    """

    def __init__(self, definition, known: Source):
        fields, wanted = definition.fields, definition.valuable_events
        users = [joined_names(text) for text in fields.user]
        users = [names for names in users if names[0] in known.columns]
        needed = {*fields.time, *fields.name, *fields.agent, *(n for user in users for n in user)}
        names = tuple(name for name in known.columns if name in needed)
        self._rows = known.table(names)
        place = {name: i for i, name in enumerate(names)}
        self._users = [[place.get(name) for name in user] for user in users]
        self._times, self._names, self._agents = (
            [place[name] for name in texts if name in place]
            for texts in (fields.time, fields.name, fields.agent)
        )
        self._fields = fields
        self._instants = _Instants(fields)
        self._counts = _Counts(wanted, known.named) if wanted else None
        self._is_bot = bots.known() if fields.agent else None

    def __call__(self, lines: All | Some) -> list[tuple | Reject | None]:
        """What each of the lines is."""
        columns = self._columns(lines)
        return [UNUSUAL] * lines.count if columns is None else self._each(columns)

    def plain(self, lines: All | Some) -> plain.Plain | list[tuple | Reject | None]:
        """Parse lines into columns; if a line is unusual, into what a call gives."""
        columns = self._columns(lines)
        if columns is None:
            return [UNUSUAL] * lines.count
        return self._plain(columns) or self._each(columns)

    def _columns(self, lines: All | Some) -> list[tuple[str, ...]] | None:
        text = bytes(lines.text)
        has_returns = lines.text.find(b"\r\n") >= 0  # bytes.find takes ten times as long
        rows = self._rows(text.replace(b"\r\n", b"\n") if has_returns else text)
        if len(rows) != lines.count or not rows:
            return None
        return list(zip(*rows, strict=True))

    def _plain(self, columns: list[tuple[str, ...]]) -> plain.Plain | None:
        whole = [user[0] for user in self._users if len(user) == 1]
        if self._agents or len(whole) < len(self._users):
            return None
        users, times, names = (
            _first(columns, places) for places in (whole, self._times, self._names)
        )
        if "" in users or "" in times or "" in names:
            return None
        keep = None if self._counts is None else list(map(self._counts.__getitem__, names))
        return plain.of_texts(users, times, self._fields, keep)

    def _each(self, columns: list[tuple[str, ...]]) -> list[tuple | Reject | None]:
        rows = columns[0]
        absent = ("",) * len(rows)
        users, *others = [_joined(user, columns, absent) for user in self._users] or [absent]
        for other in others:
            users = [a or b for a, b in zip(users, other, strict=True)]
        names = _first(columns, self._names)
        times = map(self._instants.__getitem__, _first(columns, self._times))
        keep = [True] * len(rows) if self._counts is None else map(self._counts.__getitem__, names)
        if self._is_bot:
            are_bots = map(self._is_bot, _first(columns, self._agents))
            keep = [kept and not bot for kept, bot in zip(keep, are_bots, strict=True)]
        return [
            UNUSUAL
            if at is None or not user or not name
            else (at, None, user, ANY_EVENT)
            if kept
            else None
            for at, user, name, kept in zip(times, users, names, keep, strict=True)
        ]


def _first(columns: list[tuple[str, ...]], places: list[int | None]) -> list[str]:
    """Each row's first value that is present in these columns; "" where none is."""
    known = [columns[place] for place in places if place is not None]
    found = list(known[0]) if known else [""] * len(columns[0])
    for other in known[1:]:
        if "" not in found:
            break
        found = [a or b for a, b in zip(found, other, strict=True)]
    return found


def _joined(user: list[int | None], columns: list[tuple[str, ...]], absent) -> list[str]:
    """The user of each row, of one column or of several; "" if the first is absent."""
    first, *others = [absent if place is None else columns[place] for place in user]
    if not others:
        return first
    if len(others) == 1 and not any(" " in value or "\\" in value for value in set(first)):
        return [f"{a} {b}" if a else "" for a, b in zip(first, others[0], strict=True)]
    rows = zip(first, *others, strict=True)
    return [joined_user(list(values)) if values[0] else "" for values in rows]


class _Instants(dict):
    """The instant of each time that is written; None for what is none, or cannot be."""

    def __init__(self, fields: Fields):
        super().__init__()
        self._fields = fields
        self._minutes: dict[str, int] = {}

    def __missing__(self, text: str) -> int | None:
        if len(self) >= _KEPT:
            self.clear()
            self._minutes.clear()
        fields = self._fields
        try:
            # A number would be one of the fields' unit.
            at = self._of_text(text) if ":" in text else fields.instant(text)
            at = self[text] = fields.plausible(at)
        except ValueError:
            at = self[text] = None
        return at

    def _of_text(self, text: str) -> int:
        """The instant of `10/Jan/2026:16:00:00 +0000`, or of any other text, which takes longer."""
        seconds = text[18:20]
        if len(text) != _LOGGED or text[2] != "/" or not "00" <= seconds <= "59":
            return instants.of_text(text)
        minute = f"{text[:18]}00{text[20:]}"
        start = self._minutes.get(minute)
        if start is None:
            start = self._minutes[minute] = instants.of_text(minute)
        return start + int(seconds) * instants.SECOND


class _Counts(dict):
    """Whether an event of each name counts."""

    def __init__(self, wanted: frozenset[str], named: Callable[[str], str] | None):
        super().__init__()
        self._wanted, self._named = wanted, named or str

    def __missing__(self, name: str) -> bool:
        if len(self) >= _KEPT:
            self.clear()
        counts = self[name] = self._named(name) in self._wanted
        return counts
