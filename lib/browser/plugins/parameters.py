"""Refuses parameters that a page does not have, and values that they cannot have."""

from urllib.parse import parse_qsl

from datasette import Response, hookimpl

from headcount.errors import USAGE, Failure
from headcount.reports import catalogue
from headcount.reports.web import browser, embedding

_REPORT, _DASHBOARDS = f"/{browser.NAME}/", ("/-/dashboards/", embedding.PATH)


@hookimpl(tryfirst=True)  # so the guard is around it
def asgi_wrapper(datasette):
    return lambda app: _checked(app, datasette)


def _checked(app, datasette):
    async def answer(scope, receive, send):
        if scope["type"] == "http":
            try:
                _check(datasette, scope["path"], scope["query_string"].decode("latin-1"))
            except Failure as failure:
                told = {"status": 400, "title": "This page cannot be shown so", "ok": False}
                told["error"] = str(failure)
                page = await datasette.render_template("error.html", told)
                await Response.html(page, status=400).asgi_send(send)
                return
        await app(scope, receive, send)

    return answer


def _check(datasette, path, query):
    """Raises Failure for what a report or a dashboard does not know."""
    given = [(name, value) for name, value in parse_qsl(query) if not name.startswith("_")]
    if path.startswith(_REPORT):
        name = path.removeprefix(_REPORT).partition(".")[0]
        if name in catalogue.names():
            report = catalogue.load(name)
            report.of_fields = {}  # a page has no views of a value alone
            catalogue.values(report, given)
    elif path.startswith(_DASHBOARDS) and given:
        name = path.split("/")[3]
        dashboard = datasette.plugin_config("datasette-dashboards").get(name)
        if dashboard is not None:
            _check_filters(dashboard.get("filters", {}), given)


def _check_filters(filters, given):
    for name, value in given:
        if name not in filters:
            known = ", ".join(filters) or "none"
            raise Failure(f"the page has no filter {name!r}; it has: {known}", USAGE)
        kind = filters[name].get("type")
        fits = {"date": catalogue.is_date, "number": catalogue.is_number}.get(kind)
        if fits and not fits(value):
            raise Failure(f"{name}={value}: expected a {kind}", USAGE)
    since, until = dict(given).get("since", ""), dict(given).get("until", "")
    if since and until and since > until:
        raise Failure(f"since={since} is after until={until}", USAGE)
