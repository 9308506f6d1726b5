"""Keeps the first page and the dashboards fresh while they are open: see static/live.js."""

from datasette import Response, hookimpl
from jinja2.ext import Extension

from headcount.reports.web import browser, freshness

_DASHBOARDS = "/-/dashboards/"
_ABOUT = "<p>{{ dashboard.description }}</p>"
_MARK = "{# fresh #}"  # where the template of the first page has the line
# Screen readers are told what changes in the second part alone.
_FRESH = """<p class="fresh quiet"><span id="fresh" data-of="{{ fresh.of }}"
  data-state="{{ fresh.state }}" data-newest="{{ fresh.newest }}">updated 0 s ago
  {%- if fresh.newest %}; the newest event: {{ fresh.newest }}{% endif %}</span>
<span id="fresh-news" class="unseen" role="status"></span></p>"""


class Freshness(Extension):
    """Gives pages that are kept fresh a line that says so."""

    def preprocess(self, source, name, filename=None):
        if name == "dashboard_view.html":
            source = source.replace(_ABOUT, _ABOUT + _MARK)
        return source.replace(_MARK, _FRESH)


def _of(request):
    """What a page is about: the name of a dashboard, "" for the first page; None for others."""
    path = request.path if request else None
    if path == "/":
        return ""
    if path is None or not path.startswith(_DASHBOARDS):
        return None
    name = path.removeprefix(_DASHBOARDS).removesuffix("/embed")
    return None if "/" in name else name


@hookimpl
def prepare_jinja2_environment(env):
    env.add_extension(Freshness)


@hookimpl
def extra_js_urls(datasette, request):
    return [] if _of(request) is None else [datasette.urls.path("/browser/live.js")]


@hookimpl
def extra_template_vars(datasette, request):
    async def told():
        of = _of(request)
        return {} if of is None else {"fresh": await _fresh(datasette, of)}

    return told


@hookimpl
def register_routes():
    return [(r"^/-/fresh\.json$", fresh)]


async def fresh(request, datasette):
    return Response.json(await _fresh(datasette, request.args.get("of") or ""))


async def _fresh(datasette, of):
    database = datasette.get_database(browser.NAME)
    state = freshness.state(database.path)  # first: what is read later is no older
    newest = of and await database.execute_fn(lambda db: freshness.newest(db, of))
    return {"of": of, "state": state, "newest": newest or ""}
