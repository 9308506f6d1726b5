"""Values in files of events with metrics: integers or times, alone or by the column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec

LEAST, MOST = -(1 << 63), (1 << 63) - 1  # what SQLite takes for an integer
_EXACT = 1 << 53  # from here on a floating point number may stand for several integers
_INTEGER = re.compile(r"([+-]?[0-9]+)(?:\.0*)?", re.ASCII)
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[ T]((?:[01][0-9]|2[0-3])(?::[0-5][0-9]){2})(\.[0-9]+)?"
)
_DIGITS = b"0123456789"
Integer = Annotated[int, msgspec.Meta(ge=LEAST, le=MOST)]  # for msgspec
_decode_integers = msgspec.json.Decoder(list[Integer]).decode


def integers(texts: Sequence[str]) -> list[int]:
    """Raises an error unless all are such as nearly all are: some digits."""
    together = ",".join(texts)
    digits = together.replace(",", "").replace("-", "")
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError
    return _decode_integers(f"[{together}]")


def integer(text: str) -> int:
    """Raises ValueError for a text that is no integer, or too large a one."""
    match = _INTEGER.fullmatch(text)
    if not match or len(text) > 40:
        raise ValueError
    return _in_range(int(match[1]))


def value_of(raw: msgspec.Raw) -> object:
    """The value of any metric; a number beyond floats is infinite, and what holds one is empty."""
    try:
        return msgspec.json.decode(raw)
    except msgspec.ValidationError:
        written = bytes(raw).strip()
        return {b"{": {}, b"[": []}[written[:1]] if written[:1] in b"{[" else float(written)


def known(value: object) -> int | None:
    """The value of a metric with a column: an integer, however JSON says it, or null.

    Raises ValueError for any other.
    """
    if type(value) is str:
        return integer(value)
    if type(value) is float and value.is_integer() and abs(value) < _EXACT:
        value = int(value)
    if type(value) is int:
        return _in_range(value)
    if value is None:
        return None
    raise ValueError


def _in_range(value: int) -> int:
    if not LEAST <= value <= MOST:
        raise ValueError
    return value


def times(texts: Sequence[str]) -> Sequence[str]:
    """Raises ValueError unless all are such as nearly all are: to the second, spelled alike."""
    together = "".join(texts).encode()
    marks = together.translate(None, _DIGITS)
    for between in (b" ", b"T"):
        if marks == b"--%b::" % between * len(texts) and set(map(len, texts)) == {19}:
            # (Times are never false. From 3.13 on, Python takes 24:00:00.)
            if between + b"24" in together or not all(map(datetime.fromisoformat, texts)):
                raise ValueError
            return texts if between == b" " else [text.replace("T", " ") for text in texts]
    raise ValueError


def time(text: str) -> str:
    """A time as YYYY-MM-DD HH:MM:SS[.f], of no zone. Raises ValueError for any other."""
    match = _TIME.fullmatch(text)
    if not match:
        raise ValueError
    datetime.fromisoformat(match[1])
    fraction = (match[3] or "").rstrip("0")
    return f"{match[1]} {match[2]}{fraction if fraction != '.' else ''}"
