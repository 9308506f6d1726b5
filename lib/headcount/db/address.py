"""What --db names: a file of SQLite, or a database of PostgreSQL by its URL."""

import os

from headcount.errors import USAGE, WRITE_FAILED, Failure

_SCHEMES = ("postgresql://", "postgres://")


def is_url(db: str) -> bool:
    """Whether a database is one of PostgreSQL."""
    return db.startswith(_SCHEMES)


def refuse(db: str) -> None:
    """Raises Failure 2 if a database is one of PostgreSQL."""
    if is_url(db):
        raise Failure("this works on databases of SQLite alone", USAGE)


def beside(db: str) -> str:
    """How the names of what imports keep on this host begin: beside a file, or in the cache."""
    return os.path.join(cache(), _checksum(db)) if is_url(db) else os.path.realpath(db)


def kept(db: str) -> str:
    """How the names of what must not be lost begin: beside a file, or in the folder for that."""
    if not is_url(db):
        return os.path.realpath(db)
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(state, "headcount", _checksum(db))


def _checksum(url: str) -> str:
    import subprocess  # slow to import, as is urllib: few have a server

    done = subprocess.run(["cksum"], input=os.fsencode(url), capture_output=True, check=True)
    return done.stdout.decode().strip().replace(" ", "-")


def make_room_beside(db: str) -> None:
    """Make the folder where that is. Raises Failure 74."""
    if is_url(db):
        make_room(beside(db))
    if not os.path.isdir(os.path.dirname(beside(db))):
        raise Failure(f"cannot write {db}: no such directory", WRITE_FAILED)


def make_room(path: str) -> None:
    """Make the folder of a file, for its owner alone. Raises Failure 74."""
    folder = os.path.dirname(path)
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as error:
        raise Failure(f"cannot write {folder}: {error.strerror}", WRITE_FAILED) from None


def cache() -> str:
    """The folder where that is."""
    folder = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(folder, "headcount")


def shown(url: str) -> str:
    """What a message calls the database: without a password."""
    if not is_url(url):
        return url
    import urllib.parse

    parts = urllib.parse.urlsplit(url)
    where = parts.netloc.rpartition("@")[2]
    who = parts.username
    query = "" if "password" in parts.query else parts.query
    netloc = f"{who}@{where}" if who else where
    return f"{parts.scheme}://{netloc}{parts.path}{query and '?'}{query}"
