"""Crawled pages of comments, as far as we read them.

A line is one crawl of one page: `{"h_id", "posts": {"data": [{"h_id", "comments": {"data":
[{"h_id", "created_time", "up_likes", "parent": {"h_id"}, "comments": {"data": [replies…]}}]}}]}}`.
Replies may have replies, any level may be absent or null. What is wrong is rejected piece by piece:
the rest of its line counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NamedTuple

import msgspec

from headcount.filters.rejects import Reject
from headcount.formats import jsonl
from headcount.io.blocks import Block
from headcount.pipelines.comments import crawl_times, lenient
from headcount.pipelines.comments.lenient import MOST_LIKES
from headcount.values.search import split_lines

_Text = Annotated[str, msgspec.Meta(min_length=1)]


class Parent(msgspec.Struct, gc=False):
    """The comment that is answered."""

    h_id: _Text


class Comment(msgspec.Struct, gc=False):
    """A comment as it should be, or a reply."""

    h_id: _Text
    created_time: str
    up_likes: Annotated[int, msgspec.Meta(ge=0, le=MOST_LIKES)] | None = None
    comments: Comments | None = None
    parent: Parent | None = None


class Comments(msgspec.Struct, gc=False):
    """The comments of a post, or the replies to a comment."""

    data: list[Comment] | None = None


class Post(msgspec.Struct, gc=False):
    """A post as it should be."""

    h_id: _Text
    comments: Comments | None = None


class Posts(msgspec.Struct, gc=False):
    """The posts of a page."""

    data: list[Post] | None = None


class Page(msgspec.Struct, gc=False):
    """A line as it should be."""

    h_id: _Text
    posts: Posts | None = None


# comment_id, post_id, parent_id, created_at (UTC), up_likes
Row = tuple[str, str, str | None, str, int | None]


class Crawl(NamedTuple):
    """What one line says; a line that says nothing has no page_id."""

    page_id: str | None
    post_ids: list[str]
    comments: list[Row]
    levels: list[int]  # of each; 1: not a reply, by its place
    rejects: list[tuple[Reject, bytes]]  # why, and a line with what was rejected

    @property
    def records(self) -> int:
        """How many there are: pages, posts, comments and whatever could not be used."""
        used = len(self.post_ids) + len(self.comments) + (self.page_id is not None)
        return used + len(self.rejects)


KIND = jsonl.kind("crawls of pages", ("h_id", "posts"), 1)

_decode = msgspec.json.Decoder(Page).decode


def crawls(block: Block) -> Iterator[tuple[int, Crawl | None]]:
    """The number of each line of a block and what it says; None for a blank one."""
    for number, text in enumerate(split_lines(block.text), block.line):
        line = bytes(text).rstrip(b"\r")
        yield number, parse(line) if line.strip(b" \t") else None


def decode(line: bytes) -> Page:
    """What a line says, but for its times, if it is as it should be. Raises ValueError."""
    page = _decode(line)
    if not line.isascii():
        line.decode()
    return page


def parse(line: bytes) -> Crawl:
    """What a line says, however unusual."""
    try:
        return _crawl(decode(line))
    except (ValueError, RecursionError):  # a piece that is not as it should be, or no JSON at all
        return _unusual(line)


def _crawl(page: Page) -> Crawl:
    """Raises ValueError for a time that is none."""
    post_ids: list[str] = []
    rows: list[Row] = []
    levels: list[int] = []
    dates, minutes, seconds = crawl_times.DATES, crawl_times.MINUTES, crawl_times.SECONDS
    for post in (page.posts and page.posts.data) or ():
        post_id = post.h_id
        post_ids.append(post_id)
        # Lists of comments, each with the comment that they are nested in, and their level.
        nests: list[tuple[list[Comment], str | None, int]] = []
        if post.comments and post.comments.data:
            nests.append((post.comments.data, None, 1))
        for comments, nested_in, level in nests:
            levels += [level] * len(comments)
            for comment in comments:
                time, parent = comment.created_time, comment.parent
                parent_id = parent.h_id if parent else nested_in
                at = dates[time[:10]] + minutes[time[10:16]] + seconds[time[16:]]
                rows.append((comment.h_id, post_id, parent_id, at, comment.up_likes))
                replies = comment.comments
                if replies and replies.data:
                    nests.append((replies.data, comment.h_id, level + 1))
    return Crawl(page.h_id, post_ids, rows, levels, [])


def _unusual(line: bytes) -> Crawl:
    crawl = jsonl.record(lenient.decode, line)
    if type(crawl) is Reject:
        return Crawl(None, [], [], [], [(crawl, line)])
    reading = lenient.Reading(line, crawl)
    return Crawl(reading.page_id, reading.post_ids, reading.rows, reading.levels, reading.rejects)
