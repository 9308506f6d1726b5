"""The stream of made-up changes of wikis, and what a reader must find in it."""

import json
from bisect import bisect
from collections import Counter, deque
from datetime import UTC, datetime
from functools import lru_cache
from itertools import accumulate
from random import Random

from headcount import made_change_texts

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
        self._wikis = [*made_change_texts.WIKIS, *made_up]
        self._usual, self._hostile = (
            made_change_texts.usual(rng.random, options.users),
            made_change_texts.hostile(),
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
            return line.replace('"title":"', '"title":"\udcff', 1), True  # the byte ff
        key, value = _DAMAGE[int(self._random() * len(_DAMAGE))]
        value = f'"{key}":{value},' if value else ""
        return line.replace(f'"{key}":', f'{value}"was":', 1), key == "meta"

    def truth(self) -> bytes:
        windows = sorted(self._windows.items())
        found = {
            "windows": [(f"{_iso(n * _WINDOW)}Z", *key, count) for (n, *key), count in windows],
            "totals": {"events": sum(self._totals.values())} | self._totals,
            "holes": sorted(self._holes),
        }
        return json.dumps(found).encode() + b"\n"


@lru_cache
def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
