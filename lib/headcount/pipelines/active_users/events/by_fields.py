"""The parser of events of which a few fields say all: who, when, what."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from headcount.filters.rejects import UNIDENTIFIED, Reject
from headcount.formats import jsonl
from headcount.io.blocks import All, Some
from headcount.pipelines.active_users.definitions import ANY_EVENT
from headcount.pipelines.active_users.events import bots, by_columns, plain, record, source
from headcount.pipelines.active_users.events.by_columns import UNUSUAL, joined_names, joined_user
from headcount.pipelines.active_users.events.source import (
    IMPLAUSIBLE,
    ImplausibleTimeError,
)
from headcount.values import instants

Path = tuple[str, ...]
_Scalar = str | int | float | None
_PARTS = re.compile(r"(?:[^.\\]|\\.)+", re.DOTALL)
_with_floats = msgspec.json.Decoder(float_hook=float).decode


def _any(line: bytes) -> object:
    """What a line of JSON holds. A number beyond floats, or of thousands of digits, in a field that
    is not looked at costs nothing. Raises ValueError."""
    try:
        return _with_floats(line)
    except msgspec.ValidationError:
        return jsonl.decode_any(line)


def path(text: str) -> Path:
    """The parts of a dotted path; a backslash stands before a dot, or a plus, within a name."""
    return tuple(re.sub(r"\\(.)", r"\1", part) for part in _PARTS.findall(text))


def joined(text: str) -> list[Path]:
    """The paths that a `+` joins."""
    return [path(part) for part in joined_names(text)]


class Parser:
    """Parses events by the fields that a definition names: one by one, or many at once.

    A line gives (instant in microseconds, None, user, ANY_EVENT) for an event that makes its user
    active, None for another event, a Reject for a bad line, as record.Parser has it.
    """

    def __init__(self, definition: record.Definition):
        self.definition = definition
        self.fields = fields = definition.fields
        known = source.find(fields.source)
        self._text, self._named = known.text, known.named
        self._is_bot = bots.known() if fields.agent else None
        users = [joined(text) for text in fields.user]
        times, names, agents = (
            [path(text) for text in texts] for texts in (fields.time, fields.name, fields.agent)
        )
        self._tree = tree = {}
        for parts in [*times, *names, *agents, *(parts for user in users for parts in user)]:
            _plant(tree, parts)
        self._decode = msgspec.json.Decoder(_type(tree)).decode
        self._decode_lines = msgspec.json.Decoder(_type(tree)).decode_lines
        typed = functools.partial(_typed_getter, tree)
        self._typed = _Getters.of(users, times, names, agents, typed)
        self._loose = _Getters.of(users, times, names, agents, _loose_getter)
        self._columns = (
            [_column_getter(tree, parts) for parts in times],
            [
                _column_getter(tree, *parts) if len(parts) == 1 else _user(list(map(typed, parts)))
                for parts in users
            ],
            [_column_getter(tree, parts) for parts in names],
        )
        self._table = by_columns.Columns(definition, known) if known.table else None

    def parse(self, line: bytes) -> tuple[int, None, str, str] | Reject | None:
        """One line."""
        if self._text and not line.lstrip(b" ").startswith(b"{"):
            found = self._text(line)
            return self._judge(found, self._by_name) if type(found) is dict else found
        event = jsonl.record(self._decode, line)
        if type(event) is not Reject:
            return self._judge(event, self._typed)
        if event.reason != "wrong type":
            return event
        # Somewhere on the way to a field there is something else: then it is absent.
        event = jsonl.record(_any, line)
        if type(event) is not dict:
            return event if type(event) is Reject else Reject("wrong type", "not a JSON object")
        return self._judge(event, self._loose)

    def parse_all(self, lines: All | Some) -> list[tuple | Reject | None]:
        """Many lines in one batch; `parse` takes over where one of them is unusual."""
        return self._each(lines, jsonl.records(self._decode_lines, lines))

    def parse_plain(self, lines: All | Some) -> plain.Plain | list[tuple | Reject | None]:
        """As `parse_all`, but columns where none of the events is unusual."""
        events = jsonl.records(self._decode_lines, lines)
        if events is None and self._table:
            found = self._table.plain(lines)
            return found if type(found) is plain.Plain else self._usual(lines, found)
        columns = None
        if events and not self.fields.agent and not self._named:
            wanted = self.definition.valuable_events
            columns = plain.columns(events, *self._columns, self.fields, wanted)
        return self._each(lines, events) if columns is None else columns

    def _each(self, lines: All | Some, events: list | None) -> list[tuple | Reject | None]:
        if events is None:
            judged = self._table(lines) if self._table else [UNUSUAL] * lines.count
            return self._usual(lines, judged)
        judge, typed = self._judge, self._typed
        return [judge(event, typed) for event in events]

    def _usual(self, lines: All | Some, judged: list) -> list[tuple | Reject | None]:
        return [self.parse(lines[i]) if it is UNUSUAL else it for i, it in enumerate(judged)]

    @functools.cached_property
    def _by_name(self) -> _Getters:
        """What gets fields of what is not JSON: by their whole names."""
        fields = self.fields
        users = [[(text,) for text in joined_names(user)] for user in fields.user]
        times, names, agents = (
            [(text,) for text in texts] for texts in (fields.time, fields.name, fields.agent)
        )
        return _Getters.of(users, times, names, agents, _loose_getter)

    def time_of(self, line: bytes) -> str | int | float | None:
        """The time of an event as it is written; None if it has none, or is not an event."""
        event, getters = self._anything(line)
        return getters.time(event) if type(event) is dict else None

    def when(self, line: bytes) -> tuple[int, None, bool] | None:
        """The instant of an event without a user, as record.Parser says it."""
        event, getters = self._anything(line)
        judged = self._judge(event, getters._replace(user=lambda _event: "somebody"))
        return (*judged[:2], False) if type(judged) is tuple else None

    def agent_of(self, line: bytes) -> str | None:
        """The agent of an event; None if it has none."""
        event, getters = self._anything(line)
        return getters.agent(event) if type(event) is dict else None

    def _anything(self, line: bytes) -> tuple[object, _Getters]:
        if self._text and not line.lstrip(b" ").startswith(b"{"):
            return self._text(line), self._by_name
        return jsonl.record(_any, line), self._loose

    def columns(self) -> tuple[str, ...]:
        """The fields of an event that are looked at, by the first part of their paths."""
        return tuple(self._tree)

    def _judge(self, event, getters: _Getters) -> tuple[int, None, str, str] | Reject | None:
        fields = self.fields
        time = getters.time(event)
        if time is None:
            return Reject(f"{' or '.join(fields.time)} is missing")
        name = getters.name(event) if fields.name else None
        if fields.name:
            if self._named and name is not None:
                name = self._named(name)
                if not name:
                    return None
            if not name:
                return Reject(f"{' or '.join(fields.name)} is missing")
        try:
            at = None
            if type(time) is str and fields.unit == instants.ISO:
                at = instants.of_text(time)
            if at is None or not fields.earliest <= at <= fields.latest:
                at = fields.instant(time)
        except ImplausibleTimeError as error:
            return Reject(IMPLAUSIBLE, str(error))
        except (ValueError, TypeError) as error:
            return Reject("bad time", f"{_cut(time)}: {error}")
        user = getters.user(event)
        if type(user) is not str:
            return Reject(UNIDENTIFIED, fields.no_user) if user is None else user
        if self._is_bot and self._is_bot(getters.agent(event)):
            return None
        wanted = self.definition.valuable_events
        return (at, None, user, ANY_EVENT) if not wanted or name in wanted else None


def _cut(value) -> str:
    return repr(value)[:60]


class _Getters(NamedTuple):
    """What an event of one kind says: each of its fields, None where it is absent."""

    user: Callable[[object], str | Reject | None]
    time: Callable[[object], str | int | float | None]
    name: Callable[[object], str | None]
    agent: Callable[[object], str | None]

    @classmethod
    def of(
        cls,
        users: list[list[Path]],
        times: list[Path],
        names: list[Path],
        agents: list[Path],
        getter: Callable,
    ) -> _Getters:
        """`getter` makes what gets a path's value."""
        return cls(
            _first([_user([getter(parts) for parts in user]) for user in users]),
            _first([getter(parts) for parts in times]),
            _name([_text(getter(parts)) for parts in names]),
            _first([getter(parts) for parts in agents]),
        )


def _first(getters: list[Callable]) -> Callable:
    """The first value that is present."""
    if len(getters) == 1:
        return getters[0]

    def first(event):
        for getter in getters:
            value = getter(event)
            if value is not None and value != "":
                return value
        return None

    return first


def _name(getters: list[Callable]) -> Callable:
    """The first name that is present; an empty one, if that is all there is."""
    first = _first(getters)
    if len(getters) == 1:
        return first

    def name(event) -> str | None:
        found = first(event)
        return "" if found is None and any(get(event) == "" for get in getters) else found

    return name


def _user(getters: list[Callable]) -> Callable:
    """A user of one field, or of several: then the first of these must be present."""

    def user(event) -> str | Reject | None:
        value = getters[0](event)
        if type(value) is str and len(getters) == 1:
            return value or None
        if value is None or value == "":
            return None
        values = [value, *(getter(event) for getter in getters[1:])]
        for value in values:
            if type(value) not in (str, int, type(None)):
                return Reject("wrong type", f"user: {_cut(value)} is not text or a whole number")
        return joined_user(["" if value is None else str(value) for value in values])

    return user


def _text(getter: Callable) -> Callable:
    def text(event) -> str | None:
        value = getter(event)
        return value if type(value) is str or value is None else str(value)

    return text


# ---- paths into typed records, and into whatever else


def _plant(tree: dict, parts: Path) -> None:
    """Add a path to the tree of all. Where one path ends, another may go on."""
    for part in parts[:-1]:
        # all places of a list have one type
        beside = next(iter(tree.values()), {}) if _is_list(tree) else {}
        tree = tree.setdefault(part, beside if part.isdigit() else {})
    tree.setdefault(parts[-1], {})[_END] = {}


_END = None  # the name, in a tree, of the value itself


def _is_list(tree: dict) -> bool:
    """Whether the names in a tree are places."""
    names = tree.keys() - {_END}
    return bool(names) and all(name.isdigit() for name in names)


def _type(tree: dict):
    """The typed record of a tree, or list where its names are places."""
    names = [name for name in tree if name is not _END]
    if _is_list(tree):
        return list[_value(tree[names[0]])]
    # the names may be no identifiers
    renamed = {f"f{i}": name for i, name in enumerate(names)}
    fields = [(field, _value(tree[name]), None) for field, name in renamed.items()]
    return msgspec.defstruct("Part", fields, rename=renamed, gc=False)


def _value(tree: dict):
    """What may stand where a tree begins: a value, or what paths go on into, or nothing."""
    if len(tree) == 1 and _END in tree:
        return _Scalar
    return _type(tree) | (_Scalar if _END in tree else None)


def _typed_getter(tree: dict, parts: Path) -> Callable:
    """What gets the value at a path of a typed record; None where that value is absent."""
    steps = []
    for part in parts:
        names = [name for name in tree if name is not _END]
        if _is_list(tree):
            steps.append(operator.itemgetter(int(part)))
        else:
            steps.append(operator.attrgetter(f"f{names.index(part)}"))
        tree = tree[part]
    first, *others = steps
    goes_on = len(tree) > 1
    if not others and not goes_on:
        return first

    def get(event):
        value = first(event)
        for step in others:
            if value is None:
                return None
            try:
                value = step(value)
            except (IndexError, AttributeError):  # a value where another path goes on
                return None
        return value if not goes_on or isinstance(value, str | int | float) else None

    return get


def _column_getter(tree: dict, parts: Path) -> Callable:
    """As `_typed_getter`, of many events; it may raise AttributeError where a value is absent."""
    names, below = [], tree
    for part in parts:
        if _is_list(below):
            return _typed_getter(tree, parts)
        names.append(f"f{[name for name in below if name is not _END].index(part)}")
        below = below[part]
    return operator.attrgetter(".".join(names))


def _loose_getter(parts: Path) -> Callable:
    """What gets the value at a path of any JSON; an object or list there is what it is."""
    return functools.partial(value_at, parts)


def value_at(parts: Path, value):
    """The value at a path of any JSON; None where there is none.

    Where the path goes on within a text, that text is JSON (as warehouses export objects).
    """
    for part in parts:
        if type(value) is str and value.lstrip().startswith(("{", "[")):
            value = jsonl.record(_any, value.encode())
        if type(value) is dict:
            value = value.get(part)
        elif type(value) is list and part.isdigit():
            value = value[int(part)] if int(part) < len(value) else None
        else:
            return None
    return value
