"""Files of rejects: which lines stand in them, which of those are rejected again."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import json
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from headcount.errors import NO_INPUT, Failure
from headcount.filters import rejects
from headcount.filters.rejects import Reject, Table


class Rejected(NamedTuple):
    """A rejected line, where it was first read, and of a record of a text table how it is read."""

    prog: str
    file: str
    line: int
    raw: bytes
    table: Table | None = None


def read(path: str, log: rejects.RejectLog) -> Iterator[tuple[Rejected, str]]:
    """The lines in a file that --rejects has written, and why each was rejected.

    What is no such line (the end of a file on a disk that was full) goes to `log`.
    Raises Failure 66 if there is no such file.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise Failure(f"{path}: cannot open: {error.strerror}", NO_INPUT) from None
    with open(fd, "rb") as file:
        for number, line in enumerate(file, 1):
            try:
                entry = json.loads(line)
                if "raw_base64" in entry:
                    raw = base64.b64decode(entry["raw_base64"], validate=True)
                else:
                    raw = entry["raw"].encode()
                place = str(entry["prog"]), str(entry["file"]), int(entry["line"])
                yield Rejected(*place, raw, _table(entry)), str(entry["reason"])
            except (ValueError, TypeError, LookupError, AttributeError, binascii.Error):
                log.add(Reject("no rejected line"), path, number, line.rstrip(b"\n"))


def _table(entry: dict) -> Table | None:
    """None for other lines, and for those that earlier versions have written."""
    if "header" not in entry:
        return None
    header, optional = entry["header"], (entry.get("escape"), entry.get("from"))
    texts = [entry["delimiter"], entry["encoding"], *header, *filter(None, optional)]
    if type(header) is not list or not header or not all(type(text) is str for text in texts):
        raise ValueError
    table = Table(tuple(header), *texts[:2], *optional)
    header_line(table)
    return table


def by_table(
    rejected: Iterable[tuple[Rejected, str]],
) -> dict[Table | None, list[tuple[Rejected, str]]]:
    """Lines by how they are read; None: as they are. In the order of the first of each."""
    groups: dict[Table | None, list] = {}
    for item in rejected:
        groups.setdefault(item[0].table, []).append(item)
    return groups


def header_line(table: Table) -> bytes:
    """The line that names the columns of records, in their encoding. Raises ValueError."""
    line = table.record(table.header)
    if line is None:
        raise ValueError
    return line + b"\n"


def chosen(
    rejected: Iterable[tuple[Rejected, str]], prog: str | None, pattern: str | None
) -> Iterator[tuple[Rejected, str]]:
    """Those of a program, from files that fit a pattern of the shell, each line once.

    (A line may have been rejected for several reasons, or by run after run.)
    """
    seen = set()
    for rejected_line, reason in rejected:
        if prog not in (None, rejected_line.prog) or rejected_line[:4] in seen:
            continue
        if pattern is None or fnmatch.fnmatchcase(rejected_line.file, pattern):
            seen.add(rejected_line[:4])
            yield rejected_line, reason


def keep_all(rejected: Iterable[tuple[Rejected, str]], kept: str | None) -> None:
    """Keep lines with their places and the reasons for which they were rejected first."""
    log = rejects.RejectLog("", kept) if kept else None
    for line, reason in rejected if log else ():
        log.prog = line.prog
        log.keep(reason, line.file, line.line, line.raw, line.table)
