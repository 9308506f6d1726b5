"""Reports: named SQL files with a description, parameters with defaults, and what to draw.

The head of such a file:
    -- What the report shows
    -- param NAME: DEFAULT: what it means     (for :NAME in the SQL)
    -- chart: LABELS VALUES: TITLE            (two columns; only where a chart makes sense)
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from headcount import zones
from headcount.cli import ROOT
from headcount.failure import USAGE, Failure

FOLDER = Path(ROOT, "lib", "reports")


@dataclass
class Report:
    """One report, as its file says."""

    name: str
    sql: str
    description: str
    params: dict[str, str] = field(default_factory=dict)  # defaults by name
    meanings: dict[str, str] = field(default_factory=dict)
    chart: tuple[str, str, str] | None = None  # columns of labels and of values, title


def names() -> list[str]:
    """All there are, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.sql"))


def load(name: str) -> Report:
    """The report of that name. Raises Failure 2 if there is none."""
    if name not in names():
        raise Failure(f"no report {name!r}; there are: {', '.join(names())}", USAGE)
    sql = Path(FOLDER / f"{name}.sql").read_text()
    report = Report(name, sql, sql.split("\n", 1)[0].removeprefix("-- "))
    for param, default, meaning in re.findall(r"^-- param (\w+): (.*?): (.*)$", sql, re.M):
        report.params[param], report.meanings[param] = default, meaning
    if chart := re.search(r"^-- chart: (\w+) (\w+): (.*)$", sql, re.M):
        report.chart = chart.groups()
    return report


def values(report: Report, given: list[tuple[str, str]]) -> dict[str, str]:
    """A value for each parameter. Raises Failure 2 for a parameter that the report has not."""
    for name, value in given:
        if name not in report.params:
            known = ", ".join(report.params) or "none"
            raise Failure(f"{report.name} has no parameter {name!r}; it has: {known}", USAGE)
        if name == "tz":
            try:
                zones.find(value)
            except ValueError as error:
                raise Failure(str(error), USAGE) from None
    return report.params | dict(given)
