"""Rejected lines that are run through a program of ours again."""

from __future__ import annotations

import bisect
import os
import subprocess
import tempfile
from collections.abc import Iterable
from typing import BinaryIO

from headcount.checkout import ROOT
from headcount.errors import NO_INPUT, OK, REJECTS, Failure
from headcount.filters import reject_files
from headcount.filters.reject_files import Rejected
from headcount.filters.rejects import RejectLog, Table

BIN = os.path.join(ROOT, "bin")


class _Replay:
    """Lines that are written one after the other, for a program to read."""

    def __init__(self):
        self._starts: list[int] = []
        self._rejected: list[Rejected] = []
        self._lines = 0
        self.size = 0  # bytes

    def __len__(self) -> int:
        return len(self._rejected)

    def write(self, rejected: Iterable[Rejected], file: BinaryIO, header: bytes = b"") -> None:
        """Write a header, and the lines of these; a record of a table may be several."""
        self._lines += header.count(b"\n")
        self.size += file.write(header)
        for rejected_line in rejected:
            self._starts.append(self._lines + 1)
            self._rejected.append(rejected_line)
            self._lines += rejected_line.raw.count(b"\n") + 1
            self.size += file.write(rejected_line.raw + b"\n")

    def first_read(self, line: int) -> Rejected | None:
        """Whose line that is, counted over all that has been written; None: of the header."""
        place = bisect.bisect_right(self._starts, line) - 1
        return self._rejected[place] if place >= 0 else None


def _told(command: list[str], help_text: bytes, table: Table | None) -> list[str]:
    """Options for a program that has them: to reject all lines, and how a table is to be read."""
    words = ["--max-rejects=100%"] if b"\n  --max-rejects" in help_text else []
    for key, value in table.keys().items() if table else ():
        option = f"--{key}"
        is_typed = any(word.partition("=")[0] == option for word in command)
        if key != "header" and not is_typed and f"\n  {option} ".encode() in help_text:
            words.append(f"{option}={value}")
    return words


def run(
    command: list[str], to_replay: list[tuple[Rejected, str]], kept: str | None
) -> tuple[int, int]:
    """Run a command on lines, once for those of each kind of table.

    Returns its exit status, 0 or 65, and how many lines are rejected again; these go to the file
    `kept`. Raises Failure if it fails, or does not read them.
    """
    left, before, status = 0, 0, OK
    for table, lines in (reject_files.by_table(to_replay) or {None: []}).items():
        of_group, count = _run(command, table, lines, kept, before)
        before, left, status = before + len(lines), left + count, max(status, of_group)
    return status, left


def _run(
    command: list[str],
    table: Table | None,
    to_replay: list[tuple[Rejected, str]],
    kept: str | None,
    before: int,
) -> tuple[int, int]:
    """The same of lines that are read alike, so many others having been replayed before."""
    name = os.path.basename(command[0])
    path = os.path.join(BIN, name)
    words = _told(command, subprocess.run([path, "--help"], capture_output=True).stdout, table)
    names_columns = any(word.partition("=")[0] == "--header" for word in command)
    header = reject_files.header_line(table) if table and not names_columns else b""
    replay = _Replay()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as lines:
        replay.write((rejected for rejected, _ in to_replay), lines, header)
        lines.seek(0)
        again = os.path.join(folder, "rejects")
        command = [path, "--rejects", again, *words, *command[1:]]
        status = subprocess.run(command, stdin=lines).returncode
        if status == NO_INPUT and lines.tell():  # none of them looks as expected: all are left
            reject_files.keep_all(to_replay, kept)
            return REJECTS, len(replay)
        if status not in (OK, REJECTS):
            status = status if status > 0 else 128 - status
            others = f"; {before} others were replayed, which counts once" if before else ""
            raise Failure(f"{name} failed: the lines are as rejected as before{others}", status)
        if lines.tell() < replay.size:  # the command shares our place in the file
            raise Failure(f"{name} did not read the lines: name no files, or - where they belong")
        return status, _still_rejected(again, replay, kept)


def _still_rejected(again: str, replay: _Replay, kept: str | None) -> int:
    """How many lines were rejected; keeps them, as they were read first."""
    lost = RejectLog("", None)
    log = RejectLog("", kept) if kept else None
    left = set()
    if os.path.exists(again):
        for rejected, reason in reject_files.read(again, lost):
            first = replay.first_read(rejected.line)
            if first is None:
                continue
            left.add(first)
            if log:
                log.prog = rejected.prog
                log.keep(reason, first.file, first.line, rejected.raw, rejected.table)
    return len(left)
