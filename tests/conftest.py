"""What all tests share: fixtures."""

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from helpers import signals
from helpers.programs import BARE, REAL
from helpers.thorough import IN_FULL, leave, sampled, test_of


def pytest_configure(config):
    signals.set_own()
    config.addinivalue_line("markers", "sample(n): without FAULTS=all, only one in n of its cases")


def pytest_collection_modifyitems(config, items):
    """Leave most cases of some tests to `make faults`. (Those in faults/ are looked at there.)"""
    if not IN_FULL:
        faults = Path(__file__).parent / "faults"
        ours = [item for item in items if item.path.parent != faults]
        leave(sampled(ours, test_of), config, items)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """A folder for locks, in place of the user's own."""
    BARE["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def server():
    """A throw-away PostgreSQL."""
    from helpers import postgres_server as servers

    with servers.running() as server:
        yield server


@pytest.fixture
def real_events():
    """The real sample of engagement events; the test is skipped where it is not."""
    path = REAL / "engagement" / "bq-results-sample-data.jsons"
    if not path.exists():
        pytest.skip(f"no real data at {path}")
    return path


@pytest.fixture
def unprivileged():
    """What makes the system check permissions for root, too."""
    if os.geteuid() != 0:
        return []
    setpriv = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    try:
        subprocess.run([*setpriv, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("root, and setpriv cannot drop what root may do")
    return setpriv


@pytest.fixture
def mount_point():
    """A folder that is not below pytest's, which are open to their owner alone."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="headcount-disk-") as folder:
        yield Path(folder)


@pytest.fixture
def tiny_disk(mount_point):
    """A file system of 2 MB, and a function that gives it another size."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    folder = mount_point
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount: {mounted.stderr.decode().strip()}")

    def resize(size):
        subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)

    yield folder, resize
    subprocess.run(["umount", "-l", folder], check=True)


def pytest_addoption(parser):
    parser.addoption("--accept", action="store_true", help="rewrite what the cases expect")
