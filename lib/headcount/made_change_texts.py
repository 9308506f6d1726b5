"""What made-up changes of wikis say: wikis, titles, comments and users, usual and hostile."""

import html
import json
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
