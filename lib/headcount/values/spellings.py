"""The spellings of a name, as texts, addresses or markup may hide it.

JSON escapes (RFC 8259), percent-encoding (RFC 3986), HTML entities (the list of the standard
library, html.entities), the normal forms of Unicode (UAX #15), `_` or `+` for a blank.
"""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Callable, Container, Iterator
from functools import cache
from html.entities import html5
from typing import NamedTuple
from urllib.parse import unquote, unquote_to_bytes

# What certificates say of it.
TOLD = (
    "as it is (UTF-8, UTF-16, Latin-1)",
    "JSON escapes",
    "percent-encoding, in upper and lower case",
    "HTML entities",
    "normal forms of Unicode",
    "_ and + for a blank",
    "base64 of rejected lines",
)
_SHORT = {'"': '"', "\\": "\\", "/": "/", "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}
_BLANKS = " _\xa0"
_CASED = 0x1F000  # no letter from there on has two cases
_ROUNDS = 3  # of escapes within escapes
_AROUND = 40  # characters that an escape takes at most
_BEFORE = re.compile(
    r"(?:(?:%[0-9A-Fa-f]{2})+|\\u[0-9A-Fa-f]{4}|&#?\w+;|\\[nrtbf\"/\\])\Z", re.ASCII
)
_AFTER = re.compile(r"(?:%[0-9A-Fa-f]{2})+|\\u[0-9A-Fa-f]{4}|&#?\w+;|\\[nrtbf\"/\\]", re.ASCII)
_IN_JSON = re.compile(r'\\+(?:u([0-9A-Fa-f]{4})|(["/]))|\\(\\)')
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_ONE = re.compile(_QUOTED, re.DOTALL)
_STRING = re.compile(rf"({_QUOTED})(?:(\s*:\s*)({_QUOTED})?)?", re.DOTALL)
# The part of an address that names no page: its own words are nobody's name.
_SITE = re.compile(r"https?:(?:\\?/){2}[^/\"\s\\]*(?:\\?/w(?:iki)?(?=\\?/))?")


class Style(NamedTuple):
    """How freely a source spells names."""

    any_case: bool = False
    is_title: bool = False  # a blank may be _ or +, and so may what stands around a name


class Fields(NamedTuple):
    """Fields of JSON in which names stay, or are looked for as the whole value."""

    fixed: Container[str] = ()  # words of the source's
    names: Container[str] = ()  # somebody's whole name: "Ann" is not in "Ann Marie"


EXACT = Style()
FREE = Style(any_case=True, is_title=True)


class Spellings:
    """Finds a name in texts, however it is spelled there, and puts another in its place."""

    def __init__(self, name: str, style: Style = EXACT):
        self.name, self._style = name, style
        letters = unicodedata.normalize("NFC", name)
        units = _units(_folded(name) if style.any_case else letters, style)
        self._text = re.compile("".join(_either(unit, _letter, style) for unit in units))
        forms = {name, letters, unicodedata.normalize("NFD", name)}
        self._wide = {form.encode(code) for form in forms for code in ("utf-16-le", "utf-16-be")}
        of_bytes = (_either(unit, _letter_of_bytes, style, b"") for unit in units)
        self._bytes = re.compile(b"".join(of_bytes))

    def in_text(self, text: str) -> bool:
        """Whether it stands there, be it as a part of a longer word."""
        return self._text.search(text) is not None

    def in_bytes(self, data: bytes) -> bool:
        """The same of bytes."""
        is_wide = any(wide in data for wide in self._wide)
        return is_wide or self._bytes.search(data) is not None

    def stands_in(self, text: str) -> bool:
        """Whether it stands there as a word: "ann" is not in "annual"."""
        return next(self._words(text), None) is not None

    def replaced(self, text: str, other: str) -> str:
        """A text with `other` in its place, wherever it stands as a word."""
        for start, end in reversed(list(self._words(text))):
            text = text[:start] + other + text[end:]
        return text

    def replaced_in_json(self, text: str, other: str, fields: Fields | None = None) -> str:
        """A JSON text in which the strings have `other`; all that is not the name stays as it is.

        Names of fields stay, and values as `fields` says. (`other` needs no escape.)
        """
        fields = fields or Fields()

        def change(found: re.Match) -> str:
            string, colon, value = found.groups("")
            if not colon:
                return self.replaced(string, other)
            field = string[1:-1]
            stays = field in fields.fixed
            if field in fields.names:
                stays = not self._text.fullmatch(value[1:-1])
            return string + colon + (value if stays else self.replaced(value, other))

        return _STRING.sub(change, text)

    def _words(self, text: str) -> Iterator[tuple[int, int]]:
        sites = None
        for found in self._text.finditer(text):
            start, end = found.span()
            if self._goes_on(_before(text, start)) or self._goes_on(_after(text, end)):
                continue
            if self._style.is_title:
                if sites is None:
                    sites = [site.span() for site in _SITE.finditer(text)]
                if any(first <= start < last for first, last in sites):
                    continue
            yield start, end

    def _goes_on(self, letter: str) -> bool:
        is_letter = letter.isalnum() or unicodedata.category(letter or " ")[0] == "M"
        return is_letter or (letter == "_" and not self._style.is_title)


def strings(json_text: str) -> str:
    """The strings of a JSON text, each on a line of its own."""
    return "\n".join(json.loads(found[0]) for found in _ONE.finditer(json_text))


def canonical(text: str) -> str:
    """What all spellings of a text have in common, if its source spells names freely."""
    return _folded(unescaped(text).replace("_", " ").replace("\xa0", " "))


def unescaped(text: str) -> str:
    """A text without percent-encoding, entities and escapes of JSON, however often encoded."""
    for _ in range(_ROUNDS):
        plain = unquote(text) if "%" in text else text
        plain = html.unescape(plain) if "&" in plain else plain
        if "\\" in plain:
            plain = _IN_JSON.sub(lambda at: at[2] or at[3] or chr(int(at[1], 16)), plain)
            plain = plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if plain == text:
            break
        text = plain
    return text


def _before(text: str, start: int) -> str:
    """The letter before a place, or "" at the start."""
    if escape := _BEFORE.search(text[max(0, start - _AROUND) : start]):
        return _plain(escape[0])[-1:]
    return text[start - 1 : start]


def _after(text: str, end: int) -> str:
    """The letter at a place, or "" at the end."""
    if escape := _AFTER.match(text[end : end + _AROUND]):
        return _plain(escape[0])[:1]
    return text[end : end + 1]


def _plain(escape: str) -> str:
    """What an escape, or a run of them, stands for."""
    if escape[0] == "%":
        return unquote_to_bytes(escape).decode(errors="replace")
    if escape[0] == "&":
        return html.unescape(escape)
    return chr(int(escape[2:], 16)) if escape[1] == "u" else " "


def _folded(text: str) -> str:
    """A text in which case makes no difference (the Unicode standard, 3.13, caseless matching)."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


@cache
def _unfolded() -> dict[str, list[str]]:
    """The letters that folding makes something else of: by that, which may be several letters."""
    letters: dict[str, list[str]] = {}
    for letter in map(chr, range(_CASED)):
        if (folded := letter.casefold()) != letter:
            letters.setdefault(folded, []).append(letter)
    return letters


def _units(letters: str, style: Style) -> list[list[str]]:
    """A name in pieces, each with the letters that may stand for it: ss, and ß for it."""
    units, i = [], 0
    while i < len(letters):
        sizes = (3, 2) if style.any_case else ()
        size = next((n for n in sizes if letters[i : i + n] in _unfolded()), 1)
        unit = letters[i : i + size]
        units.append([unit, *(_unfolded()[unit] if size > 1 else ())])
        i += size
    return units


def _either(unit: list[str], of_letter: Callable, style: Style, nothing=""):
    """A pattern for any of these."""
    patterns = [nothing.join(of_letter(c, style) for c in letters) for letters in unit]
    if len(patterns) == 1:
        return patterns[0]
    return f"(?:{'|'.join(patterns)})" if nothing == "" else b"(?:" + b"|".join(patterns) + b")"


def _forms(letter: str, style: Style) -> list[str]:
    """The sequences of characters that may stand for a letter."""
    cased = {letter}
    if style.any_case:
        cased |= {letter.lower(), letter.upper(), letter.title(), *_unfolded().get(letter, ())}
    if style.is_title and letter in _BLANKS:
        cased |= set(_BLANKS)
    normal = {unicodedata.normalize(form, c) for c in cased for form in ("NFC", "NFD")}
    return sorted(cased | normal)


@cache
def _letter(letter: str, style: Style) -> str:
    """A pattern for all spellings of a letter.

    It is one list of alternatives that begin with a literal each: re searches for those fast.
    """
    patterns = {}
    for form in _forms(letter, style):
        rest = "".join(f"(?:{'|'.join(_character(c))})" for c in form[1:])
        patterns |= {first + rest: None for first in _character(form[0])}
    if style.is_title and letter in _BLANKS:
        patterns[r"\+"] = None
    return f"(?:{'|'.join(patterns)})"


@cache
def _letter_of_bytes(letter: str, style: Style) -> bytes:
    patterns = {}
    for form in _forms(letter, style):
        rest = b"".join(b"(?:" + b"|".join(_character_of_bytes(c)) + b")" for c in form[1:])
        patterns |= {first + rest: None for first in _character_of_bytes(form[0])}
    if style.is_title and letter in _BLANKS:
        patterns[rb"\+"] = None
    return b"(?:" + b"|".join(patterns) + b")"


def _character(c: str) -> list[str]:
    # (what begins an escape may be one that stands for itself: that comes first)
    return [*_escapes(c), re.escape(c)] if c in "&%" else [re.escape(c), *_escapes(c)]


def _character_of_bytes(c: str) -> list[bytes]:
    literal = {c.encode(errors="surrogatepass"), c.encode("latin-1", errors="ignore")} - {b""}
    literals = list(map(re.escape, sorted(literal)))
    escapes = [escape.encode() for escape in _escapes(c)]
    return [*escapes, *literals] if c in "&%" else [*literals, *escapes]


def _escapes(c: str) -> list[str]:
    """Patterns for a character in JSON, addresses and HTML; each in ASCII."""
    units = c.encode("utf-16-be", errors="surrogatepass").hex()
    halves = [units[i : i + 4] for i in range(0, len(units), 4)]
    code = ord(c)
    escapes = [
        "".join(rf"\\\\*u{_hex(half)}" for half in halves),
        "".join(f"%(?:25)*{_hex(f'{b:02x}')}" for b in c.encode(errors="surrogatepass")),
        rf"&(?:amp;)*#0*{code};",
        rf"&(?:amp;)*#[xX]0*{_hex(f'{code:x}')};",
    ]
    escapes += [f"&(?:amp;)*{re.escape(name)}" for name in _entities().get(c, ())]
    if c in _SHORT:
        escapes.append(rf"\\\\*{re.escape(_SHORT[c])}")
    return escapes


def _hex(digits: str) -> str:
    """Hexadecimal digits in either case."""
    return "".join(d if d.isdigit() else f"[{d}{d.upper()}]" for d in digits)


@cache
def _entities() -> dict[str, list[str]]:
    """The names of characters in HTML, with the semicolon."""
    names: dict[str, list[str]] = {}
    for name, text in html5.items():
        if name.endswith(";") and len(text) == 1:
            names.setdefault(text, []).append(name)
    return names
