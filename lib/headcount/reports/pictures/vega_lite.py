"""The Vega-Lite specification of a report's chart: what a static picture of it shows."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

from headcount.errors import USAGE, Failure
from headcount.reports.catalogue import Chart
from headcount.reports.charts import short
from headcount.reports.pictures import day_layers
from headcount.reports.pictures.known_days import KnownDays, is_day
from headcount.reports.pictures.marks import (
    GRID,
    INK,
    PALETTE,
    PAPER,
    QUIET,
    colours,
    layer,
    number,
    target_layers,
    value_axis,
)

_WIDTH = 720
_TITLE_WIDTH, _NOTE_WIDTH = 84, 118  # characters
_BARS, _COHORTS, _PERIODS = 40, 40, 53  # as many as can be read
_ROOMY = 34  # pixels of a cell whose number has room in it

_CONFIG = {
    "font": "Liberation Sans, Arial, Helvetica, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": INK,
        "titleColor": INK,
        "titleFontWeight": "normal",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titlePadding": 10,
        "gridColor": GRID,
        "domainColor": QUIET,
        "tickColor": QUIET,
        "labelLimit": 260,
        "maxExtent": 300,
    },
    "title": {
        "anchor": "start",
        "color": INK,
        "fontSize": 17,
        "subtitleColor": QUIET,
        "subtitleFontSize": 12,
        "subtitlePadding": 6,
        "offset": 16,
    },
    "legend": {
        "labelColor": INK,
        "labelFontSize": 12,
        "labelLimit": 230,
        "orient": "top",
        "direction": "horizontal",
        "columns": 3,
        "columnPadding": 36,  # readers' fonts may be wider
        "symbolType": "square",
        "symbolOpacity": 1,
    },
    "aria": False,  # the picture as a whole has a text; each of its marks need not
}


@dataclass
class Picture:
    """What is drawn: the specification, and what a reader has to know beside it."""

    title: str
    notes: list[str] = field(default_factory=list)
    summary: str = ""  # in place of the picture, for those who do not see it
    spec: dict = field(default_factory=dict)

    def draw(self, layers: list[dict], **more) -> None:
        """Take these layers, with the common looks."""
        schema = "https://vega.github.io/schema/vega-lite/v6.json"
        self.spec = {"$schema": schema, "config": _CONFIG, "width": _WIDTH, "layer": layers} | more

    def titled(self) -> dict:
        """The specification with its title and notes, on paper: for a file of its own."""
        notes = [line for note in self.notes for line in textwrap.wrap(note, _NOTE_WIDTH)]
        title = {"text": textwrap.wrap(self.title, _TITLE_WIDTH), "subtitle": notes}
        return self.spec | {"title": title, "background": PAPER, "padding": 16}


@dataclass(frozen=True)
class _Cell:
    label: object
    series: object
    value: float


def picture(
    chart: Chart,
    columns: Sequence[str],
    rows: Sequence[Sequence],
    known: KnownDays,
    *,
    target: float | None = None,
    today: date,
) -> Picture:
    """The chart of a report's rows. Raises Failure 2 for a column that the report does not have."""
    drawn = Picture(chart.title)
    cells = _cells(chart, columns, rows)
    if not cells:
        drawn.summary = "no rows"
        text = layer("text", [{"text": "no rows"}], text={"field": "text"}, color={"value": QUIET})
        drawn.draw([text], height=40)
    elif chart.across and not chart.lines:
        _heat_map(drawn, chart, cells, _column(columns, rows, chart.labels, "size"), known)
    elif all(is_day(cell.label) for cell in cells):
        _days(drawn, chart, cells, known, target, today)
    else:
        _bars(drawn, chart, cells, target, _column(columns, rows, "days", "days_before"), known)
    return drawn


def _cells(chart: Chart, columns: Sequence[str], rows: Sequence[Sequence]) -> list[_Cell]:
    """The numbers to draw, each with its label and the name of its line or part."""
    asked = [chart.labels, *chart.values, *([chart.across] if chart.across else [])]
    if missing := [name for name in asked if name not in columns]:
        raise Failure(f"the chart names a column {missing[0]!r}, which the rows lack", USAGE)
    at = columns.index
    return [
        _Cell(
            row[at(chart.labels)],
            row[at(chart.across)] if chart.across else name.replace("_", " "),
            row[at(name)],
        )
        for row in rows
        for name in chart.values
        if isinstance(row[at(name)], int | float) and math.isfinite(row[at(name)])
    ]


def _column(columns: Sequence[str], rows: Sequence[Sequence], key: str, value: str) -> dict:
    """What stands in a column beside each value of another; nothing where one is missing."""
    if key not in columns or value not in columns:
        return {}
    return {row[columns.index(key)]: row[columns.index(value)] for row in rows}


def _named(values: Iterable) -> dict[object, str]:
    """A short text for each value, different for different ones."""
    named: dict[object, str] = {}
    taken: set[str] = set()
    for value in dict.fromkeys(values):
        text, again = short("" if value is None else str(value)), 1
        while text in taken:
            again += 1
            text = f"{short(str(value))} ({again})"
        taken.add(text)
        named[value] = text
    return named


def _series(drawn: Picture, cells: list[_Cell]) -> dict[object, str]:
    """The lines or parts that are drawn: as many as there are colours, the first ones."""
    named = _named(cell.series for cell in cells)
    if len(named) > len(PALETTE):
        drawn.notes.append(f"the {len(PALETTE)} of {len(named)} values with the most users")
    return dict(list(named.items())[: len(PALETTE)])


def _unit(chart: Chart) -> str:
    return (" + " if chart.whole else ", ").join(chart.values).replace("_", " ")


def _days(
    drawn: Picture,
    chart: Chart,
    cells: list[_Cell],
    known: KnownDays,
    target: float | None,
    today: date,
) -> None:
    """A line for each name; bars for the parts of a whole, and where days may lack for no reason
    that is known."""
    named = _series(drawn, cells)
    numbers = {(named[c.series], c.label): c.value for c in cells if c.series in named}
    names, integers = list(named.values()), all(isinstance(n, int) for n in numbers.values())
    days = day_layers.Days.of(sorted({day for _, day in numbers}), known, "new" in chart.values)
    filled = {name: days.filled(numbers, name) for name in names}
    bars = chart.whole or not known.days
    layers = day_layers.bars(filled, days) if bars else day_layers.lines(filled, days)
    drawn.notes += days.notes(bars)
    drawn.summary = "; ".join(_range(name, filled[name]) for name in names)
    if len(names) == 1 and not bars:
        layers.append(day_layers.last_number(filled[names[0]]))
    for each in layers:
        each["encoding"]["y"] |= value_axis(_unit(chart), integers)
        each["encoding"] = colours(names, chart.lines or len(names) > 1) | each["encoding"]
    layers = [*day_layers.gaps(days), *layers, *target_layers(target, "y")]
    for each in layers:
        if "field" in each["encoding"].get("x", {}):  # the target's line is as wide as all
            each["encoding"]["x"] |= days.axis(known.zone, today)
    drawn.draw(layers, height=300)


def _range(name: str, values: dict[str, float]) -> str:
    lowest, highest = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
    last = max(values)
    said = [("lowest", lowest), ("highest", highest), ("last", last)]
    return f"{name}: " + ", ".join(f"{what} {number(values[day])} ({day})" for what, day in said)


def _bars(
    drawn: Picture,
    chart: Chart,
    cells: list[_Cell],
    target: float | None,
    periods: dict[str, str],
    known: KnownDays,
) -> None:
    """Horizontal bars with their numbers, in the report's order."""
    named = _series(drawn, cells)
    if len(chart.values) == 2 and periods:  # those that `compare` compares
        named = dict(zip(named, next(iter(periods.items())), strict=False))
        for period in named.values() if known.days else ():
            days, length = known.in_days(period)
            if days < length:
                drawn.notes.append(f"{period}: {days} of {length} days known")
    labels = _named(cell.label for cell in cells if cell.series in named)
    shown = dict(list(labels.items())[:_BARS])
    if len(labels) > len(shown):
        drawn.notes.append(f"the first {len(shown)} of {len(labels)}")
    values = [
        {
            "label": shown[cell.label],
            "series": named[cell.series],
            "value": cell.value,
            "text": number(cell.value),
        }
        for cell in cells
        if cell.series in named and cell.label in shown
    ]
    names = list(named.values())
    domain = list(shown.values())
    axis = {"title": chart.labels.replace("_", " "), "titlePadding": 24}
    x = {"field": "value", "type": "quantitative"}
    x |= value_axis(
        _unit(chart) if len(chart.values) == 1 else "",
        all(isinstance(each["value"], int) for each in values),
    )
    place = {
        "x": x,
        "y": {"field": "label", "type": "ordinal", "axis": axis, "scale": {"domain": domain}},
        **colours(names, chart.lines or len(names) > 1),
    }
    if len(names) > 1:
        place["yOffset"] = {"field": "series", "type": "nominal", "scale": {"domain": names}}
    text = {"text": {"field": "text"}, "color": {"value": INK}}
    layers = [
        layer("bar", values, **place),
        layer({"type": "text", "align": "left", "dx": 5}, values, **place | text),
    ]
    drawn.summary = ", ".join(
        f"{each['label']} {each['text']}" + (f" ({each['series']})" if len(names) > 1 else "")
        for each in values[:_BARS]
    )
    drawn.draw(
        [*layers, *target_layers(target, "x")], height={"step": 26 if len(names) == 1 else 18}
    )


def _heat_map(
    drawn: Picture, chart: Chart, cells: list[_Cell], sizes: dict, known: KnownDays
) -> None:
    """A row for each label, a column for each step; the deeper the colour, the more."""
    labels = sorted({cell.label for cell in cells}, key=str)
    steps = sorted({cell.series for cell in cells}, key=lambda step: (isinstance(step, str), step))
    if known.days and labels and str(labels[0]) <= min(known.days):
        drawn.notes.append(f"cohort {labels[0]}: its users may have come before the data begins")
    if len(labels) > _COHORTS:
        drawn.notes.append(f"the last {_COHORTS} of {len(labels)}")
    if len(steps) > _PERIODS:
        drawn.notes.append(f"the first {_PERIODS} of {len(steps)} columns")
    rows = {}
    for label in labels[-_COHORTS:]:
        size = f"  ({number(sizes[label])})" if isinstance(sizes.get(label), int) else ""
        rows[label] = f"{short(str(label))}{size}"
    across = steps[:_PERIODS]
    shown = [cell for cell in cells if cell.label in rows and cell.series in across]
    unsure = _unsure(shown, known)
    unknown = [cell for cell in shown if unsure.get(cell) == 0]
    shown = [cell for cell in shown if unsure.get(cell) != 0]
    if unknown:
        drawn.notes.append("–: no data")
    if len(unknown) < len(unsure):
        drawn.notes.append(f"*: not all {known.step} days known")
    whole = {step for step in across if all(c.value == 100 for c in shown if c.series == step)}
    top = max((cell.value for cell in shown if cell.series not in whole), default=0) or 1
    values = [
        {
            "row": rows[cell.label],
            "column": cell.series,
            "value": cell.value,
            "text": f"{cell.value:,.1f}" + ("*" if cell in unsure else ""),
            "is_deep": cell.value > top * 0.55,
        }
        for cell in shown
    ]
    plain = [each for each in values if each["column"] in whole]
    values = [each for each in values if each["column"] not in whole]
    dashes = [{"row": rows[c.label], "column": c.series, "text": "–"} for c in unknown]
    heading = f"{chart.labels} (users)" if sizes else chart.labels
    place = {
        "x": {
            "field": "column",
            "type": "ordinal",
            "scale": {"domain": across},
            "axis": {"orient": "top", "labelAngle": 0, "title": _later(chart, known)},
        },
        "y": {
            "field": "row",
            "type": "ordinal",
            "scale": {"domain": list(rows.values())},
            "axis": {"title": heading, "titlePadding": 24},
        },
    }
    legend = {"title": _unit(chart), "orient": "right", "direction": "vertical"}
    legend |= {"titleColor": INK, "gradientLength": min(120, 24 * len(rows)), "format": ",~f"}
    scale = {"scheme": "blues", "domain": [0, top]}
    colour = {"field": "value", "type": "quantitative", "scale": scale, "legend": legend}
    layers = [layer("rect", plain, **place, color={"value": GRID})]
    if values:
        layers.append(layer("rect", values, **place, color=colour))
    width = min(64, _WIDTH // len(across))
    if width >= _ROOMY:
        text = {"text": {"field": "text"}}
        deep = {"condition": {"test": "datum.is_deep", "value": "white"}, "value": "black"}
        layers += [
            layer("text", plain, **place, **text, color={"value": INK}),
            layer("text", values, **place, **text, color=deep),
            layer("text", dashes, **place, **text, color={"value": QUIET}),
        ]
    drawn.summary = f"{_unit(chart)} by {chart.labels}: {len(labels)} rows, {len(steps)} columns"
    drawn.draw(layers, width={"step": width}, height={"step": 24})


def _later(chart: Chart, known: KnownDays) -> str:
    unit = {7: "weeks ", 1: "days "}.get(known.step, "")
    return f"{unit}{chart.across}".replace("_", " ")


def _unsure(cells: list[_Cell], known: KnownDays) -> dict[_Cell, int]:
    """The cells of periods of which not all days are known, and how many are."""
    if not known.days or not known.step:
        return {}
    days = {
        cell: known.in_period(cell.label, cell.series)
        for cell in cells
        if is_day(cell.label) and isinstance(cell.series, int)
    }
    return {cell: number for cell, number in days.items() if number < known.step}
