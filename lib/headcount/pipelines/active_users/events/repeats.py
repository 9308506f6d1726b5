"""Events that only repeat what is known, told by a few bytes of their lines.

Where one event is as good as any number of them, most lines of a day say what earlier ones have
said: this user was there. To parse those lines is most of the work, so they are not parsed.
"""

from __future__ import annotations

import functools
import json
import operator
import re
import struct
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import accumulate, compress, repeat
from typing import NamedTuple

from stringzilla import Str

from headcount.pipelines.active_users.events.plain import Digits
from headcount.pipelines.active_users.events.qualify import ENGAGEMENT
from headcount.pipelines.active_users.events.source import Fields
from headcount.values.day_index import DayIndex

_A_LEAD = re.compile(rb'\{"event_date":"[0-9]{8}","event_timestamp":"')
_LEAD = 44  # its length
_DIGITS = 16  # of microseconds since 1970, from 2001 to 2286
_NAME = b'","event_name":"'
_LONGEST = 64  # bytes: longer users are always looked at
_PARSED, _OTHER, _REPEATABLE = range(3)  # kinds of names: to be parsed…
_REMEMBERED = 10_000  # names and dates at the most


class Written(NamedTuple):
    """Times as they stand in lines, as Digits has them, but bytes."""

    unit: str = "16 bytes"

    def micros(self, time: bytes) -> int:
        """The instant in microseconds since 1970, UTC."""
        return int(time)

    def bound(self, micros: int) -> bytes:
        """An instant to compare times with."""
        return Digits().bound(micros).encode()


class Others(NamedTuple):
    """The lines of a text that may say something new, by start and end (behind the newline)."""

    spans: list[tuple[int, int]]
    repeated: Counter[str]  # of the other lines, how many repeat what is known of each local day


class Repeats:
    """Tells the lines of events that repeat what is known, and those of events without interest.

    It looks only at texts in which every line starts as the export's lines do, so that date, time
    and name are members of the event itself; in which the names of the latter two stand once a
    line; and at lines without escapes, in which the user's key stands once. Of such a line, if it
    is JSON at all, that says what a parser would. (Should the one key of the user be that of some
    record within, then the event has no user.) So nothing new is lost; whether the rest of a line
    is sound, it does not see.
    """

    def __init__(self, names: Iterable[str], of_interest: Iterable[str], fields: Fields):
        """Events of `names` repeat, others of interest are to be parsed. Of the fields, the first
        that says the user is looked at, and which times are plausible."""
        starts = _starts(of_interest)
        self._kinds = _Kinds(_starts(names), starts)
        self._head = struct.Struct(f"{_LEAD}s{_DIGITS}s{max(map(len, starts))}s")
        self._user_key = _quoted(fields.user[0]) + b':"'
        self._bounds = Written().bound(fields.earliest), Written().bound(fields.latest + 1)
        self._leads: set[bytes] = set()  # that there have been: one for each date

    def others(
        self, text: Str, count: int, index: DayIndex, known: Mapping[str, Set[str]]
    ) -> Others | None:
        """All but those of a text's `count` lines; None if they are not as described.

        `index` is of Written times; of each local day certain users are known.
        """
        if not text.count(b'event_name"') == text.count(b'event_timestamp"') == count:
            return None
        lines = list(text.split(b"\n"))
        if not len(lines[-1]):  # behind the last newline
            lines.pop()
        lengths = list(map(len, lines))
        if len(lines) != count or min(lengths) <= self._head.size:
            return None
        starts = list(accumulate(map((1).__add__, lengths), initial=0))
        starts.pop()
        heads = map(self._head.unpack_from, repeat(memoryview(text)), starts)
        leads, times, names = zip(*heads, strict=True)
        if not self._are_leads(set(leads)) or not b"".join(times).isdigit():
            return None
        if not self._bounds[0] <= min(times) <= max(times) < self._bounds[1]:
            return None
        try:
            users, odd = self._users(text, lines, starts)
        except UnicodeDecodeError:
            return None
        kinds = list(map(self._kinds.__getitem__, names))
        places = index.places(times)
        of_places = {place: known.get(index.days[place], ()) for place in set(places)}
        repeats = list(map(operator.contains, map(of_places.__getitem__, places), users))
        is_new = map(operator.not_, repeats)
        if odd or set(kinds) != {_REPEATABLE}:
            for i in odd:
                kinds[i] = _PARSED
            repeats = list(map(operator.and_, repeats, map(_REPEATABLE.__eq__, kinds)))
            is_new = map(operator.gt, map(_OTHER.__ne__, kinds), repeats)
        spans = [(starts[i], starts[i] + lengths[i] + 1) for i in compress(range(count), is_new)]
        if spans and spans[-1][1] > len(text):  # the last line may lack its newline
            spans[-1] = spans[-1][0], len(text)
        repeated: Counter[str] = Counter()
        for place, events in Counter(compress(places, repeats)).items():
            repeated[index.days[place]] += events
        return Others(spans, repeated)

    def _are_leads(self, leads: set[bytes]) -> bool:
        """Whether they are what stands before the time of events."""
        new = leads - self._leads
        if not all(map(_A_LEAD.fullmatch, new)):
            return False
        if len(self._leads) < _REMEMBERED:
            self._leads |= new
        return True

    def _users(self, text: Str, lines: list[Str], starts: list[int]) -> tuple[list[str], set[int]]:
        """The user of each line, and the lines that need a look of their own.

        Raises UnicodeDecodeError.
        """
        key, find = self._user_key, Str.find
        name = key[:-2]
        found = list(map(find, lines, repeat(key)))
        odd: set[int] = set()
        if text.count(name) != len(lines) or min(found) < 0:
            # With blanks around its colon, too, a second one would be the user.
            places = zip(
                found,
                map(find, lines, repeat(name)),
                map(Str.rfind, lines, repeat(name)),
                strict=True,
            )
            odd = {i for i, (at, first, last) in enumerate(places) if not 0 <= at == first == last}
            found = [max(at, 0) for at in found]
        if text.find(b"\\") >= 0:
            escapes = map(find, lines, repeat(b"\\"))
            odd |= {i for i, at in enumerate(escapes) if at >= 0}
        places = list(map(operator.add, starts, found))
        behind = len(places)  # the first that is too near to the end for all to be read alike
        while behind and places[behind - 1] > len(text) - len(key) - _LONGEST:
            behind -= 1
        users = [*_cut(memoryview(text), len(key), places[:behind])]
        for at in places[behind:]:
            user, end, _ = bytes(text[at + len(key) : at + len(key) + _LONGEST]).partition(b'"')
            users.append(user if end else b"")
        return _decoded(users), odd


def _cut(data: memoryview, skipped: int, places: list[int]) -> Sequence[bytes]:
    """What stands at some places of a text, behind so many bytes, up to a quotation mark; nothing
    where that is too far."""
    if not places:
        return ()
    windows = _windows(skipped, _LONGEST)
    (first,) = windows.unpack_from(data, places[0])
    length = first.find(b'"')
    if length > 0:  # mostly all are as long as one of them
        pairs = map(_windows(skipped, length, 1).unpack_from, repeat(data), places)
        users, ends = zip(*pairs, strict=True)
        if set(ends) == {b'"'} and b'"' not in b"".join(users):
            return users
    parts = [window.partition(b'"') for (window,) in map(windows.unpack_from, repeat(data), places)]
    return [user if end else b"" for user, end, _ in parts]


@functools.cache
def _windows(skipped: int, *sizes: int) -> struct.Struct:
    return struct.Struct("".join([f"{skipped}x", *(f"{size}s" for size in sizes)]))


def _decoded(users: Sequence[bytes]) -> list[str]:
    texts = b"\0".join(users).decode().split("\0")
    if len(texts) != len(users):  # there is a NUL, which is no JSON
        return [""] * len(users)
    return texts


class _Kinds(dict):
    """What is to be done with an event, by the start of its name as it is written."""

    def __init__(self, names: tuple[bytes, ...], of_interest: tuple[bytes, ...]):
        super().__init__()
        self._names, self._of_interest = names, of_interest

    def __missing__(self, name: bytes) -> int:
        kind = _PARSED
        if name.startswith(self._names):
            kind = _REPEATABLE
        elif name.startswith(_NAME) and not name.startswith(self._of_interest):
            kind = _OTHER
        if len(self) < _REMEMBERED:
            self[name] = kind
        return kind


def of(definition) -> Repeats | None:
    """What tells the repeats of a record.Definition; None where one event is not as good as many,
    or where a user has several fields, or a bot. (Of an engagement one has to know more than its
    name.)
    """
    names, fields = definition.valuable_events - {ENGAGEMENT}, definition.fields
    if not names or definition.summed or definition.named or len(fields.user) > 1:
        return None
    if fields.unit != "us" or fields.agent or definition.with_offset:
        return None
    return Repeats(names, names | {ENGAGEMENT}, fields)


def _starts(names: Iterable[str]) -> tuple[bytes, ...]:
    return tuple(_NAME + _quoted(name)[1:] for name in names)


def _quoted(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False).encode()
