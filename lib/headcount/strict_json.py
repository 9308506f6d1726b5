"""JSON Lines by the letter: UTF-8, one value a line, RFC 8259, and typed records of msgspec."""

from collections.abc import Callable

import msgspec

from headcount.lines import All, Some
from headcount.rejects import Reject
from headcount.search import is_ascii


def record(decode: Callable, line: bytes) -> object | Reject:
    """What a line holds, by the `decode` of a msgspec decoder; a Reject for a bad line."""
    try:
        found = decode(line)
        if not line.isascii():
            line.decode()
    except msgspec.ValidationError as error:
        return Reject("wrong type", str(error))
    except UnicodeDecodeError:
        return _not_utf8(line)
    except (msgspec.DecodeError, ValueError) as error:
        return Reject("not JSON", str(error).removeprefix("JSON is malformed: "))
    except RecursionError:
        return Reject("nested too deeply")
    return found


def records(decode_lines: Callable, lines: All | Some) -> list | None:
    """What many lines hold, by `decode_lines`; None if even one needs a look of its own."""
    text, count = lines.text, lines.count
    # Every newline between } and { ends a value, for neither stands so within one.
    if text.count(b"}\n{") != count - 1 or not text.startswith(b"{"):
        return None
    try:
        if not is_ascii(text):
            bytes(text).decode()
        found = decode_lines(text)
    except (ValueError, RecursionError):
        return None
    return found if len(found) == count else None


def _not_utf8(line: bytes) -> Reject:
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return Reject("not UTF-8", f"byte {error.start + 1} of the line")
    raise AssertionError("the parser was stricter than Python")
