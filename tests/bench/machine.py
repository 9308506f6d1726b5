"""On what it was measured, and against which releases: for the line under the table."""

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from bench import PEERS_PYTHON

_VERSIONS = """
from importlib.metadata import version
print(*(f"{name} {version(name.lower())}" for name in ("DuckDB", "chDB", "Polars")), sep=", ")
"""


def _found(pattern: str, file: str) -> str:
    """What a line of /proc says; a question mark where it says nothing."""
    try:
        match = re.search(pattern, Path(file).read_text(), re.MULTILINE)
    except OSError:
        match = None
    return match[1] if match else "?"


def host() -> str:
    cpu = _found(r"^model name\s*: (.*)$", "/proc/cpuinfo")
    memory = _found(r"^MemTotal:\s*(\d+)", "/proc/meminfo")
    gigabytes = f"{int(memory) * 1024 / 1e9:.0f}" if memory.isdigit() else memory
    cores = len(os.sched_getaffinity(0))
    system = f"{platform.system()} {platform.release().split('-')[0]}"
    return f"{cpu}, {cores} cores, {gigabytes} GB, {system}, Python {platform.python_version()}"


def peers() -> str:
    python = [PEERS_PYTHON, "-c", _VERSIONS]
    found = subprocess.run(python, capture_output=True, text=True, check=True).stdout.strip()
    if shutil.which("jq"):
        jq = subprocess.run(["jq", "--version"], capture_output=True, text=True, check=True)
        found += f", {jq.stdout.strip().replace('jq-', 'jq ')}"
    return found
