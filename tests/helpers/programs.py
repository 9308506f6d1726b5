"""Where things are, and how to run a program as a user does."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / "bin"
SHIMS = ROOT / "tests" / "shims"  # for a machine without the sqlite3 shell
PROGRAMS = sorted(path.name for path in BIN.iterdir())
REAL = ROOT.parent / "shared" / "data"  # real data, beside the checkout where there is any

# What cron gives: no locale, no activated environment.
BARE = {"PATH": "/usr/bin:/bin", "HOME": os.environ.get("HOME", "/")}

# Why there is no Spark to be tested, if there is none.
NO_SPARK = ""
if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
    NO_SPARK = "no Java: install default-jre-headless"
elif not (ROOT / ".venv" / "spark").exists():
    NO_SPARK = "no Spark: make .venv/spark"


def run(program, *arguments, stdin=b"", check=None, **options):
    """Run a program of bin/ in cron's environment; `check` is the status it must have."""
    done = subprocess.run(
        [BIN / program, *map(str, arguments)],
        **{"input": stdin, "capture_output": True, "env": BARE} | options,
    )
    if check is not None:
        assert done.returncode == check, (done.returncode, done.stdout, done.stderr)
    return done
