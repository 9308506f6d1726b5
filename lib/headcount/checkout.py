"""The checkout: where it is, how a section of its lock file is installed."""

import importlib
import os

from headcount.errors import FAILED, Failure

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))


def install(section: str) -> None:
    """Install a section of the lock file, unless it is there. Raises Failure if that fails."""
    if os.path.exists(os.path.join(ROOT, ".venv", section)):  # set-up makes it when all is there
        return
    import subprocess  # slow to import, and programs that have it all do without

    done = subprocess.run([os.path.join(ROOT, "lib", "set-up"), section], stdin=subprocess.DEVNULL)
    importlib.invalidate_caches()
    if done.returncode:
        raise Failure("could not install what it needs; see above", FAILED)
