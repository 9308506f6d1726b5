"""Comments of a block as columns: how processes that parse hand them to one that counts."""

from __future__ import annotations

import marshal
from collections.abc import Iterator
from operator import attrgetter
from typing import NamedTuple

import numpy as np

from headcount.filters.results import Result
from headcount.io.blocks import Block
from headcount.pipelines.comments import record
from headcount.pipelines.comments.record import Comment, Crawl
from headcount.values.search import split_lines

_HEADER = 8  # bytes before the columns of a block: how long they are
_NONE = -1  # in place of up-likes that are not there

_fields = attrgetter("h_id", "created_time", "up_likes", "parent")

# 2018-01-06T11:58:01+0000
_LENGTH = 24
_SIGNS = {4: b"-", 7: b"-", 10: b"T", 13: b":", 16: b":", 19: b"+"} | dict.fromkeys(
    range(20, 24), b"0"
)
_DIGITS = [place for place in range(_LENGTH) if place not in _SIGNS]
_DAYS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])  # of each month


class Columns(NamedTuple):
    """Comments, one after the other, some of them copies; what they have in common comes once."""

    ids: list[str]
    seconds: np.ndarray  # since 1970, UTC: when it was made
    likes: np.ndarray  # _NONE where there is none
    replies: np.ndarray  # which of them are replies, by place
    parent_ids: list[str]  # of those
    post_ids: list[str]
    post_sizes: list[int]  # how many comments of each of these posts come next


def unpack(rows: bytes) -> Iterator[Columns]:
    """The columns that `Packer` has packed."""
    start = 0
    while start < len(rows):
        begin = start + _HEADER
        start = begin + int.from_bytes(rows[start:begin])
        ids, seconds, likes, replies, *others = marshal.loads(rows[begin:start])
        arrays = (np.frombuffer(numbers, np.int64) for numbers in (seconds, likes, replies))
        yield Columns(ids, *arrays, *others)


class _Unusual(ValueError):
    """A block in which something is not as it should be: it takes longer."""


class Packer:
    """Packs the comments of a block."""

    def __call__(self, block: Block) -> Result:
        lines = [bytes(line).rstrip(b"\r") for line in split_lines(block.text)]
        numbered = [(i, line) for i, line in enumerate(lines, block.line) if line.strip(b" \t")]
        blank = len(lines) - len(numbered)
        lists = _Lists()
        rejects, records = [], 0
        try:
            for _, line in numbered:
                records += lists.add(record.decode(line))
            seconds = _seconds(lists.times)
        except (ValueError, RecursionError):
            lists = _Lists()
            records = 0
            for number, line in numbered:
                crawl = record.parse(line)
                records += crawl.records
                lists.add_slowly(crawl)
                rejects += [(why, block.name, number, raw) for why, raw in crawl.rejects]
            seconds = _seconds(lists.times)
        kept = records - len(rejects)
        return Result(lists.packed(seconds), kept, blank, 0, rejects, records + blank)


class _Lists:
    """What Columns has, as it comes."""

    def __init__(self):
        self.times: list[str] = []
        self._ids: list[str] = []
        self._likes: list[int | None] = []
        self._parent_ids: list[str | None] = []
        self._post_ids: list[str] = []
        self._post_sizes: list[int] = []

    def add(self, page: record.Page) -> int:
        """Take in the comments of a page; returns how many records there are in it.

        Raises _Unusual for replies that do not name their parents.
        """
        records = 1
        for post in (page.posts and page.posts.data) or ():
            records += 1
            if not post.comments or not post.comments.data:
                continue
            before = len(self._ids)
            some, is_nested = post.comments.data, False
            while some:  # level by level
                self._add(some, is_nested)
                nests = [one.comments.data for one in some if one.comments and one.comments.data]
                some, is_nested = [reply for nest in nests for reply in nest], True
            self._end_post(post.h_id, len(self._ids) - before)
            records += len(self._ids) - before
        return records

    def _add(self, comments: list[Comment], is_nested: bool) -> None:
        ids, times, likes, parents = zip(*map(_fields, comments), strict=True)
        if is_nested and None in parents:
            raise _Unusual
        self._ids += ids
        self.times += times
        self._likes += likes
        self._parent_ids += [parent and parent.h_id for parent in parents]

    def add_slowly(self, crawl: Crawl) -> None:
        """Take in what a line says that may be unusual."""
        for ident, post_id, parent_id, at, likes, _ in crawl.comments:
            self._ids.append(ident)
            self.times.append(at[:-1] + "+0000")
            self._likes.append(likes)
            self._parent_ids.append(parent_id)
            self._end_post(post_id, 1)

    def _end_post(self, post_id: str, size: int) -> None:
        self._post_ids.append(post_id)
        self._post_sizes.append(size)

    def packed(self, seconds: np.ndarray) -> bytes:
        """As `unpack` wants it."""
        likes = [_NONE if number is None else number for number in self._likes]
        replies = [i for i, parent_id in enumerate(self._parent_ids) if parent_id]
        columns = (
            self._ids,
            seconds.tobytes(),
            np.array(likes, np.int64).tobytes(),
            np.array(replies, np.int64).tobytes(),
            [self._parent_ids[i] for i in replies],
            self._post_ids,
            self._post_sizes,
        )
        packed = marshal.dumps(columns)
        return len(packed).to_bytes(_HEADER) + packed


def _seconds(times: list[str]) -> np.ndarray:
    """Raises ValueError if one of the times is written in another way, or is none."""
    text = "".join(times).encode()
    if len(text) != len(times) * _LENGTH or not set(map(len, times)) <= {_LENGTH}:
        raise _Unusual
    chars = np.frombuffer(text, np.uint8).reshape(-1, _LENGTH)
    digits = chars[:, _DIGITS].astype(np.int64) - ord("0")
    if digits.size and not (digits.min() >= 0 and digits.max() <= 9):
        raise _Unusual
    if any((chars[:, place] != ord(sign)).any() for place, sign in _SIGNS.items()):
        raise _Unusual
    year = digits[:, :4] @ np.array([1000, 100, 10, 1])
    month, day, hour, minute, second = (digits[:, 4:].reshape(-1, 5, 2) @ np.array([10, 1])).T
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
