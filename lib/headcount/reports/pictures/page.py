"""A report as one page of HTML that needs nothing else: no script, no font, no server."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence

from headcount.reports import render
from headcount.reports.pictures.marks import GRID, INK, PALETTE, PAPER, QUIET, TARGET

# Numbers that name something are not grouped.
_NAMES = re.compile(r"(^|_)(id|year|number|port|status)$")
_LONG = 60  # characters that are broken into lines

_STYLE = f"""
:root {{ color-scheme: light dark; --ink: {INK}; --quiet: {QUIET}; --line: {GRID};
  --paper: {PAPER}; }}
body {{ margin: 2rem auto; max-width: 62rem; padding: 0 1rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }}
h1 {{ font-size: 1.5rem; line-height: 1.25; overflow-wrap: anywhere; }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: 0 1rem; color: var(--quiet); }}
dd {{ margin: 0; color: var(--ink); overflow-wrap: anywhere; }}
.notes {{ padding-left: 1.2rem; }}
.wide {{ overflow-x: auto; }}
svg {{ display: block; max-width: 100%; min-width: 34rem; height: auto; overflow: visible; }}
table {{ border-collapse: collapse; margin: 1.5rem 0; font-variant-numeric: tabular-nums; }}
caption {{ text-align: left; color: var(--quiet); }}
th, td {{ padding: .2rem .9rem .2rem 0; text-align: left; vertical-align: top; white-space: nowrap;
  border-bottom: 1px solid var(--line); }}
.number {{ text-align: right; }}
.long {{ display: block; width: 30rem; white-space: normal; overflow-wrap: anywhere; }}
@media screen and (prefers-color-scheme: dark) {{
  :root {{ --ink: #e6edf3; --quiet: #9da7b1; --line: #3d444d; --paper: #15191e; }}
  svg [fill="{INK}"], svg [fill="#000000"] {{ fill: var(--ink); }}
  svg [stroke="#000000"] {{ stroke: var(--ink); }}
  svg [fill="{QUIET}"] {{ fill: var(--quiet); }}
  svg [stroke="{QUIET}"] {{ stroke: var(--quiet); }}
  svg [fill="{GRID}"] {{ fill: var(--line); }}
  svg [stroke="{GRID}"] {{ stroke: var(--line); }}
  svg [fill="{PAPER}"] {{ fill: var(--paper); }}
  svg [fill="{PALETTE[0]}"] {{ fill: #2f86d6; }}
  svg [stroke="{PALETTE[0]}"] {{ stroke: #2f86d6; }}
  svg [fill="{TARGET}"] {{ fill: #ff8a80; }}
  svg [stroke="{TARGET}"] {{ stroke: #ff8a80; }}
}}
@media print {{
  body {{ margin: 0; max-width: none; font-size: 10pt; }}
  .wide {{ overflow: visible; }}
  svg {{ min-width: 0; }}
  thead {{ display: table-header-group; }}
  tr, svg {{ break-inside: avoid; }}
}}
"""
# Even if a text were not escaped, no browser would run it or fetch what it names.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(
    title: str,
    facts: Mapping[str, str],
    columns: Sequence[str],
    rows: Sequence[Sequence],
    *,
    figure: str = "",
    notes: Sequence[str] = (),
) -> str:
    """The page: the title, what is shown, the chart (an SVG), its notes, the table of all rows."""
    shown = "".join(f"<dt>{_text(name)}</dt><dd>{_text(facts[name])}</dd>" for name in facts)
    listed = "".join(f"<li>{_text(note)}</li>" for note in notes)
    parts = [
        f"<h1>{_text(title)}</h1>",
        f"<dl>{shown}</dl>",
        f'<div class="wide" tabindex="0" role="group" aria-label="Chart">{figure}</div>'
        if figure
        else "",
        f'<ul class="notes">{listed}</ul>' if listed else "",
        _table(columns, rows),
    ]
    body = "\n".join(part for part in parts if part)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _table(columns: Sequence[str], rows: Sequence[Sequence]) -> str:
    numeric = [any(isinstance(row[i], int | float) for row in rows) for i in range(len(columns))]
    marks = [' class="number"' if is_number else "" for is_number in numeric]
    heads = [
        f'<th scope="col"{mark}>{_text(name)}</th>'
        for name, mark in zip(columns, marks, strict=True)
    ]
    lines = [
        "<tr>"
        + "".join(
            f"<td{mark}>{_cell(name, cell)}</td>"
            for name, cell, mark in zip(columns, row, marks, strict=True)
        )
        + "</tr>"
        for row in rows
    ]
    count = "1 row" if len(rows) == 1 else f"{len(rows):,} rows"
    return (
        f'<div class="wide" tabindex="0" role="group" aria-label="Table"><table>'
        f"<caption>{count}</caption>\n<thead><tr>{''.join(heads)}</tr></thead>\n<tbody>\n"
        + "\n".join(lines)
        + "\n</tbody></table></div>"
    )


def _cell(column: str, cell: object) -> str:
    """A number grouped, unless it is a name; a text in its own direction of writing."""
    if isinstance(cell, int | float):
        return str(cell) if _NAMES.search(column) else f"{cell:,}"
    text = _text(cell)
    long = ' class="long"' if len(text) > _LONG else ""
    return f"<bdi{long}>{text}</bdi>" if text else ""


def _text(value: object) -> str:
    return html.escape(render.one_line(value))
