"""The stream of made-up changes of wikis, with what a reader must find in it."""

import html
import json
from bisect import bisect
from collections import Counter, deque
from datetime import UTC, datetime
from functools import lru_cache
from itertools import accumulate
from random import Random
from urllib.parse import quote

_TEXTS = 1024  # prepared, to choose from
WIKIS = [
    ("commonswiki", "commons.wikimedia.org"),
    ("wikidatawiki", "www.wikidata.org"),
    ("enwiki", "en.wikipedia.org"),
    ("dewiki", "de.wikipedia.org"),
    ("frwiki", "fr.wikipedia.org"),
    ("enwiktionary", "en.wiktionary.org"),
    ("zh_min_nanwiki", "zh-min-nan.wikipedia.org"),
]
_WORDS = r"""Bridge station of the river 1911 list (album) "Heroes" R&B l’été Köln Łódź Москва
東京都 القاهرة Ελλάδα भारत 🌉 AC/DC C++ discography County back\slash museum 50% <br>"""
_HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><svg/onload=alert(1)> ' onmouseover='alert(1)",
    "javascript:alert(1)",
    "<a href='javascript:alert(1)'>x</a>",
    "\u202etxt.exe\u2066\u200b\ufeff",
    "\0\x1b[2J\a\t\r\n\\\x7f\x85\u2028\u2029",
    "'; DROP TABLE page; -- {{7*7}} ${7*7} %s%n",
    "=1+1 " + "e\u0301" * 40 + "W" * 9000,
]


def usual(random, users: int) -> tuple:
    """Titles with their paths, comments with their HTML, users with whether they are bots."""
    titles, comments, named = [], [], []
    known = _WORDS.split()
    for number in range(_TEXTS):
        words = [known[int(random() * len(known))] for _ in range(44)]
        titles.append(_title(f"{' '.join(words[:4])} {number}"))
        text = " ".join(words[: 4 + number % 40])
        page = html.escape(words[0])
        link = f'<a href="/wiki/{quote(words[0])}" title="{page}">→\u200e{page}</a>'
        parsed = f'\u200e<span dir="auto"><span class="autocomment">{link}: </span></span> '
        comments.append((_json(f"/* {words[0]} */ {text}"), _json(parsed + html.escape(text))))
    for number in range(users):
        bot = random() < (0.7 if number < users / 20 else 0.02)  # many of the busy ones
        name = f"{known[number % len(known)]} {number}" if number % 5 else f"2001:DB8::{number:X}"
        named.append(_user(f"{name} (bot)" if bot else name, bot))
    return titles, comments, named


def hostile() -> tuple:
    comments = [(_json(text), _json(text)) for text in _HOSTILE]
    return [_title(text) for text in _HOSTILE], comments, [_user(text, False) for text in _HOSTILE]


def _title(text: str) -> tuple[str, str]:
    return _json(text), quote(text.replace(" ", "_"))


def _user(name: str, bot: bool) -> tuple[str, int]:
    return f'"user":"{_json(name)}","bot":{json.dumps(bot)}', int(bot)


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


_WINDOW = 900  # seconds
_RECENT = 50  # events, to repeat
LONGEST_HOLE = 20

_TOPICS = ["eqiad.mediawiki.recentchange", "codfw.mediawiki.recentchange"]
_FIRST = [4_369_496_612, 1_203_771]  # offset of each
_CODFW, _CODFW_AFTER_HOLE, _CODFW_OF_CANARIES = 0.01, 0.2, 0.5  # parts in the second

_SSE = b"""event: message
id: [{"topic":"eqiad.mediawiki.recentchange","partition":0,"timestamp":%d},\
{"topic":"codfw.mediawiki.recentchange","partition":0,"offset":-1}]
data: %b
"""
_TYPES = ["edit", "categorize", "new", "log"]
_UP_TO = [0.6, 0.88, 0.94]  # the part of each type and those before it
_PREFIXES = {"categorize": ("Category:", 14), "commonswiki": ("File:", 6)}  # with namespaces

# Each makes a reject of any line: the key gets another name, or its value becomes this one.
_DAMAGE = [
    ("wiki", ""),
    ("type", ""),
    ("bot", ""),
    ("timestamp", ""),
    ("meta", ""),
    ("wiki", "7"),
    ("wiki", "null"),
    ("type", '["edit"]'),
    ("bot", "0"),
    ("bot", '"false"'),
    ("timestamp", '"soon"'),
    ("timestamp", "1.5"),
    ("meta", "null"),
]


class Stream:
    """Makes one event after the other, and counts what a reader must find."""

    def __init__(self, options):
        self._options = options
        rng = Random(options.seed)
        self._random, self._bits = rng.random, rng.getrandbits
        self._now = options.start * 1000.0  # milliseconds
        self._next, self._read = list(_FIRST), [0, 0]  # offsets of each topic
        self._due = [(i + rng.random()) / (options.holes + 1) for i in range(options.holes)][::-1]
        *self._sizes, self._all = accumulate(1 / (i * (i + 7)) for i in range(1, options.wikis + 1))
        made_up = ((f"made{i}wiki", f"made{i}.wikipedia.org") for i in range(options.wikis))
        self._wikis = [*WIKIS, *made_up]
        self._usual, self._hostile = (
            usual(rng.random, options.users),
            hostile(),
        )
        self._recent: deque[tuple[bytes, str]] = deque(maxlen=_RECENT)
        self._windows, self._holes = Counter(), []
        self._totals = dict.fromkeys(["changes", "canaries", "duplicates", "rejects"], 0)

    def __call__(self, done: float) -> bytes:
        random, options = self._random, self._options
        if self._recent and random() < options.duplicates:
            raw, again = self._recent[int(random() * len(self._recent))]
            self._totals[again] += 1
            return raw
        canary = random() < options.canaries
        what = "canaries" if canary else "rejects" if random() < options.broken else "changes"
        topic, offset = self._place(done, canary)
        line, key = self._event(topic, offset, canary)
        again, hidden = what, False
        if what == "changes":
            self._windows[key] += 1
            again = "duplicates"
        elif what == "rejects":
            line, hidden = self._spoilt(line)
        self._totals[what] += 1
        if not hidden:
            if 0 < self._read[topic] < offset - 1:
                self._holes.append((_TOPICS[topic], 0, self._read[topic] + 1, offset - 1))
            self._read[topic] = offset
        raw = line.encode(errors="surrogateescape")
        if options.sse:
            raw = _SSE % (self._now, raw)
        self._now += random() * 2000 / options.rate
        self._recent.append((raw, again))
        return raw

    def _place(self, done: float, canary: bool) -> tuple[int, int]:
        """The topic and offset of the next event; before it, some may be left out."""
        due = self._due and done >= self._due[-1]
        codfw = _CODFW_OF_CANARIES if canary else _CODFW_AFTER_HOLE if due else _CODFW
        topic = int(self._random() < codfw)
        if due and self._next[topic] > _FIRST[topic]:  # not before the first
            self._due.pop()
            missing = 1 + int(self._random() * LONGEST_HOLE)
            self._next[topic] += missing
            self._now += missing * 1000 / self._options.rate
        self._next[topic] += 1
        return topic, self._next[topic] - 1

    def _event(self, topic: int, offset: int, canary: bool) -> tuple[str, tuple]:
        """A line, and what the truth counts it by."""
        random = self._random
        wiki, server = self._wikis[bisect(self._sizes, random() * self._all)]
        kind = _TYPES[bisect(_UP_TO, random())]
        hostile = random() < self._options.hostile
        titles, comments, users = self._hostile if hostile else self._usual
        title, path = titles[int(random() * len(titles))]
        comment, parsed = comments[int(random() * len(comments))]
        user, bot = users[int(random() ** 3 * len(users))]  # some are much busier than others
        prefix, space = _PREFIXES.get(kind) or _PREFIXES.get(wiki, ("", 0))
        now, ms = divmod(int(self._now), 1000)
        seconds = max(self._options.start, now - int(random() ** 4 * 4))
        domain = "canary" if canary else server
        number = offset % 10**9
        new = int(random() * 50_000)
        if kind == "edit":
            more = f""""minor":{"true" if ms < 200 else "false"},"patrolled":true,"length":{{\
"old":{new ^ 99},"new":{new}}},"revision":{{"old":{number - new},"new":{number}}},"""
        elif kind == "new":
            more = f""""minor":false,"patrolled":false,"length":{{"new":{new}}},\
"revision":{{"new":{number}}},"""
        elif kind == "log":
            more = f""""log_id":{number},"log_type":"move","log_action":"move","log_params":{{\
"target":"{title}","noredir":"0"}},"log_action_comment":"moved to [[{title}]]: {comment}","""
        else:
            more = ""
        line = f"""{{"$schema":"/mediawiki/recentchange/1.0.0","meta":{{\
"uri":"https://{server}/wiki/{prefix}{path}","request_id":"{self._uuid()}","id":"{self._uuid()}",\
"dt":"{_iso(now)}.{ms:03d}Z","domain":"{domain}",\
"stream":"mediawiki.recentchange","topic":"{_TOPICS[topic]}","partition":0,"offset":{offset}}},\
"id":{number},"type":"{kind}","namespace":{space},"title":"{prefix}{title}",\
"comment":"{comment}","timestamp":{seconds},{user},{more}"server_url":"https://{server}",\
"server_name":"{server}","server_script_path":"/w","wiki":"{wiki}","parsedcomment":"{parsed}"}}\n"""
        return line, (seconds // _WINDOW, wiki, kind, bot)

    def _uuid(self) -> str:
        text = f"{self._bits(128):032x}"
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"

    def _spoilt(self, line: str) -> tuple[str, bool]:
        """The line as a reject, and whether its offset can no longer be read."""
        chance = self._random()
        if chance < 0.2:
            return line[: 1 + int(self._random() * (len(line) - 3))] + "\n", True
        if chance < 0.3:
            # (A byte that is not UTF-8 is a reject in lines alone: in a stream it is replaced.)
            return line.replace('"title":"', '"title":"\\ud800', 1), True
        key, value = _DAMAGE[int(self._random() * len(_DAMAGE))]
        value = f'"{key}":{value},' if value else ""
        return line.replace(f'"{key}":', f'{value}"was":', 1), key == "meta"

    def truth(self) -> bytes:
        windows = sorted(self._windows.items())
        answer = {
            "windows": [(f"{_iso(n * _WINDOW)}Z", *key, count) for (n, *key), count in windows],
            "totals": {"events": sum(self._totals.values())} | self._totals,
            "holes": sorted(self._holes),
        }
        return json.dumps(answer).encode() + b"\n"


@lru_cache
def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
