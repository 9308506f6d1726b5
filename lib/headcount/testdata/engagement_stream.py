"""The stream of made-up Firebase/GA4 events: who, when, how long."""

from datetime import date, datetime, timedelta, tzinfo
from functools import lru_cache
from random import Random

from dateutil import tz

from headcount.testdata import damage, days, engagement_dimensions, engagement_templates
from headcount.values import zones

_SECOND = 1_000_000  # microseconds
_DAY = 86_400 * _SECOND

_PROFILES = 64
_KEPT = 512  # earlier lines, to repeat
_END = b"}\n"
_MASK = (1 << 128) - 1
_SPREAD = 0x9E3779B97F4A7C15F39CC0605CEDC835  # odd: no two users share a key
_DAYTIMES = [b"Morning", b"Noon", b"Afternoon"]
_DEVICE_ZONES = [
    *["America/New_York"] * 9,
    *["America/Los_Angeles"] * 4,
    *["America/Chicago"] * 4,
    "America/Denver",
    "Europe/Berlin",
    "Asia/Kolkata",
]


class Stream:
    """Makes one event after the other, in the rough order of time in which they come in.

    It tells `enter` of each that makes its user active: user, microseconds, offset of the device.
    """

    def __init__(self, options, zone: tzinfo | None, enter):
        self._options = options
        self._enter = enter
        self._rng = Random(options.seed)
        self._random = self._rng.random  # it and getrandbits: the same in every Python
        self._instant = days.Instants(options, zone, self._random)
        lines = options.lines if options.size is None else options.size // options.line_bytes
        self._users = options.users or max(1, lines // 100)
        self._salt = self._rng.getrandbits(128)
        others, engagements = engagement_templates.others(), engagement_templates.engagements()
        profiles = [
            engagement_templates.user(self._random, number, self._instant.begin // _SECOND)
            for number in range(_PROFILES)
        ]
        size = options.line_bytes
        self._others = [engagement_templates.shortened(some, size) for some in others]
        self._engagements, self._lacking = (
            engagement_templates.shortened(some, size) for some in engagements
        )
        self._profiles = [engagement_templates.resized(profile, size) for profile in profiles]
        self._items = [_uuid(self._rng.getrandbits(128)) for _ in range(24)]
        self._kept: list[bytes] = []
        self._made = 0

    def __call__(self, done: float) -> bytes:
        """The next line; `done` is the part of the whole that came before it."""
        random, options = self._random, self._options
        if random() < options.duplicates and self._kept:
            return self._choose(self._kept)
        micros, delay = self._instant(done)
        if random() < options.engagements:
            line = self._engagement(micros, delay, spoilt := random() < options.broken)
        else:
            template = self._choose(self._choose(self._others))
            user = int(random() * self._users)
            if b"ga_session_id" in template:
                user = self._visitor(micros)
            line, _ = self._fill(template, user, micros, delay, int(random() * 60_000), 1)
            spoilt = random() < options.broken
        if spoilt:
            return damage.spoil(line, random)
        if random() < options.escapes:
            line = damage.escape(line, random)
        self._keep(line)
        return line

    def _engagement(self, micros: int, delay: int, spoilt: bool) -> bytes:
        """One user_engagement; enters it in the truth if it makes its user active."""
        chance = self._random()
        # Most are long enough; some are not, and some are so to the millisecond.
        msec = int(self._random() * (5_000 if chance < 0.4 else 60_000))
        if chance < 0.05:
            msec = 2999 + int(chance * 40)
        engaged = self._random()
        template = self._choose(self._lacking if engaged < 0.06 else self._engagements)
        user = self._visitor(micros)
        line, east = self._fill(template, user, micros, delay, msec, int(engaged >= 0.12))
        if msec >= 3000 and engaged >= 0.12 and not spoilt:
            self._enter(user, micros, east)
        return line

    def _fill(
        self, template: bytes, user: int, micros: int, delay: int, msec: int, engaged: int
    ) -> tuple[bytes, int]:
        """The line of an event, and the offset of its device in seconds east of UTC."""
        second = micros // _SECOND
        profile = user % _PROFILES
        key = (self._salt + (user + 1) * _SPREAD) & _MASK
        session = second - second % 1800 - user % 900
        east = _device_offset(profile % len(_DEVICE_ZONES), second // 3600)
        bits = self._rng.getrandbits(64)
        values = {
            b"date": _property_date((second + 3600) // 86_400),
            b"micros": micros,
            b"daytime": _DAYTIMES[second // 28_800 % 3],
            b"engaged": engaged,
            b"msec": msec,
            b"screen": bits - (1 << 63),
            b"session": session,
            b"visit": 1 + (user + second // 86_400) % 40,
            b"item": self._items[bits % 24],
            b"index": bits % 9,
            b"delay": delay + 500_000,
            b"user": key,
            b"account": key >> 40 & (1 << 64) - 1,
            b"uuid": _uuid((key ^ session * _SPREAD) & _MASK),
            b"east": east,
        }
        line = template % values + self._profiles[profile] % values
        if self._options.with_dimensions:
            line = line.removesuffix(_END) + engagement_dimensions.of(user) + _END
        return line, east

    def _visitor(self, micros: int) -> int:
        """A user who opens the app: few do most of it, and not the same few every day."""
        rank = self._random() ** 3 * self._users
        return (int(rank) + micros // _DAY * (1 + self._users // 20)) % self._users

    def _keep(self, line: bytes) -> None:
        """Keep every fourth line for a while, to repeat it."""
        self._made += 1
        if self._made % 4 == 0:
            if len(self._kept) < _KEPT:
                self._kept.append(line)
            else:
                self._kept[self._made // 4 % _KEPT] = line

    def _choose(self, choices: list):
        return choices[int(self._random() * len(choices))]


def _uuid(bits: int) -> bytes:
    text = b"%032x" % bits
    return b"%b-%b-4%b-a%b-%b" % (text[:8], text[8:12], text[13:16], text[17:20], text[20:])


@lru_cache(4096)
def _property_date(number: int) -> bytes:
    """The date as event_date has it: that of the property's zone, not of anybody's day."""
    return (date(1970, 1, 1) + timedelta(number)).strftime("%Y%m%d").encode()


@lru_cache(4096)
def _device_offset(zone: int, hour: int) -> int:
    local = datetime.fromtimestamp(hour * 3600, _device_zone(_DEVICE_ZONES[zone]))
    return round(local.utcoffset().total_seconds())


@lru_cache
def _device_zone(name: str) -> tzinfo:
    return tz.tzfile(zones.rules(name))
