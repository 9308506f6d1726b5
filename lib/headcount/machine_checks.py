"""What doctor looks at on a machine. Each check yields problems, with what to do about them."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from headcount import zones
from headcount.cli import ROOT
from headcount.supervise import SYSTEM_PATH

_TOOLS = ("bash", "find", "flock", "mktemp", "readlink", "rm", "sed", "sort")
_BASH = (4, 4)  # which has inherit_errexit
_PYTHON = (3, 11)
_SQLITE = (3, 38)  # which has unixepoch
# Variables that change what bash or any program does before it has begun.
_MEDDLING = ("BASH_ENV", "ENV", "LD_PRELOAD", "LD_LIBRARY_PATH", "POSIXLY_CORRECT", "SHELLOPTS")
_SYSTEM_ZONES = Path("/usr/share/zoneinfo/tzdata.zi")


def interpreter(_db: str) -> Iterator[tuple[str, str]]:
    """Python and its packages are those of requirements.lock"""
    if sys.version_info < _PYTHON:
        yield f"Python {sys.version.split()[0]} is too old", "rm -rf .venv, then make set-up"
    for name, version in _locked().items():
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            found = "missing"
        if found != version:
            yield f"{name} is {found}, and should be {version}", f"run make set-up in {ROOT}"


def _locked() -> dict[str, str]:
    """Of the section runtime, what is wanted on any machine."""
    text = Path(ROOT, "requirements.lock").read_text()
    section = text.split("# section: runtime\n", 1)[1].split("# section: ", 1)[0]
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+) \\", section, re.M))


def sqlite(_db: str) -> Iterator[tuple[str, str]]:
    """SQLite is new enough, and can search for words"""
    if sqlite3.sqlite_version_info < _SQLITE:
        yield (
            f"SQLite {sqlite3.sqlite_version} is too old",
            "use a Python with SQLite 3.38 or newer",
        )
    db = sqlite3.connect(":memory:")
    try:
        db.execute("CREATE VIRTUAL TABLE words USING fts5 (word)")
    except sqlite3.OperationalError:
        yield "SQLite has no FTS5", "use a Python whose SQLite has it, such as Debian's"
    finally:
        db.close()


def path(_db: str) -> Iterator[tuple[str, str]]:
    """The tools of the pipelines are on the PATH that cron has"""
    for tool in _TOOLS:
        if not shutil.which(tool, path=SYSTEM_PATH):
            package = "util-linux" if tool == "flock" else tool
            yield f"no {tool} on {SYSTEM_PATH}", f"install {package}"
    if bash := shutil.which("bash", path=SYSTEM_PATH):
        command = [bash, "-c", 'echo "${BASH_VERSINFO[*]:0:2}"']
        said = subprocess.run(command, capture_output=True, env={}).stdout.decode()
        if tuple(map(int, said.split())) < _BASH:
            yield f"{bash} is {said.strip().replace(' ', '.')}", "install bash 4.4 or newer"


def environment(_db: str) -> Iterator[tuple[str, str]]:
    """No variable meddles with the programs, and temporary files can be written"""
    for name in _MEDDLING:
        if os.environ.get(name):
            yield f"{name}={os.environ[name]} is set", f"unset {name}, or start with run-job"
    folder = os.environ.get("TMPDIR") or "/tmp"
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK | os.X_OK):
        yield f"cannot write temporary files to {folder}", "set TMPDIR to a folder of yours"


def locale(_db: str) -> Iterator[tuple[str, str]]:
    """The locale exists"""
    import locale

    try:
        locale.setlocale(locale.LC_ALL, "")
    except locale.Error:
        names = ("LC_ALL", "LANG", "LC_CTYPE")  # the last one Python may have set itself
        name = next((name for name in names if os.environ.get(name)), "LANG")
        advice = "numbers are right anyway, but tools may complain: set it to C.UTF-8"
        yield f"{name}={os.environ.get(name, '')} is no locale of this machine", advice


def zone_data(_db: str) -> Iterator[tuple[str, str]]:
    """The rules of time zones are there, and as new as the machine's own"""
    ours = zones.rules_version()
    try:
        zones.find("America/Chicago")
    except ValueError:
        yield "the package tzdata has no zones", f"run make set-up in {ROOT}"
    try:
        head = _SYSTEM_ZONES.open().readline()
    except OSError:
        return
    if (found := re.match(r"# version (\d{4}[a-z]+)", head)) and found[1] > ours:
        advice = "update Headcount: days of zones that have changed may be cut otherwise"
        yield f"zone rules are of {ours}, the machine's of {found[1]}", advice


CHECKS = (interpreter, sqlite, path, environment, locale, zone_data)
