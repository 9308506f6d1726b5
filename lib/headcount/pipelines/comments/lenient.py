"""The lenient parser, of crawls that are not as they should be.

Numbers may be texts, times may have offsets, and replies may be nested to any depth. What is wrong
is rejected piece by piece, each as a line of its own that can be mended and replayed.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from headcount.filters.rejects import Reject
from headcount.formats import jsonl
from headcount.pipelines.comments import crawl_times
from headcount.values import decimals

MOST_LIKES = 10**12  # millions of such numbers still add up in 64 bits

_FIELDS = ("h_id", "created_time", "up_likes", "parent")
_encode = msgspec.json.Encoder(decimal_format="number").encode


def decode(line: bytes) -> object:
    """What a line of JSON holds. Raises ValueError."""
    try:
        return msgspec.json.decode(line)
    except (RecursionError, msgspec.ValidationError):  # deep, or a number beyond floats
        return jsonl.decode_any(line)


class Reading:
    """What a line says: `page_id`, `post_ids`, `rows`, `levels`, `rejects` as a Crawl has them."""

    def __init__(self, line: bytes, page: object):
        self._line = line
        self.page_id: str | None = None
        self.post_ids: list[str] = []
        self.rows: list[tuple] = []
        self.levels: list[int] = []
        self.rejects: list[tuple[Reject, bytes]] = []
        try:
            if type(page) is not dict:
                raise _Unusable("not an object")
            self.page_id = _text(page, "h_id")
        except _Unusable as why:
            self.rejects.append((Reject(*why.args), line))
            return
        for post in self._members(page, "posts", "the page", lambda posts: posts):
            self._read_post(post)

    def _read_post(self, post: dict) -> None:
        try:
            post_id = _text(post, "h_id")
        except _Unusable as why:
            self._reject(why, "a post", {"data": [post]})
            return
        self.post_ids.append(post_id)
        what = f"post {post_id}"

        def around(comments: object) -> dict:
            return {"data": [{"h_id": post_id, "comments": comments}]}

        # lists of comments, each with the id of the comment it is nested in, and its level
        nests = [(self._members(post, "comments", what, around), None, 1)]
        for comments, nested_in, level in nests:
            for comment in comments:
                bare = {name: comment[name] for name in _FIELDS if name in comment}
                if nested_in and bare.get("parent") is None:
                    bare["parent"] = {"h_id": nested_in}
                ident = None
                try:
                    ident = _text(bare, "h_id")
                    parent_id = _parent_id(bare) or nested_in
                    at, likes = _time(bare), _likes(bare)
                    self.rows.append((ident, post_id, parent_id, at, likes))
                    self.levels.append(level)
                except _Unusable as why:
                    self._reject(why, f"comment {ident} of {what}", around({"data": [bare]}))

                def around_replies(replies: object, bare: dict = bare) -> dict:
                    return around({"data": [bare | {"comments": replies}]})

                replies = self._members(comment, "comments", f"comment {ident}", around_replies)
                if replies:
                    nests.append((replies, ident, level + 1))

    def _members(
        self, owner: dict, name: str, what: str, around: Callable[[object], object]
    ) -> list[dict]:
        """The objects in `name: {"data": […]}` of an owner; what is none is rejected.

        `around` makes the posts of a line for a reject from a value of `name`.
        """
        nest = owner.get(name)
        if nest is None:
            return []
        members = nest.get("data") if type(nest) is dict else nest
        if members is None:
            return []
        if type(nest) is not dict or type(members) is not list:
            self._reject(_Unusable("wrong type", f"{name}: no list of data"), what, around(nest))
            return []
        for member in members:
            if type(member) is not dict and member is not None:
                why = _Unusable("wrong type", f"{name}: no object")
                self._reject(why, what, around({"data": [member]}))
        return [member for member in members if type(member) is dict]

    def _reject(self, why: _Unusable, what: str, posts: object) -> None:
        reason, *details = why.args
        try:
            raw = _encode({"h_id": self.page_id, "posts": posts})
        except (RecursionError, ValueError):
            raw = self._line
        self.rejects.append((Reject(reason, ": ".join([what, *details])), raw))


class _Unusable(Exception):
    """A reason, and perhaps what was seen."""


def _text(owner: dict, name: str) -> str:
    value = owner.get(name)
    if value is None or value == "":
        raise _Unusable(f"{name} is missing")
    if type(value) is not str:
        raise _Unusable("wrong type", f"{name}: no text")
    return value


def _parent_id(comment: dict) -> str | None:
    parent = comment.get("parent")
    if parent is None:
        return None
    if type(parent) is not dict:
        raise _Unusable("wrong type", "parent: no object")
    return _text(parent, "h_id") if parent.get("h_id") is not None else None


def _time(comment: dict) -> str:
    text = _text(comment, "created_time")
    try:
        return crawl_times.utc(text)
    except ValueError as error:
        raise _Unusable("bad created_time", f"{text[:50]!r}: {error}") from None


def _likes(comment: dict) -> int | None:
    value = comment.get("up_likes")
    if value is None:
        return None
    try:
        if type(value) is bool:
            raise ValueError("no number")
        number = decimals.exact(str(value))
        if not 0 <= number <= MOST_LIKES or number != int(number):
            raise ValueError("not a whole number within bounds")
    except ValueError as error:
        raise _Unusable("bad up_likes", str(error)) from None
    return int(number)
