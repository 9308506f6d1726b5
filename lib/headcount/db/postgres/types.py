"""Values on their way to PostgreSQL or back, which come out as SQLite would return them."""

from __future__ import annotations

import re

from psycopg import Connection
from psycopg.adapt import Loader
from psycopg.types.string import StrDumperUnknown, TextLoader

# PostgreSQL's texts hold no U+0000; there it stands as the sign for it, followed by 0. That sign
# itself is doubled, so that texts that differ still do.
_SIGN = "\u2400"


class _TextOut(StrDumperUnknown):
    def dump(self, obj: str) -> bytes:
        if "\0" in obj or _SIGN in obj:
            obj = obj.replace(_SIGN, _SIGN * 2).replace("\0", f"{_SIGN}0")
        return super().dump(obj)


class _TextIn(TextLoader):
    def load(self, data) -> str:
        text = super().load(data)
        if _SIGN in text:
            text = re.sub(f"{_SIGN}(.)", lambda match: match[1].replace("0", "\0"), text)
        return text


class _Sum(Loader):
    """A sum of numbers is numeric in PostgreSQL: ours are of whole ones."""

    def load(self, data) -> int:
        return int(bytes(data))


def register(connection: Connection) -> None:
    """Texts as they were, dates as texts, sums as integers."""
    connection.adapters.register_dumper(str, _TextOut)
    connection.adapters.register_loader("text", _TextIn)
    connection.adapters.register_loader("date", TextLoader)
    connection.adapters.register_loader("numeric", _Sum)
