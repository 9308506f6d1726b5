"""A report as a file: SVG, PNG, or a page of HTML; charts are drawn by vl-convert, no browser."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from datetime import date

from headcount import __version__
from headcount.db import properties
from headcount.reports.catalogue import Chart, Report
from headcount.reports.pictures import page, vega_lite
from headcount.reports.pictures.known_days import KnownDays
from headcount.reports.pictures.vega_lite import Picture
from headcount.values import clock

FORMATS = ("svg", "png", "html")
EXTRA = "charts"  # of the lock file: what must be installed to draw
_UNBOUNDED = ("", "0000-01-01", "9999-12-31")  # parameters that leave nothing out
_NO_URLS: list[str] = []  # nothing is fetched, whatever a specification names


def made(
    form: str,
    report: Report,
    params: Mapping[str, str],
    chart: Chart | None,
    table: tuple[Sequence[str], Sequence[Sequence]],
    known: KnownDays,
    *,
    target: float | None,
    whose: str,
    notes: Sequence[str],
) -> str | bytes:
    """The file of one of FORMATS: of the chart, or a page that may lack one; with these notes."""
    drawn = None
    if chart:
        today = date.fromisoformat(clock.now()[:10])
        drawn = vega_lite.picture(chart, *table, known, target=target, today=today)
        drawn.notes += notes
        if whose != properties.DEFAULT:
            drawn.title += f", property {whose}"
        if params.get("definition"):
            drawn.title += f" ({known.definition})"
        if form == "png":
            return png(drawn)
        if form == "svg":
            return svg(drawn)
    given = [f"{name}={value}" for name, value in params.items() if value not in _UNBOUNDED]
    facts = {
        "Report": f"{report.name}: {report.description}",
        "Parameters": ", ".join(given),
        "Property": "" if whose == properties.DEFAULT else whose,
        "Time zone": {"device": "each device's own"}.get(known.zone, known.zone),
        "Definition": known.definition,
        "Made": f"{clock.now()}, by show-report {__version__}",
    }
    return page.page(
        drawn.title if drawn else report.description,
        {name: fact for name, fact in facts.items() if fact},
        *table,
        figure=inline_svg(drawn) if drawn else "",
        notes=drawn.notes if drawn else notes,
    )


def png(drawn: Picture) -> bytes:
    """With its title and notes, twice as large as on a screen of old, so that it prints well."""
    import vl_convert

    spec = drawn.titled()
    return vl_convert.vegalite_to_png(spec, scale=2, ppi=72, allowed_base_urls=_NO_URLS)


def svg(drawn: Picture) -> str:
    """With its title and notes; and both as texts, for those who do not see it."""
    return _with_text(_svg(drawn.titled()), drawn) + "\n"


def inline_svg(drawn: Picture) -> str:
    """For a page, which has the title and the notes beside it."""
    text = _with_text(_svg(drawn.spec | {"background": None}), drawn)
    return re.sub(r'(<svg) xmlns="[^"]*" xmlns:xlink="[^"]*"', r"\1", text, count=1)


def _svg(spec: dict) -> str:
    import vl_convert

    return vl_convert.vegalite_to_svg(spec, allowed_base_urls=_NO_URLS)


def _with_text(svg_text: str, drawn: Picture) -> str:
    head, end, rest = svg_text.partition(">")
    title = html.escape(drawn.title)
    said = html.escape(". ".join([drawn.title, drawn.summary, *drawn.notes]))
    return f'{head} role="img" aria-label="{said}"{end}<title>{title}</title>{rest}'
