"""Events with metrics: what a row of their files says.

Columns in: those of COLUMNS, as text. id and dimensions are integers, dates are of no zone,
event_metrics is JSON, {"metrics": {name: value…}}. Known metrics are integers or null.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec

from headcount.rejects import Reject

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

_LEAST, _MOST = -(1 << 63), (1 << 63) - 1  # what SQLite takes for an integer
_NOTHING = {"", "null", "\\N", "{}", '{"metrics":{}}', '{"metrics":null}'}
_NULLS_AND_INTEGERS = {int, type(None)}
_INTEGER = re.compile(r"([+-]?[0-9]+)(?:\.0*)?", re.ASCII)
_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[ T]((?:[01][0-9]|2[0-3])(?::[0-5][0-9]){2})(\.[0-9]+)?")
_DIGITS = b"0123456789"
_encode = msgspec.json.Encoder().encode


class _Line(msgspec.Struct, gc=False):
    metrics: dict[str, object] | None = None


class _RawLine(msgspec.Struct, gc=False):
    metrics: dict[str, msgspec.Raw]


_decode = msgspec.json.Decoder(_Line | None).decode
_decode_raw = msgspec.json.Decoder(_RawLine).decode


class Reader:
    """Turns rows of text into rows with columns for some known metrics.

    `unknown` are the names of other metrics that have come so far.
    """

    def __init__(self, known: Sequence[str]):
        self._known = tuple(known)
        self._names = frozenset(known)
        self._none = (None,) * (len(self._known) + 1)
        self.unknown: set[str] = set()

    def __call__(self, rows: Sequence[Sequence[str]]) -> list[Row | Reject]:
        """A row, or a Reject, for each."""
        if not rows:
            return []
        *ids, recorded, created, metrics = zip(*rows, strict=True)
        try:
            columns = [*map(_integers, ids), _times(recorded), _times(created)]
            columns += self._columns(metrics)
        except (ValueError, msgspec.MsgspecError, RecursionError):
            return list(map(self._row, rows))
        return list(zip(*columns, strict=True))

    def _columns(self, texts: Sequence[str]) -> Iterator[Sequence]:
        """Values of each known metric, and the others. Raises an error unless all are plain."""
        if "" in texts or "\\N" in texts:
            texts = ["null" if text in _NOTHING else text for text in texts]
        lines = map(_decode, texts)
        found = [(line and line.metrics) or {} for line in lines]
        for name in self._known:
            values = [metrics.get(name) for metrics in found]
            if not set(map(type, values)) <= _NULLS_AND_INTEGERS:
                raise ValueError
            _in_range(max(filter(None, values), default=0))
            _in_range(min(filter(None, values), default=0))
            yield values
        if self._names.issuperset(itertools.chain.from_iterable(found)):
            yield [None] * len(found)
        else:
            yield [
                None if self._names.issuperset(metrics) else self._others(metrics, text)
                for metrics, text in zip(found, texts, strict=True)
            ]

    def _row(self, row: Sequence[str]) -> Row | Reject:
        *ids, recorded, created, metrics = row
        values = []
        for name, text in zip(COLUMNS, (*ids, recorded, created), strict=False):
            is_time = name.endswith("_date")
            try:
                values.append(_time(text) if is_time else integer(text))
            except ValueError:
                if text in ("", "\\N"):
                    return Reject(f"{name} is missing")
                return Reject(f"{name} is no {'time' if is_time else 'integer'}", f"{text!r:.40}")
        found = self._metrics(metrics)
        return found if type(found) is Reject else (*values, *found)

    def _metrics(self, text: str) -> tuple | Reject:
        """Values of the known ones, and the others."""
        if text in _NOTHING:
            return self._none
        try:
            line = _decode(text)
        except msgspec.ValidationError as error:
            return Reject("event_metrics are no metrics", str(error))
        except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
            return Reject("event_metrics are no JSON", str(error))
        metrics = line and line.metrics
        if not metrics:
            return self._none
        values = tuple(map(metrics.get, self._known))
        for value in values:
            if value is not None and (type(value) is not int or not _LEAST <= value <= _MOST):
                try:
                    values = tuple(map(_metric, values))
                except ValueError:
                    name = next(name for name in self._known if metrics.get(name) is value)
                    return Reject("a known metric is no integer", f"{name}: {value!r:.40}")
                break
        if self._names.issuperset(metrics):
            return (*values, None)
        return (*values, self._others(metrics, text))

    def _others(self, metrics: dict[str, object], text: str) -> str:
        """The metrics that are not known, as JSON: their names sorted, their values as they came."""
        raw = _decode_raw(text).metrics
        names = sorted(metrics.keys() - self._names)
        self.unknown.update(names)
        pairs = (b"%b:%b" % (_encode(name), bytes(raw[name]).strip()) for name in names)
        return (b"{%b}" % b",".join(pairs)).decode()


def _integers(texts: Sequence[str]) -> list[int]:
    """Raises ValueError unless all are such as nearly all are: some digits."""
    together = "".join(texts)
    if not (together.isascii() and together.isdigit()):
        raise ValueError
    values = list(map(int, texts))  # an empty one is none
    if max(values) > _MOST:
        raise ValueError
    return values


def integer(text: str) -> int:
    """Raises ValueError for a text that is no integer, or too large a one."""
    match = _INTEGER.fullmatch(text)
    if not match or len(text) > 40:
        raise ValueError
    return _in_range(int(match[1]))


def _metric(value: object) -> int | None:
    """An integer, however JSON says it. Raises ValueError for anything else."""
    if type(value) is str:
        return integer(value)
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is int:
        return _in_range(value)
    if value is None:
        return None
    raise ValueError


def _in_range(value: int) -> int:
    if not _LEAST <= value <= _MOST:
        raise ValueError
    return value


def _times(texts: Sequence[str]) -> Sequence[str]:
    """Raises ValueError unless all are such as nearly all are: to the second, spelled alike."""
    together = "".join(texts).encode()
    marks = together.translate(None, _DIGITS)
    lengths = set(map(len, texts))
    if lengths != {19} or b" 24" in together or b"T24" in together:
        raise ValueError
    for space in (" ", "T"):
        if marks == b"--%b::" % space.encode() * len(texts):
            for text in texts:
                datetime.fromisoformat(text)
            return texts if space == " " else [text.replace("T", " ") for text in texts]
    raise ValueError


def _time(text: str) -> str:
    """A time as YYYY-MM-DD HH:MM:SS[.f], of no zone. Raises ValueError for any other."""
    match = _TIME.fullmatch(text)
    if not match:
        raise ValueError
    datetime.fromisoformat(match[1])
    fraction = (match[3] or "").rstrip("0")
    return f"{match[1]} {match[2]}{fraction if fraction != '.' else ''}"
