"""What tests of the fault matrix start from, and which of them are run."""

import fcntl
import os
import shutil
import struct
import subprocess
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from faults.databases import POSTGRESQL, SQLITE, Db, by_origin, content, copy_db, on_server
from faults.pipelines import CORRECTED, PIPELINES, Pipeline, imported
from faults.report import (  # noqa: F401 -- found here by pytest
    injected,
    kind_of,
    pytest_runtest_setup,
    pytest_terminal_summary,
)
from helpers import postgres_server as servers
from helpers.checkouts import copy_of_checkout
from helpers.programs import BARE
from helpers.thorough import IN_FULL, leave, sampled, test_of

_SHUTDOWN = 0x8004587D  # FS_IOC_SHUTDOWN
_NO_LOG_FLUSH = 2  # what has not been synced is lost


def pytest_configure(config):
    config.addinivalue_line("markers", "fault(row): which row of the fault matrix a test injects")
    config.addinivalue_line("markers", "only(kind): about one kind of database alone")


def pytest_collection_modifyitems(config, items):
    """Leave most cases of some tests, and of all on a server, to `make faults`."""

    def group(item):
        return *test_of(item), kind_of(item)

    ours = [item for item in items if item.path.parent == Path(__file__).parent]
    left = set()
    for item in ours:
        only = item.get_closest_marker("only")
        if only and kind_of(item) not in ("", only.args[0]):
            left.add(item)
    if not IN_FULL:
        left |= sampled((item for item in ours if kind_of(item) != POSTGRESQL), group)
        counts = Counter(map(group, ours))
        order = {test: number for number, test in enumerate(counts)}
        seen = Counter()
        for item in ours:
            test = group(item)
            # of each test one on a server, each time of another pipeline
            if kind_of(item) == POSTGRESQL and seen[test] != order[test] % counts[test]:
                left.add(item)
            seen[test] += 1
    leave(left, config, items)


# ---- what a test starts from


class Start(NamedTuple):
    """A pipeline, its files, and a database with the first of them in it.

    `base` is that one's content, `golden` what SQLite holds with two.
    """

    pipeline: Pipeline
    files: list[Path]
    one: Db
    base: dict
    golden: dict


@pytest.fixture(scope="session")
def starts(request, tmp_path_factory):
    """Made once a session for each pipeline and kind of database."""
    made = {}

    def start(pipeline, kind=SQLITE):
        if (pipeline.label, kind) not in made:
            made[pipeline.label, kind] = make(pipeline, kind)
        return made[pipeline.label, kind]

    def make(pipeline, kind):
        if kind == POSTGRESQL:
            one = request.getfixturevalue("server").database()
            like = start(pipeline)
            imported(pipeline, one, like.files[0])
            return like._replace(one=one)
        folder = tmp_path_factory.mktemp(pipeline.name)
        files = pipeline.inputs(folder)
        one, two = folder / "one.db", folder / "two.db"
        imported(pipeline, one, files[0])
        copy_db(one, two)
        imported(pipeline, two, files[1])
        base, golden = content(one), content(two)
        if pipeline.table:
            base, golden = base | by_origin(one), golden | by_origin(two)
        return Start(pipeline, files, one, base, golden)

    return start


def _case(pipeline, kind):
    return pytest.param((pipeline, kind), id=f"{pipeline.label}-{kind}")


def pytest_generate_tests(metafunc):
    """Each pipeline, on each kind of database; where processes die, also a corrected table."""
    if "start" in metafunc.fixturenames:
        dies = metafunc.module.__name__.endswith(("test_kill", "test_disk"))
        pipelines = [*PIPELINES, CORRECTED] if dies else PIPELINES
        cases = [_case(pipeline, kind) for kind in (SQLITE, POSTGRESQL) for pipeline in pipelines]
        metafunc.parametrize("start", cases, indirect=True)


@pytest.fixture
def start(request, starts):
    return starts(*request.param)


@pytest.fixture
def placed(start, request, monkeypatch):
    """A function that puts a database with the first file in it, or on a server what imports
    keep beside one, into a folder.
    """

    def place(folder, name="a.db"):
        if not on_server(start.one):
            return copy_db(start.one, folder / name)
        monkeypatch.setitem(BARE, "XDG_CACHE_HOME", str(folder))
        db = request.getfixturevalue("server").database()
        request.addfinalizer(lambda: servers.drop(db))
        return copy_db(start.one, db)

    return place


@pytest.fixture
def db(placed, tmp_path):
    """A database with the first file in it."""
    return placed(tmp_path)


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def new_db(request, tmp_path):
    """One that is not there yet, or is empty."""
    if request.param == SQLITE:
        yield tmp_path / "new.db"
    else:
        db = request.getfixturevalue("server").database()
        yield db
        servers.drop(db)


@pytest.fixture
def power(tmp_path, mount_point):
    """An ext4 of its own on a file, and a function that cuts its power and starts it again."""
    mkfs = shutil.which("mkfs.ext4", path="/usr/sbin:/sbin:/usr/bin")
    if os.geteuid() != 0 or not mkfs:
        pytest.skip("needs root and mkfs.ext4")
    image, folder = tmp_path / "image", mount_point
    with open(image, "wb") as file:
        file.truncate(512 << 20)
    subprocess.run([mkfs, "-q", "-F", image], check=True)

    def mount():
        done = subprocess.run(["mount", "-o", "loop", image, folder], capture_output=True)
        if done.returncode:
            pytest.skip(f"cannot mount: {done.stderr.decode().strip()}")

    def cut():
        fd = os.open(folder, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(fd)

    def start():
        subprocess.run(["umount", folder], check=True)
        mount()

    mount()
    yield folder, cut, start
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture(scope="session")
def bin_with_clock(tmp_path_factory):
    """The programs, in a checkout whose clock says what the variable NOW says."""
    tree = copy_of_checkout(tmp_path_factory.mktemp("tree"))
    clock = tree / "lib" / "headcount" / "values" / "clock.py"
    text = clock.read_text()
    says = '__import__("os").environ["NOW"]'
    utc = f"datetime.strptime({says}.replace(':60Z', ':59Z'), FORMAT).replace(tzinfo=UTC)"
    for real, said in (("text(_utc())\n", f"{says}\n"), ("datetime.now(UTC)\n", f"{utc}\n")):
        assert text.count(f"return {real}") == 1
        text = text.replace(f"return {real}", f"return {said}")
    clock.write_text(text)
    return tree / "bin"
