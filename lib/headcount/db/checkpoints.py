"""How far files have been read, by pipelines that read them bit by bit.

A file is known by device and inode, so a renamed one is read on, and by a hash of its first bytes
and of the last ones that were read: one that was replaced, cut short or changed is read from its
start. (That counts nothing twice: such pipelines know their lines by id.)
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from typing import NamedTuple

from headcount.errors import NO_INPUT, TRY_LATER, Failure
from headcount.io.splits import Offset, is_plain
from headcount.values.tsv import shown

_EDGE = 4096


class File(NamedTuple):
    """Which file a path names."""

    device: int
    inode: int


def find(
    db: sqlite3.Connection, pipeline: str, paths: list[str]
) -> tuple[dict[str, File], dict[str, Offset], list[str]]:
    """Plain files, their offsets, and the files that have changed since they were read."""
    files, begun, changed = {}, {}, []
    for path in paths:
        try:
            if not is_plain(path):
                continue
            info = os.stat(path)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise Failure(f"{shown(path)}: cannot open: {reason}", NO_INPUT) from None
        files[path] = file = File(info.st_dev, info.st_ino)
        row = db.execute(
            "SELECT bytes, lines, fingerprint FROM input_mark "
            "WHERE pipeline = ? AND device = ? AND inode = ?",
            [pipeline, *file],
        ).fetchone()
        if row is None:
            continue
        if _fingerprint(path, file, row[0]) == row[2]:
            begun[path] = Offset(*row[:2])
        else:
            changed.append(path)
    return files, begun, changed


def keep(
    db: sqlite3.Connection, pipeline: str, files: dict[str, File], offsets: dict[str, Offset]
) -> None:
    """Within a transaction: enter how far files have been read.

    Raises Failure 75 if one is no longer the file that it was.
    """
    for path, offset in offsets.items():
        fingerprint = _fingerprint(path, files[path], offset.bytes)
        if fingerprint is None:
            raise Failure(
                f"{shown(path)}: was replaced or cut short while it was read: run this again",
                TRY_LATER,
            )
        db.execute(
            "INSERT INTO input_mark "
            "(pipeline, device, inode, bytes, lines, fingerprint) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (pipeline, device, inode) DO UPDATE SET bytes = excluded.bytes, "
            "lines = excluded.lines, fingerprint = excluded.fingerprint",
            [pipeline, *files[path], *offset, fingerprint],
        )


def _fingerprint(path: str, file: File, size: int) -> str | None:
    """Of the first `size` bytes; None if the path names another file, or one that is smaller."""
    try:
        with open(path, "rb") as content:
            info = os.fstat(content.fileno())
            if (info.st_dev, info.st_ino) != file or info.st_size < size:
                return None
            digest = hashlib.sha256(content.read(min(_EDGE, size)))
            content.seek(max(0, size - _EDGE))
            digest.update(content.read(min(_EDGE, size)))
    except OSError:
        return None
    return digest.hexdigest()
