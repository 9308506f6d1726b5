"""Chat lines as columns of numbers: how processes that parse hand them to the one that counts."""

from __future__ import annotations

import hashlib
import marshal
import os
from collections.abc import Iterator

import numpy as np

from headcount import chat, filters
from headcount.inputs import Block
from headcount.results import Result

KINDS = {None: 0, chat.OFFLINE: 1, chat.ONLINE: 2}  # by status; a message has none
ODD = 4  # is added to the kind where the id is no UUID, and stands for one by its hash

_HEADER = 8  # bytes before a table: how long it is

_UUID = 36  # characters
_DASHES = [8, 13, 18, 23]
_DIGITS = [place for place in range(_UUID) if place not in _DASHES]
_VALUE = np.full(256, 255, np.uint8)  # of a hexadecimal digit in lower case
_VALUE[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)


class Codes(dict):
    """A number for each text, in the order in which they come."""

    def __init__(self):
        super().__init__()
        self._new: list[str] = []

    def __missing__(self, text: str) -> int:
        self[text] = code = len(self)
        self._new.append(text)
        return code

    def take_new(self) -> list[str]:
        """The texts that have come since this was asked last."""
        new, self._new = self._new, []
        return new


class Columns:
    """Packs the lines of blocks as columns of numbers; the texts behind them come along once."""

    def __init__(self):
        self._sites, self._names = Codes(), Codes()

    def __call__(self, block: Block) -> Result:
        """One row: a packed table. Rejects as parse-chat has them."""
        found, rejects = filters.sorted_out(block, chat.parse_all)
        filtered = block.lines() - len(found) - len(rejects)
        return Result(self._packed(found) if found else b"", len(found), filtered, 0, rejects)

    def _packed(self, found: list[chat.Chat]) -> bytes:
        sites, names = self._sites, self._names
        ids, odd = _keys([one.id for one in found])
        message = chat.MESSAGE
        kinds = np.array(
            [0 if one.type == message else KINDS[one.data.status] for one in found], np.uint8
        )
        kinds[odd] += ODD
        times = np.array([one.timestamp for one in found], np.int64) - chat.FIRST
        columns = (
            ids,
            times.astype(np.uint64),
            np.array([sites[one.site_id] for one in found], np.uint32),
            np.array([names[one.sender] for one in found], np.uint32),
            kinds,
        )
        new = [sites.take_new(), names.take_new()]
        packed = marshal.dumps((os.getpid(), new, [column.tobytes() for column in columns]))
        return len(packed).to_bytes(_HEADER) + packed


def _keys(ids: list[str]) -> tuple[np.ndarray, list[int]]:
    """16 bytes for each id, and which of them are hashes: an id that is a UUID is its own number.

    (BLAKE2b of 128 bits: two ids out of 10 million share one with a chance of 1 to 10^25.)
    """
    plain = ids
    if set(map(len, ids)) != {_UUID} or not all(map(str.isascii, ids)):
        plain = [one if len(one) == _UUID and one.isascii() else " " * _UUID for one in ids]
    places = np.frombuffer("".join(plain).encode(), np.uint8).reshape(-1, _UUID)
    values = _VALUE[places[:, _DIGITS]]
    sound = (values < 16).all(axis=1) & (places[:, _DASHES] == ord("-")).all(axis=1)
    keys = (values[:, ::2] << 4) | values[:, 1::2]
    odd = np.flatnonzero(~sound).tolist()
    for i in odd:
        digest = hashlib.blake2b(ids[i].encode(), digest_size=16).digest()
        keys[i] = np.frombuffer(digest, np.uint8)
    return keys, odd


def unpacked(rows: bytes) -> Iterator[tuple[int, list[list[str]], list[bytes]]]:
    """What is in packed tables: which process made it, new texts of sites and of names, columns.

    Columns: keys of ids (16 bytes), seconds since chat.FIRST (64 bits), codes of site and of name
    (32 bits), kind (8 bits). A code is the place of its text among all that its process has sent.
    """
    start = 0
    while start < len(rows):
        end = start + _HEADER + int.from_bytes(rows[start : start + _HEADER])
        yield marshal.loads(rows[start + _HEADER : end])
        start = end
