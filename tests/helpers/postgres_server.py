"""A throw-away server of PostgreSQL, and databases in it."""

import contextlib
import glob
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.parse
from pathlib import Path

import pytest

from headcount.db.postgres import server as postgres
from helpers.programs import ROOT

_PORT = 5432  # of a socket in a folder of its own; nothing listens on the network
_numbers = itertools.count(1)


def programs() -> Path | None:
    """Where the newest server's are, if there is one."""
    found = shutil.which("initdb")
    folders = [str(Path(found).resolve().parent)] if found else []
    folders += sorted(
        glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4])
    )
    return Path(folders[-1]) if folders else None


def _nobody() -> list[str]:
    """What makes a command run as somebody who is not root: the server refuses to."""
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam("nobody")
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


class Server:
    """Starts and stops it; one that is to outlive power cuts syncs what it writes."""

    def __init__(self, folder: str, syncs: bool = False):
        self.folder = folder
        self._syncs = syncs
        self._bin = programs()
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody")
        os.chmod(folder, 0o711)  # for clients who may not what root may
        initdb = self._command(
            "initdb", "-A", "trust", "-U", "test", "-E", "UTF8", "--locale=C", "-N"
        )
        subprocess.run(initdb, check=True, capture_output=True, cwd="/")
        self.start()

    def start(self) -> None:
        command = ["postgres", "-p", str(_PORT), "-k", self.folder, "-c", "listen_addresses="]
        if not self._syncs:
            command += ["-c", "fsync=off"]
        with open(f"{self.folder}/log", "ab") as log:
            self._process = subprocess.Popen(
                self._command(*command),
                **{"cwd": "/", "stdin": subprocess.DEVNULL, "stdout": log, "stderr": log},
                start_new_session=True,
            )
        ready = [self._bin / "pg_isready", "-q", "-h", self.folder, "-p", str(_PORT)]
        while subprocess.run(ready).returncode:
            assert self._process.poll() is None, Path(self.folder, "log").read_text()
            time.sleep(0.02)

    def kill(self) -> None:
        """All its processes at once, though its disk may be gone."""
        found = ["pgrep", "-P", str(self._process.pid)]
        children = subprocess.run(found, capture_output=True).stdout.split()
        self._process.kill()
        self._process.wait()
        for pid in map(int, children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            while _lives(pid):
                time.sleep(0.01)

    def _command(self, program: str, *arguments: str) -> list:
        return [*_nobody(), self._bin / program, "-D", f"{self.folder}/data", *arguments]

    def url(self, schema: str = "public", user: str = "test") -> str:
        return (
            f"postgresql://{user}@/postgres?host={self.folder}&port={_PORT}"
            f"&options=-csearch_path%3D{schema}"
        )

    def execute(self, statement: str, schema: str = "public") -> list[tuple]:
        return query(self.url(schema), statement)

    def new(self) -> str:
        """The URL of an empty schema."""
        name = f"s{os.getpid()}_{next(_numbers)}"
        self.execute(f"CREATE SCHEMA {name}")
        return self.url(name)

    def database(self) -> str:
        """The URL of an empty database, that copies can be made of."""
        url = f"postgresql://test@/d{os.getpid()}_{next(_numbers)}?host={self.folder}&port={_PORT}"
        copy("", url)
        return url


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def query(url: str, statement: str) -> list[tuple]:
    """The rows of a statement, if it has any; dates as texts."""
    with postgres.connect(url) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def copy(source: str, target: str) -> None:
    """A copy of a database in the place of what is there; or, of none, an empty one."""
    drop(target)
    like = f" TEMPLATE {_name(source)}" if source else ""
    query(_maintenance(target), f"CREATE DATABASE {_name(target)}{like}")


def drop(url: str) -> None:
    """Delete a database, whoever is connected to it."""
    query(_maintenance(url), f"DROP DATABASE IF EXISTS {_name(url)} WITH (FORCE)")


def may_write(url: str, allowed: bool) -> None:
    """Let nobody write into a database, or everybody again."""
    setting = f"default_transaction_read_only = {not allowed}"
    query(_maintenance(url), f"ALTER DATABASE {_name(url)} SET {setting}")


def _name(url: str) -> str:
    return urllib.parse.urlsplit(url).path[1:]


def _maintenance(url: str) -> str:
    return urllib.parse.urlsplit(url)._replace(path="/postgres").geturl()


@contextlib.contextmanager
def running(folder: str | None = None, syncs: bool = False):
    """A server, where there is one; in a folder that is there, or in one of its own."""
    if not (ROOT / ".venv" / "postgres").exists():
        pytest.skip("no psycopg: make .venv/postgres")
    if programs() is None:
        pytest.skip("no PostgreSQL: install the package postgresql")
    # (Not below pytest's folders, which are open to their owner alone.)
    place = tempfile.TemporaryDirectory(dir="/tmp", prefix="headcount-server-")
    with contextlib.nullcontext(folder) if folder else place as path:
        server = Server(path, syncs)
        try:
            yield server
        finally:
            server.kill()
