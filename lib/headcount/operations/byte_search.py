"""Traces of a text in files, or in the tables of a server: a search of every byte.

The log of writes of a server, its replicas and its backups are out of our reach.
"""

from __future__ import annotations

import base64
import glob
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from isal import igzip, isal_zlib

from headcount.db import address
from headcount.db.postgres import server
from headcount.errors import WRITE_FAILED, Failure
from headcount.io import output

_CHUNK = 1 << 20
LEAST = 6  # bytes: shorter texts stand anywhere by chance


class Search:
    """Looks for a text in any of the spellings that files of ours may have of it."""

    def __init__(self, texts: Iterable[str]):
        spellings = set()
        for text in texts:
            spellings |= {
                text.encode(),
                json.dumps(text)[1:-1].encode(),
                quote(text).encode(),
                text.encode("utf-16-le"),
            }
        self._spellings = sorted(spellings)
        self._longest = max(map(len, self._spellings))
        self.possible = min(map(len, self._spellings)) >= LEAST
        self._word = re.compile(
            rb"(?<!\w)(?:" + b"|".join(map(re.escape, self._spellings)) + rb")(?!\w)"
        )

    def in_file(self, file: BinaryIO) -> bool:
        """Whether any byte of it begins one of them."""
        return self.in_blocks(iter(lambda: file.read(_CHUNK), b""))

    def in_blocks(self, blocks: Iterable[bytes]) -> bool:
        """The same of what comes in blocks."""
        rest = b""
        for chunk in blocks:
            window = rest + chunk
            if any(spelling in window for spelling in self._spellings):
                return True
            rest = window[-self._longest :]
        return False

    def in_line(self, line: bytes) -> bool:
        """Whether it stands by itself in a line, as it is or as JSON may hide it."""
        return any(self._word.search(form) for form in _forms(line))


def _forms(line: bytes, depth: int = 2) -> Iterator[bytes]:
    """A line, and what it says if it is JSON: escapes read, a raw line within it as well."""
    yield line
    try:
        value = json.loads(line)
    except ValueError:
        return
    yield json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass")
    if isinstance(value, dict) and depth:
        for raw in (value.get("raw"), _decoded(value.get("raw_base64"))):
            if raw:
                yield from _forms(raw.encode() if isinstance(raw, str) else raw, depth - 1)


def _decoded(text) -> bytes:
    try:
        return base64.b64decode(text)
    except (TypeError, ValueError):
        return b""


def of_database(db: str) -> list[str]:
    """The database and what SQLite keeps beside it."""
    return [
        path for path in (db, f"{db}-wal", f"{db}-journal", f"{db}-shm") if os.path.exists(path)
    ]


def stages(db: str) -> list[str]:
    """What killed imports have left; the caller holds the locks of all, so none is in use."""
    return glob.glob(f"{glob.escape(address.beside(db))}.*.stage.*")


def remove_lines(path: str, search: Search) -> int:
    """Take the lines out of a file that name the text; how many. Its other lines stay in place.

    Raises Failure 74 if it cannot be read or written.
    """
    try:
        with open(path, "rb") as file:
            lines = file.readlines()
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}", WRITE_FAILED) from None
    kept = [line for line in lines if not search.in_line(line)]
    if len(kept) < len(lines):
        output.replace_file(path, b"".join(kept))
    return len(lines) - len(kept)


def within(paths: Iterable[str], search: Search) -> Iterator[str]:
    """What is to be said of files that have a trace; compressed backups are looked into."""
    for path in paths:
        try:
            with open(path, "rb") as file:
                content = igzip.IGzipFile(fileobj=file) if path.endswith(".gz") else file
                if search.in_file(content):
                    yield f"{path} still has it"
        except (OSError, EOFError, isal_zlib.error) as error:
            yield f"{path} cannot be searched: {error}"


def logs(db: str) -> list[str]:
    """The logs that run-job keeps beside the database; none of one on a server."""
    if address.is_url(db):
        return []
    folder = Path(os.path.realpath(db)).parent / "log"
    return sorted(str(path) for path in folder.glob("*.log*") if path.is_file())


def scrub(url: str, wait: float) -> None:
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


def within_server(url: str, search: Search) -> Iterator[str]:
    """What is to be said of tables that have a trace."""
    with server.errors(url, "read"), server.connect(url) as connection:
        for table in server.tables(connection):
            copy = connection.cursor().copy(f'COPY "{table}" TO STDOUT (FORMAT binary)')
            with copy as blocks:
                has_it = search.in_blocks(map(bytes, blocks))
                for _ in blocks:  # the rest of it
                    pass
            if has_it:
                yield f"{table} of {address.shown(url)} still has it"
