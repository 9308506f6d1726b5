"""The rows between filters: PostgreSQL's COPY text format.

Columns are separated by tabs; backslash, tab, newline and carriage return are written as \\\\,
\\t, \\n and \\r; null is \\N. Source: https://www.postgresql.org/docs/current/sql-copy.html
"""

import re

NULL = b"\\N"

_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_ESCAPE = str.maketrans(_ESCAPES)
_UNESCAPES = {written: char for char, written in _ESCAPES.items()}


def escape(text: str) -> str:
    """The text as it stands in a column."""
    return text if text.isalnum() else text.translate(_ESCAPE)


def unescape(text: str) -> str | None:
    """The text of a column, None for null. An unknown escape stands for itself."""
    if "\\" not in text:
        return text
    if text == "\\N":
        return None
    return re.sub(r"\\.", lambda match: _UNESCAPES.get(match[0], match[0]), text)


def row(*columns: str | int | None) -> bytes:
    """One line of the given columns."""
    texts = ("\\N" if column is None else escape(str(column)) for column in columns)
    return ("\t".join(texts) + "\n").encode()


def shown(path: str) -> str:
    """What a message, which is one line, calls an input."""
    return "stdin" if path == "-" else escape(path)
