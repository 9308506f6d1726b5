"""The ways to print a report: each a function of column names and rows that returns text."""

import csv
import io
import json
import math
import shutil
from collections.abc import Sequence

from headcount import tsv

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
    visible = [[_one_line(cell) for cell in row] for row in rows]
    # numbers are aligned by what they are; a text of digits stays as it is
    align = [
        "right" if any(isinstance(row[i], int | float) for row in rows) else "left"
        for i in range(len(columns))
    ]
    text = tabulate.tabulate(
        visible, columns, style, disable_numparse=True, colalign=align if rows else None
    )
    return text + "\n"


def _one_line(cell):
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


def _neutral(cell):
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def json_text(columns: Sequence[str], rows: Rows) -> str:
    """A list of objects, one a line."""
    lines = (
        json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False, default=bytes.hex)
        for row in rows
    )
    return "[" + ",\n ".join(lines) + "]\n"


def chart(labels: Sequence[str], values: Sequence[float], title: str, *, colour: bool) -> str:
    """Bars for a terminal: one a label, the newest where they do not all fit."""
    if not labels:
        return "no rows\n"
    import plotext

    width = min(shutil.get_terminal_size((80, 24)).columns, 120)
    fits = max(1, (width - 12) // 2)
    note = ""
    if len(labels) > fits:
        note = f"; the last {fits} of {len(labels)}"
        labels, values = labels[-fits:], values[-fits:]
    plotext.clear_figure()
    plotext.plotsize(width, 18)
    plotext.title(title + note)
    positions = list(range(len(labels)))
    plotext.bar(positions, values, width=0.7, color="blue")
    step = _step(max([*values, 1]))
    top = math.ceil(max([*values, 1]) / step) * step
    plotext.yticks(range(0, top + 1, step))
    plotext.ylim(0, top)
    every = math.ceil(len(labels) * 12 / (width - 12)) or 1
    ticks = positions[::every]
    plotext.xticks(ticks, [str(labels[i]) for i in ticks])
    plotext.canvas_color("default")  # the terminal's own, be it dark or light
    plotext.axes_color("default")
    plotext.ticks_color("default")
    text = plotext.build()
    return (text if colour else plotext.uncolorize(text)).rstrip("\n") + "\n"


def _step(top: float) -> int:
    """A round distance of ticks, for about five of them: 1, 2 or 5 times a power of ten."""
    power = 10 ** int(math.log10(max(top / 5, 1)))
    return next(power * times for times in (1, 2, 5, 10) if power * times * 6 > top)
