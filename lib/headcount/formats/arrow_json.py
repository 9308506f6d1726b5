"""Arrow arrays as JSON text, made by Arrow's own functions: no value becomes a Python object.

Nulls of objects are left out, as BigQuery's JSON export leaves them out. A value that JSON has no
place for (NaN, bytes that are not UTF-8, a time beyond the calendar) is marked with a NUL, which
JSON text never contains, so that its row can be rejected.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from headcount.filters.rejects import Reject

_NUMBER, _BYTES, _TIME = "\0N", "\0U", "\0T"
_REASONS = {_NUMBER: "no JSON number", _BYTES: "not UTF-8", _TIME: "no such time"}
_MARK = re.compile(r"(\0[NUT])([^\s,}\]]*)")
_SPELLED = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}  # as Python's json writes them

_quoted = msgspec.json.Encoder().encode
_UUID = "arrow.uuid"


class NoJson(Exception):
    """A type that has no JSON text."""


def lines(names: Sequence[str], texts: Sequence[pa.Array], count: int) -> pa.Array:
    """`count` JSON objects, each with its newline, of the names and the texts of their values."""
    if not texts:
        return pa.array(["{}\n"] * count, pa.string())
    return _joined("{", _members(names, texts), "}\n")


def first_bad(texts: Sequence[tuple[str, str | None]]) -> Reject:
    """Why a row is rejected, given the names and the texts of its columns."""
    for name, text in texts:
        if text and (found := _MARK.search(text)):
            mark, value = found.groups()
            return Reject(_REASONS[mark], name if mark == _BYTES else f"{name}: {value}")
    raise AssertionError("no value of this row is marked")


def is_bad(texts: pa.Array) -> pa.Array:
    """Of each text, whether it has a marked value in it."""
    return pc.match_substring(texts, "\0")


def unmarked(text: str) -> str:
    """The text without marks: NaN and Infinity as Python's json reads them, the rest as JSON."""
    return _MARK.sub(r"\2", text)


def texts(array: pa.Array) -> pa.Array:
    """Each value as JSON text; null stays null. Raises NoJson for a type that has none."""
    for is_kind, render in _RENDERERS:
        if is_kind(array.type):
            return render(array)
    raise NoJson(str(array.type))


def iso_times(column):
    """Timestamps as ISO texts: to the nanosecond, but without zeros at the end; with Z if zoned."""
    kind = column.type
    zone = ""
    if kind.tz:
        column, zone = column.cast(pa.timestamp(kind.unit, "UTC")), "Z"
    text = column.cast(pa.timestamp(kind.unit)).cast(pa.string())
    text = pc.replace_substring(text, " ", "T", max_replacements=1)
    if kind.unit != "s":
        text = pc.replace_substring_regex(text, r"\.?0*$", "")
    return _joined("", text, zone) if zone else text


def _joined(*parts) -> pa.Array:
    """Texts one behind the other; null where one is null."""
    return pc.binary_join_element_wise(*parts, "")


def _members(names: Sequence[str], texts: Sequence[pa.Array]) -> pa.Array:
    """What stands between the braces of objects; nulls are left out."""
    found = [
        _joined(f"{_quoted(name).decode()}:", text) for name, text in zip(names, texts, strict=True)
    ]
    # The first text is never null: Arrow (26.0) drops a row of which all are.
    joined = pc.binary_join_element_wise("", *found, ",", null_handling="skip")
    return pc.binary_replace_slice(joined, start=0, stop=1, replacement="")  # the first comma


def _or_null(array: pa.Array, rendered: pa.Array) -> pa.Array:
    if not array.null_count:
        return rendered
    return pc.if_else(array.is_valid(), rendered, pa.scalar(None, pa.string()))


def _struct(array: pa.StructArray) -> pa.Array:
    kind = array.type
    names = [kind.field(i).name for i in range(kind.num_fields)]
    if not names:
        return _or_null(array, pa.array(["{}"] * len(array), pa.string()))
    members = _members(names, [texts(array.field(i)) for i in range(len(names))])
    return _or_null(array, _joined("{", members, "}"))


def _range(array: pa.ListArray) -> tuple[pa.Array, int, int]:
    """Offsets of lists from 0 on, and which of the child's values these are: start and length."""
    offsets = array.offsets
    start, stop = offsets[0].as_py(), offsets[-1].as_py()
    return pc.subtract(offsets, pa.scalar(start, offsets.type)), start, stop - start


def _list(array: pa.Array) -> pa.Array:
    if not pa.types.is_list(array.type):
        array = array.cast(pa.list_(array.type.value_type))
    offsets, *place = _range(array)
    values = pc.fill_null(texts(array.values.slice(*place)), "null")
    return _or_null(
        array, _joined("[", pc.binary_join(pa.ListArray.from_arrays(offsets, values), ","), "]")
    )


def _map(array: pa.MapArray) -> pa.Array:
    """An object where keys are text; otherwise a list of objects with key and value."""
    offsets, *place = _range(array)
    keys, items = array.keys.slice(*place), texts(array.items.slice(*place))
    if not any(is_text(keys.type) for is_text in _IS_TEXT):
        pairs = _joined("{", _members(["key", "value"], [texts(keys), items]), "}")
        joined = pc.binary_join(pa.ListArray.from_arrays(offsets, pairs), ",")
        return _or_null(array, _joined("[", joined, "]"))
    # each with a comma behind it, that of a null with nothing, and the last comma is cut off
    members = pc.fill_null(_joined(texts(keys), ":", items, ","), "")
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, members), "")
    return _or_null(array, _joined("{", pc.ascii_rtrim(joined, ","), "}"))


def _text(array: pa.Array) -> pa.Array:
    try:
        text = array.cast(pa.binary()).cast(pa.string())  # looks whether it is UTF-8
    except pa.ArrowInvalid:
        return pa.array(map(_decoded, array.cast(pa.binary()).to_pylist()), pa.string())
    return _quote(text)


def _quote(text: pa.Array) -> pa.Array:
    quoted = _joined('"', text, '"')
    special = pc.match_substring_regex(text, r'["\\\x00-\x1f]')
    if not pc.any(special).as_py():
        return quoted
    special = pc.fill_null(special, False)
    escaped = [_quoted(value).decode() for value in text.filter(special).to_pylist()]
    return pc.replace_with_mask(quoted, special, pa.array(escaped, pa.string()))


def _decoded(data: bytes | None) -> str | None:
    if data is None:
        return None
    try:
        return _quoted(data.decode()).decode()
    except UnicodeDecodeError:
        return _BYTES + _quoted(data.decode(errors="backslashreplace")).decode()


def _plain(array: pa.Array) -> pa.Array:
    return array.cast(pa.string())


def _real(array: pa.Array) -> pa.Array:
    text = array.cast(pa.string())
    is_number = pc.is_finite(array)
    if pc.all(is_number).as_py() is not False:
        return text
    for arrow, spelled in _SPELLED.items():
        text = pc.if_else(pc.equal(text, arrow), spelled, text)
    return pc.if_else(is_number, text, _joined(_NUMBER, text))


def _time(array: pa.Array) -> pa.Array:
    text = iso_times(array)
    quoted = _joined('"', text, '"')
    beyond = pc.starts_with(text, "<")  # <value out of range: …>
    if not pc.any(beyond).as_py():
        return quoted
    count = array.cast(pa.timestamp(array.type.unit)).cast(pa.int64()).cast(pa.string())
    return pc.if_else(beyond, _joined(_TIME, count), quoted)


def _extension(array: pa.ExtensionArray) -> pa.Array:
    if array.type.extension_name != _UUID:
        return texts(array.storage)
    values = array.storage.to_pylist()
    return pa.array([value and f'"{uuid.UUID(bytes=value)}"' for value in values], pa.string())


_types = pa.types
_IS_TEXT = (
    _types.is_string, _types.is_large_string, _types.is_string_view, _types.is_binary,
    _types.is_large_binary, _types.is_binary_view, _types.is_fixed_size_binary,
)  # fmt: skip
_RENDERERS: list[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array], pa.Array]]] = [
    *((is_text, _text) for is_text in _IS_TEXT),
    (_types.is_integer, _plain),
    (_types.is_boolean, _plain),
    (_types.is_floating, _real),
    (_types.is_decimal, _plain),
    (_types.is_struct, _struct),
    (_types.is_map, _map),
    (_types.is_list, _list),
    (_types.is_large_list, _list),
    (_types.is_fixed_size_list, _list),
    (_types.is_timestamp, _time),
    (_types.is_date, lambda array: _quote(_plain(array))),
    (_types.is_time, lambda array: _quote(_plain(array))),
    (_types.is_null, _plain),
    (_types.is_dictionary, lambda array: texts(array.dictionary_decode())),
    (lambda kind: isinstance(kind, pa.BaseExtensionType), _extension),
]
