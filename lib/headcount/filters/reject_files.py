"""Files of rejects: which lines stand in them, which of those are rejected again."""

from __future__ import annotations

import base64
import binascii
import bisect
import fnmatch
import json
import os
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple

from headcount.errors import NO_INPUT, Failure
from headcount.filters import rejects
from headcount.filters.rejects import Reject


class Rejected(NamedTuple):
    """A rejected line, and where it was first read."""

    prog: str
    file: str
    line: int
    raw: bytes


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
                rejected_line = Rejected(
                    str(entry["prog"]), str(entry["file"]), int(entry["line"]), raw
                )
                yield rejected_line, str(entry["reason"])
            except (ValueError, TypeError, KeyError, AttributeError, binascii.Error):
                log.add(Reject("no rejected line"), path, number, line.rstrip(b"\n"))


def chosen(
    rejected: Iterable[tuple[Rejected, str]], prog: str | None, pattern: str | None
) -> Iterator[tuple[Rejected, str]]:
    """Those of a program, from files that fit a pattern of the shell, each line once.

    (A line may have been rejected for several reasons, or by run after run.)
    """
    seen = set()
    for rejected_line, reason in rejected:
        if prog not in (None, rejected_line.prog) or rejected_line in seen:
            continue
        if pattern is None or fnmatch.fnmatchcase(rejected_line.file, pattern):
            seen.add(rejected_line)
            yield rejected_line, reason


def keep_all(rejected: Iterable[tuple[Rejected, str]], kept: str | None) -> None:
    """Keep lines with their places and the reasons for which they were rejected first."""
    log = rejects.RejectLog("", kept) if kept else None
    for line, reason in rejected if log else ():
        log.prog = line.prog
        log.keep(reason, line.file, line.line, line.raw)


class Replay:
    """Lines that are written one after the other, for a program to read."""

    def __init__(self):
        self._starts: list[int] = []
        self._rejected: list[Rejected] = []
        self._lines = 0
        self.size = 0  # bytes

    def __len__(self) -> int:
        return len(self._rejected)

    def write(self, rejected: Iterable[Rejected], file: BinaryIO) -> None:
        """Write the lines of these; a record of a table may be several."""
        for rejected_line in rejected:
            self._starts.append(self._lines + 1)
            self._rejected.append(rejected_line)
            self._lines += rejected_line.raw.count(b"\n") + 1
            self.size += file.write(rejected_line.raw + b"\n")

    def first_read(self, line: int) -> Rejected:
        """Whose line that is, counted over all that has been written."""
        return self._rejected[bisect.bisect_right(self._starts, line) - 1]
