"""Times as the database writes them, lengths of time as people read them."""

from datetime import UTC, datetime, timedelta

FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def now() -> str:
    """The present UTC time in ISO format, to the second; such texts sort by time."""
    return text(_utc())


def later(length: timedelta) -> str:
    """The time so much later than now; at most the last second that there can be."""
    try:
        return text(_utc() + length)
    except OverflowError:  # a clock that has not been set
        return text(datetime.max)


def _utc() -> datetime:
    return datetime.now(UTC)


def at(seconds: int) -> str:
    """Likewise, so many seconds after the start of 1970."""
    return text(datetime.fromtimestamp(seconds, UTC))


def text(utc: datetime) -> str:
    """Likewise, of a UTC time."""
    return utc.strftime(FORMAT).rjust(20, "0")  # the year 999 would have three digits


def length(seconds: float) -> str:
    """For people: 3.2 s, 15 min, 26 h, 3 d."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
