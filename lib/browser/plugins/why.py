"""The page that explains the count of a day, as why-day does."""

import asyncio
from datetime import date, timedelta

from datasette import Response, hookimpl

from headcount.errors import USAGE, Failure
from headcount.reports import catalogue, connection, day_count
from headcount.reports.web.browser import NAME
from headcount.reports.web.page_functions import WHY, why_path

_ASKED = ("date", "by", "value")


@hookimpl
def register_routes():
    return [(rf"^{WHY}$", why)]


async def why(request, datasette):
    path = datasette.get_database(NAME).path
    try:
        asked = _asked(request.args)
        known, fields = await asyncio.to_thread(_known, path, datasette.property, *asked)
    except Failure as failure:
        told = {"status": 400, "title": "This day cannot be explained", "ok": False}
        told["error"] = str(failure).replace("--by: ", "by: ").partition(";")[0]
        page = await datasette.render_template("error.html", told, request=request)
        return Response.html(page, status=400)
    if not datasette.show_ids:
        for file in known["inputs"]:
            del file["path"]
    listed = known.get("values", []) if known.get("value") is None else []
    day = date.fromisoformat(known["date"])
    around = [(day + timedelta(days=step)).isoformat() for step in (-1, 1)]
    told = {
        "known": known,
        "fields": fields,
        "listed": listed,
        "around": around,
        "most": day_count.SHOWN,
        "path_of": why_path,
        "instant": lambda text: text.replace("T", " ").replace("Z", " UTC"),
    }
    return Response.html(await datasette.render_template("why.html", told, request=request))


def _asked(args):
    """The day, and what why-day calls --by. Raises Failure 2."""
    for name in args:
        if name not in _ASKED:
            raise Failure(f"the page has no parameter {name!r}; it has: date, by, value", USAGE)
    day, field, value = (args.get(name) or "" for name in _ASKED)
    if not catalogue.is_date(day) or len(day) != len("YYYY-MM-DD"):
        raise Failure(f"date={day}: expected a day, YYYY-MM-DD", USAGE)
    if value and not field:
        raise Failure("value: by names the field that has it", USAGE)
    if value:
        field += "=" + ("" if value == "(empty)" else value)
    return day, field or None


def _known(path, whose, day, by):
    with connection.for_reading(path, whose) as db:
        db.execute("BEGIN")  # all of one moment
        fields = [field for (field,) in db.execute("SELECT field FROM dimension ORDER BY field")]
        return day_count.known_of(db, day, by), fields
