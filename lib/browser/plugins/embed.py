"""The page of one chart alone, for frames in pages of the owner's; serve-db --embed turns it on."""

import sqlite3

from datasette import NotFound, Response, hookimpl
from datasette.database import QueryInterrupted

from headcount.reports.web import embedding, take_away
from headcount.reports.web.browser import NAME
from headcount.reports.web.dashboards import MOST_ROWS
from headcount.reports.web.take_away import AskedChart

_OFF = "Charts cannot be embedded: serve-db --embed ORIGIN lets pages of that origin show them\n"
_LINKS = {"href", "cursor"}  # to pages that nobody may frame


@hookimpl
def register_routes():
    return [(rf"^{embedding.PATH}(?P<slug>[^/]+)/(?P<chart_slug>[^/]+)$", embedded)]


async def embedded(request, datasette):
    if not datasette.embedding:
        return Response.text(_OFF, status=404)
    slug, name = request.url_vars["slug"], request.url_vars["chart_slug"]
    known = datasette.plugin_config("datasette-dashboards")
    asked = AskedChart.of(known, slug, name, request.args)
    if not asked:
        raise NotFound(f"No chart is called {slug}/{name}")
    drawn = {
        "title": asked.chart["title"],
        "library": asked.chart["library"],
        "display": _without_links(asked.chart.get("display")),
        "data": await _data(datasette, *asked.statement(whole=False)),
    }
    told = {
        "asked": asked,
        "drawn": take_away.in_script(drawn),
        "most": MOST_ROWS,
        "static": embedding.STATIC,
    }
    page = await datasette.render_template("embed.html", told, request=request)
    return Response.html(page, headers={"cache-control": "no-cache"})


async def _data(datasette, sql, params):
    """The rows as a page that asks for them gets them."""
    try:
        found = await datasette.get_database(NAME).execute(sql, params, truncate=True)
    except (QueryInterrupted, sqlite3.Error) as error:
        return {"rows": [], "error": str(error)}
    return {"rows": [dict(row) for row in found.rows], "truncated": found.truncated}


def _without_links(display):
    match display:
        case dict():
            kept = display.items()
            return {key: _without_links(part) for key, part in kept if key not in _LINKS}
        case list():
            return [_without_links(part) for part in display]
    return display
