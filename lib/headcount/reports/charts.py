"""What a report looks like in a terminal: bars, or numbers spread out as a matrix."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence

from headcount.reports import render
from headcount.reports.catalogue import Chart

_COLOURS = ("blue", "orange", "green")
_MARKERS = ("█", "▒", "░")  # where there are no colours


def text(chart: Chart, columns: Sequence[str], rows: Sequence[Sequence], *, colour: bool) -> str:
    """The rows of a report as its chart."""
    if not rows:
        return "no rows\n"

    def column(name: str) -> list:
        at = columns.index(name)
        return [row[at] for row in rows]

    labels, values = column(chart.labels), [column(name) for name in chart.values]
    if chart.across:
        return _matrix(labels, column(chart.across), values[0], chart)
    return _bars(labels, values, chart, colour=colour)


def _width() -> int:
    return min(shutil.get_terminal_size((80, 24)).columns, 120)


def _matrix(down: list, across: list, values: list, chart: Chart) -> str:
    """A row for each label; of the columns the first, as many as there is room for."""
    cells = {(row, column): value for row, column, value in zip(down, across, values, strict=True)}
    rows, columns = list(dict.fromkeys(down)), sorted(set(across))
    shown = [[row, *(_cell(cells.get((row, column))) for column in columns)] for row in rows]
    room = _width() - max(len(str(row)) for row in (chart.labels, *rows))
    widest = max(len(cell) for row in shown for cell in row[1:])
    fits = max(1, room // (2 + max(widest, *(len(str(column)) + 2 for column in columns))))
    note = f" (the first {fits} of {len(columns)} columns)" if fits < len(columns) else ""
    head = [chart.labels, *map(str, columns[:fits])]
    table = render.table(head, [row[: fits + 1] for row in shown])
    return f"{chart.title}{note}\n\n{table}"


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"


def _bars(labels: list, series: list[list], chart: Chart, *, colour: bool) -> str:
    """Bars: one a label and series, the newest where they do not all fit."""
    import plotext

    width = _width()
    fits = max(1, (width - 12) // (2 if chart.whole else 1 + len(series)))
    note = ""
    if len(labels) > fits:
        note = f"; the last {fits} of {len(labels)}"
        labels, series = labels[-fits:], [values[-fits:] for values in series]
    names = [name.replace("_", " ") for name in chart.values]
    if len(series) > 1 and not colour:
        note += "".join(f"; {mark} {name}" for mark, name in zip(_MARKERS, names, strict=False))
    plotext.clear_figure()
    plotext.plotsize(width, 18)
    plotext.title(chart.title + note)
    positions = list(range(len(labels)))
    look = {"color": list(_COLOURS[: len(series)])}
    if len(series) > 1:
        look |= {"labels": names} if colour else {"marker": list(_MARKERS[: len(series)])}
    if len(series) == 1:
        plotext.bar(positions, series[0], width=0.7, color=_COLOURS[0])
    elif chart.whole:
        plotext.stacked_bar(positions, series, width=0.7, **look)
    else:
        plotext.multiple_bar(positions, series, width=0.8, **look)
    highest = max(map(sum, zip(*series, strict=True))) if chart.whole else max(map(max, series))
    step = _step(max(highest, 1))
    top = math.ceil(max(highest, 1) / step) * step
    plotext.yticks(range(0, top + 1, step))
    plotext.ylim(0, top)
    every = math.ceil(len(labels) * (max(map(len, map(str, labels))) + 2) / (width - 12)) or 1
    ticks = positions[::every]
    plotext.xticks(ticks, [str(labels[i]) for i in ticks])
    plotext.canvas_color("default")  # the terminal's own, be it dark or light
    plotext.axes_color("default")
    plotext.ticks_color("default")
    drawn = plotext.build()
    return (drawn if colour else plotext.uncolorize(drawn)).rstrip("\n") + "\n"


def _step(top: float) -> int:
    """A round distance of ticks, for about five of them: 1, 2 or 5 times a power of ten."""
    power = 10 ** int(math.log10(max(top / 5, 1)))
    return next(power * times for times in (1, 2, 5, 10) if power * times * 6 > top)
