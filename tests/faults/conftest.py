"""The report of the fault matrix: what was injected, what survived, what differed."""

import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import pytest

from checkouts import copy_of_checkout
from faults.matrix import ALL, ROWS
from faults.pipelines import PIPELINES, Pipeline, content, copy_db, imported


@pytest.fixture
def injected(request):
    """Tell the report of a fault, then, if all is as it should be, that it was survived:
    `with injected(PIPELINE):` around what follows the fault.
    """
    row = request.node.get_closest_marker("fault").args[0]
    tally = defaultdict(lambda: [0, 0])

    class Injected:
        def __init__(self, pipeline, count=1):
            self._of, self._count = tally[pipeline], count

        def __enter__(self):
            self._of[0] += self._count

        def __exit__(self, kind, *_):
            if kind is None:
                self._of[1] += self._count
            return False

    yield Injected
    for pipeline, counts in tally.items():
        request.node.user_properties.append(("fault", [row, pipeline, *counts]))


def pytest_configure(config):
    config.addinivalue_line("markers", "fault(row): which row of the fault matrix a test injects")
    config.addinivalue_line(
        "markers", "sample(n): without FAULTS=all, only every n-th of its cases"
    )


def pytest_collection_modifyitems(config, items):
    """Leave most cases of some tests to `make faults`."""
    seen, kept, left = defaultdict(int), [], []
    for item in items:
        mark = item.get_closest_marker("sample")
        number = seen[item.parent.nodeid, getattr(item, "originalname", item.name)]
        seen[item.parent.nodeid, getattr(item, "originalname", item.name)] += 1
        (left if mark and not ALL and number % mark.args[0] else kept).append(item)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept


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
    write(f"{'fault':42}{'pipeline':24}{'injected':>9}{'survived':>9}{'differences':>12}")
    for row, title in ROWS.items():
        for pipeline in sorted({p for r, p in counts if r == row}):
            count, survived = counts[row, pipeline]
            name = pipeline.removeprefix("import-")
            write(f"{row:2} {title:39}{name:24}{count:9}{survived:9}{count - survived:12}")
        for note in sorted(notes[row]):
            write(f"{row:2} {title:39}not run here: {note}")
    count, survived = (sum(both[i] for both in counts.values()) for i in (0, 1))
    write(f"{'all':66}{count:9}{survived:9}{count - survived:12}")


def pytest_runtest_setup(item):
    if mark := item.get_closest_marker("fault"):
        item.user_properties.append(("row", mark.args[0]))


# ---- what a test starts from


class Start(NamedTuple):
    """A pipeline, its files, and databases: with the first file in it, and with two (golden)."""

    pipeline: Pipeline
    files: list[Path]
    one: Path
    golden: dict


@pytest.fixture(scope="session")
def starts(tmp_path_factory):
    """Made once a session for each pipeline."""
    made = {}

    def start(pipeline):
        if pipeline.name not in made:
            folder = tmp_path_factory.mktemp(pipeline.name)
            files = pipeline.inputs(folder)
            one, two = folder / "one.db", folder / "two.db"
            imported(pipeline, one, files[0])
            copy_db(one, two)
            imported(pipeline, two, files[1])
            made[pipeline.name] = Start(pipeline, files, one, content(two))
        return made[pipeline.name]

    return start


@pytest.fixture(params=PIPELINES, ids=lambda pipeline: pipeline.name)
def start(request, starts):
    return starts(request.param)


@pytest.fixture
def db(start, tmp_path):
    """A database with the first file in it."""
    return copy_db(start.one, tmp_path / "a.db")


@pytest.fixture(scope="session")
def bin_with_clock(tmp_path_factory):
    """The programs, in a checkout whose clock says what the variable NOW says."""
    tree = copy_of_checkout(tmp_path_factory.mktemp("tree"))
    clock = tree / "lib" / "headcount" / "clock.py"
    text = clock.read_text()
    real = "return datetime.now(UTC).strftime(FORMAT)"
    assert text.count(real) == 1
    clock.write_text(text.replace(real, 'return __import__("os").environ["NOW"]'))
    return tree / "bin"
