"""Events with metrics: what a row of their files says.

Columns in: those of COLUMNS, as text. id and dimensions are integers, dates are of no zone,
event_metrics is JSON, {"metrics": {name: value…}}. Known metrics are integers or null.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from operator import add, attrgetter, is_not

import msgspec

from headcount.filters.rejects import Reject
from headcount.pipelines.event_metrics.metric_values import (
    LEAST,
    MOST,
    Integer,
    integer,
    integers,
    known,
    time,
    times,
    value_of,
)

COLUMNS = (
    "id",
    "first_dimension_id",
    "second_dimension_id",
    "recorded_date",
    "created_date",
    "event_metrics",
)
KNOWN = ("metric_one", "metric_two", "metric_n")  # where nobody says otherwise

# id, both dimensions, both dates, a value for each known metric, the others as JSON
Row = tuple

_NOTHING = {"", "null", "\\N", "{}", '{"metrics":{}}', '{"metrics":null}'}
_encode = msgspec.json.Encoder().encode


class _Line(msgspec.Struct, gc=False):
    metrics: dict[str, object] | None = None


class _RawLine(msgspec.Struct, gc=False):
    metrics: dict[str, msgspec.Raw]


_decode = msgspec.json.Decoder(_Line | None).decode
_decode_keys = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_raw = msgspec.json.Decoder(_RawLine).decode


class Reader:
    """Turns columns of text into rows with columns for some known metrics.

    `unknown` are the names of other metrics that have come so far; `outside` says in how many rows
    there were values that are not under the key metrics, and so were not read.
    """

    def __init__(self, known: Sequence[str]):
        self._known = tuple(known)
        self._names = frozenset(known)
        self._none = (None,) * (len(self._known) + 1)
        self._all = _AllAtOnce(self._known)
        self.unknown: set[str] = set()
        self.outside = 0

    def __call__(self, columns: Sequence[Sequence[str]]) -> list[Row | Reject]:
        """A row, or a Reject, for each row of the COLUMNS."""
        *ids, recorded, created, texts = columns
        outside = self.outside
        try:
            found = [*map(integers, ids), times(recorded), times(created), *self._values(texts)]
            return list(zip(*found, strict=True))
        except (ValueError, msgspec.MsgspecError, RecursionError):
            self.outside = outside
            return list(map(self._row, zip(*columns, strict=True)))

    def _values(self, texts: Sequence[str]) -> Iterable[Sequence]:
        """Of each known metric, and the others. Raises an error if a text has to be rejected."""
        if not (values := self._all(texts)):
            return zip(*map(self._usable, texts), strict=True)
        columns, rest = values
        others: list[str | None] = [None] * len(texts)
        for place in rest:
            *_, others[place] = self._usable(texts[place])
        return [*columns, others]

    def _usable(self, text: str) -> tuple:
        metrics = self._metrics(text)
        if type(metrics) is Reject:
            raise ValueError
        return metrics

    def _row(self, row: Sequence[str]) -> Row | Reject:
        *ids, recorded, created, metrics = row
        values = []
        for name, text in zip(COLUMNS, (*ids, recorded, created), strict=False):
            is_time = name.endswith("_date")
            try:
                values.append(time(text) if is_time else integer(text))
            except ValueError:
                if text in ("", "\\N"):
                    return Reject(f"{name} is missing")
                return Reject(f"{name} is no {'time' if is_time else 'integer'}", f"{text!r:.40}")
        by_column = self._metrics(metrics)
        return by_column if type(by_column) is Reject else (*values, *by_column)

    def _metrics(self, text: str) -> tuple | Reject:
        """Values of the known ones, and the others."""
        if text in _NOTHING:
            return self._none
        try:
            line = _decode(text)
        except msgspec.ValidationError as error:
            line = _piece_by_piece(text)
            if line is None:
                return Reject("event_metrics are no metrics", str(error))
        except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
            return Reject("event_metrics are no JSON", str(error))
        metrics = line and line.metrics
        if not metrics:
            self.outside += line is not None and _lacks_key(text)
            return self._none
        values = []
        for name in self._known:
            value = metrics.get(name)
            if value is not None and (type(value) is not int or not LEAST <= value <= MOST):
                try:
                    value = known(value)
                except ValueError:
                    return Reject("a known metric is no integer", f"{name}: {value!r:.40}")
            values.append(value)
        if self._names.issuperset(metrics):
            return (*values, None)
        return (*values, self._others(metrics, text))

    def _others(self, metrics: dict[str, object], text: str) -> str:
        """The metrics that are not known, as JSON: names sorted, values as they came."""
        raw = _decode_raw(text).metrics
        names = metrics.keys() - self._names
        self.unknown.update(names)
        return as_json({name: raw[name] for name in names})


def _piece_by_piece(text: str) -> _Line | None:
    """The metrics, if all that is wrong with them is a number beyond floats; else None."""
    try:
        written = _decode_raw(text).metrics
        return _Line({name: value_of(raw) for name, raw in written.items()})
    except (msgspec.DecodeError, RecursionError, ValueError):
        return None


def _lacks_key(text: str) -> bool:
    """Whether an object has other keys in place of metrics."""
    keys = _decode_keys(text).keys()
    return bool(keys) and "metrics" not in keys


def as_json(values: Mapping[str, msgspec.Raw]) -> str | None:
    """Metrics as they stand in other_metrics; None if there are none."""
    return _encode({name: values[name] for name in sorted(values)}).decode() if values else None


class _AllAtOnce:
    """Decodes many event_metrics together, which takes a third of the time."""

    def __init__(self, known: Sequence[str]):
        names = {f"metric_{i}": name for i, name in enumerate(known)}
        fields = [(key, Integer | None, None) for key in names]
        self._decoders = []  # the first takes no other names; the second passes over them
        try:
            for strict in (True, False):
                options = {"gc": False, "forbid_unknown_fields": strict}
                metrics = msgspec.defstruct("_Metrics", fields, rename=names, **options)
                line = [("metrics", metrics | None, None)]
                line = msgspec.defstruct("_Line", line, **options)
                self._decoders.append(msgspec.json.Decoder(list[line]).decode)
        except ValueError:  # a name with a quote, say
            return
        self._none = metrics()
        self._getters = list(map(attrgetter, names))

    def __call__(self, texts: Sequence[str]) -> tuple[list[list[int | None]], list[int]] | None:
        """Values of each known metric, and the places of texts that may have others besides.

        None, or an error, if a text is anything but values by names, the known ones integers.
        """
        if not _NOTHING.isdisjoint(texts):
            texts = ["{}" if text in _NOTHING else text for text in texts]
        together = ",\n".join(texts)
        # If each text begins and ends with a brace, what stands between two is not in an object;
        # nor is it in a string, which has no line feeds, or in an array: there are none.
        is_plain = (
            self._decoders
            and (together.startswith("{") and together.endswith("}"))
            and together.count("},\n{") == together.count("\n") == len(texts) - 1
            and "[" not in together
        )
        if not is_plain:
            return None
        has_others = False
        decode_known, decode = self._decoders
        try:
            lines = decode_known(f"[{together}]")
        except msgspec.ValidationError:
            lines, has_others = decode(f"[{together}]"), True
        if len(lines) != len(texts):
            return None
        found = [line.metrics or self._none for line in lines]
        columns = [list(map(getter, found)) for getter in self._getters]
        return columns, _more_quoted(texts, found, columns, self._none) if has_others else []


def _more_quoted(
    texts: Sequence[str], found: Sequence, columns: Sequence[Sequence], none: object
) -> list[int]:
    """The places of texts that have other quotes than those of the names of their metrics."""
    names = list(map(is_not, found, itertools.repeat(none)))
    for values in columns:
        names = list(map(add, names, map(is_not, values, itertools.repeat(None))))
    quotes = [text.count('"') for text in texts]
    return [i for i, count in enumerate(names) if 2 * count != quotes[i]]
