"""Files in which a name may stand: every byte of them is searched.

The log of writes of a server, its replicas and its backups are out of our reach.
"""

from __future__ import annotations

import base64
import glob
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from isal import igzip, isal_zlib

from headcount.db import address
from headcount.db.postgres import server
from headcount.errors import WRITE_FAILED, Failure
from headcount.io import output
from headcount.values.spellings import EXACT, FREE, Spellings

_CHUNK = 1 << 20
_LONGEST = 80  # bytes of a letter, however it is spelled
LEAST = 6  # bytes: shorter texts stand anywhere by chance
_FRAME = {"prog", "raw_base64"}
_FREE_PROGRAMS = {"import-recent-changes", "read-sse"}  # whose rejects spell names freely


class Names:
    """Finds the names of a person in bytes and in lines."""

    def __init__(self, names: list[str]):
        self.exact = [Spellings(name, EXACT) for name in names]
        self.free = [Spellings(name, FREE) for name in names]
        self.possible = min(len(name.encode()) for name in names) >= LEAST
        self._overlap = max(map(len, names)) * _LONGEST

    def in_blocks(self, blocks: Iterator[bytes], *, is_free: bool) -> bool:
        """Whether any byte begins one of them; all blocks are read."""
        rest, found = b"", False
        for block in blocks:
            if not found:
                window = rest + block
                spellings = self.free if is_free else self.exact
                found = any(spelling.in_bytes(window) for spelling in spellings)
                rest = window[-self._overlap :]
        return found

    def in_line(self, line: bytes) -> bool:
        """Whether one stands by itself in a line of rejects or of a log."""
        entry = _entry(line)
        is_free = entry.get("prog") in _FREE_PROGRAMS
        raw = _decoded(entry.get("raw_base64"))
        if "raw" in entry or "raw_base64" in entry:  # of a reject, not the words of its frame
            texts = [v for k, v in entry.items() if isinstance(v, str) and k not in _FRAME]
            texts += _texts(raw)
        else:
            texts = list(_texts(line))
        spellings = self.free if is_free else self.exact
        return any(spelling.stands_in(text) for spelling in spellings for text in texts)


def _entry(line: bytes) -> dict:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) else {}


def _texts(data: bytes) -> Iterator[str]:
    """What bytes say: in UTF-8, or in what came before it."""
    try:
        yield data.decode()
    except UnicodeDecodeError:
        yield data.decode(errors="replace")
        yield data.decode("latin-1")


def _decoded(text) -> bytes:
    try:
        return base64.b64decode(text)
    except (TypeError, ValueError):
        return b""


class Searched(NamedTuple):
    """A file that was searched: how many bytes it holds, and whether a name is among them."""

    path: str
    kind: str
    size: int
    has_it: bool
    error: str = ""


def search(path: str, kind: str, names: Names, *, is_free: bool = False) -> Searched:
    """Search every byte of a file, or of what a compressed backup holds."""
    try:
        with open(path, "rb") as file:
            content = igzip.IGzipFile(fileobj=file) if path.endswith(".gz") else file
            blocks = iter(lambda: content.read(_CHUNK), b"")
            has_it = names.possible and names.in_blocks(blocks, is_free=is_free)
            return Searched(path, kind, os.fstat(file.fileno()).st_size, has_it)
    except (OSError, EOFError, isal_zlib.error) as error:
        return Searched(path, kind, 0, False, str(error))


def sha256(path: str) -> str | None:
    """The hash of a file as it is on the disk; None if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def of_database(db: str) -> list[str]:
    """The database and what SQLite keeps beside it."""
    if address.is_url(db):
        return []
    return [
        path for path in (db, f"{db}-wal", f"{db}-journal", f"{db}-shm") if os.path.exists(path)
    ]


def stages(db: str) -> list[str]:
    """What killed imports have left; the caller holds the locks of all, so none is in use."""
    return glob.glob(f"{glob.escape(address.beside(db))}.*.stage.*")


def remove_lines(path: str, names: Names) -> int:
    """Take the lines out of a file that name the person; how many. Its other lines stay in place.

    Raises Failure 74 if it cannot be read or written.
    """
    try:
        with open(path, "rb") as file:
            lines = file.readlines()
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}", WRITE_FAILED) from None
    kept = [line for line in lines if not names.in_line(line)]
    if len(kept) < len(lines):
        output.replace_file(path, b"".join(kept))
    return len(lines) - len(kept)


def logs(db: str) -> list[str]:
    """The logs that run-job keeps beside the database; none of one on a server."""
    if address.is_url(db):
        return []
    folder = Path(os.path.realpath(db)).parent / "log"
    return sorted(str(path) for path in folder.glob("*.log*") if path.is_file())


def scrub_server(url: str, wait: float) -> None:
    """Write all tables of a server anew, without their dead rows.

    Raises Failure 75 if a reader stays.
    """
    try:
        with server.errors(url), server.connect(url) as connection:
            server.wait_for_locks(connection, wait)
            for table in server.tables(connection):
                connection.execute(f'VACUUM FULL "{table}"')
    except Failure as failure:
        text = f"erased, but not yet from the server's files: {failure}; run this again"
        raise Failure(text, failure.status) from None
