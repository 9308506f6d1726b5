"""Now, as the database writes it."""

from datetime import UTC, datetime

FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def now() -> str:
    """The present UTC time in ISO format, to the second; such texts sort by time."""
    return datetime.now(UTC).strftime(FORMAT)
