"""Draws the chart of a report above its table, with the Vega that the dashboards bring."""

import json

from datasette import hookimpl

from headcount import reports

_TIMES = ("date", "window_start", "minute")  # columns that are instants or days


def _chart(view_name, table):
    """What to draw on this page; None for nothing."""
    if view_name != "table" or table not in reports.names():
        return None
    return reports.load(table).chart


@hookimpl
def extra_css_urls(datasette):
    return [datasette.urls.path("/browser/headcount.css")]


@hookimpl
def extra_js_urls(view_name, table, datasette):
    if not _chart(view_name, table):
        return []
    urls = datasette.urls
    vega = [
        urls.static_plugins("datasette_dashboards", f"{name}.min.js")
        for name in ("vega", "vega-lite", "vega-embed")
    ]
    return [*vega, urls.path("/browser/chart.js")]


@hookimpl
def extra_body_script(view_name, table):
    chart = _chart(view_name, table)
    if not chart:
        return ""
    label, value, title = chart
    kind = "temporal" if label in _TIMES else "nominal"
    return f"drawChart({json.dumps(label)}, {json.dumps(kind)}, {json.dumps(value)}, {json.dumps(title)})"
