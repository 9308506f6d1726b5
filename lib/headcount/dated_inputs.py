"""The files of a range of days: `python -m headcount.dated_inputs PIPELINE --inputs PATTERN …`."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import sys
from datetime import date, timedelta

from headcount import cli, clock, output
from headcount.failure import NO_INPUT, OK, REJECTS, Failure

_DATE, _DIGITS = "{date}", "{yyyymmdd}"
_DIGIT = "[0-9]"
_SHOWN = 10  # days


def files_of(pattern: str, day: date) -> list[str]:
    """The files there are for a day, sorted; the pattern may have the shell's * ? and []."""
    path = pattern.replace(_DATE, day.isoformat())
    path = path.replace(_DIGITS, day.isoformat().replace("-", ""))
    return [path] if os.path.exists(path) else sorted(glob.glob(path))


def newest(pattern: str) -> date | None:
    """The last day that has a file: found by looking at the files, not at the clock."""
    either = pattern.replace(_DATE, f"{_DIGIT * 4}-{_DIGIT * 2}-{_DIGIT * 2}")
    days = set()
    for path in glob.glob(either.replace(_DIGITS, _DIGIT * 8)):
        for text in re.findall(r"(?=(\d{4}-?\d\d-?\d\d))", path):
            with contextlib.suppress(ValueError):  # other digits
                days.add(date.fromisoformat(text))
    return max((day for day in days if files_of(pattern, day)), default=None)


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=i) for i in range((last - first).days + 1)]


def main() -> int:
    """PIPELINE --inputs PATTERN --since DATE [--until DATE] - find the files of a range of days

    Prints them, each ended by NUL. Says which days have none, and then exits with 65. Without
    --until, the range ends with the newest day that has one.
    """
    parser = cli.Parser(main.__doc__)
    parser.add_argument("--inputs", metavar="FILE")
    parser.add_argument("--since", type=clock.day)
    parser.add_argument("--until", type=clock.day)
    options = parser.parse()
    if not options.inputs or not options.since:
        parser.error("--inputs and --since go together")
    if _DATE not in options.inputs and _DIGITS not in options.inputs:
        parser.error(f"--inputs: put {_DATE} or {_DIGITS} where files have it in their names")
    last = options.until or newest(options.inputs)
    if options.until and options.until < options.since:
        parser.error(f"--since {options.since} is after --until {options.until}")
    days = _days(options.since, last) if last else []
    files = {day: files_of(options.inputs, day) for day in days}
    found = [day for day in days if files[day]]
    if not found:
        until = f" to {options.until}" if options.until else " on"
        raise Failure(f"no file {options.inputs} from {options.since}{until}", NO_INPUT)
    missing = [day for day in days if not files[day]]
    output.write(1, b"".join(os.fsencode(path) + b"\0" for day in found for path in files[day]))
    if not missing:
        return OK
    names = ", ".join(map(str, missing[:_SHOWN])) + (", …" if len(missing) > _SHOWN else "")
    days = "1 day has" if len(missing) == 1 else f"{len(missing)} days have"
    print(f"{parser.prog}: {days} no file: {names}", file=sys.stderr)
    return REJECTS


if __name__ == "__main__":
    sys.argv.pop(0)  # messages come in the pipeline's name
    cli.start(main, drains=False)
