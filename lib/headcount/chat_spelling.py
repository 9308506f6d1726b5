"""How a chat line is spelt: what stands between its values, and where those are.

A place in a line is its start, one of its quotes, or its end, by number from 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from headcount import chat

_STAMP = re.compile(rb"( *: *)([0-9]+)( *[,}].*)", re.DOTALL)
_COLON = re.compile(rb" *: *")


class Piece(NamedTuple):
    """Bytes that all lines have `offset` behind one of their places."""

    place: int
    offset: int
    text: bytes


class Span(NamedTuple):
    """A value: from `offset` behind one of a line's places to `until` behind another."""

    place: int
    offset: int
    end: int
    until: int


class Spelling:
    """How a line without escapes is spelt: `pieces` between its values, and the values' `spans`.

    Raises ValueError or LookupError for an unusual line.
    """

    def __init__(self, line: bytes):
        said = chat.parse(line)
        if type(said) is not chat.Chat:
            raise ValueError(said)
        self.gaps, self.strings = (parts := line.split(b'"'))[::2], parts[1::2]
        keys = self._keys()
        fields = {name: keys[1, name.encode()] for name in ("id", "type", "from", "site_id")}
        if said.status:
            fields["status"] = keys[2, b"status"]
        self.stamp = keys[1, b"timestamp"]
        type_value = fields["type"] + 1
        self.spans = {name: self._string(key + 1) for name, key in fields.items()}
        for name, key in fields.items():
            if not _COLON.fullmatch(self.gaps[key + 1]):
                raise ValueError(name)
        self.fixed = {type_value}.union(keys.values())  # which strings all lines share
        self.pieces = list(self._pieces())

    def _keys(self) -> dict[tuple[int, bytes], int]:
        """Which string is which key, by depth and name, on the way to what we read."""
        keys, path = {}, []
        for i, gap in enumerate(self.gaps[:-1]):
            if b"[" in gap or b"]" in gap:
                raise ValueError("an array")
            for brace in re.findall(rb"[{}]", gap):
                path = [*path, b""] if brace == b"{" else path[:-1]
            if not self.gaps[i + 1].lstrip(b" ").startswith(b":"):
                continue
            path[-1] = name = self.strings[i]
            if len(path) > 1 and path[:-1] != [b"data"]:
                raise ValueError("nested")
            if (len(path), name) in keys:
                raise ValueError("repeated")
            keys[len(path), name] = i
        return keys

    def _string(self, i: int) -> Span:
        return Span(2 * i + 1, 1, 2 * i + 2, 0)

    def _pieces(self) -> Iterator[Piece]:
        """What stands before, between and behind the values."""
        place = offset = 0
        text = b""
        for i, gap in enumerate(self.gaps):
            if i == self.stamp + 1:
                match = _STAMP.fullmatch(gap)
                if not match:
                    raise ValueError("timestamp")
                colon, _, gap = match.groups()
                yield Piece(place, offset, text + colon)
                start = place, offset + len(text + colon)
                place, offset, text = 2 * i + 1, -len(gap), b""
                self.spans["timestamp"] = Span(*start, place, offset)
            text += gap
            if i == len(self.strings):
                break
            text += b'"'
            if i in self.fixed:
                text += self.strings[i] + b'"'
            else:
                yield Piece(place, offset, text)
                place, offset, text = 2 * i + 2, 0, b'"'
        yield Piece(place, offset, text + b"\n")
