"""A throw-away server of PostgreSQL, and databases in it: a schema for each test."""

import contextlib
import glob
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from conftest import ROOT

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
    """Starts and stops it."""

    def __init__(self, folder: str):
        self.folder = folder
        self._bin = programs()
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody")
        self._run("initdb", "-A", "trust", "-U", "test", "-E", "UTF8", "--locale=C", "-N")
        self.start()

    def start(self) -> None:
        options = f"-p {_PORT} -k {self.folder} -c listen_addresses='' -c fsync=off"
        self._run("pg_ctl", "-w", "-l", f"{self.folder}/log", "-o", options, "start")

    def stop(self, mode: str) -> None:
        """`immediate` is a crash."""
        self._run("pg_ctl", "-w", "-m", mode, "stop")

    def _run(self, program: str, *arguments: str) -> None:
        command = [*_nobody(), self._bin / program, "-D", f"{self.folder}/data", *arguments]
        done = subprocess.run(command, capture_output=True, cwd="/", stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stderr

    def url(self, schema: str = "public", user: str = "test") -> str:
        return (
            f"postgresql://{user}@/postgres?host={self.folder}&port={_PORT}"
            f"&options=-csearch_path%3D{schema}"
        )

    def execute(self, statement: str, schema: str = "public") -> list[tuple]:
        import psycopg

        with psycopg.connect(self.url(schema), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def new(self) -> str:
        """The URL of an empty database."""
        name = f"s{os.getpid()}_{next(_numbers)}"
        self.execute(f"CREATE SCHEMA {name}")
        return self.url(name)


@contextlib.contextmanager
def running(folder: str | None = None):
    """A server, where there is one; in a folder that is there, or in one of its own."""
    if not (ROOT / ".venv" / "postgres").exists():
        pytest.skip("no psycopg: make .venv/postgres")
    if programs() is None:
        pytest.skip("no PostgreSQL: install the package postgresql")
    # (Not below pytest's folders, which are open to their owner alone.)
    place = tempfile.TemporaryDirectory(dir="/tmp", prefix="headcount-server-")
    with contextlib.nullcontext(folder) if folder else place as path:
        server = Server(path)
        try:
            yield server
        finally:
            server.stop("immediate")
