"""Made-up pages of comments, as repeated crawls show them."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from random import Random

_START = datetime(2018, 1, 1, tzinfo=UTC)
_REPLIES = 0.25  # this part of the comments
_SHOWN_AGAIN = 0.4  # how likely a crawl shows a comment that another one has shown
_ODD_TIMES = [
    lambda at: at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    lambda at: at.strftime("%Y-%m-%dT%H:%M:%S.250+00:00"),
    lambda at: (at + timedelta(hours=5.5)).strftime("%Y-%m-%dT%H:%M:%S+0530"),
    lambda at: (at - timedelta(hours=8)).strftime("%Y-%m-%dt%H:%M:%S-08:00"),
]
_BROKEN = [
    {"created_time": "2018-01-06T11:58:01+0000", "up_likes": 1},
    {"h_id": "", "created_time": "2018-01-06T11:58:01+0000"},
    {"h_id": "x", "up_likes": 1},
    {"h_id": "x", "created_time": "2018-02-30T11:58:01+0000"},
    {"h_id": "x", "created_time": "2018-01-06T11:58:01"},
    {"h_id": "x", "created_time": "2018-01-06T11:58:01+0000", "up_likes": -1},
    {"h_id": "x", "created_time": "2018-01-06T11:58:01+0000", "parent": "y"},
    7,
]


class Comment:
    """A comment or, if it has a parent, a reply."""

    __slots__ = ("at", "ident", "level", "likes", "odd", "parent", "parent_id", "replies")

    def __init__(self, ident: str, at: datetime, likes: int, parent: Comment | None):
        self.ident, self.at, self.likes, self.parent = ident, at, likes, parent
        self.parent_id = parent.ident if parent else None
        self.level = parent.level + 1 if parent else 1
        self.replies = 0  # that are shown
        self.odd = False


class Post:
    """A post, its comments, and which crawls of its page show it."""

    __slots__ = ("comments", "crawls", "ident")

    def __init__(self, ident: str, crawls: list[int]):
        self.ident, self.crawls = ident, crawls
        self.comments: list[Comment] = []


class Page:
    """A page of some comments."""

    def __init__(self, random: Random, number: int, comments: int, options):
        self._random, self._options = random, options
        self.ident = _id(str(100_000_000_000_000 + number * 7_919))
        self._crawls = max(1, min(16, comments // 20))
        self.posts: list[Post] = []
        left = comments
        while left > 0:
            size = min(left, int(random.paretovariate(0.7) * 3))
            self.posts.append(self._post(number, len(self.posts), size))
            left -= size
            while random.random() < 0.4:  # one that nobody comments on
                self.posts.append(self._post(number, len(self.posts), 0))

    def _post(self, page: int, number: int, size: int) -> Post:
        random = self._random
        key = f"{100_000_000_000_000 + page * 7_919}_{10_000_000_000_000_000 + number}"
        most = min(self._crawls, 1 + int(random.expovariate(0.6)))
        post = Post(_id(key), sorted(random.sample(range(self._crawls), most)))
        seconds = self._options.days * 86_400
        begin = random.randrange(seconds)
        popular: list[Comment] = []  # may be replied to
        for i in range(size):
            parent = None
            if popular and random.random() < _REPLIES:
                parent = popular[int(len(popular) * random.random() ** 3)]
            second = min(seconds - 1, begin + int(random.expovariate(1 / 40_000)))
            likes = int(random.paretovariate(1.1)) - 1
            ident = _id(f"{key.rpartition('_')[2]}{page}_{1_000_000_000_000_000 + i}")
            comment = Comment(ident, _START + timedelta(seconds=second), likes, parent)
            if random.random() < self._options.odd:
                self._make_odd(comment, post)
            post.comments.append(comment)
            if comment.level < self._options.depth and not comment.odd:
                popular.append(comment)
        return post

    def _make_odd(self, comment: Comment, post: Post) -> None:
        """It is spelled in another way; perhaps it answers nobody known, or who answers it."""
        comment.odd = True
        if comment.parent is None and self._random.random() < 0.3:
            comment.parent_id = _id(f"nobody_{self._random.randrange(1000)}")
        elif comment.parent is None and post.comments and self._random.random() < 0.2:
            other = post.comments[-1]
            if other.odd and other.parent is None:  # these two answer each other
                comment.parent_id, other.parent_id = other.ident, comment.ident
                comment.level = other.level = 1

    def lines(self) -> list[bytes]:
        """A line for each crawl, in no order."""
        shown: list[list[dict]] = [[] for _ in range(self._crawls)]
        for post in self.posts:
            for crawl, comments in self._views(post).items():
                entry = {"h_id": post.ident}
                if comments:
                    entry = {"comments": {"data": comments}, "h_id": post.ident}
                elif self._random.random() < self._options.odd:
                    entry["comments"] = self._random.choice([None, {"data": None}, {"data": []}])
                shown[crawl].append(entry)
        lines = [
            json.dumps({"h_id": self.ident, "posts": {"data": posts}}, separators=(",", ":"))
            for posts in shown
        ]
        self._random.shuffle(lines)
        return [line.encode() + b"\n" for line in lines]

    def _views(self, post: Post) -> dict[int, list[dict]]:
        """What each crawl shows of a post; together they show every comment."""
        random = self._random
        visible: dict[int, set[Comment]] = {crawl: set() for crawl in post.crawls}
        for comment in post.comments:
            home = random.choice(post.crawls)
            for crawl in post.crawls:
                if crawl == home or random.random() < _SHOWN_AGAIN:
                    above: Comment | None = comment
                    while above is not None and above not in visible[crawl]:
                        visible[crawl].add(above)
                        above = above.parent
        best: dict[Comment, int] = {}
        views = {}
        for crawl, comments in visible.items():
            views[crawl], entries = [], {}
            for comment in post.comments:  # parents come before their replies
                if comment not in comments:
                    continue
                likes = comment.likes if random.random() < 0.7 else random.randint(0, comment.likes)
                best[comment] = max(best.get(comment, 0), likes)
                entries[comment] = entry = self._entry(comment, likes)
                beside = views[crawl]
                if comment.parent is not None:
                    nest = entries[comment.parent].setdefault("comments", {"data": []})
                    beside = nest["data"]
                beside.append(entry)
                if random.random() < self._options.broken:
                    beside.append(random.choice(_BROKEN))
        for comment, likes in best.items():
            comment.likes = likes  # nobody can know of more
        return views

    def _entry(self, comment: Comment, likes: int) -> dict:
        entry = {
            "comment_count": 0,
            "created_time": comment.at.strftime("%Y-%m-%dT%H:%M:%S+0000"),
            "h_id": comment.ident,
            "up_likes": likes,
        }
        if comment.parent_id is not None:
            entry["parent"] = {"h_id": comment.parent_id}
        if comment.odd:
            entry["created_time"] = self._random.choice(_ODD_TIMES)(comment.at)
            entry["up_likes"] = self._random.choice([str(likes), float(likes), likes])
            entry["like_count"] = "\u00e9"
        return entry


def _id(text: str) -> str:
    """As the crawler writes ids."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
