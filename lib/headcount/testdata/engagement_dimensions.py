"""The dimensions of made-up users: the app's version, its platform, the country, the city.

Few values have most of the users: of n values, the share of the r-th is log(1 + 1/r) / log(n + 1).
"""

from functools import lru_cache
from hashlib import blake2b

_PLATFORMS = [b"ANDROID", b"IOS", b"WEB"]
_VERSIONS = 10
_COUNTRIES = 50
_CITIES = 1_000  # each is in one of the countries
_BITS = 1 << 32


@lru_cache(1 << 16)
def of(user: int) -> bytes:
    """What comes before the last brace of an event of a user."""
    digest = blake2b(b"%d" % user, digest_size=12).digest()
    chances = [int.from_bytes(digest[i : i + 4], "big") / _BITS for i in (0, 4, 8)]
    city = _rank(_CITIES, chances[0])
    return (
        b',"geo":{"country":"Country %02d","city":"City %03d"},'
        b'"app_info":{"id":"com.example.news","version":"4.%d.0"},"platform":"%b"'
    ) % (
        city % _COUNTRIES,
        city,
        _VERSIONS - _rank(_VERSIONS, chances[1]),
        _PLATFORMS[_rank(len(_PLATFORMS), chances[2])],
    )


def _rank(values: int, chance: float) -> int:
    """Which of so many values, from 0 on, a chance of 0 to 1 falls on."""
    return min(values, int((values + 1) ** chance)) - 1
