"""JSON of any depth, for the rare line in which typed decoders give up (at some 1,000 levels)."""

from __future__ import annotations

import re

# A \u escape of half a character; pairs of them, and backslashes that are escaped, are passed over.
_HALF = re.compile(
    rb"\\(?:\\|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F]))"
)
# More than Python makes an integer of: https://docs.python.org/3/library/stdtypes.html#int-max-str-digits
_MANY_DIGITS = re.compile(rb"[0-9]{4301}")


def decode(line: bytes) -> object:
    """What a line of JSON holds, as Python objects. Raises ValueError if it is not RFC 8259's."""
    import ijson  # rarely needed

    # the parser would put a question mark
    if any(found[1] for found in _HALF.finditer(line)):
        raise ValueError("half of a surrogate pair")
    line.decode()
    # ijson's own backend in C crashes (3.6.0) at an integer that Python refuses to convert
    parser = ijson.get_backend("python") if _MANY_DIGITS.search(line) else ijson
    builder = ijson.ObjectBuilder()
    try:
        for event, value in parser.basic_parse(line, use_float=False):
            builder.event(event, value)
    except (ijson.JSONError, ijson.IncompleteJSONError) as error:
        raise ValueError(str(error).partition("\n")[0].strip()[:100]) from None
    return builder.value
