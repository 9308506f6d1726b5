"""Comments of a block as columns: how processes that parse hand them to one that counts."""

from __future__ import annotations

import itertools
import marshal
import operator
from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np

from headcount.filters.results import Result
from headcount.io.blocks import Block
from headcount.pipelines.comments import record
from headcount.pipelines.comments.record import Comment, Crawl, Parent
from headcount.values.search import split_lines

_HEADER = 8  # bytes before the columns of a block: how long they are
_NONE = -1  # in place of up-likes that are not there

# 2018-01-06T11:58:01+0000
_LENGTH = 24
_SIGNS = {4: b"-", 7: b"-", 10: b"T", 13: b":", 16: b":", 19: b"+"} | dict.fromkeys(
    range(20, 24), b"0"
)
_DIGITS = [place for place in range(_LENGTH) if place not in _SIGNS]
_DAYS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])  # of each month


class Columns(NamedTuple):
    """Comments of a block, some of them copies; what they have in common comes once."""

    keys: np.ndarray  # of their ids, as `keys` makes them
    seconds: np.ndarray  # since 1970, UTC: when it was made
    likes: np.ndarray  # _NONE where there is none
    replies: np.ndarray  # which of them are replies, by place
    parents: np.ndarray  # of those, by place in
    parent_ids: list[str]
    post_ids: list[str]
    post_sizes: list[int]  # how many comments of each of these posts come next


def keys(ids: Collection[str]) -> np.ndarray:
    """128 bits for each id, in two rows: keyed hashes, the same in all processes of a run.

    They are Python's own, with the key that forked processes share. It hashes the bytes that a
    text takes, be they one or two for a character: only the second row tells "ab" from "\u6261".
    """
    size, longer = len(ids), map(operator.add, ids, itertools.repeat("\0"))
    rows = [np.fromiter(map(hash, texts), np.int64, size) for texts in (ids, longer)]
    return np.stack(rows)


def unpack(rows: bytes) -> Iterator[Columns]:
    """The columns that `Packer` has packed."""
    start = 0
    while start < len(rows):
        begin = start + _HEADER
        start = begin + int.from_bytes(rows[start:begin])
        *numbers, parent_ids, post_ids, post_sizes = marshal.loads(rows[begin:start])
        hashed, *arrays = (np.frombuffer(array, np.int64) for array in numbers)
        yield Columns(hashed.reshape(2, -1), *arrays, parent_ids, post_ids, post_sizes)


class _Unusual(ValueError):
    """A block in which something is not as it should be: it takes longer."""


class Packer:
    """Packs the comments of a block."""

    def __call__(self, block: Block) -> Result:
        lines = [bytes(line).rstrip(b"\r") for line in split_lines(block.text)]
        numbered = [(i, line) for i, line in enumerate(lines, block.line) if line.strip(b" \t")]
        blank = len(lines) - len(numbered)
        lists = _Lists()
        rejects = []
        try:
            records = sum([lists.add(record.decode(line)) for _, line in numbered])
            rows = lists.packed()
        except (ValueError, RecursionError):
            lists = _Lists()
            records = 0
            for number, line in numbered:
                crawl = record.parse(line)
                records += crawl.records
                lists.add_slowly(crawl)
                rejects += [(why, block.name, number, raw) for why, raw in crawl.rejects]
            rows = lists.packed()
        return Result(rows, records - len(rejects), blank, 0, rejects, records + blank)


class _Lists:
    """The comments of a block, as they come."""

    def __init__(self):
        self._comments: list[Comment] = []
        self._nested: list[int] = []  # places of the first reply of a post, and behind its last
        self._post_ids: list[str] = []
        self._post_sizes: list[int] = []

    def add(self, page: record.Page) -> int:
        """Take in the comments of a page; returns how many records there are in it."""
        posts = (page.posts and page.posts.data) or ()
        taken = self._comments
        begin = before = len(taken)
        for post in posts:
            if not post.comments or not post.comments.data:
                continue
            some = post.comments.data
            taken += some
            self._nested.append(len(taken))
            # level by level
            while nests := [one.comments.data for one in some if one.comments]:
                some = [reply for nest in nests for reply in nest or ()]
                taken += some
            self._nested.append(len(taken))
            self._end_post(post.h_id, len(taken) - before)
            before = len(taken)
        return 1 + len(posts) + len(taken) - begin

    def add_slowly(self, crawl: Crawl) -> None:
        """Take in what a line says that may be unusual."""
        for ident, post_id, parent_id, at, likes in crawl.comments:
            parent = Parent(parent_id) if parent_id else None
            self._comments.append(Comment(ident, at[:-1] + "+0000", likes, parent=parent))
            self._end_post(post_id, 1)

    def _end_post(self, post_id: str, size: int) -> None:
        self._post_ids.append(post_id)
        self._post_sizes.append(size)

    def packed(self) -> bytes:
        """As `unpack` wants it. Raises _Unusual for odd times, or replies that name no parent."""
        some = self._comments
        seconds = _seconds([one.created_time for one in some])
        likes = [one.up_likes for one in some]
        if None in likes:
            likes = [_NONE if number is None else number for number in likes]
        parents = [one.parent for one in some]
        named = np.fromiter(map(bool, parents), bool, len(parents))
        if self._nested:
            is_nested = np.zeros(len(parents) + 1, np.int8)
            np.add.at(is_nested, self._nested[::2], 1)
            np.add.at(is_nested, self._nested[1::2], -1)
            if (np.cumsum(is_nested, dtype=np.int8)[:-1] > named).any():
                raise _Unusual
        number: dict[str, int] = {}
        replied = [number.setdefault(one.h_id, len(number)) for one in parents if one]
        arrays = (
            keys([one.h_id for one in some]),
            seconds,
            np.array(likes, np.int64),
            np.flatnonzero(named),
            np.array(replied, np.int64),
        )
        columns = *(array.tobytes() for array in arrays), list(number)
        packed = marshal.dumps((*columns, self._post_ids, self._post_sizes))
        return len(packed).to_bytes(_HEADER) + packed


def _seconds(times: list[str]) -> np.ndarray:
    """Raises ValueError if one of the times is written in another way, or is none."""
    text = "".join(times).encode()
    if len(text) != len(times) * _LENGTH or not set(map(len, times)) <= {_LENGTH}:
        raise _Unusual
    chars = np.ascontiguousarray(np.frombuffer(text, np.uint8).reshape(-1, _LENGTH).T)
    digits = chars[_DIGITS] - ord("0")  # what is less than 0 is a large number, too
    if digits.size and digits.max() > 9:
        raise _Unusual
    if any((chars[place] != ord(sign)).any() for place, sign in _SIGNS.items()):
        raise _Unusual
    century, year_of_century, month, day, hour, minute, second = (
        digits[::2] * 10 + digits[1::2]
    ).astype(np.int64)
    year = century * 100 + year_of_century
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    last = _DAYS[np.clip(month, 1, 12) - 1] + (leap & (month == 2))
    if not (
        ((year >= 2) & (year <= 9998) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= last))
        & ((hour <= 23) & (minute <= 59) & (second <= 59))
    ).all():
        raise _Unusual
    # Days since 1970 of the proleptic Gregorian calendar, counted in years that start in March:
    # https://howardhinnant.github.io/date_algorithms.html#days_from_civil
    shifted = year - (month <= 2)
    era, year_of_era = shifted // 400, shifted % 400
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    days = era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100
    days += day_of_year - 719_468
    return ((days * 24 + hour) * 60 + minute) * 60 + second
