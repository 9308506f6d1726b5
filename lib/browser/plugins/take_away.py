"""Links that take a chart away: its rows as CSV, whole, at an address that keeps; its picture."""

import sqlite3

from datasette import NotFound, Response, hookimpl
from datasette.database import QueryInterrupted
from jinja2.ext import Extension

from headcount.reports import catalogue, render
from headcount.reports.web import embedding, take_away
from headcount.reports.web.browser import NAME
from headcount.reports.web.dashboards import query
from headcount.reports.web.take_away import AskedChart

_DASHBOARDS = "/-/dashboards/"
_UP = """<a href="{{ urls.path('-/dashboards') }}/{{ slug }}">{{ dashboard.title }}</a>"""
_FILTERED = "{{ slug }}{% if query_string %}?{{ query_string|safe }}{% endif %}"


class FilteredCrumbs(Extension):
    """The page of a chart leads back to the dashboard with the same filters."""

    def preprocess(self, source, name, filename=None):
        return source.replace(_UP, _UP.replace("{{ slug }}", _FILTERED))


@hookimpl
def prepare_jinja2_environment(env):
    env.add_extension(FilteredCrumbs)


@hookimpl(tryfirst=True)  # Datasette, and the dashboards, have pages at these addresses, too
def register_routes():
    return [
        (rf"^{_DASHBOARDS}(?P<slug>[^/]+)/(?P<chart_slug>[^/]+)\.csv$", chart_rows),
        (rf"^/{NAME}/(?P<table>{'|'.join(catalogue.names())})\.csv$", report_rows),
    ]


async def chart_rows(request, datasette):
    slug, name = request.url_vars["slug"], request.url_vars["chart_slug"]
    known = datasette.plugin_config("datasette-dashboards")
    asked = AskedChart.of(known, slug, name, request.args)
    if not asked:
        raise NotFound(f"No chart is called {slug}/{name}")
    return await _csv(datasette, *asked.statement(whole=True), asked.file)


async def report_rows(request, datasette):
    report = catalogue.load(request.url_vars["table"])
    params = take_away.given(report.params, request.args)
    file = take_away.file_name(report.name, params=params)
    return await _csv(
        datasette, query(report)["sql"], dict.fromkeys(report.params, "") | params, file
    )


async def _csv(datasette, sql, params, file):
    try:
        found = await datasette.get_database(NAME).execute(sql, params)
    except (QueryInterrupted, sqlite3.Error) as error:
        return Response.text(f"The rows cannot be read: {error}\n", status=400)
    headers = {
        "content-disposition": f'attachment; filename="{file}.csv"',
        "cache-control": "no-cache",
    }
    text = render.csv_text(found.columns, [tuple(row) for row in found.rows])
    return Response(text, headers=headers, content_type="text/csv; charset=utf-8")


def _links(datasette, request):
    """What each chart of this page is called, and where its rows are, by the end of its id."""
    place = request.url_vars if request else {}
    slug, known = place.get("slug"), datasette.plugin_config("datasette-dashboards")
    if slug not in known:
        return {}
    if "chart_slug" in place:  # its page, where the id is that of the dashboard
        names = {slug: place["chart_slug"]}
    else:
        names = {name: name for name in known[slug]["charts"]}
    charts = {of: AskedChart.of(known, slug, name, request.args) for of, name in names.items()}
    return {of: _links_of(datasette, asked) for of, asked in charts.items() if asked}


def _links_of(datasette, asked):
    title = asked.chart["title"]
    links = {"title": title, "heading": title, "note": asked.note, "file": asked.file}
    links["csv"] = asked.path(_DASHBOARDS, ".csv")
    if datasette.embedding:
        links["embed"] = datasette.embedding.address(asked.path(embedding.PATH))
    return links


@hookimpl
def extra_js_urls(datasette, request):
    found = _links(datasette, request)
    return [datasette.urls.path("/browser/take-away.js")] if found else []


@hookimpl
def extra_body_script(datasette, request):
    found = _links(datasette, request)
    return f"offerCharts({take_away.in_script(found)})" if found else ""
