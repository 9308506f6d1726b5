"""Fast searches of raw bytes: what decides how long most runs take.

stringzilla searches with the processor's widest registers. Measured on 1 GB of events of 2.4 KB,
seconds on one core, the file in memory: reading 0.10, and on top of it counting newlines 0.02,
finding a name 0.03; bytes.find takes 0.36 for the latter, memmem 0.11, bytes.split(b"\\n") 0.34.
"""

import json
import re
from collections.abc import Collection, Iterator

from stringzilla import Str

_NOT_ASCII = bytes(range(128, 256))
_LONG = 512  # bytes: lines of that length on are split faster by stringzilla

_SHORT_ESCAPES = {
    '"': '"',
    "\\": "\\",
    "/": "/",
    "\b": "b",
    "\f": "f",
    "\n": "n",
    "\r": "r",
    "\t": "t",
}


def split_lines(text: Str) -> list:
    """The lines of `text`, each a bytes-like object, without their newlines."""
    end = text.find(b"\n")
    lines = list(text.split(b"\n")) if end >= _LONG else bytes(text).split(b"\n")
    if not len(lines[-1]):  # behind the last newline
        lines.pop()
    return lines


def is_ascii(text: Str) -> bool:
    """Whether all of it is; then it is UTF-8, too."""
    return text.find_first_of(_NOT_ASCII) < 0


def line_around(text: Str, at: int) -> tuple[int, int]:
    """Start and end of the line that holds the byte `at`; the end is behind the newline."""
    return text.rfind(b"\n", 0, at) + 1, text.find(b"\n", at) + 1 or len(text)


class NameSearch:
    """Finds the lines that may hold one of some names as a JSON string, however it is spelled.

    It loses none. A line that holds a part of a name with an escape in it may be kept in vain.
    Those of the names that are `in_texts` may also stand in a string that is itself JSON.
    """

    def __init__(self, names: list[str], in_texts: Collection[str] = ()):
        self._literals = [_quoted(name).encode() for name in names]
        self._in_texts = [_quoted(_quoted(name))[1:-1].encode() for name in in_texts]
        escapes = (escape for name in names for escape in _escapes(name, name in in_texts))
        self._escape = re.compile(b"|".join(escapes))
        # How they start: so far that \u00e9, \u003d and the like in other texts do not.
        escapes = {escape for char in set("".join(names)) for escape in _spellings(char)[1:]}
        self._leads = {escape[:5] if escape[:4] == b"\\u00" else escape[:2] for escape in escapes}

    def spans(self, text: Str) -> list[tuple[int, int]]:
        """Start and end of each such line of `text`, in order; the end is behind the newline."""
        searches = [_lines_with(text, literal) for literal in self._literals]
        if text.find(b"\\") >= 0:
            searches += [_lines_with(text, literal) for literal in self._in_texts]
            searches += [self._lines_with_escape(text, lead) for lead in self._leads]
        if len(searches) == 1:
            return list(searches[0])
        return sorted({span for search in searches for span in search})

    def _lines_with_escape(self, text: Str, lead: bytes) -> Iterator[tuple[int, int]]:
        matches = self._escape.match
        at = text.find(lead)
        while at >= 0:
            if matches(text, at):
                span = line_around(text, at)
                yield span
                at = span[1] - 1
            at = text.find(lead, at + 1)


def _lines_with(text: Str, literal: bytes) -> Iterator[tuple[int, int]]:
    at = text.find(literal)
    while at >= 0:
        span = line_around(text, at)
        yield span
        at = text.find(literal, span[1])


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def _escapes(name: str, in_text: bool) -> Iterator[bytes]:
    """Patterns of each character's escapes, between what may stand before and behind them.

    Without the neighbours, every `\\u005f` in the data would be a possible `_` of a name.
    """
    spellings = [[b'"'], *map(_spellings, name), [b'"']]
    more = b"\\\\" if in_text else b""  # one more backslash before each
    for i in range(1, len(spellings) - 1):
        before, here, behind = spellings[i - 1 : i + 2]
        ends = b"".join(re.escape(spelling[-1:]) for spelling in before) + more
        starts = b"".join(re.escape(spelling[:1]) for spelling in behind) + more
        for spelling in here[1:]:
            yield b"(?<=[%b])(?i:%b)(?=[%b])" % (ends, re.escape(spelling), starts)


def _spellings(char: str) -> list[bytes]:
    """How a character may stand in a JSON string, itself first."""
    units = char.encode("utf-16-be").hex()
    long = "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))
    spellings = [char.encode(), long.encode(), long.upper().replace("\\U", "\\u").encode()]
    if char in _SHORT_ESCAPES:
        spellings.append(f"\\{_SHORT_ESCAPES[char]}".encode())
    return spellings
