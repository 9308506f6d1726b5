"""Made-up visits to a shop: who did what when, for any tracker to tell in its own words.

A tracker's kind of test data spells these events, and says who counts as the user of each.
"""

from collections.abc import Callable, Hashable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from random import Random
from typing import NamedTuple

import msgspec

from headcount.cli.parser import Parser
from headcount.testdata import common, days
from headcount.values import zones

_SECOND = 1_000_000  # microseconds
_DAY = 86_400 * _SECOND
_KEPT = 512  # earlier lines, to repeat
_SPREAD = 0x9E3779B97F4A7C15F39CC0605CEDC835  # odd: no two users share a key
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# What visitors do, and how many of a thousand events each is.
VIEW, CLICK, SEARCH, ADD, LOG_IN, NOTICE, BUY = ACTIONS = (
    *("view", "click", "search", "add", "log-in"),
    "notice",  # something that was done to them: a message was sent
    "buy",
)
_SHARES = (600, 220, 70, 45, 25, 30, 10)
_MIX = [action for action, share in zip(ACTIONS, _SHARES, strict=True) for _ in range(share // 5)]

PAGES = [
    "/",
    "/pricing",
    "/blog/why-counts-differ",
    "/docs/start",
    "/cart",
    "/account",
    "/caf\u00e9",
]
AGENTS = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/122.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) Version/17.3 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:123.0) Gecko/20100101 Firefox/123.0",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/122.0.6261.64 Mobile Safari/537.36",
]


class Event(NamedTuple):
    """What one visitor did once."""

    at: int  # microseconds since 1970-01-01T00:00:00Z
    arrived: int  # when it came in, likewise
    person: int  # a number, from 0
    device: int  # the ID of the person's device: 128 bits
    is_main: bool  # whether that is the one that the person uses most
    account: int  # the ID of the person's account, a number; 0 while not logged in
    action: str  # one of ACTIONS
    bits: int  # 64 bits of chance, for whatever else there is to be said
    is_unusual: bool  # whether to spell it in a way that is valid and rare

    @property
    def key(self) -> int:
        """The person as a system would number it that knows all of their devices: 64 bits."""
        return (self.person + 1) * _SPREAD >> 13 & (1 << 62) - 1

    @property
    def owner(self) -> int:
        """The account that the device is known to belong to in the end; 0 if there is none."""
        return 0 if self.person % 7 == 6 else 10_000_000 + self.person * 7

    @property
    def merged(self) -> int:
        """Who this is to a system that merges: the key, unless it has not heard of a login yet."""
        return self.key if self.account or self.is_main else self.device >> 66

    @property
    def id(self) -> int:
        """Its own ID: 128 bits."""
        return self.bits * _SPREAD & (1 << 128) - 1

    @property
    def page(self) -> str:
        return PAGES[self.bits % len(PAGES)]

    @property
    def agent(self) -> str:
        return AGENTS[self.device % len(AGENTS)]

    @property
    def address(self) -> str:
        """The IP address of the device."""
        return f"203.0.{self.device >> 8 & 255}.{self.device & 255}"


# An event as a tracker has it: what JSON is made of, or a line of text; and its user, None if it
# does not count.
Spell = Callable[[Event], "tuple[dict | bytes, Hashable | None]"]


class Tracker(NamedTuple):
    """How one tracker spells events.

    A broken event lacks what one of `needed` names: all of its dotted paths, of which any one would
    do. What it says in the last of `needed`, the time, may also be no time.
    """

    spell: Spell
    line: int  # the usual length of a line in bytes
    needed: tuple[tuple[str, ...], ...] = ()
    spoil: Callable[[bytes, Callable[[], float]], bytes] | None = None  # a line of text


def add_options(parser: Parser) -> None:
    """Take the options of a tracker's kind of data."""
    common.add_options(parser, "events")
    common.add_fractions(
        parser,
        ("--duplicates", 0.01, "this part of the lines repeats an earlier one"),
        ("--late", 0.02, "this part comes up to 3 days late"),
        ("--broken", 0.0, "this part is not an event: cut short, wrong types, bad UTF-8…"),
        ("--unusual", 0.02, "this part is spelled in ways that are valid and rare"),
    )
    days.add_options(parser)


def run(parser: Parser, options, tracker: Tracker) -> int:
    """Print the events, then write the truth; returns the exit status."""
    if options.tz == zones.DEVICE:
        parser.error("--tz: expected the name of a zone, got device")
    return days.run(parser, options, lambda *rest: _Stream(tracker, *rest))


class _Stream:
    """Makes one line after the other, in the rough order of time in which events come in."""

    def __init__(self, tracker: Tracker, options, zone, enter: Callable[[Hashable, int], None]):
        self._tracker, self._options, self._enter = tracker, options, enter
        self._rng = Random(options.seed)
        self._random = self._rng.random  # it and getrandbits: the same in every Python
        self._instant = days.Instants(options, zone, self._random)
        lines = options.lines if options.size is None else options.size // tracker.line
        self._users = options.users or max(1, lines // 100)
        self._salt = self._rng.getrandbits(128)
        self._kept: list[bytes] = []
        self._made = 0

    def __call__(self, done: float) -> bytes:
        """The next line; `done` is the part of the whole that came before it."""
        random, options = self._random, self._options
        if random() < options.duplicates and self._kept:
            return self._kept[int(random() * len(self._kept))]
        event = self._event(done)
        told, user = self._tracker.spell(event)
        if random() < options.broken:
            return self._broken(told)
        if user is not None:
            self._enter(user, event.at)
        line = told if type(told) is bytes else _encoded(told, event)
        self._keep(line)
        return line

    def _event(self, done: float) -> Event:
        random = self._random
        at, delay = self._instant(done)
        # Few do most of it, and not the same few every day.
        rank = int(random() ** 3 * self._users)
        person = (rank + at // _DAY * (1 + self._users // 20)) % self._users
        place = int(random() < 0.3) if person % 4 == 0 else 0  # every fourth has two devices
        device = (self._salt + (2 * person + place + 1) * _SPREAD) & (1 << 128) - 1
        # Some are logged in from the start, some on a later day, some never are.
        login = device % 1000 / 1000 * 1.4 * self._options.days - 0.2 * self._options.days
        is_logged_in = at - self._instant.begin >= login * _DAY
        event = Event(
            at,
            at + delay + 500_000,
            person,
            device,
            place == 0,
            0,
            _MIX[int(random() * len(_MIX))],
            self._rng.getrandbits(64),
            random() < self._options.unusual,
        )
        return event._replace(account=event.owner) if is_logged_in else event

    def _broken(self, told: dict | bytes) -> bytes:
        """A line that is not an event any more, or that names no user."""
        random = self._random
        if type(told) is bytes:
            return self._tracker.spoil(told, random)
        kind, needed = random(), self._tracker.needed
        if kind < 0.3:
            line = msgspec.json.encode(told)
            return line[: 1 + int(random() * (len(line) - 2))] + b"\n"
        if kind < 0.4:
            return _NO_OBJECTS[int(random() * len(_NO_OBJECTS))]
        if kind < 0.6:
            sound, broken = _DAMAGE[int(random() * len(_DAMAGE))]
            return msgspec.json.encode(told).replace(sound, broken, 1) + b"\n"
        if kind < 0.7:
            for path in needed[-1]:
                _put(told, path.split("."), "soon")
        else:
            for path in needed[int(random() * len(needed))]:
                _drop(told, path.split("."))
        return msgspec.json.encode(told) + b"\n"

    def _keep(self, line: bytes) -> None:
        """Keep every fourth line for a while, to repeat it."""
        self._made += 1
        if self._made % 4 == 0:
            if len(self._kept) < _KEPT:
                self._kept.append(line)
            else:
                self._kept[self._made // 4 % _KEPT] = line


_NO_OBJECTS = [b"null\n", b"3000\n", b'"login"\n', b'["login"]\n', b"\xef\xbb\xbf\n"]
# Each makes a reject of any object; nothing that a parser could overlook without being wrong.
_DAMAGE = [
    (b"{", b'{"a":"\xff",'),
    (b"{", b'{"a":"\xed\xa0\x80",'),  # half of a surrogate pair
    (b"{", b'{"a":"\x01",'),
    (b"{", b'{"a":NaN,'),
    (b'"', b'"a":1,,"'),
]


def _encoded(told: dict, event: Event) -> bytes:
    """A line of JSON; of an unusual event in another order, with white space and escapes."""
    if not event.is_unusual:
        return msgspec.json.encode(told) + b"\n"
    told = dict(reversed(told.items()))
    line = msgspec.json.format(msgspec.json.encode(told), indent=0)
    name = next(iter(told)).encode()
    return line.replace(b'"%b"' % name, b'"\\u%04x%b"' % (name[0], name[1:]), 1) + b"\n"


def _put(told: dict, path: list[str], value) -> None:
    for part in path[:-1]:
        told = told[part]
    if path[-1] in told:
        told[path[-1]] = value


def _drop(told: dict, path: list[str]) -> None:
    for part in path[:-1]:
        told = told.get(part, {})
    told.pop(path[-1], None)


# ---- how trackers write what events say


def uuid(bits: int) -> str:
    """A UUID of 128 bits."""
    text = f"{bits & (1 << 128) - 1:032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def iso(at: int, digits: int = 3, east: int = 0, between: str = "T") -> str:
    """An instant without its offset, to as many digits of a second, at so many seconds east."""
    seconds, micros = divmod(at, _SECOND)
    whole = _to_seconds(seconds + east)
    return whole.replace("T", between) + (f".{micros:06d}"[: 1 + digits] if digits else "")


@lru_cache(4096)
def _to_seconds(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")


def unusual_iso(event: Event) -> str:
    """Its time with another offset than UTC, to the microsecond, as 2024-03-08T05:30:00.1+05:30."""
    hours, minutes = [(5, 30), (-6, 0), (1, 0), (0, 0)][event.bits % 4]
    east = hours * 3600 + minutes * 60
    return f"{iso(event.at, 6, east)}{hours:+03d}:{minutes:02d}"
