"""The first page: the answers at a glance, of each pipeline that has data."""

import asyncio

from datasette import Response, hookimpl

from headcount.db import properties
from headcount.reports import catalogue, checks, connection
from headcount.reports.web import freshness, front_page
from headcount.reports.web.browser import NAME

_LINE = (280, 48)  # of the picture of a line: its width and height
_found: dict[str, list[str]] = {}  # what checks have found, by the state of the files


@hookimpl
def register_routes():
    return [(r"^/$", home), (r"^/-/checks\.json$", findings)]


async def home(request, datasette):
    database = datasette.get_database(NAME)
    told = await database.execute_fn(_told)
    if datasette.property != properties.DEFAULT:
        told["whose"] = datasette.property
    page = await datasette.render_template("home.html", told, request=request)
    return Response.html(page)


def _told(db):
    cards, empty = front_page.cards(db)
    return {
        "cards": cards,
        "empty": empty,
        "jobs": front_page.jobs(db),
        "properties": front_page.by_property(db),
        "path": lambda line, last=False: front_page.path(line, *_LINE, is_last=last),
        "line": _LINE,
        "days": front_page.DAYS,
    }


async def findings(datasette):
    """The checks that find something, with how many rows; they may take some seconds."""
    database = datasette.get_database(NAME)
    state = freshness.state(database.path)
    if state not in _found:
        _found.clear()
        _found[state] = await asyncio.to_thread(_check, database.path, datasette.property)
    return Response.json({"found": _found[state]})


def _check(path, whose):
    asked = [catalogue.load(name, catalogue.CHECKS) for name in catalogue.names(catalogue.CHECKS)]
    with connection.for_reading(path) as db:
        return [
            f"{finding.check.name} ({len(finding.rows)})"
            for finding in checks.findings(db, asked, {}, whose)
        ]
