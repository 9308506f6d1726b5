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
_ANY = np.iinfo(np.int64).max  # a number that is greater than those of texts


class Comments:
    """Takes comments in, copies and all, and tells the reports."""

    def __init__(self):
        # Numbers of texts, in the order in which they come, with gaps.
        self._parents: dict[str, int] = {}
        self._posts: dict[str, int] = {}
        self._types: dict[str, str] = {}
        # 48 bytes for each comment, copies and all; ids are hashes (columns.keys).
        self._keys: list[np.ndarray] = []
        self._columns: list[tuple[np.ndarray, ...]] = []
        self._replied = self._runs = 0

    def take(self, rows: bytes) -> None:
        """Take in comments as comment_columns packs them."""
        for columns in comment_columns.unpack(rows):
            parents = np.full(len(columns.seconds), -1)
            numbers = _numbers(self._parents, columns.parent_ids, self._replied)
            parents[columns.replies] = numbers[columns.parents]
            posts = _numbers(self._posts, columns.post_ids, self._runs)
            self._keys.append(columns.keys)
            self._columns.append(
                (columns.seconds, columns.likes, parents, posts.repeat(columns.post_sizes))
            )
            self._replied += len(numbers)
            self._runs += len(posts)

    def take_posts(self, _table: Table, rows: Iterable[Row]) -> None:
        """Take in posts, as post_tables reads them."""
        for post_id, _, kind, *_ in rows:
            if kind is not None and kind < self._types.setdefault(post_id, kind):
                self._types[post_id] = kind

    def rows(self, zone: tzinfo, after: int) -> bytes:
        """All reports; by type of post, of comments made at or after an instant in seconds."""
        if not self._runs:
            return b""
        keys = np.concatenate(self._keys, axis=1)
        order, starts = _groups(keys)
        columns = (np.concatenate(column)[order] for column in zip(*self._columns, strict=True))
        seconds, likes, parents, posts = columns
        self._keys.clear()
        self._columns.clear()
        keys = keys[:, order[starts]]
        seconds = np.minimum.reduceat(seconds, starts)
        likes = np.maximum.reduceat(likes, starts)
        parents = _least(parents, starts, self._parents)
        posts = _least(posts, starts, self._posts)
        late = seconds >= after
        return b"".join(
            [
                *self._by_day(seconds, parents >= 0, zones.LocalDays(zone)),
                *self._by_type(posts[late], np.maximum(likes[late], 0)),
                *self._most_replied(parents[parents >= 0], keys),
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

    def _most_replied(self, parents: np.ndarray, keys: np.ndarray) -> Iterator[bytes]:
        replies = np.bincount(parents, minlength=self._replied)[[*self._parents.values()]]
        # A parent that is known has one other of its key.
        both = np.concatenate([keys, comment_columns.keys(self._parents)], axis=1)
        order, starts = _groups(both)
        sizes = np.diff(starts, append=len(order))
        is_known = np.empty(len(order), bool)
        is_known[order] = sizes.repeat(sizes) > 1
        replies *= is_known[keys.shape[1] :]
        enough = np.sort(replies)[-_MOST:].min(initial=_ANY)
        places = np.flatnonzero(replies >= max(1, enough))
        texts = [*self._parents]
        ranked = ((-replies[place], texts[place]) for place in places.tolist())
        for rank, (count, parent_id) in enumerate(heapq.nsmallest(_MOST, ranked), 1):
            yield tsv.row("most_replied_comments", rank, parent_id, -count)


def _groups(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An order in which equal keys (two rows of halves) come together, and where others begin."""
    order = np.argsort(keys[0])
    first, second = keys[:, order]
    is_new = np.diff(first, prepend=0) != 0
    others = np.diff(second, prepend=0) != 0
    is_new[:1] = True
    if (others & ~is_new).any():  # ids that share a half
        order = np.lexsort(keys)
        first, second = keys[:, order]
        is_new = (np.diff(first, prepend=0) != 0) | (np.diff(second, prepend=0) != 0)
        is_new[:1] = True
    return order, np.flatnonzero(is_new)


def _numbers(known: dict[str, int], texts: list[str], start: int) -> np.ndarray:
    """The number of each text; a new one has that of its place, counted from `start`."""
    return np.fromiter(map(known.setdefault, texts, itertools.count(start)), np.int64, len(texts))


def _least(numbers: np.ndarray, starts: np.ndarray, known: dict[str, int]) -> np.ndarray:
    """The number of the least text of each group (-1 is none)."""
    least = np.maximum.reduceat(numbers, starts)
    others = np.minimum.reduceat(np.where(numbers < 0, _ANY, numbers), starts)
    differ = np.flatnonzero((least >= 0) & (least != others))
    if len(differ):
        texts = {number: text for text, number in known.items()}
        ends = np.append(starts[1:], len(numbers))
        for group in differ.tolist():
            copies = set(numbers[starts[group] : ends[group]].tolist()) - {-1}
            least[group] = min(copies, key=texts.__getitem__)
    return least


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
