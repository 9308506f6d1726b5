"""Draws the chart of a report above its table, with the Vega that the dashboards bring."""

import dataclasses

from datasette import hookimpl

from headcount.reports import catalogue
from headcount.reports.web import dashboards, take_away


def _chart(request):
    """What to draw on this page; None for nothing."""
    name = request.url_vars.get("table") if request else None
    if name not in catalogue.names():
        return None
    return catalogue.load(name).chart_of({key: request.args.get(key) for key in request.args})


@hookimpl
def extra_css_urls(datasette):
    return [datasette.urls.path("/browser/headcount.css")]


@hookimpl
def extra_js_urls(request, datasette):
    if not _chart(request):
        return []
    urls = datasette.urls
    vega = [
        urls.static_plugins("datasette_dashboards", f"{name}.min.js")
        for name in ("vega", "vega-lite", "vega-embed")
    ]
    return [*vega, urls.path("/browser/take-away.js"), urls.path("/browser/chart.js")]


@hookimpl
def extra_body_script(request):
    chart = _chart(request)
    if not chart:
        return ""
    kind = "temporal" if chart.labels in ("date", "day") else "nominal"
    drawn = dataclasses.asdict(chart) | {"kind": kind, "config": dashboards.look()}
    name = request.url_vars["table"]
    params = take_away.given(catalogue.load(name).params, request.args)
    links = {
        "title": chart.title,
        "subtitle": take_away.note({param: param for param in params}, params),
        "file": take_away.file_name(name, params=params),
        "csv": take_away.address(f"{request.path}.csv", params),
    }
    return f"drawChart({take_away.in_script(drawn)}, {take_away.in_script(links)})"
