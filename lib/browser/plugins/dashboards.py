"""Mends how datasette-dashboards 0.8 draws: texts stay text, numbers are grouped, nothing is said.

It puts cells of tables and metrics into the page as HTML; without rows, a legend that has no
entries makes a chart infinitely high, and a table fails. What is drawn, take-away.js is given; a
chart that is embedded has its rows with it.
"""

from importlib.resources import files

from datasette import hookimpl

_PATH = "/-/static-plugins/datasette_dashboards/dashboards.js"
_CHANGES = {  # how often each is there, and what comes in its place
    ".innerHTML = ": (3, ".textContent = "),
    "${prefix}${metric}${suffix}": (1, "${prefix}${grouped(metric)}${suffix}"),
    "  vegaEmbed(el, spec)": (2, "  await vegaEmbed(el, spec)\n  hideEmpty(el)"),
    "wrapper.style.overflow = 'auto'": (
        1,
        "wrapper.style.overflow = 'auto'\n"
        "  Object.assign(wrapper, {tabIndex: 0, role: 'region', ariaLabel: chart.title})",
    ),
    "tbody_td.textContent = col": (1, "sayCell(tbody_td, col)"),
    "await fetch(dataUrl)": (5, "await rowsOf(chart, dataUrl)"),
    "  vegaEmbed(el, spec)\n": (
        2,
        "  const drawn = await vegaEmbed(el, spec)\n"
        "  globalThis.offerPictures?.(chart_slug, drawn.view)\n",
    ),
    "const data = await results.json()\n": (
        5,
        "const data = await results.json()\n"
        "  if (!data.rows?.length) return sayNothing(chart_slug, data.error)\n",
    ),
}
_OURS = """
function rowsOf(chart, url) {
  return chart.data ? { json: () => chart.data } : fetch(url)
}

function grouped(value) {
  return typeof value === 'number' ? value.toLocaleString('en') : value
}

function sayCell(cell, value) {
  cell.className = typeof value
  cell.textContent = grouped(value)
}

// A layer without marks has the role of a picture, and nothing that says what it shows.
function hideEmpty(el) {
  for (const group of el.querySelectorAll('g[aria-roledescription]:empty')) {
    group.setAttribute('aria-hidden', 'true')
  }
}

function sayNothing(chart_slug, error) {
  const p = document.createElement('p')
  p.className = 'nothing'
  p.textContent = error || 'No data'
  document.querySelector(`#chart-${chart_slug}`).append(p)
}
"""


def _mended():
    text = files("datasette_dashboards").joinpath("static/dashboards.js").read_text()
    for old, (times, new) in _CHANGES.items():
        if text.count(old) != times:
            raise RuntimeError(f"another datasette-dashboards: see how it has {old!r}")
        text = text.replace(old, new)
    return (text + _OURS).encode()


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
