"""What all pictures are drawn with: colours, layers, axes."""

from __future__ import annotations

# Okabe and Ito's palette, which colour-blind readers can tell apart; in place of its yellow, too
# pale for a line on white, a grey. page.py has other colours for INK and the like on dark screens.
PALETTE = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#000000",
    "#7f7f7f",
)
INK, QUIET, GRID, PAPER = "#1f2328", "#59636e", "#d8dee4", "#ffffff"
TARGET = "#b3261e"


def layer(mark: str | dict, values: list[dict], **encoding) -> dict:
    """A layer with data of its own."""
    return {"data": {"values": values}, "mark": mark, "encoding": encoding}


def number(value: float) -> str:
    """Exact, grouped: 15,660 or 49.51."""
    return f"{value:,}"


def colours(names: list[str], has_legend: bool) -> dict:
    """A colour for each name of the field `series`."""
    scale = {"domain": names, "range": list(PALETTE[: len(names)])}
    legend = {"title": None} if has_legend else None
    colour = {"field": "series", "type": "nominal", "scale": scale, "legend": legend}
    return {"color": colour}


def value_axis(title: str, integers: bool) -> dict:
    """An axis of numbers that begins at 0, without fractions of what has none."""
    least = {"tickMinStep": 1} if integers else {}
    return {
        "axis": {"title": title, "format": ",~f", "tickCount": 5} | least,
        "scale": {"zero": True, "nice": True},
    }


def target_layers(target: float | None, along: str) -> list[dict]:
    """A labelled line at the target, which the axis then reaches."""
    if target is None:
        return []
    values = [{"at": target, "text": f"target {target:,.12g}"}]
    place = {along: {"field": "at", "type": "quantitative"}}
    colour = {"color": {"value": TARGET}}
    rule = {"type": "rule", "strokeDash": [8, 4], "strokeWidth": 1.5}
    text = {"type": "text", "align": "left", "baseline": "bottom", "dx": 4, "dy": -3}
    side = {"x": {"value": 0}} if along == "y" else {"y": {"value": 0}}
    return [
        layer(rule, values, **place, **colour),
        layer(text, values, **place, **side, **colour, text={"field": "text"}),
    ]
