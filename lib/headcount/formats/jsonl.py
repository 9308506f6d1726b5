"""JSON Lines by the letter: UTF-8, one value a line, RFC 8259, typed records of msgspec."""

from __future__ import annotations

import codecs
import decimal
import json
import re
from collections.abc import Callable, Sequence

import msgspec

from headcount.filters.recognised import Kind
from headcount.filters.rejects import Reject
from headcount.io.blocks import BOM, All, Some
from headcount.values.search import is_ascii

NOT_JSON = "not JSON"  # the reason of a line that no parser of JSON takes


def record(decode: Callable, line: bytes, *, may_have_mark: bool = True) -> object | Reject:
    """What a line holds, by the `decode` of a msgspec decoder; a Reject for a bad line.

    One byte order mark before it is passed over: where files were joined, each may begin with one.
    """
    try:
        value = decode(line)
        if not line.isascii():
            line.decode()
    except msgspec.ValidationError as error:
        return Reject("wrong type", str(error))
    except UnicodeDecodeError:
        return _not_utf8(line)
    except (msgspec.DecodeError, ValueError) as error:
        if may_have_mark and line.startswith(BOM):
            return record(decode, line.removeprefix(BOM), may_have_mark=False)
        if "UTF-8" in str(error):
            return _not_utf8(line)
        return Reject(NOT_JSON, str(error).removeprefix("JSON is malformed: "))
    except RecursionError:
        return Reject("nested too deeply")
    return value


def records(decode_lines: Callable, lines: All | Some) -> list | None:
    """What many lines hold, by `decode_lines`; None if even one needs a look of its own."""
    text, count = lines.text, lines.count
    # Every newline between } and { ends a value, for neither stands so within one.
    if text.count(b"}\n{") != count - 1 or not text.startswith(b"{"):
        return None
    try:
        if not is_ascii(text):
            codecs.utf_8_decode(text)
        values = decode_lines(text)
    except (ValueError, RecursionError):
        return None
    return values if len(values) == count else None


def records_again(decode_lines: Callable, lines: All | Some) -> list | None:
    """The same by another decoder, for lines that `records` has taken; None where it takes not all
    of them. (Whether they are UTF-8 is known.)"""
    try:
        values = decode_lines(lines.text)
    except (ValueError, RecursionError):
        return None
    return values if len(values) == lines.count else None


def _not_utf8(line: bytes) -> Reject:
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return Reject("not UTF-8", f"byte {error.start + 1} of the line")
    raise AssertionError("the parser was stricter than Python")


def kind(what: str, keys: Sequence[str], least: int, *more: str) -> Kind:
    """JSON Lines of what has these keys: so many at least make a line look like one.

    (A look at the bytes is enough, and works for a line that was cut off.) `more` are other forms
    in which it may come.
    """
    quoted = [f'"{key}"'.encode() for key in keys]

    def is_like(line: bytes) -> bool:
        return line.lstrip().startswith(b"{") and sum(key in line for key in quoted) >= least

    forms = [*more, f"JSON Lines with the keys {', '.join(keys)}"]
    return Kind(f"{what} ({' or '.join(forms)})", is_like, described)


def described(head: bytes) -> str:
    """What an input looks like that starts so."""
    from headcount.formats import looks  # rarely needed

    return looks.described(head)


# A \u escape of half a character; pairs of them, and backslashes that are escaped, are passed over.
_HALF = re.compile(
    rb"\\(?:\\|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F]))"
)
# More than Python makes an integer of: https://docs.python.org/3/library/stdtypes.html#int-max-str-digits
_MANY_DIGITS = re.compile(rb"[0-9]{4301}")


def decode_any(line: bytes) -> object:
    """What a line of JSON holds, as Python objects, whatever its depth and its numbers: for the
    rare line in which typed decoders give up (at some 1,000 levels, or beyond floats).

    A number that no Decimal takes is a msgspec.Raw, as it is written. Raises ValueError if the line
    is not RFC 8259's.
    """
    # the parsers would put a question mark, or let it be
    if any(match[1] for match in _HALF.finditer(line)):
        raise ValueError("half of a surrogate pair")
    text = line.decode()
    try:
        return json.loads(text, parse_float=_number, parse_int=_number, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise ValueError(error.msg) from None
    except RecursionError:
        return _decode_deep(line)


def _number(text: str) -> int | decimal.Decimal | msgspec.Raw:
    try:
        return int(text)
    except ValueError:  # a fraction, or more digits than Python makes an integer of
        pass
    try:
        return decimal.Decimal(text)
    except decimal.InvalidOperation:
        return msgspec.Raw(text.encode())


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _decode_deep(line: bytes) -> object:
    import ijson  # rarely needed

    # ijson's own backend in C crashes (3.6.0) at an integer that Python refuses to convert
    parser = ijson.get_backend("python") if _MANY_DIGITS.search(line) else ijson
    builder = ijson.ObjectBuilder()
    try:
        for event, value in parser.basic_parse(line, use_float=False):
            builder.event(event, value)
    except (ijson.JSONError, ijson.IncompleteJSONError) as error:
        raise ValueError(str(error).partition("\n")[0].strip()[:100]) from None
    except decimal.InvalidOperation:
        raise ValueError("a number beyond all bounds, nested deeply") from None
    return builder.value
