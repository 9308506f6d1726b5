"""Layers of a chart over local days, which tell apart what is known, provisional or missing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise

from headcount.reports.pictures.known_days import KnownDays, ordinal
from headcount.reports.pictures.marks import GRID, INK, PAPER, layer, number

_POINTS = 45  # days up to which each has a point
_NAMED = 3  # missing days that are named
_PALE = 0.4
_X = {"field": "x", "type": "quantitative"}
_Y = {"field": "y", "type": "quantitative"}

Values = Mapping[str, Mapping[str, float]]  # by name, then by day


@dataclass
class Days:
    """The days of a chart, from its first to its last; and what is not plain about some."""

    all: list[str]
    known: KnownDays
    partial: set[str] = field(default_factory=set)  # of their windows not all days are known
    provisional: set[str] = field(default_factory=set)
    missing: list[str] = field(default_factory=list)
    begun: set[str] = field(default_factory=set)  # the first day with data, if all are new then
    without_rows: int = 0  # where it is not known why

    @classmethod
    def of(cls, present: Sequence[str], known: KnownDays, counts_new: bool) -> Days:
        """From the first day that has a number to the last."""
        first, last = map(date.fromisoformat, (present[0], present[-1]))
        days = [str(first + timedelta(n)) for n in range((last - first).days + 1)]
        if not known.days:
            return cls(days, known, without_rows=len(days) - len(present))
        return cls(
            days,
            known,
            {day for day in days if known.window > 1 and known.in_window(day) < known.window},
            {day for day in days if known.is_provisional(day)},
            [day for day in days if day not in known.days],
            {min(known.days)} & set(days) if counts_new else set(),
        )

    def filled(self, numbers: Mapping[tuple[str, str], float], name: str) -> dict[str, float]:
        """The numbers of a name by day. Reports leave out days without users: a day that is known
        counts as 0, and of others nothing is said."""
        return {
            day: numbers.get((name, day), 0)
            for day in self.all
            if (name, day) in numbers or day in self.known.days
        }

    def notes(self, bars: bool) -> list[str]:
        """What a reader has to know about the days that are drawn apart."""
        notes, window = [], self.known.window
        if self.partial:
            last = max(self.partial)
            had = f"{self.known.in_window(last)} of {window} days known on {last}"
            notes.append(
                f"{'pale' if bars else 'dashed, pale'}: fewer than {window} days known ({had})"
            )
        if self.begun:
            text = "the first day with data, on which every user counts as new"
            notes.append(f"pale: {min(self.begun)}, {text}")
        if self.provisional:
            how = "pale" if bars else "hollow"
            days = "of 1 day" if len(self.provisional) == 1 else f"of {len(self.provisional)} days"
            text = f"numbers {days} since {min(self.provisional)} are provisional"
            notes.append(f"{how}: {text}; late data can change them")
        if self.missing:
            named = ", ".join(self.missing[:_NAMED])
            if (more := len(self.missing) - _NAMED) > 0:
                named += f" and {more} other day{'s' if more > 1 else ''}"
            notes.append(f"grey: no data on {named}")
        if self.without_rows:
            notes.append(f"no bar: no rows ({self.without_rows:,} of {len(self.all):,} days)")
        return notes

    def axis(self, zone: str, today: date) -> dict:
        """The axis: days as numbers, for which no time zone matters."""
        where = {"": "", "device": ", by each device's clock"}.get(zone, f", {zone}")
        ticks = _ticks(self.all)
        years = {day[:4] for day in self.all}
        texts: dict[str, str | list[str]] = {}
        year = str(today.year) if years == {str(today.year)} else ""
        for day in ticks:
            text = f"{date.fromisoformat(day):%b} {int(day[8:])}"
            texts[str(ordinal(day))] = text if day[:4] == year else [text, day[:4]]
            year = day[:4]
        return {
            "axis": {
                "title": f"local day{where}",
                "values": [ordinal(day) for day in ticks],
                "labelExpr": f"({json.dumps(texts)})[datum.value]",
                "labelOverlap": False,
                "grid": False,
            },
            "scale": {
                "domain": [ordinal(self.all[0]) - 0.6, ordinal(self.all[-1]) + 0.6],
                "nice": False,
                "zero": False,
            },
        }


def _ticks(days: list[str]) -> list[str]:
    """Some ten days: each, every few, Mondays, or firsts of months."""
    if len(days) <= 12:
        return days
    if len(days) <= 84:
        mondays = [day for day in days if date.fromisoformat(day).weekday() == 0]
        return mondays[:: 1 + len(mondays) // 13]
    firsts = [day for day in days if day.endswith("-01")]
    for months in (1, 2, 3, 6, 12, 24, 60, 120):
        found = [day for day in firsts if (int(day[:4]) * 12 + int(day[5:7]) - 1) % months == 0]
        if len(found) <= 13:
            return found
    return found


def lines(values: Values, days: Days) -> list[dict]:
    """Lines that end where a day is missing, dashed where windows are not known as a whole."""
    whole, dashed, points, pale, hollow = [], [], [], [], []
    partial = {ordinal(day) for day in days.partial}
    for name, numbers in values.items():
        rows = [{"x": ordinal(day), "y": y, "series": name} for day, y in numbers.items()]
        joined = set()
        for i, run in enumerate(_runs(rows, partial)):
            into = whole if partial.isdisjoint(row["x"] for row in run[:2]) else dashed
            into += [row | {"run": f"{name} {i}"} for row in run]
            joined |= {row["x"] for row in run}
        for day, row in zip(numbers, rows, strict=True):
            if day in days.provisional:
                hollow.append(row)
            elif len(days.all) <= _POINTS or row["x"] not in joined:
                (pale if row["x"] in partial else points).append(row)
    line = {"type": "line", "strokeWidth": 2}
    broken = line | {"strokeDash": [4, 4], "opacity": 0.7}
    point = {"type": "point", "filled": True, "size": 28, "opacity": 1}
    circle = {"type": "point", "fill": PAPER, "size": 40, "opacity": 1, "strokeWidth": 1.5}
    run_of = {"detail": {"field": "run", "type": "nominal"}}
    layers = [
        layer(line, whole, x=_X.copy(), y=_Y.copy(), **run_of),
        layer(broken, dashed, x=_X.copy(), y=_Y.copy(), **run_of),
        layer(point, points, x=_X.copy(), y=_Y.copy()),
        layer(point | {"opacity": _PALE}, pale, x=_X.copy(), y=_Y.copy()),
        layer(circle, hollow, x=_X.copy(), y=_Y.copy()),
    ]
    return [each for each in layers if each["data"]["values"]]


def _runs(rows: Sequence[dict], partial: set[int]) -> list[list[dict]]:
    """Rows of consecutive days, cut where steps to or from partial windows begin or end."""
    runs: list[list[dict]] = []
    was_dashed = False
    for a, b in pairwise(rows):
        if a["x"] + 1 != b["x"]:
            continue
        is_dashed = not partial.isdisjoint((a["x"], b["x"]))
        if runs and runs[-1][-1] is a and is_dashed == was_dashed:
            runs[-1].append(b)
        else:
            runs.append([a, b])
        was_dashed = is_dashed
    return runs


def bars(values: Values, days: Days) -> list[dict]:
    """A bar for each day, the parts on top of each other, pale where they are not sure."""
    sure, pale = [], []
    for day in days.all:
        top = 0.0
        for name, numbers in values.items():
            if number_of := numbers.get(day):
                at = ordinal(day)
                into = pale if day in days.provisional | days.begun | days.partial else sure
                row = {"x": at - 0.4, "to": at + 0.4, "y": top, "top": top + number_of}
                into.append(row | {"series": name})
                top += number_of
    place = {"x2": {"field": "to"}, "y2": {"field": "top"}}
    layers = [
        layer("rect", sure, x=_X.copy(), y=_Y.copy(), **place),
        layer({"type": "rect", "opacity": _PALE}, pale, x=_X.copy(), y=_Y.copy(), **place),
    ]
    return [each for each in layers if each["data"]["values"]] or layers[:1]


def gaps(days: Days) -> list[dict]:
    """A grey band over each missing day."""
    values = [{"x": ordinal(day) - 0.5, "to": ordinal(day) + 0.5} for day in days.missing]
    mark = {"type": "rect", "color": GRID, "opacity": 0.6}
    return [layer(mark, values, x=_X.copy(), x2={"field": "to"})] if values else []


def last_number(values: Mapping[str, float]) -> dict:
    """The number of the last day, beside it."""
    day = max(values)
    row = {"x": ordinal(day), "y": values[day], "text": number(values[day])}
    mark = {"type": "text", "align": "left", "dx": 9, "fontWeight": "bold"}
    ink = {"color": {"value": INK}, "text": {"field": "text"}}
    return layer(mark, [row], x=_X.copy(), y=_Y.copy(), **ink)
