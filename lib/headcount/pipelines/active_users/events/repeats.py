"""Events that only repeat what is known, told by a few bytes of their lines.

Where one event is as good as any number of them, most lines of a day say what earlier ones have
said: this user was there. To parse those lines is most of the work, so they are not parsed.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterable, Set
from typing import NamedTuple

from stringzilla import Str

_A_LEAD = re.compile(rb'\{"event_date":"[0-9]{8}","event_timestamp":"')
_LEAD = 44  # its length
_DIGITS = 16  # of microseconds since 1970, from 2001 to 2286
_NAME = b'","event_name":"'
_NEW, _PARSED, _OTHER, _REPEATABLE = range(4)  # kinds of names: not seen yet, to be parsed…
_REMEMBERED = 10_000  # names and dates at the most


class Others(NamedTuple):
    """The lines of a text that may say something new, by start and end (behind the newline)."""

    spans: list[tuple[int, int]]
    repeated: int  # how many of the other lines repeat what is known; the rest cannot matter


class Repeats:
    """Tells the lines of events that repeat what is known, and those of events without interest.

    It looks only at texts in which every line starts as the export's lines do, so that date, time
    and name are members of the event itself; in which the names of the latter two stand once a
    line; and at lines without escapes, in which the user's key stands once. Of such a line, if it
    is JSON at all, that says what a parser would. (Should the one key of the user be that of some
    record within, then the event has no user.) So nothing new is lost; whether the rest of a line
    is sound, it does not see.
    """

    def __init__(self, names: Iterable[str], of_interest: Iterable[str], user_field: str):
        self._names, self._of_interest = _starts(names), _starts(of_interest)
        longest = max(map(len, self._of_interest))
        self._head = struct.Struct(f"{_LEAD}s{_DIGITS}s{longest}s")
        self._user_key = _quoted(user_field)
        self._kinds: dict[bytes, int] = {}  # of the names that there have been
        self._leads: set[bytes] = set()  # that there have been: one for each date

    def others(
        self, text: Str, lines: int, since: int, until: int, users: Set[str]
    ) -> Others | None:
        """All but those lines of a text of so many; None if they are not as described.

        `users` are known from `since` to before `until`, in microseconds since 1970, UTC.
        """
        first, last = b"%d" % since, b"%d" % (until - 1)
        if not len(first) == len(last) == _DIGITS:  # else texts do not sort as numbers do
            return None
        if not text.count(b'event_name"') == text.count(b'event_timestamp"') == lines:
            return None
        try:
            return self._others(text, first, last, users)
        except (_Unusual, UnicodeDecodeError):
            return None

    def _others(self, text: Str, first: bytes, last: bytes, users: Set[str]) -> Others:
        plain = text.find(b"\\") < 0
        unpack, size, data = self._head.unpack_from, self._head.size, memoryview(text)
        leads, kinds = self._leads, self._kinds
        user_key, before_user = self._user_key, len(self._user_key)
        spans, repeated, end = [], 0, 0
        for line in text.split(b"\n"):
            start, end = end, end + len(line) + 1
            if end - start <= size:
                if len(line):
                    raise _Unusual
                continue
            lead, micros, name = unpack(data, start)
            if lead not in leads:
                self._check_lead(lead)
            kind = kinds.get(name, _NEW)
            if kind is _NEW:
                kind = self._kind(name)
            if kind is not _PARSED and micros.isdigit() and (plain or line.find(b"\\") < 0):
                if kind is _OTHER:
                    continue
                if first <= micros <= last:
                    at = line.find(user_key)
                    colon = at + before_user
                    user = str(line[colon : line.find(b'"', colon + 2)])
                    if user[2:] in users and user.startswith(':"') and line.rfind(user_key) == at:
                        repeated += 1
                        continue
            spans.append((start, min(end, len(data))))
        return Others(spans, repeated)

    def _check_lead(self, lead: bytes) -> None:
        """Raises _Unusual unless it is what stands before the time."""
        if not _A_LEAD.fullmatch(lead):
            raise _Unusual
        if len(self._leads) < _REMEMBERED:
            self._leads.add(lead)

    def _kind(self, name: bytes) -> int:
        """What is to be done with an event whose name is the start of these bytes."""
        kind = _PARSED
        if name.startswith(self._names):
            kind = _REPEATABLE
        elif name.startswith(_NAME) and not name.startswith(self._of_interest):
            kind = _OTHER
        if len(self._kinds) < _REMEMBERED:
            self._kinds[name] = kind
        return kind


class _Unusual(Exception):
    """A line that does not start as the export's do."""


def _starts(names: Iterable[str]) -> tuple[bytes, ...]:
    return tuple(_NAME + _quoted(name)[1:] for name in names)


def _quoted(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False).encode()
