"""Lengths of time as people write them: 90s, 15m, 12h, 1d, 2w."""

import argparse
import re

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def seconds(text: str) -> float:
    """For an option. A number alone is of seconds."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smhdw]?)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no length of time, such as 90s, 15m or 1d")
    return float(match[1]) * _UNITS[match[2]]


def text(seconds: float) -> str:
    """For people: 3.2 s, 15 min, 26 h, 3 d."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
