"""What only some programs need, and is large: installed when one needs it for the first time."""

import importlib
import os
import subprocess

from headcount.cli import ROOT
from headcount.failure import FAILED, Failure


def install(section: str) -> None:
    """Install a section of the lock file, unless it is there. Raises Failure if that fails."""
    if os.path.exists(os.path.join(ROOT, ".venv", section)):  # set-up makes it when all is there
        return
    done = subprocess.run([os.path.join(ROOT, "lib", "set-up"), section], stdin=subprocess.DEVNULL)
    importlib.invalidate_caches()
    if done.returncode:
        raise Failure("could not install what it needs; see above", FAILED)
