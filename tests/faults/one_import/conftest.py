"""What the tests of one import start from."""

import shutil
import time

import pytest

from faults.one_import.common import (
    truth,
)
from helpers.events import event, write_padded
from helpers.programs import run


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "small.jsonl"
    path.write_bytes(event(user="first"))
    return path


@pytest.fixture(scope="session")
def big(tmp_path_factory):
    """Large enough for an import to take most of a second."""
    return write_padded(tmp_path_factory.mktemp("big") / "big.jsonl", 40)


@pytest.fixture(scope="session")
def imported(small, tmp_path_factory):
    db = tmp_path_factory.mktemp("imported") / "a.db"
    run("import-active-users", "--db", db, small, check=0)
    return db


@pytest.fixture
def db(imported, tmp_path):
    """A database with an import in it."""
    return shutil.copy(imported, tmp_path / "a.db")


@pytest.fixture(scope="session")
def golden(big, imported, tmp_path_factory):
    """What an undisturbed import of `big` leaves, and the seconds it takes."""
    db = shutil.copy(imported, tmp_path_factory.mktemp("golden") / "a.db")
    start = time.monotonic()
    run("import-active-users", "--db", db, "--jobs", 3, big, check=0)
    return truth(db), time.monotonic() - start


@pytest.fixture
def two_files(tmp_path):
    """Of 1,000 users together, for two processes."""
    paths = [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    for start, path in zip((0, 500), paths, strict=True):
        path.write_bytes(b"".join(event(user=f"user {start + i}") for i in range(500)))
    return paths


@pytest.fixture
def long_files(big, tmp_path):
    """Names of so much that all processes work for some seconds."""
    paths = [tmp_path / f"{i}.jsonl" for i in range(100)]
    for path in paths:
        path.symlink_to(big)
    return paths
