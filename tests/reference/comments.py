"""Comments, slowly and plainly: what pages, posts and comments crawls show, and their reports."""

import json
import re
from collections import Counter
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)([.,]\d+)?(Z|z|[+-]\d\d(:?\d\d)?)", re.ASCII
)


def reject_constant(name):
    raise ValueError(name)


def parse(line):
    """The object of a line; None if it is none, or no JSON."""
    try:
        found = json.loads(line.decode().removeprefix("\ufeff"), parse_constant=reject_constant)
        json.dumps(found, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def instant(text):
    """The UTC second of a time; None if it is none."""
    match = isinstance(text, str) and TIME.fullmatch(text)
    if not match:
        return None
    day, time, _, offset, _ = match.groups()
    try:
        at = datetime.fromisoformat(f"{day}T{time}{offset.upper()}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return at.replace(tzinfo=None).isoformat() + "Z" if 2 <= at.year <= 9998 else None


def number(value):
    """Up-likes: (True, None or a whole number), or (False, None) if they are neither."""
    if value is None:
        return True, None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False, None
    if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", str(value)):
        return False, None
    value = float(value)
    return (True, int(value)) if 0 <= value <= 10**12 and value == int(value) else (False, None)


def is_id(value):
    return isinstance(value, str) and value != ""


class Crawls:
    """All that some lines say, each thing once."""

    def __init__(self, lines):
        self.pages, self.posts, self.comments = set(), {}, {}
        self.records = self.rejects = self.blank = 0
        for line in lines:
            line = line.rstrip(b"\r\n")
            if not line.strip(b" \t"):
                self.blank += 1
                continue
            page = parse(line)
            if page is None or not is_id(page.get("h_id")):
                self.reject()
                continue
            self.records += 1
            self.pages.add(page["h_id"])
            for post in self.members(page.get("posts")):
                self.add_post(page["h_id"], post)

    def reject(self):
        self.records += 1
        self.rejects += 1

    def members(self, nest):
        """The objects in {"data": […]}."""
        if nest is None or (isinstance(nest, dict) and nest.get("data") is None):
            return []
        if not isinstance(nest, dict) or not isinstance(nest["data"], list):
            self.reject()
            return []
        for member in nest["data"]:
            if member is not None and not isinstance(member, dict):
                self.reject()
        return [member for member in nest["data"] if isinstance(member, dict)]

    def add_post(self, page_id, post):
        if not is_id(post.get("h_id")):
            self.reject()
            return
        self.records += 1
        post_id = post["h_id"]
        self.posts[post_id] = min(self.posts.get(post_id, page_id), page_id)
        todo = [(comment, None) for comment in self.members(post.get("comments"))]
        while todo:
            comment, nested_in = todo.pop()
            self.add_comment(post_id, comment, nested_in)
            own = comment.get("h_id") if is_id(comment.get("h_id")) else None
            todo += [(reply, own) for reply in self.members(comment.get("comments"))]

    def add_comment(self, post_id, comment, nested_in):
        ident, at = comment.get("h_id"), instant(comment.get("created_time"))
        fine, likes = number(comment.get("up_likes"))
        parent = comment.get("parent")
        parent_id = nested_in
        if isinstance(parent, dict) and parent.get("h_id") is not None:
            parent_id = parent["h_id"]
            fine = fine and is_id(parent_id)
        elif parent is not None and not isinstance(parent, dict):
            fine = False
        if not is_id(ident) or at is None or not fine:
            self.reject()
            return
        self.records += 1
        known = self.comments.get(ident, (post_id, parent_id, at, likes))
        parents = [one for one in (known[1], parent_id) if one is not None]
        counts = [one for one in (known[3], likes) if one is not None]
        self.comments[ident] = (
            min(known[0], post_id),
            min(parents, default=None),
            min(known[2], at),
            max(counts, default=None),
        )


def by_day(comments, tz="UTC"):
    counts = Counter()
    for _, parent_id, at, _ in comments.values():
        local = datetime.fromisoformat(at.replace("Z", "+00:00")).astimezone(ZoneInfo(tz))
        counts[f"{local:%Y-%m-%d}", parent_id is None] += 1
    days = sorted({day for day, _ in counts})
    return [(day, counts[day, True], counts[day, False]) for day in days]


def by_post_type(comments, types, after="0000"):
    counts, likes = Counter(), Counter()
    for post_id, _, at, up_likes in comments.values():
        if at >= after:
            kind = types.get(post_id) or "(unknown)"
            counts[kind] += 1
            likes[kind] += up_likes or 0
    return [(kind, counts[kind], likes[kind]) for kind in sorted(counts)]


def most_replied(comments):
    replies = Counter(
        parent_id for _, parent_id, _, _ in comments.values() if parent_id in comments
    )
    ranked = sorted(replies.items(), key=lambda item: (-item[1], item[0]))
    return [(rank, ident, count) for rank, (ident, count) in enumerate(ranked[:10], 1)]


def threads(comments):
    """Depth and size of the thread of each top-level comment."""
    answers = {}
    for ident, (_, parent_id, _, _) in comments.items():
        answers.setdefault(parent_id, []).append(ident)
    found = {}
    for top in answers.get(None, []):
        depth, size, level = -1, 0, [top]
        while level:
            depth, size = depth + 1, size + len(level)
            level = [reply for one in level for reply in answers.get(one, [])]
        found[top] = (depth, size)
    return found


def reports(comments, types, after="0000", tz="UTC"):
    """What count-comments prints, as rows of texts."""
    found = {
        "comments_by_day": by_day(comments, tz),
        "comments_by_post_type": by_post_type(comments, types, after),
        "most_replied_comments": most_replied(comments),
    }
    return [(name, *map(str, row)) for name, rows in found.items() for row in rows]
