"""The reports of comments, straight from files.

Every comment counts once, by the rules of the database: of copies the highest up-likes, the
earliest time, and of several parents or posts the least.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, tzinfo

import numpy as np

from headcount.cli import types
from headcount.cli.main import start_as
from headcount.cli.parser import Parser
from headcount.filters import runner
from headcount.filters.account import Account
from headcount.filters.recognised import note_nothing
from headcount.pipelines.comments import columns as comment_columns
from headcount.pipelines.comments import inputs
from headcount.pipelines.comments.tables import Row, Table
from headcount.values import tsv, zones

_UNKNOWN = "(unknown)"
_MOST = 10  # comments in the list of those with the most replies
_DAY = 86_400  # seconds


class Comments:
    """Takes comments in, copies and all, and tells the reports."""

    def __init__(self):
        # Numbers of texts, in the order in which they come, with gaps; of a comment, its place.
        self._ids: dict[str, int] = {}
        self._parents: dict[str, int] = {}
        self._posts: dict[str, int] = {}
        self._types: dict[str, str] = {}
        self._columns: list[tuple[np.ndarray, ...]] = []
        self._comments = self._replies = self._runs = 0

    def take(self, rows: bytes) -> None:
        """Take in comments as comment_columns packs them."""
        for columns in comment_columns.unpack(rows):
            size = len(columns.ids)
            firsts = _numbers(self._ids, columns.ids, self._comments)
            parents = np.full(size, -1)
            parents[columns.replies] = _numbers(self._parents, columns.parent_ids, self._replies)
            posts = _numbers(self._posts, columns.post_ids, self._runs)
            self._columns.append(
                (firsts, columns.seconds, columns.likes, parents, posts.repeat(columns.post_sizes))
            )
            self._comments += size
            self._replies += len(columns.parent_ids)
            self._runs += len(posts)

    def take_posts(self, _table: Table, rows: Iterable[Row]) -> None:
        """Take in posts, as post_tables reads them."""
        for post_id, _, kind, *_ in rows:
            if kind is not None and kind < self._types.setdefault(post_id, kind):
                self._types[post_id] = kind

    def rows(self, zone: tzinfo, after: int) -> bytes:
        """All reports; by type of post, of comments made at or after an instant in seconds."""
        if not self._comments:
            return b""
        columns = map(np.concatenate, zip(*self._columns, strict=True))
        firsts, seconds, likes, parents, posts = columns
        self._columns.clear()
        place = np.arange(len(firsts))
        copies = np.flatnonzero(firsts != place)
        np.minimum.at(seconds, firsts[copies], seconds[copies])
        np.maximum.at(likes, firsts[copies], likes[copies])
        _least(parents, firsts, copies, self._parents)
        _least(posts, firsts, copies, self._posts)
        kept = firsts == place
        seconds, likes, parents, posts = (
            column[kept] for column in (seconds, likes, parents, posts)
        )
        late = seconds >= after
        return b"".join(
            [
                *self._by_day(seconds, parents >= 0, zones.LocalDays(zone)),
                *self._by_type(posts[late], np.maximum(likes[late], 0)),
                *self._most_replied(parents[parents >= 0]),
            ]
        )

    def _by_day(
        self, seconds: np.ndarray, is_reply: np.ndarray, days: zones.LocalDays
    ) -> Iterator[bytes]:
        utc_days = np.sort(seconds // _DAY)
        utc_days = utc_days[np.flatnonzero(np.diff(utc_days, prepend=utc_days[0] - 1))]
        pieces = [piece for day in utc_days.tolist() for piece in days.pieces(day)]
        starts, dates = zip(*pieces, strict=True)
        number = {day: i for i, day in enumerate(sorted(set(dates)))}
        of_piece = np.array([number[day] for day in dates])
        of_comment = of_piece[np.searchsorted(starts, seconds, "right") - 1]
        replies = np.bincount(of_comment[is_reply], minlength=len(number)).tolist()
        comments = np.bincount(of_comment[~is_reply], minlength=len(number)).tolist()
        for day, *counts in zip(number, comments, replies, strict=True):
            if any(counts):
                yield tsv.row("comments_by_day", day.isoformat(), *counts)

    def _by_type(self, posts: np.ndarray, likes: np.ndarray) -> Iterator[bytes]:
        types = {post_id: self._types.get(post_id, _UNKNOWN) for post_id in self._posts}
        number = {kind: i for i, kind in enumerate(sorted(set(types.values())))}
        of_post = np.zeros(self._runs, np.int64)
        of_post[list(self._posts.values())] = [number[kind] for kind in types.values()]
        of_comment = of_post[posts]
        comments = np.bincount(of_comment, minlength=len(number)).tolist()
        sums = np.zeros(len(number), np.int64)
        np.add.at(sums, of_comment, likes)
        for kind, *counts in zip(number, comments, sums.tolist(), strict=True):
            if counts[0]:
                yield tsv.row("comments_by_post_type", kind, *counts)

    def _most_replied(self, parents: np.ndarray) -> Iterator[bytes]:
        replies = np.bincount(parents, minlength=self._replies).tolist()
        ranked = (
            (-replies[number], parent_id)
            for parent_id, number in self._parents.items()
            if replies[number] and parent_id in self._ids
        )
        for rank, (count, parent_id) in enumerate(heapq.nsmallest(_MOST, ranked), 1):
            yield tsv.row("most_replied_comments", rank, parent_id, -count)


def _numbers(known: dict[str, int], texts: list[str], start: int) -> np.ndarray:
    """The number of each text; a new one has that of its place, counted from `start`."""
    return np.fromiter(map(known.setdefault, texts, itertools.count(start)), np.int64, len(texts))


def _least(
    numbers: np.ndarray, firsts: np.ndarray, copies: np.ndarray, known: dict[str, int]
) -> None:
    """Give the first of copies the number of the least text that one of them has (-1 is none)."""
    others = (numbers[copies] >= 0) & (numbers[copies] != numbers[firsts[copies]])
    if others.any():
        texts = {number: text for text, number in known.items()}
        for copy in copies[others].tolist():
            first, number = firsts[copy], int(numbers[copy])
            if numbers[first] < 0 or texts[number] < texts[int(numbers[first])]:
                numbers[first] = number


def main() -> int:
    """PIPELINE --info-from FILE - the reports of comments"""
    parser = Parser(main.__doc__)
    parser.add_argument("--after", type=_day, default=_day("0001-01-01"), metavar="DAY")
    parser.shared("--tz")
    options = inputs.parsed(parser)
    try:
        zone = zones.find(options.tz)
    except ValueError as error:
        parser.error(str(error))
    account = Account(parser.prog)
    counted = Comments()
    inputs.read(options, account, comment_columns.Packer(), counted.take_posts, take=counted.take)
    note_nothing(account, options)
    return runner.end(options, account, counted.rows(zone, options.after))


def _day(text: str) -> int:
    """The seconds at which a day begins, UTC."""
    day = types.day(text)
    return round(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


if __name__ == "__main__":
    start_as(main)
