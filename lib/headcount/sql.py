"""Names of the users' own in SQL."""

from headcount.failure import USAGE, Failure


def quoted(name: str) -> str:
    """A name as SQL has it, whatever it is. Raises Failure 2 for one that SQL cannot have."""
    if not name or "\0" in name:
        raise Failure(f"{name!r} cannot be a name in SQL", USAGE)
    return '"' + name.replace('"', '""') + '"'
