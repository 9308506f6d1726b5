"""Times as the database writes them."""

from datetime import UTC, datetime

FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def now() -> str:
    """The present UTC time in ISO format, to the second; such texts sort by time."""
    return datetime.now(UTC).strftime(FORMAT)


def at(seconds: int) -> str:
    """Likewise, so many seconds after the start of 1970."""
    return text(datetime.fromtimestamp(seconds, UTC))


def text(utc: datetime) -> str:
    """Likewise, of a UTC time."""
    return utc.strftime(FORMAT).rjust(20, "0")  # the year 999 would have three digits
