"""Breakdowns: the values that an event has in some fields, by which its user is counted."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

import msgspec

from headcount.formats import jsonl
from headcount.io.blocks import BOM, All, Some
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
_KEY, _VALUE, _LIST = "key", "value", "list"
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
        parts = {text: by_fields.path(text) for text in texts}
        keys = dict.fromkeys(path[0] for path in parts.values())
        self._attributes = {key: f"f{i}" for i, key in enumerate(keys)}
        types = [(name, msgspec.Raw, numbers.NULL) for name in self._attributes.values()]
        renamed = {name: key for key, name in self._attributes.items()}
        record = msgspec.defstruct("Broken", types, rename=renamed, gc=False)
        self._decode = msgspec.json.Decoder(record).decode
        self._whole = msgspec.json.Decoder(record).decode_lines
        self._leaves = _Leaves.of(parts)
        # what the values of a key, and those at the end of a path, come to
        self._of_key = {text: _Known(path, _at) for text, path in parts.items()}
        self._of_leaf = {text: _Known(path, _leaf) for text, path in parts.items()}

    def columns(self) -> tuple[str, ...]:
        """The fields of an event that are looked at, by the first part of their paths."""
        return tuple(self._attributes)

    def values(self, line: bytes) -> list[str]:
        """The value of an event, as it came, in each of the fields."""
        if self._text and not line.lstrip(b" ").startswith(b"{"):
            event = self._text(line)
            shown = {text: _shown(event.get(text)) for text in self._of_key}
        else:
            event = jsonl.record(self._decode, line.removeprefix(BOM))
            shown = {text: column[0] for text, column in self._of_keys([event]).items()}
        return [_joined([shown[text] for text in factors]) for factors in self._factors]

    def of_lines(self, lines: All | Some) -> Callable[[Sequence[int]], list[list[str]]]:
        """What gives the values of events at some places among the lines, a column for each of the
        fields. The lines are those that a parser has made columns of."""
        found, shown = None, self._of_leaves
        if self._leaves:
            found = self._leaves.records(lines)
        if found is None:
            found, shown = jsonl.records_again(self._whole, lines), self._of_keys
        if found is None:
            return lambda places: list(
                map(list, zip(*(self.values(lines[i]) for i in places), strict=True))
            )

        def at(places: Sequence[int]) -> list[list[str]]:
            columns = shown([found[i] for i in places])
            return [_joined_columns([columns[text] for text in of]) for of in self._factors]

        return at

    def _of_keys(self, events: list) -> dict[str, list[str]]:
        """The values of records that have whole keys, by path."""
        raws = {
            key: list(map(bytes, map(operator.attrgetter(name), events)))
            for key, name in self._attributes.items()
        }
        return {
            text: list(map(known.__getitem__, raws[known.parts[0]]))
            for text, known in self._of_key.items()
        }

    def _of_leaves(self, events: list) -> dict[str, list[str]]:
        """The values of records that have what is at the end of each path, by path."""
        return {
            text: list(map(known.__getitem__, self._leaves.raws(events, known.parts)))
            for text, known in self._of_leaf.items()
        }


class _Known(dict):
    """The value at a path by the JSON that it is in. Few are many events'."""

    def __init__(self, parts: by_fields.Path, value: Callable[[bytes, by_fields.Path], object]):
        super().__init__()
        self.parts, self._value = parts, value

    def __missing__(self, raw: bytes) -> str:
        found = _shown(self._value(raw, self.parts))
        if len(raw) <= _SHORT:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[raw] = found
        return found


class _Leaves:
    """Gets what is at the end of paths, where all on the way are objects, or absent.

    Other objects cost nothing then, which may be another one for each event.
    """

    def __init__(self, paths: Iterable[by_fields.Path]):
        tree: dict = {}
        for parts in paths:
            below = tree
            for part in parts[:-1]:
                below = below.setdefault(part, {})
            below[parts[-1]] = None
        self._tree = tree
        self._decode = msgspec.json.Decoder(_record(tree)).decode_lines

    @classmethod
    def of(cls, paths: dict[str, by_fields.Path]) -> _Leaves | None:
        """None for paths of which one goes on where another ends, or that go into lists."""
        if all(len(parts) == 1 for parts in paths.values()):
            return None
        parts = set(paths.values())
        ends = any(path[:i] in parts for path in parts for i in range(1, len(path)))
        in_list = any(part.isdigit() or part == _LIST for path in parts for part in path)
        return None if ends or in_list else cls(parts)

    def records(self, lines: All | Some) -> list | None:
        """A record of each line; None if even one is of another shape."""
        found = jsonl.records_again(self._decode, lines)
        return None if found is None or self._has_lists(found, self._tree, "") else found

    def _has_lists(self, events: list, tree: dict, prefix: str) -> bool:
        """Whether an object is a list in the spelling of Parquet's readers."""
        for i, (_, below) in enumerate(tree.items()):
            if below is not None:
                name = f"{prefix}f{i}"
                if any(_each(events, f"{name}.{_LIST}", None)):
                    return True
                if self._has_lists(events, below, f"{name}."):
                    return True
        return False

    def raws(self, events: list, parts: by_fields.Path) -> list[bytes]:
        """The JSON at a path, of each record."""
        names, tree = [], self._tree
        for part in parts:
            names.append(f"f{list(tree).index(part)}")
            tree = tree[part]
        return list(map(bytes, _each(events, ".".join(names), numbers.NULL)))


def _record(tree: dict) -> type:
    """The record of a tree of paths."""
    renamed = {f"f{i}": name for i, name in enumerate(tree)}
    types = [
        (name, msgspec.Raw, numbers.NULL)
        if tree[key] is None
        else (name, _record(tree[key]) | None, None)
        for name, key in renamed.items()
    ]
    return msgspec.defstruct(
        "Part", [*types, (_LIST, object, None)], rename=renamed | {_LIST: _LIST}, gc=False
    )


def _each(events: list, name: str, absent: object) -> list:
    """An attribute of an attribute of each event; what is absent where one on the way is None."""
    get = operator.attrgetter(name)
    try:
        return list(map(get, events))
    except AttributeError:
        return [_or(get, event, absent) for event in events]


def _or(get: Callable, event: object, absent: object) -> object:
    try:
        return get(event)
    except AttributeError:
        return absent


def _at(raw: bytes, parts: by_fields.Path) -> object:
    """The value at a path, the first key of which holds `raw`."""
    if len(parts) == 2 and raw.startswith(b"[") and not parts[1].isdigit():
        try:
            return _parameter(_entries(raw), parts[1])
        except msgspec.DecodeError:  # of another shape
            pass
    value = _any(raw)
    for part in parts[1:]:
        if type(value) is str and value.lstrip().startswith(("{", "[")):
            value = _any(value.encode())
        if type(value) is dict and value.keys() == {_LIST}:  # as Parquet readers print lists
            value = value[_LIST]
        if type(value) is list and not part.isdigit():
            return _of_list(value, part)
        value = by_fields.value_at((part,), value)
    return _of_kind(value) if len(parts) > 1 else value


def _leaf(raw: bytes, parts: by_fields.Path) -> object:
    """The value at a path, which ends at `raw`."""
    return _of_kind(_any(raw)) if len(parts) > 1 else _any(raw)


def _of_kind(value: object) -> object:
    """The value of an object that names its kind, as {"page": {"string_value": "/"}} has it."""
    if type(value) is dict and not value.keys() - set(_KINDS):
        return _first(map(value.get, _KINDS))
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


def _joined_columns(columns: list[list[str]]) -> list[str]:
    if len(columns) == 1:
        return columns[0]
    return [_joined(list(values)) for values in zip(*columns, strict=True)]


def _joined(values: list[str]) -> str:
    if len(values) == 1:
        return values[0]
    return TIMES.join(value.replace("\\", "\\\\").replace(TIMES, f"\\{TIMES}") for value in values)
