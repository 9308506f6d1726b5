"""The report of the fault matrix: what was injected, what survived, what differed."""

import re
from collections import defaultdict

import pytest

from faults.databases import POSTGRESQL
from faults.matrix import ROWS


def kind_of(item) -> str:
    """Which kind of database a test is given, if any."""
    params = (getattr(item, "callspec", None) and item.callspec.params) or {}
    return params.get("new_db", params.get("start", (None, ""))[1])


@pytest.fixture
def injected(request):
    """Tell the report of a fault, then, if all is as it should be, that it was survived:
    `with injected(PIPELINE):` around what follows the fault.
    """
    row = request.node.get_closest_marker("fault").args[0]
    where = " on a server" if kind_of(request.node) == POSTGRESQL else ""
    tally = defaultdict(lambda: [0, 0])

    class Injected:
        def __init__(self, pipeline, count=1):
            self._of, self._count = tally[pipeline + where], count

        def __enter__(self):
            self._of[0] += self._count

        def __exit__(self, kind, *_):
            if kind is None:
                self._of[1] += self._count
            return False

    yield Injected
    for pipeline, counts in tally.items():
        request.node.user_properties.append(("fault", [row, pipeline, *counts]))


def pytest_terminal_summary(terminalreporter):
    counts = defaultdict(lambda: [0, 0])
    notes = defaultdict(set)
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == "fault" and report.when == "teardown":
                    row, pipeline, count, survived = value
                    counts[row, pipeline][0] += count
                    counts[row, pipeline][1] += survived
                if name == "row" and report.skipped:  # in its set-up, or by what it found to use
                    notes[value].add(re.sub(r"^Skipped: ", "", report.longrepr[2]))
    if not counts and not notes:
        return
    write = terminalreporter.write_line
    terminalreporter.section("the fault matrix")
    write(f"{'fault':42}{'pipeline':28}{'injected':>9}{'survived':>9}{'differences':>12}")
    for row, title in ROWS.items():
        for pipeline in sorted({p for r, p in counts if r == row}):
            count, survived = counts[row, pipeline]
            name = pipeline.removeprefix("import-")
            write(f"{row:2} {title:39}{name:28}{count:9}{survived:9}{count - survived:12}")
        for note in sorted(notes[row]):
            write(f"{row:2} {title:39}not run here: {note}")
    count, survived = (sum(both[i] for both in counts.values()) for i in (0, 1))
    write(f"{'all':70}{count:9}{survived:9}{count - survived:12}")


def pytest_runtest_setup(item):
    if mark := item.get_closest_marker("fault"):
        item.user_properties.append(("row", mark.args[0]))
