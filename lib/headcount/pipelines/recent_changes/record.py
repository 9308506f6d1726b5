"""Events of Wikimedia's recent changes, as far as we read them.

What they hold: https://schema.wikimedia.org/repositories/primary/jsonschema/mediawiki/recentchange
Needed are meta.id, wiki, type, bot and timestamp; all else may be missing.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Annotated

import msgspec

from headcount.filters.rejects import Reject
from headcount.formats import jsonl
from headcount.values import numbers
from headcount.values.spellings import Fields

# The fields of an event whose values are words of the source's, or an editor's name.
FIELDS = Fields(
    fixed=frozenset(
        {"$schema", "id", "stream", "topic", "domain", "dt", "type", "wiki", "server_name"}
        | {"server_url", "server_script_path", "log_type", "log_action"}
    ),
    names=frozenset({"user"}),
)
CANARY = "canary"  # the domain of events that only show that the stream is alive
LAST = 253_402_300_799  # seconds: the end of the year 9999
_MOST = 2**63 - 1  # of what SQLite can hold
_DEPTH = 1000  # what SQLite's JSON functions can surely follow

_Text = Annotated[str, msgspec.Meta(min_length=1)]


Place = tuple[str, int, int]


class _LooseMeta(msgspec.Struct, gc=False):
    """Where an event stands in the stream. Offsets count one by one in each topic and partition."""

    id: str | None = None
    domain: str | None = None
    topic: str | None = None
    partition: Annotated[int, msgspec.Meta(ge=0, le=_MOST)] | None = None
    offset: Annotated[int, msgspec.Meta(ge=-1, le=_MOST)] | None = None  # -1: none

    @property
    def place(self) -> Place | None:
        """Topic, partition and offset; None where it does not say."""
        if self.topic is None or self.partition is None or self.offset is None or self.offset < 0:
            return None
        return self.topic, self.partition, self.offset


class Meta(_LooseMeta, kw_only=True, gc=False):
    """Likewise, of an event that can be told from others."""

    id: _Text


class Change(msgspec.Struct, gc=False):
    """An event as it should be."""

    meta: Meta
    wiki: _Text
    type: _Text
    bot: bool
    timestamp: Annotated[int, msgspec.Meta(ge=0, le=LAST)]  # seconds since 1970, UTC
    user: str | None = None


class _AnyMeta(msgspec.Struct, gc=False):
    meta: _LooseMeta | None = None


class _Domain(msgspec.Struct, gc=False):
    domain: str | None = None


class _AnyDomain(msgspec.Struct, gc=False):
    meta: _Domain


class _Any(msgspec.Struct, gc=False):
    """An event that may lack anything, or have a number in another spelling."""

    wiki: str | None = None
    type: str | None = None
    bot: bool | None = None
    timestamp: msgspec.Raw = numbers.NULL
    user: str | None = None


# What an event is: a change, the reason why it cannot be used, or None for a canary; and its place,
# which is known even of some that cannot be used: they have not been lost. (A plain tuple: fast.)
Found = tuple[Change | Reject | None, Place | None]


KIND = jsonl.kind(
    "recent changes", ("meta", "wiki", "type", "bot", "timestamp"), 3, "server-sent events"
)

_decode = msgspec.json.Decoder(Change).decode
_decode_meta = msgspec.json.Decoder(_AnyMeta).decode
_decode_domain = msgspec.json.Decoder(_AnyDomain).decode
_decode_any = msgspec.json.Decoder(_Any).decode


def parse(data: bytes, *, is_utf8: bool = False) -> Found:
    """What the JSON of an event says; `is_utf8` if that is known already."""
    try:
        change = _decode(data)
        if not is_utf8 and not data.isascii():
            data.decode()
    except msgspec.ValidationError:
        return _unusual(data)
    except (ValueError, RecursionError):
        # not even a byte order mark: what is kept has to be JSON for SQLite, too
        return jsonl.record(_decode, data, may_have_mark=False), None
    meta = change.meta
    if meta.domain == CANARY:
        return None, meta.place
    if len(data) >= 2 * _DEPTH and _is_deep(data):
        return Reject("nested too deeply"), meta.place
    return change, meta.place


def _unusual(data: bytes) -> Found:
    """Likewise, of one that lacks something or spells it in another way."""
    decoded = jsonl.record(_decode_meta, data)
    if type(decoded) is Reject:
        is_canary = False
        with contextlib.suppress(ValueError, RecursionError):
            is_canary = _decode_domain(data).meta.domain == CANARY
        return None if is_canary else decoded, None
    meta = decoded.meta or _LooseMeta()
    if meta.domain == CANARY:
        return None, meta.place
    if not meta.id:
        return Reject("meta.id is missing"), meta.place
    return _change(meta, jsonl.record(_decode_any, data)), meta.place


def _change(meta: _LooseMeta, change: _Any | Reject) -> Change | Reject:
    if type(change) is Reject:
        return change
    for name in ("wiki", "type", "bot"):
        if getattr(change, name) in (None, ""):
            return Reject(f"{name} is missing")
    try:
        seconds = numbers.whole_number(change.timestamp, 0, LAST)
    except ValueError as error:
        return Reject("bad timestamp", str(error))
    if seconds is None:
        return Reject("timestamp is missing")
    return Change(meta, change.wiki, change.type, change.bot, seconds, change.user)


def _is_deep(data: bytes) -> bool:
    """Whether SQLite's JSON functions may fail: then they would for whoever queries the table."""
    if data.count(b"[") + data.count(b"{") < _DEPTH:
        return False
    with sqlite3.connect(":memory:") as db:
        return not db.execute("SELECT json_valid(?)", [data.decode(errors="replace")]).fetchone()[0]
