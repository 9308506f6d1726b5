"""Traces of a text in files: a search of every byte, and the cleaning of rejects and logs."""

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

from headcount import output, postgres
from headcount.failure import WRITE_FAILED, Failure

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
    prefix = postgres.beside(db) if postgres.is_url(db) else os.path.realpath(db)
    return glob.glob(f"{glob.escape(prefix)}.*.stage.*")


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
    if postgres.is_url(db):
        return []
    folder = Path(os.path.realpath(db)).parent / "log"
    return sorted(str(path) for path in folder.glob("*.log*") if path.is_file())
