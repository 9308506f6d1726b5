"""The cases of site activity: counting, importing, and a little more on a large history."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

from bench import BIN, PEERS, PEERS_PYTHON
from bench.case import Case
from bench.contenders import Contender, ours, remove_database
from bench.data import Data, made
from bench.targets import AsFast, AtMost, Faster, Memory

COUNT = "count-site-activity"
_MEMORY = 1_000_000_000


def site_activity(data: Data) -> Case:
    chats, part = data.chats(), data.chats_slice()
    share = {"share": part.stat().st_size / chats.stat().st_size}
    return Case(
        "site activity",
        [
            ours(COUNT, chats, answer=str.strip),
            _peer("DuckDB", "duckdb_chat.py", chats),
            ours(COUNT, part, name="the slice", role="check", answer=str.strip, **share),
            _peer("dict loop", "dict_chat.py", part, **share),
        ],
        [Faster(2), AsFast(5, "dict loop"), Memory(_MEMORY)],
        data.truth(chats).strip(),
    )


def _peer(name: str, script: str, *arguments: Path, **options) -> Contender:
    command = [str(PEERS_PYTHON), "-I", str(PEERS / script), *map(str, arguments)]
    return Contender(name, command, answer=str.strip, **options)


def site_import(data: Data) -> Case:
    chats = data.chats()
    count = ours(COUNT, chats, name="the count alone", role="baseline", answer=str.strip)
    return Case(
        "site activity, import",
        [_importing(data.work / "sites.db", chats), count],
        [AtMost(1.5, count.name), Memory(_MEMORY)],
        data.truth(chats).strip(),
    )


def one_more_percent(data: Data) -> Case:
    """Lines all over the same days, so that every day of every site changes."""
    chats, more = data.chats(), data.more_chats()
    history = made(data.folder / "sites.db", lambda path: _import(path, chats))
    db = data.work / "more.db"

    def ready() -> None:
        remove_database(db)
        shutil.copyfile(history, db)
        with db.open("rb") as file:
            os.fsync(file)  # or the import would have to wait for the disk to take the copy

    whole = _importing(data.work / "whole.db", chats, more, name="all of it", role="baseline")
    return Case(
        "site activity, 1 % more",
        [_importing(db, more, ready=ready), whole],
        [AtMost(0.25, whole.name)],
    )


def _import(db: Path, chats: Path) -> None:
    command = [BIN / "import-site-activity", "--quiet", "--db", db, chats]
    subprocess.run(command, check=True)
    Path(f"{db}.import-site-activity.lock").unlink()


def _importing(db: Path, *chats: Path, **options) -> Contender:
    ready = {"ready": lambda: remove_database(db), "answer": _activity_in(db)}
    arguments = ["--quiet", "--db", db, *chats]
    return ours("import-site-activity", *arguments, **(ready | options))


def _activity_in(db: Path) -> Callable[[str], str]:
    """The answer of an import, as the count prints it."""

    def read(_: str) -> str:
        connection = sqlite3.connect(db)
        try:
            columns = "site_id, messages, emails, operators, visitors"
            rows = sorted(connection.execute(f"SELECT {columns} FROM site_activity"))
            names = columns.split(", ")[1:]
            return "\n".join(
                ",".join([site, *(f"{name}={n}" for name, n in zip(names, counts, strict=True))])
                for site, *counts in rows
            )
        finally:
            connection.close()

    return read
