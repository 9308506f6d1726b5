"""Chat lines as columns of numbers: which are copies, who was online."""

from __future__ import annotations

import hashlib
import marshal
import os
from array import array
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from headcount.filters import runner
from headcount.filters.results import Result
from headcount.io.blocks import Block, Some
from headcount.pipelines.site_activity import record, scan
from headcount.pipelines.site_activity.chat_table import KINDS, ODD, Table, joined
from headcount.pipelines.site_activity.interning import Codes, WordCodes

_HEADER = 8  # bytes before a table: how long it is

_UUID = 36  # characters
_DASHES = [8, 13, 18, 23]
_DIGITS = [place for place in range(_UUID) if place not in _DASHES]
_VALUE = np.full(256, 255, np.uint8)  # of a hexadecimal digit in lower case
_VALUE[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)
_MIX = np.uint64(0x9E3779B97F4A7C15)  # odd: no two numbers come to the same product


class Source(NamedTuple):
    """Where a packed table comes from: some lines of an input, one after the other.

    `ends` counts line ends, which the last line may lack; `unfinished` says that another line
    stands behind these, without an end, that makes no sense yet.
    """

    name: str
    start: int
    bytes: int
    ends: int
    lines: int
    found: int
    rejected: int
    unfinished: bool


class Columns:
    """Packs the lines of blocks as columns of numbers; the texts behind them come along once.

    The last line of a file that is still `growing` may be only the start of one.
    """

    def __init__(self, growing: Iterable[str] = ()):
        self._sites, self._names = Codes(), Codes()
        self._site_codes, self._name_codes = WordCodes(self._sites), WordCodes(self._names)
        self._scanner = scan.Scanner()
        self._growing = frozenset(growing)

    def __call__(self, block: Block) -> Result:
        """One row: a packed table. Rejects as parse-chat has them."""
        scanned, spans = self._scanner(block.text)
        tables, chats, rejects = [], [], []
        if scanned is not None:
            tables.append(self._of_scanned(scanned))
        if spans:
            chats, rejects = runner.sorted_out(Some(block, spans), block.name, record.parse_all)
        if chats or not tables:
            tables.append(self._of_parsed(chats))
        table = joined(tables)
        size, lines, unfinished = block.size, block.lines(), False
        if rejects and block.name in self._growing and not block.text.endswith(b"\n"):
            start = block.text.rfind(b"\n") + 1
            is_last = rejects[-1][2] == block.line + lines - 1
            if is_last and record.may_go_on(bytes(block.text[start:])):
                size -= len(block.text) - start
                lines -= 1
                unfinished = True
                rejects.pop()
        ends = lines - (not unfinished and not block.text.endswith(b"\n"))
        source = Source(
            block.name, block.start, size, ends, lines, table.lines, len(rejects), unfinished
        )
        filtered = block.lines() - table.lines - len(rejects)
        return Result(self._packed(source, table), table.lines, filtered, 0, rejects)

    def _of_parsed(self, chats: list[record.Chat]) -> Table:
        ids, odd = _ids([chat.id for chat in chats])
        message = record.MESSAGE
        kinds = np.array(
            [0 if chat.type == message else KINDS[chat.data.status] for chat in chats], np.uint8
        )
        kinds[odd] += ODD
        return Table(
            ids,
            np.array([chat.timestamp for chat in chats], np.int64),
            np.array(self._sites.of([chat.site_id for chat in chats]), np.uint32),
            np.array(self._names.of([chat.sender for chat in chats]), np.uint32),
            kinds,
        )

    def _of_scanned(self, scanned: scan.Scanned) -> Table:
        return Table(
            scanned.ids,
            scanned.times,
            self._site_codes(scanned.sites),
            self._name_codes(scanned.names),
            scanned.kinds,
        )

    def _packed(self, source: Source, table: Table) -> bytes:
        # All bits in the first number: UUIDs may differ in any of them alone. It can be undone, so
        # different ids stay different.
        ids = table.ids.copy()
        ids[:, 0] ^= ids[:, 1] * _MIX
        times = (table.times - record.FIRST).astype(np.uint64)
        content = [column.tobytes() for column in table._replace(ids=ids, times=times)]
        new = self._sites.take_new(), self._names.take_new()
        packed = marshal.dumps((os.getpid(), tuple(source), new, content))
        return len(packed).to_bytes(_HEADER) + packed


def _ids(ids: list[str]) -> tuple[np.ndarray, list[int]]:
    """Two numbers for each id, and which of them are hashes: an id that is a UUID is its own.

    (BLAKE2b of 128 bits: two ids out of 10 million share one with a chance of 1 to 10^25.)
    """
    plain = ids
    if set(map(len, ids)) != {_UUID} or not all(map(str.isascii, ids)):
        plain = [ident if len(ident) == _UUID and ident.isascii() else " " * _UUID for ident in ids]
    places = np.frombuffer("".join(plain).encode(), np.uint8).reshape(-1, _UUID)
    values = _VALUE[places[:, _DIGITS]]
    sound = (values < 16).all(axis=1) & (places[:, _DASHES] == ord("-")).all(axis=1)
    digits = np.ascontiguousarray((values[:, ::2] << 4) | values[:, 1::2])
    odd = np.flatnonzero(~sound).tolist()
    for i in odd:
        digest = hashlib.blake2b(ids[i].encode(), digest_size=16).digest()
        digits[i] = np.frombuffer(digest, np.uint8)
    return digits.view(np.uint64), odd


class Collected:
    """Packed tables of several processes, as one: with codes of this collection.

    Its lines come in 2 to the power of `bits` parts; those of one id are in the same part.
    """

    def __init__(self, bits: int = 0):
        self.sites, self.names = Codes(), Codes()
        self._codes: dict[int, tuple[array, array]] = {}  # of each process: ours for its own
        self._bits = bits
        self.parts = range(1 << bits)
        self._columns = [[[] for _ in Table._fields] for _ in self.parts]
        self.lines = 0  # collected and not taken

    def add(self, rows: bytes) -> list[Source]:
        """Take in packed tables; returns where they come from."""
        sources = []
        start, view = 0, memoryview(rows)  # no copies
        while start < len(rows):
            end = start + _HEADER + int.from_bytes(view[start : start + _HEADER])
            process, source, new, columns = marshal.loads(view[start + _HEADER : end])
            self._add(process, new, columns)
            sources.append(Source(*source))
            start = end
        return sources

    def _add(self, process: int, new: tuple[list[str], list[str]], columns: list[bytes]) -> None:
        sites, names = self._codes.setdefault(process, (array("I"), array("I")))
        sites.extend(self.sites.of(new[0]))
        names.extend(self.names.of(new[1]))
        ids, times, site, name, kinds = columns
        table = Table(
            np.frombuffer(ids, np.uint64).reshape(-1, 2),
            np.frombuffer(times, np.uint64),
            np.frombuffer(sites, np.uint32)[np.frombuffer(site, np.uint32)],
            np.frombuffer(names, np.uint32)[np.frombuffer(name, np.uint32)],
            np.frombuffer(kinds, np.uint8),
        )
        self.lines += table.lines
        for part, values in zip(self._columns, self._cut(table), strict=True):
            for column, rows in zip(part, values, strict=True):
                column.append(rows)

    def _cut(self, table: Table) -> list[Table]:
        if not self._bits:
            return [table]
        part = (table.ids[:, 0] >> np.uint64(64 - self._bits)).astype(np.uint8)
        table = table.rows(np.argsort(part, kind="stable"))
        ends = np.cumsum(np.bincount(part, minlength=len(self.parts))).tolist()
        return [
            Table(*(column[start:end] for column in table)) for start, end in pairwise([0, *ends])
        ]

    def take(self, part: int = 0) -> Table | None:
        """A part, which is no longer here; None if nothing has come."""
        if not self._columns[part][0]:
            return None
        table = Table(*map(_joined, self._columns[part]))
        self.lines -= table.lines
        return table


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    """All in one, and no longer in parts: they are large."""
    whole = np.concatenate(parts)
    parts.clear()
    return whole
