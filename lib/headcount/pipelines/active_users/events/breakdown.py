"""Breakdowns: the values that an event has in some fields, by which its user is counted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from headcount.formats import jsonl
from headcount.io.blocks import BOM
from headcount.pipelines.active_users.events import by_fields, source
from headcount.pipelines.active_users.options.breakdown_options import (
    NONE,
    OTHER,
    TIMES,
    UNKNOWN,
    paths_of,
)
from headcount.values import numbers

_OURS = {NONE, OTHER, UNKNOWN}
_KEY, _VALUE = "key", "value"
_KINDS = ("string_value", "int_value", "double_value", "float_value")  # of a GA4 parameter
_DIGITS = 30
_SHORT, _REMEMBERED = 500, 5_000  # bytes of a field whose values are remembered; how many of these
_encode = msgspec.json.Encoder().encode


class Breakdown:
    """Finds the values of events in `fields`, dotted paths as by_fields has them.

    `event_params.NAME` is the parameter of that name, `user_properties.NAME` the property. A `*`
    between paths makes one breakdown by all of these.
    """

    def __init__(self, fields: Sequence[str], of_source: str):
        self.fields = tuple(fields)
        self._text = source.find(of_source).text
        self._factors = [paths_of(field) for field in fields]
        texts = dict.fromkeys(text for factors in self._factors for text in factors)
        # by the first key of a path: the paths, and their parts
        self._of_key: dict[str, dict[str, by_fields.Path]] = defaultdict(dict)
        for text in texts:
            parts = by_fields.path(text)
            self._of_key[parts[0]][text] = parts
        attributes = {f"f{i}": key for i, key in enumerate(self._of_key)}
        types = [(name, msgspec.Raw, numbers.NULL) for name in attributes]
        record = msgspec.defstruct("Broken", types, rename=attributes)
        self._attributes, self._decode = attributes, msgspec.json.Decoder(record).decode
        self._known: dict[tuple[str, bytes], dict[str, str]] = {}

    def columns(self) -> tuple[str, ...]:
        """The fields of an event that are looked at, by the first part of their paths."""
        return tuple(self._of_key)

    def values(self, line: bytes) -> list[str]:
        """The value of an event, as it came, in each of the fields."""
        shown: dict[str, str] = {}
        if self._text and not line.lstrip(b" ").startswith(b"{"):
            event = self._text(line)
            for paths in self._of_key.values():
                shown |= {text: _shown(event.get(text)) for text in paths}
        else:
            event = jsonl.record(self._decode, line.removeprefix(BOM))
            for attribute, key in self._attributes.items():
                shown |= self._shown(key, bytes(getattr(event, attribute)))
        return [_joined([shown[text] for text in factors]) for factors in self._factors]

    def _shown(self, key: str, raw: bytes) -> dict[str, str]:
        """The values at the paths that begin with a key, where `raw` is. Few are many events'."""
        found = self._known.get((key, raw))
        if found is None:
            found = {text: _shown(_at(raw, parts)) for text, parts in self._of_key[key].items()}
            if len(raw) <= _SHORT:
                if len(self._known) >= _REMEMBERED:
                    self._known.clear()
                self._known[key, raw] = found
        return found


def _at(raw: bytes, parts: by_fields.Path) -> object:
    """The value at a path, the first key of which holds `raw`."""
    if len(parts) == 2 and raw.startswith(b"[") and not parts[1].isdigit():
        try:
            return _parameter(_entries(raw), parts[1])
        except msgspec.DecodeError:  # of another shape
            pass
    value = _any(raw)
    for i, part in enumerate(parts[1:], 1):
        if type(value) is str and value.lstrip().startswith(("{", "[")):
            value = _any(value.encode())
        if type(value) is dict and value.keys() == {"list"}:  # as Parquet readers print lists
            value = value["list"]
        if type(value) is list and not part.isdigit():
            return _of_list(value, part)
        value = by_fields.value_at((part,), value)
        if i == len(parts) - 1 and type(value) is dict and not value.keys() - set(_KINDS):
            return _first(map(value.get, _KINDS))  # as {"page": {"string_value": "/"}} has it
    return value


class _Entry(msgspec.Struct, gc=False):
    """A parameter, or a property of a user."""

    key: str
    value: dict[str, msgspec.Raw] | None = None


_entries = msgspec.json.Decoder(list[_Entry]).decode


def _parameter(entries: list[_Entry], name: str) -> object:
    """The value of the first parameter of this name."""
    for entry in entries:
        if entry.key == name:
            value = entry.value or {}
            return _first(_any(bytes(value[kind])) for kind in _KINDS if kind in value)
    return None


def _of_list(entries: list, name: str) -> object:
    """The value of a parameter, of lists in the shapes that other writers give them."""
    for entry in entries:
        if type(entry) is dict and len(entry) == 1:  # {"element": {"key": ...
            (entry,) = entry.values()
        if type(entry) is dict and entry.get(_KEY) == name:
            value = entry.get(_VALUE)
            return _first(map(value.get, _KINDS)) if type(value) is dict else value
    return None


def _first(values: Iterable[object]) -> object:
    return next((value for value in values if value is not None), None)


def _any(raw: bytes) -> object:
    """What JSON holds; what no text may hold as it is written."""
    if raw[:1] == b'"' and b"\\" not in raw:
        return raw[1:-1].decode()
    try:
        return jsonl.decode_any(raw)
    except ValueError:
        return raw.decode(errors="replace")


def _shown(value: object) -> str:
    """A value as text. A text that reads like one of ours has a backslash before it."""
    if value is None:
        return NONE
    if type(value) is str:
        return f"\\{value}" if value.lstrip("\\") in _OURS else value
    if type(value) is Decimal:
        short = value.normalize()
        return f"{short:f}" if abs(short.adjusted()) < _DIGITS else str(short)
    return str(value) if type(value) is int else _encode(value).decode()


def _joined(values: list[str]) -> str:
    if len(values) == 1:
        return values[0]
    return TIMES.join(value.replace("\\", "\\\\").replace(TIMES, f"\\{TIMES}") for value in values)
