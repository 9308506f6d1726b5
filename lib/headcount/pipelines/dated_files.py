"""The files of a range of days."""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import glob
import os
import re
import sys
from datetime import date, timedelta

from headcount.cli import types
from headcount.cli.parser import Parser
from headcount.errors import NO_INPUT, Failure
from headcount.io import names

_DATE, _DIGITS = "{date}", "{yyyymmdd}"
_DIGIT = "[0-9]"
_SHOWN = 10  # days


def files_of(pattern: str, day: date) -> list[str]:
    """The files there are for a day, sorted; the pattern may have the shell's * ? and [].

    A folder stands for the files in it.
    """
    path = pattern.replace(_DATE, day.isoformat())
    path = path.replace(_DIGITS, day.isoformat().replace("-", ""))
    found = [path] if os.path.exists(path) else sorted(glob.glob(path))
    return [file for one in found for file in (names.within(one) if os.path.isdir(one) else [one])]


def newest(pattern: str) -> date | None:
    """The last day that has a file: found by looking at the files, not at the clock."""
    days = set()
    for path in glob.glob(_any_day(pattern)):
        for text in re.findall(r"(?=(\d{4}-?\d\d-?\d\d))", path):
            with contextlib.suppress(ValueError):  # other digits
                days.add(date.fromisoformat(text))
    return max((day for day in days if files_of(pattern, day)), default=None)


def places(pattern: str, place: str) -> dict[str, str]:
    """What stands at a `place` in the paths of the files of any day: by that text, the pattern for
    its files."""
    before, *rest = pattern.split(place)
    found = {}
    for path in glob.glob(_any_day("*".join([before, *rest]))):
        texts = [fnmatch.translate(_any_day(part))[4:-3] for part in (before, *rest)]
        again = "".join(f"\\1{text}" for text in texts[2:])
        if match := re.fullmatch("([^/]+)".join(texts[:2]) + again, path):
            found[match[1]] = glob.escape(match[1]).join([before, *rest])
    return found


def _any_day(pattern: str) -> str:
    either = pattern.replace(_DATE, f"{_DIGIT * 4}-{_DIGIT * 2}-{_DIGIT * 2}")
    return either.replace(_DIGITS, _DIGIT * 8)


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=i) for i in range((last - first).days + 1)]


def add_options(parser: Parser) -> None:
    """Add the options for a range of days."""
    parser.add_argument(
        "--inputs",
        metavar="PATTERN",
        help="read the file of each day, --since DATE to --until DATE (default: to the newest): "
        "events/{date}.jsonl.gz, or events_{yyyymmdd}*; days without one are told (exit 65)",
    )
    parser.add_argument("--since", metavar="DATE", type=types.day, help="the first of these days")
    parser.add_argument("--until", metavar="DATE", type=types.day, help="the last of them")


def of(parser: Parser, options: argparse.Namespace) -> tuple[list[str], bool]:
    """The files that these options name, and whether some day has none, which is said on stderr.

    Without --until, the range ends with the newest day that has one. What makes no sense is a usage
    error. Raises Failure 66 if no day has a file.
    """
    if not options.inputs and not options.since and not options.until:
        return [], False
    if not options.inputs or not options.since:
        parser.error("--inputs and --since go together")
    if _DATE not in options.inputs and _DIGITS not in options.inputs:
        parser.error(f"--inputs: put {_DATE} or {_DIGITS} where files have it in their names")
    last = options.until or newest(options.inputs)
    if options.until and options.until < options.since:
        parser.error(f"--since {options.since} is after --until {options.until}")
    days = _days(options.since, last) if last else []
    files = {day: files_of(options.inputs, day) for day in days}
    if not any(files.values()):
        until = f" to {options.until}" if options.until else " on"
        raise Failure(f"no file {options.inputs} from {options.since}{until}", NO_INPUT)
    if missing := [day for day in days if not files[day]]:
        first = ", ".join(map(str, missing[:_SHOWN])) + (", …" if len(missing) > _SHOWN else "")
        counted = "1 day has" if len(missing) == 1 else f"{len(missing)} days have"
        print(f"{parser.prog}: {counted} no file: {first}", file=sys.stderr)
    return [path for day in days for path in files[day]], bool(missing)
