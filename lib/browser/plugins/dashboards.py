"""Mends how datasette-dashboards 0.8 draws: see static/drawing.js.

It puts cells of tables and metrics into the page as HTML; without rows, a legend that has no
entries makes a chart infinitely high, and a table fails; to be fresh, it reloads the page. A chart
that is embedded has its rows in its page.
"""

from importlib.resources import files

from datasette import hookimpl
from jinja2.ext import Extension

from headcount.reports.web import dashboards

_PATH = "/-/static-plugins/datasette_dashboards/dashboards.js"
_CHANGES = {  # how often each is there, and what comes in its place
    ".innerHTML = ": (3, ".textContent = "),
    "${prefix}${metric}${suffix}": (1, "${prefix}${grouped(metric)}${suffix}"),
    "const results = await fetch(dataUrl)": (
        5,
        "const data = await newRows(chart_slug, chart.data, dataUrl)",
    ),
    "const data = await results.json()": (5, "if (!data) return"),
    "  vegaEmbed(el, spec)": (2, "  await drawVega(el, spec)"),
    "el.appendChild(wrapper)": (3, "show(el, wrapper)"),
    "wrapper.style.overflow = 'auto'": (
        1,
        "wrapper.style.overflow = 'auto'\n"
        "  Object.assign(wrapper, {tabIndex: 0, role: 'region', ariaLabel: chart.title})",
    ),
    "tbody_td.textContent = col": (1, "sayCell(tbody_td, col)"),
    "p.style.fontWeight = '900';": (1, "p.style.setProperty('--length', text.length)"),
    "await render(": (1, "await draw(render, "),
    "window.setTimeout(function () { window.location.reload() }, timeout)": (
        1,
        "keepFresh(timeout / 1000, redraw)",
    ),
}


class Kinds(Extension):
    """Tells style sheets what kind of chart a card has."""

    def preprocess(self, source, name, filename=None):
        return source.replace(
            'class="dashboard-card-chart"', 'class="dashboard-card-chart {{ chart.library }}"'
        )


@hookimpl
def prepare_jinja2_environment(env):
    env.add_extension(Kinds)


def _mended():
    text = files("datasette_dashboards").joinpath("static/dashboards.js").read_text()
    for old, (times, new) in _CHANGES.items():
        if text.count(old) != times:
            raise RuntimeError(f"another datasette-dashboards: see how it has {old!r}")
        text = text.replace(old, new)
    return (text + (dashboards.FOLDER / "static" / "drawing.js").read_text()).encode()


_MENDED = _mended()


@hookimpl(tryfirst=True)  # so that guard.py is around it
def asgi_wrapper(datasette):
    def wrapped(app):
        async def answer(scope, receive, send):
            if scope["type"] != "http" or scope["path"] != _PATH:
                await app(scope, receive, send)
                return
            headers = [(b"content-type", b"text/javascript; charset=utf-8")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": _MENDED})

        return answer

    return wrapped
