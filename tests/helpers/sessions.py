"""Programs in sessions of their own, of which nothing is left, and what databases they leave."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

from headcount.db import address
from headcount.db.postgres.dialect import translated
from helpers import postgres_server as server
from helpers.programs import BARE, BIN


def query(db, sql):
    """The rows of a statement of SQLite; the database is a path, or a URL of PostgreSQL."""
    if address.is_url(str(db)):
        return server.query(db, translated(sql))
    with closing(sqlite3.connect(db)) as connection:
        return connection.execute(sql).fetchall()


def sound(db):
    """Whether SQLite finds nothing wrong with a file; a server looks after its own."""
    return address.is_url(str(db)) or query(db, "PRAGMA integrity_check") == [("ok",)]


def beside(db):
    """How the names of locks and stages of imports into a database begin."""
    if not address.is_url(str(db)):
        return f"{db}."
    checked = subprocess.run(["cksum"], input=db.encode(), capture_output=True, check=True)
    name = checked.stdout.strip().decode().replace(" ", "-")
    return f"{BARE['XDG_CACHE_HOME']}/headcount/{name}."


def stages(db):
    """The stages of imports, those that they have left among them."""
    prefix = Path(beside(db))
    return list(prefix.parent.glob(f"{prefix.name}*.stage*"))


class Member:
    """A process of a session, as /proc shows it."""

    def __init__(self, pid):
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        self.pid, self.state, self.parent, self.session = (
            pid,
            fields[0],
            int(fields[1]),
            int(fields[3]),
        )
        self.ticks = int(fields[11]) + int(fields[12])
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            self.command = file.read().replace(b"\0", b" ").decode(errors="replace")


def members(session):
    """All living processes of a session."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                member = Member(int(name))
                if member.session == session and member.state != "Z":
                    found.append(member)
    return found


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return result


def settle(session, *programs):
    """Wait until these programs run and the whole session waits for something."""

    def running():
        commands = [member.command for member in members(session)]
        return all(any(program in command for command in commands) for program in programs)

    wait_until(running)
    begin = quiet_since = time.monotonic()
    before = None
    while time.monotonic() - quiet_since < 0.25:
        assert time.monotonic() - begin < 5, "it never rests"
        time.sleep(0.03)
        now = sorted((member.pid, member.ticks) for member in members(session))
        if now != before:
            quiet_since, before = time.monotonic(), now


@contextlib.contextmanager
def session(program, *arguments, **options):
    """A program in a session of its own, of which nothing is left afterwards."""
    process = subprocess.Popen(
        [BIN / program, *map(str, arguments)],
        **{
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "env": BARE,
            "start_new_session": True,
        }
        | options,
    )
    try:
        yield process
    finally:
        kill_session(process.pid)
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()


def kill_session(number):
    for _ in range(50):
        left = members(number)
        for member in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(member.pid, signal.SIGKILL)
        if not left:
            return
        time.sleep(0.02)
