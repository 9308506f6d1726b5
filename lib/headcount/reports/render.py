"""The formats in which a report is printed."""

import csv
import io
import json
import re
from collections.abc import Sequence

from headcount.values import tsv

Rows = Sequence[Sequence]

# A spreadsheet takes a cell that starts so for a formula: https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def table(columns: Sequence[str], rows: Rows) -> str:
    """For people, in a terminal."""
    return _tabulate(columns, rows, "simple")


def markdown(columns: Sequence[str], rows: Rows) -> str:
    """A table for a README or an issue."""
    safe = [[_markdown_cell(cell) for cell in row] for row in rows]
    return _tabulate(columns, safe, "pipe")


def _markdown_cell(cell):
    if not isinstance(cell, str):
        return cell
    return cell.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _tabulate(columns, rows, style):
    import tabulate

    tabulate.PRESERVE_WHITESPACE = True
    visible = [[one_line(cell) for cell in row] for row in rows]
    # numbers are aligned by what they are; a text of digits stays as it is
    align = [
        "right" if any(isinstance(row[i], int | float) for row in rows) else "left"
        for i in range(len(columns))
    ]
    text = tabulate.tabulate(
        visible, columns, style, disable_numparse=True, colalign=align if rows else None
    )
    return text + "\n"


def one_line(cell):
    """A cell without control characters, which could move the cursor or hide text."""
    if cell is None:
        return ""
    text = str(cell)
    return text if text.isprintable() else repr(text)[1:-1]


def tsv_text(columns: Sequence[str], rows: Rows) -> str:
    """As between filters, with a header."""
    return b"".join(tsv.row(*row) for row in (columns, *rows)).decode()


def csv_text(columns: Sequence[str], rows: Rows, *, raw: bool = False) -> str:
    """RFC 4180, with a header. A text that a spreadsheet would run gets a ' before it, unless
    `raw`; numbers stay numbers."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    for row in (columns, *rows):
        writer.writerow([cell if raw else _neutral(cell) for cell in row])
    return out.getvalue()


_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def neutral_csv(text: str) -> str:
    """CSV of which nobody knows any more what was a number: what looks like one stays."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    for row in csv.reader(io.StringIO(text, newline="")):
        writer.writerow([cell if _NUMBER.fullmatch(cell) else _neutral(cell) for cell in row])
    return out.getvalue()


def _neutral(cell):
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def json_text(columns: Sequence[str], rows: Rows) -> str:
    """A list of objects, one a line."""
    lines = (
        json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False, default=bytes.hex)
        for row in rows
    )
    return "[" + ",\n ".join(lines) + "]\n"
