"""Times as the database writes them, and days as people name them."""

import argparse
from datetime import UTC, date, datetime

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


def day(text: str) -> date:
    """For an option: YYYY-MM-DD, and no other spelling of ISO 8601."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.isoformat() != text:
        raise argparse.ArgumentTypeError(f"{text!r} is no date; dates are YYYY-MM-DD")
    return found
