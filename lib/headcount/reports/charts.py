"""What a report looks like in a terminal: bars, lines, or numbers spread out as a matrix."""

from __future__ import annotations

import math
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace

from headcount.errors import USAGE, Failure
from headcount.reports import render
from headcount.reports.catalogue import Chart, Report

_COLOURS = ("blue", "orange", "green")
_MARKERS = ("█", "▒", "░")  # where there are no colours
_LINES = ("blue", "orange", "green", "red", "magenta", "cyan", "yellow", "gray")
_LONGEST = 30  # characters of a value
_HEIGHT = 18
_JOINED = "\xa0"  # a space where no line is broken
_APART = 12  # texts that fit above each other


def of(report: Report, params: Mapping[str, str], target: float | None) -> Chart:
    """The chart of a report; by the values of a field, of one value, or with a line for each.

    Raises Failure 2 if it has none, if there would be several lines for each value, and for a
    target on what has no axis.
    """
    chart = report.chart_of(params)
    if not chart:
        raise Failure(f"{report.name} is not a series, so it has no chart", USAGE)
    if target is not None and chart.across:
        raise Failure(f"--target: {report.name} has a matrix, not a chart with an axis", USAGE)
    field, value = params.get(report.by), params.get("value")
    if not field:
        return chart
    if value:
        return replace(chart, title=f"{chart.title}, {short(field)} {short(value)}")
    if chart.across or len(chart.values) > 1:
        text = f"{report.name} has a chart for one value, not for all of {field} at once"
        raise Failure(f"{text}; name one with value=VALUE", USAGE)
    title = f"{chart.title}, by {short(field)}"
    return replace(chart, title=title, across="value", lines=True)


def text(
    chart: Chart,
    columns: Sequence[str],
    rows: Sequence[Sequence],
    *,
    colour: bool,
    target: float | None = None,
) -> str:
    """The rows of a report as its chart, with a line at the target."""
    if not rows:
        return "no rows\n"

    def column(name: str) -> list:
        at = columns.index(name)
        return [row[at] for row in rows]

    labels, values = column(chart.labels), [column(name) for name in chart.values]
    if chart.lines:
        return _lines(labels, column(chart.across), values[0], chart, colour, target)
    if chart.across:
        return _matrix(labels, column(chart.across), values[0], chart)
    return _bars(labels, values, chart, colour, target)


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


def _bars(
    labels: list, series: list[list], chart: Chart, colour: bool, target: float | None
) -> str:
    """Bars: one a label and series, the newest where they do not all fit."""
    import plotext

    fits = max(1, _room(target) // (2 if chart.whole else 1 + len(series)))
    note = ""
    if len(labels) > fits:
        note = f"; the last {fits} of {len(labels)}"
        labels, series = labels[-fits:], [values[-fits:] for values in series]
    names = [name.replace("_", " ") for name in chart.values]
    if len(series) > 1 and not colour:
        note += "".join(f"; {mark} {name}" for mark, name in zip(_MARKERS, names, strict=False))
    _begin()
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
    return _drawn(chart.title + note, labels, highest, colour, target)


def _lines(
    labels: list, names: list, values: list, chart: Chart, colour: bool, target: float | None
) -> str:
    """Lines of the first names; the newest labels where they do not all fit. A label that a name
    does not have counts as 0: reports leave out days without users."""
    import plotext

    shown = list(dict.fromkeys(names))
    first = shown[: len(_LINES)]
    cells = {
        (name, label): value
        for name, label, value in zip(names, labels, values, strict=True)
        if name in first
    }
    labels = list(dict.fromkeys(labels))
    if chart.labels == "date":
        labels.sort()
    note, room = "", _room(target)
    if len(shown) > len(first):
        note = f"; the {len(first)} of {len(shown)} values with the most users"
    if len(labels) > room:
        note += f"; the last {room} of {len(labels)}"
        labels = labels[-room:]
    _begin()
    keys, highest = [], 0
    for i, name in reversed(list(enumerate(first))):  # the first one lies above the others
        mark = chr(ord("A") + i)
        line = [cells.get((name, label)) or 0 for label in labels]
        highest = max(highest, *line)
        plotext.plot(list(range(len(labels))), line, marker=mark, color=_LINES[i])
        keys.insert(0, f"{mark} {short(name)}".replace(" ", _JOINED))
    drawn = _drawn(chart.title + note, labels, highest, colour, target)
    legend = textwrap.fill("   ".join(keys), _width(), break_on_hyphens=False)
    return f"{drawn}{legend.replace(_JOINED, ' ')}\n"


def short(text: str) -> str:
    """For a title or a legend: printable, something, and not long."""
    shown = render.one_line(text) or "(empty)"
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"


def _ticks(highest: float, target: float | None) -> dict[float, str]:
    """Of the axis: the text at each value. It begins at 0 and reaches the target, too."""
    highest = max(highest, target or 0, 1)
    step = _step(highest)
    top = math.ceil(highest / step) * step
    if target is None:
        return {value: str(value) for value in range(0, top + 1, step)}
    if (top - target) * _APART < top:
        top += step
    apart = [at for at in range(0, top + 1, step) if abs(at - target) * _APART > top]
    return {at: str(at) for at in apart} | {target: _name(target)}


def _name(target: float) -> str:
    return f"target {target:.12g}"


def _room(target: float | None) -> int:
    """Characters of a line of the chart that are left beside its axis."""
    return _width() - 12 if target is None else _width() - 4 - max(8, len(_name(target)))


def _begin() -> None:
    import plotext

    plotext.clear_figure()
    plotext.plotsize(_width(), _HEIGHT)


def _drawn(title: str, labels: list, highest: float, colour: bool, target: float | None) -> str:
    """What was plotted, with its title and axes."""
    import plotext

    plotext.title(title)
    ticks = _ticks(highest, target)
    plotext.yticks(list(ticks), list(ticks.values()))
    plotext.ylim(0, max(ticks))
    if target is not None:
        plotext.hline(target, "red")
    width = max(map(len, map(str, labels))) + 2
    every = math.ceil(len(labels) * width / _room(target)) or 1
    shown = range(0, len(labels), every)
    plotext.xticks(list(shown), [str(labels[i]) for i in shown])
    plotext.canvas_color("default")  # the terminal's own, be it dark or light
    plotext.axes_color("default")
    plotext.ticks_color("default")
    drawn = plotext.build()
    plain = plotext.uncolorize(drawn)
    # Of a title that is too long for it, plotext shows nothing.
    above = "" if title.strip() in plain else textwrap.fill(title, _width()) + "\n"
    return above + (drawn if colour else plain).rstrip("\n") + "\n"


def _step(top: float) -> int:
    """A round distance of ticks, for about five of them: 1, 2 or 5 times a power of ten."""
    power = 10 ** int(math.log10(max(top / 5, 1)))
    return next(power * times for times in (1, 2, 5, 10) if power * times * 6 > top)
