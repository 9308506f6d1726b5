"""The dashboards: the YAML files of lib/browser/dashboards, as datasette-dashboards wants them.

Their queries may name a report, and have terms in brackets; those of users are narrowed to a value
of a field, are of another definition, and have a target as a line, where a page is asked for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from headcount.checkout import ROOT
from headcount.reports import catalogue

FOLDER = Path(ROOT, "lib", "browser")
NAME = "headcount"  # of the database, in addresses
MOST_ROWS = 1000  # of an answer
_ERRORS = 1  # a level of Vega's log
_MINUTES = 1  # after which a page that is open asks whether the database has changed

_DAYS = "utcyearmonthdate"
_ZONE = re.compile(r"[\w/+-]+")

# Types of posts, as crawls have them.
_TYPE = (
    "CASE {} WHEN 'e' THEN 'event' WHEN 'l' THEN 'link' WHEN 'p' THEN 'photo' "
    "WHEN 's' THEN 'status' WHEN 'v' THEN 'video' ELSE {} END"
)
# What queries say in brackets. The field that a page is asked for, else the first; its value, of
# which a form cannot send the empty one; the type of a comment's post, and the one asked for;
# whether a change is of the days asked for, or else of the hour before the last one.
_TERMS = {
    "field": "coalesce(nullif(:by, ''), (SELECT min(field) FROM dimension))",
    "value": "CASE :value WHEN '(empty)' THEN '' ELSE :value END",
    "own": "CASE :definition WHEN '' THEN own ELSE definition = :definition END",
    "type": f"coalesce((SELECT {_TYPE.format('type', 'type')} FROM post_meta "
    "WHERE post_meta.post_id = comment.post_id), '(unknown)')",
    "asked_type": _TYPE.format(":type", ":type"),
    "is_asked": "timestamp BETWEEN CASE WHEN :since <> '' THEN unixepoch(:since) "
    "WHEN :until <> '' THEN 0 ELSE (SELECT max(timestamp) - 3599 FROM recent_change_raw) END "
    "AND CASE WHEN :until <> '' THEN unixepoch(:until, '+1 day') - 1 ELSE 1e12 END",
}
# Before a query of users who had the value, as day_views.narrow; before one with a target.
_NARROWED = """
WITH
v_active_day (date, definition, users, own) AS (
    SELECT date, definition, bitmap_or(users), own FROM (
        SELECT date, definition, users, own FROM temp.v_active_day_by
        WHERE dimension = {field} AND value = {value}
        UNION ALL
        SELECT date, definition, NULL, own FROM temp.v_active_day
        WHERE date >= (SELECT since FROM dimension WHERE field = {field})
    ) GROUP BY date, definition, own
),
active_user_table (date, active_user_count) AS (
    SELECT date, active_user_count FROM active_users_by
    WHERE dimension = {field} AND value = {value}
),
active_user_history (date, run_id, active_user_count, changed_at) AS (
    SELECT date, run_id, active_user_count, changed_at FROM active_users_by_history
    WHERE dimension = {field} AND value = {value}
)
SELECT * FROM (
"""
# Before one of users who are active by another definition than the database's own.
_DEFINED = """
WITH
active_user_table (date, active_user_count) AS (
    SELECT date, active_user_count FROM active_users_by_definition WHERE definition = :definition
),
active_user_table_of_all (date, active_user_count) AS (
    SELECT date, active_user_count FROM active_users_by_definition WHERE definition = :definition
),
active_user_history (date, run_id, active_user_count, changed_at) AS (
    SELECT date, run_id, active_user_count, changed_at FROM definition_history
    WHERE definition = :definition
    UNION ALL
    SELECT date, run_id, active_user_count, changed_at FROM active_user_history_of_all
    WHERE :definition = (
        SELECT substr(value, 1, instr(value || ',', ',') - 1) FROM setting WHERE name = 'definition'
    )
),
active_users_by (date, dimension, value, active_user_count) AS (
    SELECT date, dimension, value, bitmap_count(users) FROM temp.v_active_day_by
    WHERE definition = :definition AND dimension = {field}
),
active_users_by_history (date, dimension, value, run_id, active_user_count, changed_at) AS (
    SELECT NULL, NULL, NULL, NULL, NULL, NULL WHERE false
)
SELECT * FROM (
"""
_AIMED = "SELECT *, CAST(:target AS REAL) AS target FROM ("
_TARGET = {  # a layer of a chart
    "transform": [
        {"filter": "datum.target > 0"},
        {"aggregate": [{"op": "max", "field": "target", "as": "target"}]},
        {"calculate": "'target ' + format(datum.target, ',')", "as": "label"},
    ],
    "layer": [
        {"mark": {"type": "rule", "strokeDash": [6, 4], "aria": False}},
        {
            "mark": {"type": "text", "align": "left", "dx": 4, "dy": -6},
            "encoding": {"x": {"value": 0}, "text": {"field": "label"}},
        },
    ],
}


def _runs(by: list[str]) -> list[dict]:
    """Transforms of rows with a date: in each series `by` these fields they get the `part` of days
    that they are of. A line is drawn over each: between them are days without a number."""
    sort = [{"field": "day", "order": "ascending"}]
    lag = {"op": "lag", "field": "day", "as": "day_before"}
    return [
        {"calculate": "toDate(datum.date)", "as": "day"},
        {"window": [lag], "sort": sort, "groupby": by},
        {"calculate": "datum.day > (datum.day_before || datum.day) + 864e5", "as": "gap"},
        {"window": [{"op": "sum", "field": "gap", "as": "part"}], "sort": sort, "groupby": by},
    ]


def look() -> dict:
    """How all charts look: a config of Vega-Lite."""
    return yaml.safe_load((FOLDER / "look.yaml").read_text())


def dashboards(zones: Mapping[str, str] | None = None) -> dict[str, dict]:
    """Every dashboard by its name, as datasette-dashboards wants it; {zone} and {site_zone} in
    titles are these `zones`, in brackets, or nothing."""
    paths = sorted((FOLDER / "dashboards").glob("*.yaml"))
    return {path.stem: _dashboard(path, zones or {}) for path in paths}


def _dashboard(path: Path, zones: Mapping[str, str]) -> dict:
    text = path.read_text()
    for name in ("zone", "site_zone"):
        zone = zones.get(name, "")
        text = text.replace(f" {{{name}}}", f" ({zone})" if _ZONE.fullmatch(zone) else "")
    dashboard = yaml.safe_load(text)
    pickers = yaml.safe_load((FOLDER / "pickers.yaml").read_text())
    for kind in ("filters", "charts"):
        for name, told in dashboard.get(kind, {}).items():
            if told is None:
                dashboard[kind][name] = pickers[kind][name]
    dashboard.setdefault("settings", {}).setdefault("autorefresh", _MINUTES)
    for chart in dashboard["charts"].values():
        chart["db"] = NAME
        if "report" in chart:
            chart["query"] = _chart_query(chart, dashboard["filters"])
        x = chart.get("display", {}).get("encoding", {}).get("x", {})
        if x.get("timeUnit") == _DAYS:  # else the axis of a short range names a day twice
            x["axis"] = {"tickMinStep": 1.5 * 86_400_000}
        if (by := chart.pop("runs", None)) is not None:
            display = chart["display"]
            display["transform"] = [*display.get("transform", []), *_runs(by)]
            display["encoding"]["detail"] = {"field": "part", "title": "part of the line"}
        if chart.pop("target", False):
            chart["query"] = _around(chart["query"], "target", _AIMED)
            axis = chart["display"]["encoding"]["y"] | {"field": "target"}  # with the same title
            line = _TARGET | {"encoding": {"y": axis}}
            chart["display"] = {"layer": [chart["display"], line]}
        if "value" in dashboard.get("filters", {}):
            chart["query"] = _around(chart["query"], "value", _NARROWED)
        if "definition" in dashboard.get("filters", {}):
            chart["query"] = _around(chart["query"], "definition", _DEFINED)
        for name, term in _TERMS.items():
            chart["query"] = chart["query"].replace(f"{{{name}}}", term)
        if chart["library"] == "vega-lite":
            # No eval, which the pages' policy forbids; no menu, which leads to another site.
            # No warnings in the console: layers without rows, as that of a target, bring some.
            how = {"ast": True, "actions": False, "renderer": "svg", "logLevel": _ERRORS}
            chart["display"] |= {
                "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
                "usermeta": {"embedOptions": how},
                "config": look(),
            }
    return dashboard


def _around(query: str, name: str, start: str) -> str:
    """The query in brackets after `start`, if the page is asked for the parameter `name`: for a
    [[block]], which is one line, that is the first parameter in it."""
    inner = query.rstrip().rstrip(";")
    return f"[[ /* :{name} */ {' '.join(start.split())} ]]\n{inner}\n[[ /* :{name} */ ) ]]"


def _chart_query(chart: dict, filters: dict) -> str:
    """The SQL of a chart's report: with its `params`, of which the filters of the page are left.

    With `columns`, of these; with `newest`, of what is sorted by this column the `most` rows, or as
    many as a page may have.
    """
    report = catalogue.load(chart.pop("report"))
    given = report.params | chart.pop("params", {})
    fixed = {name: value for name, value in given.items() if name not in filters}
    sql = _with_params(report, fixed).rstrip().rstrip(";")
    columns, newest = chart.pop("columns", "*"), chart.pop("newest", None)
    if columns != "*" or newest:
        sql = f"SELECT {columns} FROM ({sql}) AS shown"
    if newest:
        most = chart.pop("most", MOST_ROWS)
        sql += f" ORDER BY {newest} DESC LIMIT {most}"
    return sql


def _with_params(report: catalogue.Report, fixed: dict[str, str]) -> str:
    """The SQL with these values, and with parameters that, left empty, have their defaults."""
    sql = re.sub(r"^-- (param |title |chart:|matrix:).*\n", "", report.sql, flags=re.M)
    for name, default in report.params.items():
        value = str(fixed.get(name, default)).replace("'", "''")
        term = f"'{value}'" if name in fixed else f"coalesce(nullif(:{name}, ''), '{value}')"
        sql = re.sub(rf":{name}\b", term.replace("\\", r"\\"), sql)
    return sql


def query(report: catalogue.Report) -> dict:
    """A report as a query with parameters; one that is left empty has its default."""
    meanings = [
        f"{name}: {report.meanings[name]}" + (f" (if empty: {default})" if default else "")
        for name, default in report.params.items()
    ]
    return {
        "title": report.description,
        "description": "; ".join(meanings),
        "sql": _with_params(report, {}),
        "params": list(report.params),
        "hide_sql": True,
    }
