"""A warning for each metric that has no column, once a run."""

from __future__ import annotations

from headcount import cli, tsv
from headcount.metrics import Reader

_SHOWN = 20
_MOST = 10_000  # to hold: names may be anything, and many


class UnknownMetrics:
    """Collects the names that readers, each in a process of its own, come upon."""

    def __init__(self, expected: set[str]):
        self._told = set(expected)
        self._names: set[str] = set()

    def new(self, reader: Reader) -> bytes:
        """The names that a reader has come upon since this was asked last, as rows."""
        new = reader.unknown - self._told
        reader.unknown.clear()
        if not new or len(self._told) > _MOST:
            return b""
        self._told |= new
        return b"".join(map(tsv.row, sorted(new)))

    def take(self, rows: bytes) -> None:
        """Take in such rows."""
        self._names.update(map(tsv.unescape, rows.decode().split("\n")[:-1]))

    def warn(self, options, where: str, more: str) -> None:
        """One warning for each: `where` it is kept, and how to see `more` than are shown."""
        for name in sorted(self._names)[:_SHOWN]:
            cli.note(f"unknown metric {name!r}: kept in {where}", options)
        if len(self._names) > _SHOWN:
            cli.note(f"{len(self._names) - _SHOWN} more unknown metrics{more}", options)
