r"""comments - make crawls of pages with posts, comments and replies

JSON Lines, a line for each crawl of a page. Crawls overlap: each shows only some
of the comments, with the up-likes they had then, in no order of time.

With --posts and --text also tables of the posts (CSV, or Parquet if the name
ends in .parquet) and of the texts of comments (CSV), some rows repeated.
With --truth also the answer: what count-comments prints for crawls and posts.

Example:
  $ make-data comments --comments 500 --seed 7 | grep -c '"created_time"'
  12
"""

from __future__ import annotations

import contextlib
import csv
import heapq
import os
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import TextIO

from headcount import checkout
from headcount.cli import types
from headcount.cli.parser import Parser
from headcount.errors import INTERRUPTED, OK
from headcount.io import interrupt, output, processes
from headcount.testdata import common
from headcount.testdata.pages import Page
from headcount.values import tsv

_PAGE = 2000  # comments, about
_MOST = 10  # comments in the list of those with the most replies
_POST_COLUMNS = ["created_time", "type", "post_h_id", "page_h_id", "name_h_id"]
_TEXTS = [
    "Great show!",
    'She said "no", twice',
    "First line\nsecond line",
    "Windows\r\nline",
    "naïve café",
    "日本語のコメント",
    "مرحبا بالعالم",
    "so funny \U0001f602\U0001f602",
    '"',
    "a,b;c\td",
    "",
]


def add_options(parser: Parser) -> None:
    for name, default, kind, what in (
        ("--comments", 1000, types.count, "how many different comments and replies"),
        ("--depth", 2, types.positive, "how deep replies go; 2: no replies to replies"),
        ("--days", 60, types.positive, "on how many days"),
        ("--seed", 1, types.count, "the same seed and options make the same bytes"),
    ):
        what += f" (default: {default})"
        parser.add_argument(name, metavar="N", type=kind, default=default, help=what)
    common.add_fractions(
        parser,
        ("--odd", 0.0, "this part of the comments is spelled or nested oddly"),
        ("--broken", 0.0, "this part is followed by one that cannot be used"),
    )
    parser.add_argument("--posts", metavar="FILE", help="write a table of posts")
    parser.add_argument("--text", metavar="FILE", help="write a table of texts")
    parser.add_argument("--truth", metavar="FILE", help="write the answer")


class Truth:
    """The reports of all pages so far."""

    def __init__(self):
        self._days: Counter[tuple[str, bool]] = Counter()
        self._types: Counter[str] = Counter()
        self._likes: Counter[str] = Counter()
        self._most_replied: list[tuple[int, str]] = []

    def add(self, page: Page, types: dict[str, str]) -> None:
        """Take in a page that has been shown, with the types that its posts are said to have."""
        replies: Counter[str] = Counter()
        for post in page.posts:
            kind = types.get(post.ident, "(unknown)")
            for comment in post.comments:
                self._days[f"{comment.at:%Y-%m-%d}", comment.parent_id is not None] += 1
                self._types[kind] += 1
                self._likes[kind] += comment.likes
                replies[comment.parent_id] += 1
        ids = {comment.ident for post in page.posts for comment in post.comments}
        ranked = ((-count, ident) for ident, count in replies.items() if ident in ids)
        self._most_replied = heapq.nsmallest(_MOST, [*self._most_replied, *ranked])

    def text(self) -> bytes:
        """As count-comments prints it."""
        rows = []
        for day in sorted({day for day, _ in self._days}):
            counts = self._days[day, False], self._days[day, True]
            rows.append(tsv.row("comments_by_day", day, *counts))
        for kind in sorted(self._types):
            counts = self._types[kind], self._likes[kind]
            rows.append(tsv.row("comments_by_post_type", kind, *counts))
        for rank, (count, ident) in enumerate(self._most_replied, 1):
            rows.append(tsv.row("most_replied_comments", rank, ident, -count))
        return b"".join(rows)


def _described(random: Random, page: Page) -> Iterator[list[str]]:
    """Rows of a table of posts: not of all, but of others besides; most of them repeated."""
    for post in page.posts:
        others = [f"{post.ident}x{i}" for i in range(2)]
        for ident in [post.ident, *others] if random.random() < 0.9 else others:
            at = f"2018-01-{random.randrange(1, 29):02}T{random.randrange(24):02}:00:00"
            row = [at, random.choice("lppsvvvv"), ident, page.ident, page.ident[:11]]
            yield from [row] * random.randint(1, 5)


def _texts(random: Random, page: Page) -> Iterator[list[str]]:
    """Rows of a table of texts, likewise."""
    for post in page.posts:
        for comment in post.comments:
            if random.random() < 0.95:
                row = [f"{random.choice(_TEXTS)}{comment.likes or ''}", comment.ident]
                yield from [row] * random.choice([1, 1, 1, 2])
        if random.random() < 0.1:
            yield [random.choice(_TEXTS), f"{post.ident}gone"]


@contextlib.contextmanager
def _csv(path: str, columns: list[str]) -> Iterator:
    """A writer of a file that only its owner may read."""
    file: TextIO
    with open(output.open_private(path, os.O_TRUNC), "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        yield writer.writerows


@contextlib.contextmanager
def _parquet(path: str, columns: list[str]) -> Iterator:
    """Likewise, of Parquet: with a time in place of the text of one."""
    checkout.install("parquet")
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    kinds = [pa.timestamp("ns") if name == "created_time" else pa.string() for name in columns]
    schema = pa.schema(list(zip(columns, kinds, strict=True)))

    def write(rows: Iterator[list[str]]) -> None:
        values = zip(*rows, strict=True)
        arrays = [
            pa.array(column, pa.string()).cast(kind)
            for column, kind in zip(values, kinds, strict=False)
        ]
        if arrays:
            writer.write_table(pa.table(arrays, schema=schema))

    os.close(output.open_private(path, os.O_TRUNC))
    with ParquetWriter(path, schema) as writer:
        yield write


def run(parser: Parser, options) -> int:
    """Print the crawls, and write what belongs to them; returns the exit status."""
    random, truth = Random(options.seed), Truth()
    processes.widen_pipe(1)
    with contextlib.ExitStack() as files:
        add_posts = add_texts = None
        if options.posts:
            kind = _parquet if options.posts.endswith(".parquet") else _csv
            add_posts = files.enter_context(kind(options.posts, _POST_COLUMNS))
        if options.text:
            add_texts = files.enter_context(_csv(options.text, ["message", "h_id"]))
        left, number = options.comments, 0
        while left and not interrupt.requested():
            size = min(left, random.randint(_PAGE // 2, _PAGE * 3 // 2))
            page = Page(random, number, size, options)
            output.write(1, b"".join(page.lines()))
            beside = Random(f"{options.seed} {number}")  # crawls are the same with and without
            types = {}
            if add_posts:
                rows = list(_described(beside, page))
                types = {row[2]: row[1] for row in rows}
                add_posts(rows)
            truth.add(page, types)
            if add_texts:
                add_texts(_texts(Random(f"{options.seed} {number} texts"), page))
            left, number = left - size, number + 1
    if options.truth:
        fd = output.open_private(options.truth, os.O_TRUNC)
        output.write(fd, truth.text(), options.truth)
    output.close_stdout()
    return INTERRUPTED if interrupt.requested() else OK
