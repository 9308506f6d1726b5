"""The reports: named SQL files with parameters.

The head of such a file:
    -- What the report shows
    -- param NAME: DEFAULT: what it means     (for :NAME in the SQL)
    -- param NAME: DEFAULT|OTHER|…: what it means (one of these)
    -- chart: LABELS VALUES: TITLE            (columns; only where a chart makes sense)
    -- title NAME: TITLE                       (of the chart if that parameter is given: {NAME})
VALUES is one column, or several: A,B stand beside each other, A+B are parts of a whole. In place of
a chart, `matrix: ROWS COLUMNS VALUES` spreads three columns out.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from headcount.checkout import ROOT
from headcount.cli import types
from headcount.errors import NO_INPUT, USAGE, Failure
from headcount.values import zones
from headcount.values.tsv import shown

FOLDER = Path(ROOT, "lib", "reports")
CHECKS = Path(ROOT, "lib", "checks")  # each returns the rows that are wrong


# Reports of active users have these, too: they show those who had some value of a field.
_FIELD = "a field that imports break down --by: the report for each of its values"
_VALUE = "of that field: the report for this one alone"


@dataclass(frozen=True)
class Chart:
    """What a report looks like, by names of its columns."""

    title: str
    labels: str
    values: tuple[str, ...]
    whole: bool = False  # the values are parts of one
    across: str | None = None  # of a matrix: what its columns are; of lines: their names
    lines: bool = False

    @classmethod
    def of(cls, columns: str, title: str) -> Chart:
        """As the head of a report's file tells it."""
        labels, *across, values = columns.split()
        parts = tuple(re.split("[,+]", values))
        return cls(title, labels, parts, "+" in values, *across)


@dataclass
class Report:
    """One report, as its file says."""

    name: str
    sql: str
    description: str
    params: dict[str, str] = field(default_factory=dict)  # defaults by name
    meanings: dict[str, str] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=dict)  # of those that have some
    titles: dict[str, str] = field(default_factory=dict)  # of the chart, by a parameter
    chart: Chart | None = None
    by: str = ""  # the parameter that names a field, by whose values the report can be told apart
    of_fields: dict[str, str] = field(default_factory=dict)  # that and its value: what they mean

    def chart_of(self, params: Mapping[str, str]) -> Chart | None:
        """The chart, whose title may depend on a parameter that is not its default."""
        for name, title in self.titles.items():
            value = params.get(name) or self.params[name]
            if self.chart and value != self.params[name]:
                return replace(self.chart, title=title.replace(f"{{{name}}}", value))
        return self.chart


def names(folder: Path = FOLDER) -> list[str]:
    """All there are, sorted."""
    return sorted(path.stem for path in folder.glob("*.sql"))


def load(name: str, folder: Path = FOLDER) -> Report:
    """The report, or check, of that name. Raises Failure 2 if there is none."""
    if name not in names(folder):
        kind = folder.name.removesuffix("s")
        raise Failure(f"no {kind} {name!r}; there are: {', '.join(names(folder))}", USAGE)
    return read(folder / f"{name}.sql")


def read(path: Path) -> Report:
    """The report, or check, of a file. Raises Failure 66 if it cannot be read."""
    try:
        sql = path.read_text()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Failure(f"{shown(str(path))}: cannot read: {reason}", NO_INPUT) from None
    report = Report(path.stem, sql, sql.split("\n", 1)[0].removeprefix("-- "))
    for param, default, meaning in re.findall(r"^-- param (\w+): (.*?): (.*)$", sql, re.M):
        report.params[param], *others = default.split("|")
        report.meanings[param] = meaning
        if others:
            report.choices[param] = [report.params[param], *others]
    if chart := re.search(r"^-- (?:chart|matrix): (.*?): (.*)$", sql, re.M):
        report.chart = Chart.of(*chart.groups())
    narrowed = "v_active_day" in sql and not re.search("v_active_day_by|active_day_sketch", sql)
    if path.parent != CHECKS and narrowed:
        report.by = "by" if "by" not in report.params else "field"
        report.of_fields = {report.by: _FIELD, "value": _VALUE}
    report.titles = dict(re.findall(r"^-- title (\w+): (.*)$", sql, re.M))
    return report


def catalogue(folder: Path = FOLDER) -> str:
    """What there is, for people."""
    lines = []
    for name in names(folder):
        report = load(name, folder)
        lines.append(f"{name}: {report.description}")
        lines += [
            f"    --param {param}={default}: {report.meanings[param]}"
            for param, default in report.params.items()
        ]
        lines += [f"    --param {param}=: {mean}" for param, mean in report.of_fields.items()]
    return "\n".join(lines) + "\n"


def add_param(parser: argparse.ArgumentParser, whose: str) -> None:
    """The option for a parameter's value."""
    parser.add_argument(
        "--param",
        metavar="NAME=VALUE",
        type=types.assignment,
        action="append",
        default=[],
        help=f"a parameter of {whose}; may be repeated",
    )


def values(report: Report, given: list[tuple[str, str]]) -> dict[str, str]:
    """A value for each parameter. Raises Failure 2 for a parameter that the report has not, and for
    a value that it cannot have: a number or a date is told by the default. Empty ones have that."""
    given = [(name, value) for name, value in given if value or not _kind(report, name)]
    for name, value in given:
        if name not in report.params and name not in report.of_fields:
            known = ", ".join([*report.params, *report.of_fields]) or "none"
            raise Failure(f"{report.name} has no parameter {name!r}; it has: {known}", USAGE)
        choices = report.choices.get(name)
        if choices and value not in choices:
            raise Failure(f"{name}={value}: not one of {', '.join(choices)}", USAGE)
        kind = _kind(report, name)
        if kind and value != report.params[name] and not _FITS[kind](value):
            raise Failure(f"{name}={value}: expected {kind}", USAGE)
        if name == "tz":
            try:
                zones.find(value)
            except ValueError as error:
                raise Failure(str(error), USAGE) from None
    found = report.params | dict(given)
    since, until = found.get("since", ""), found.get("until", "")
    if since and until and since > until:
        raise Failure(f"since={since} is after until={until}", USAGE)
    return found


_NUMBER, _DATE = "a number", "a date, YYYY-MM-DD, with a time or without"


def _kind(report: Report, name: str) -> str | None:
    """What values of a parameter have to be; None for any text."""
    default = report.params.get(name)
    if name in ("since", "until") or re.fullmatch(r"\d{4}-\d\d-\d\d", default or ""):
        return _DATE
    return _NUMBER if default and default.isdecimal() and name not in report.choices else None


def is_number(text: str) -> bool:
    """Whether a text is one, in decimal."""
    return bool(re.fullmatch(r"\d+(\.\d+)?", text))


def is_date(text: str) -> bool:
    """Whether a text is a date, with a time of day or without."""
    if not re.match(r"\d{4}-\d\d-\d\d(?!\d)", text):  # they are compared as texts
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


_FITS = {_NUMBER: is_number, _DATE: is_date}
