"""Events with metrics, slowly and plainly: one record after the other, by csv, json and re."""

import csv
import io
import json
import re
from collections import Counter
from datetime import datetime

KNOWN = ("metric_one", "metric_two", "metric_n")
COLUMNS = ["id", "first_dimension_id", "second_dimension_id", "recorded_date", "created_date"]
COLUMNS.append("event_metrics")
_SPACE = " \t\r\n"


class Bad(Exception):
    """A record that cannot be used."""


def integer(text):
    if not re.fullmatch(r"[+-]?[0-9]+(\.0*)?", text, re.ASCII):
        raise Bad
    value = int(text.split(".")[0])
    if not -(2**63) <= value < 2**63:
        raise Bad
    return value


def time(text):
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d+)?", text, re.ASCII)
    if not match:
        raise Bad
    try:
        datetime.strptime(f"{match[1]} {match[2]}", "%Y-%m-%d %H:%M:%S")
    except ValueError:
        raise Bad from None
    if match[2].endswith("60") or match[2].endswith("61"):
        raise Bad
    fraction = (match[3] or "").rstrip("0").rstrip(".")
    return f"{match[1]} {match[2]}{fraction}"


def _refuse(constant):
    raise ValueError(constant)


_decoder = json.JSONDecoder(parse_constant=_refuse)


def _skip(text, at):
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def members(text):
    """Name, text and value of each member of an object, as it stands there."""
    at = _skip(text, _skip(text, 0) + 1)
    found = {}
    while text[at] != "}":
        name, at = json.decoder.scanstring(text, at + 1)
        start = _skip(text, _skip(text, at) + 1)
        value, end = _decoder.raw_decode(text, start)
        found[name] = (text[start:end], value)
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return found


def parsed(text):
    """Names, and the text and value of each, of event_metrics."""
    if text in ("", "\\N"):
        return {}
    try:
        value = _decoder.decode(text)
        text.encode()
        json.dumps(value, ensure_ascii=False).encode()  # half a pair of surrogates is no text
    except ValueError:
        raise Bad from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Bad
    inner = members(text).get("metrics", ("null", None))
    if inner[1] is None:
        return {}
    if not isinstance(inner[1], dict):
        raise Bad
    return members(inner[0])


def known(value):
    if value is None or (type(value) is int and -(2**63) <= value < 2**63):
        return value
    if type(value) is str:
        return integer(value)
    if type(value) is float and abs(value) < 2**53 and value == int(value):
        return int(value)
    raise Bad


def event(fields, names=KNOWN):
    """The row of a record by column, other metrics as sorted names and texts. Raises Bad."""
    ids = [integer(fields[name]) for name in COLUMNS[:3]]
    times = [time(fields[name]) for name in COLUMNS[3:5]]
    metrics = parsed(fields["event_metrics"])
    values = [known(metrics[name][1]) if name in metrics else None for name in names]
    others = sorted((name, text) for name, (text, _) in metrics.items() if name not in names)
    return (*ids, *times, *values, others)


def rank(row):
    """Of two rows with one id, the one with the greater rank is kept."""
    text = as_json(row[-1])
    return (
        *(row[4], row[3], row[1], row[2]),
        *((value is not None, value or 0) for value in row[5:-1]),
        (text is not None, text or ""),
    )


def as_json(others):
    pairs = (f"{json.dumps(name, ensure_ascii=False)}:{text}" for name, text in others)
    return "{" + ",".join(pairs) + "}" if others else None


class Events:
    """All events of some files."""

    def __init__(self, names=KNOWN):
        self.names, self.rows, self.unknown, self.rejects = names, {}, set(), 0

    def read(self, text, delimiter):
        records = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        header = next(records)
        for record in records:
            if not record:
                continue
            try:
                if len(record) != len(header):
                    raise Bad
                row = event(dict(zip(header, record, strict=True)), self.names)
            except Bad:
                self.rejects += 1
                continue
            self.unknown.update(name for name, _ in row[-1])
            self.rows[row[0]] = max(row, self.rows.get(row[0], row), key=rank)

    def registry(self):
        """Names and types of other metrics: first seen, last seen, events."""
        found = {}
        for row in self.rows.values():
            for name, text in row[-1]:
                value = _decoder.decode(text)
                kind = {
                    int: "integer", float: "real", str: "text", bool: "boolean",
                    type(None): "null", dict: "object", list: "array",
                }[type(value)]  # fmt: skip
                first, last, events = found.get((name, kind), (row[3], row[3], 0))
                found[name, kind] = (min(first, row[3]), max(last, row[3]), events + 1)
        return sorted((*key, *value) for key, value in found.items())

    def by_dimension(self, dimensions, metric):
        """Name of the first dimension, metric, total, events with a value: sorted."""
        place, found = 5 + self.names.index(metric), {}
        for row in self.rows.values():
            values = found.setdefault(dimensions.get(row[1], "(no name)"), [])
            values += [row[place]] if row[place] is not None else []
        return sorted((name, metric, sum(values), len(values)) for name, values in found.items())

    def reports(self, dimensions):
        """What show-report says of them; `dimensions` are names of the first one by id."""
        hours = Counter(
            (dimensions[row[1]], f"{row[3][:13]}:00:00")
            for row in self.rows.values()
            if row[1] in dimensions
        )
        unknown = Counter(name for row in self.rows.values() for name, _ in row[-1])
        totals = []
        for place, name in enumerate(self.names if self.rows else ()):
            values = [row[5 + place] for row in self.rows.values() if row[5 + place] is not None]
            totals.append((name, sum(values), len(values)))
        return {
            "hourly_events_by_first_dimension": sorted((*key, n) for key, n in hours.items()),
            "metric_totals": sorted(totals),
            "unknown_metrics": sorted(unknown.items(), key=lambda pair: (-pair[1], pair[0])),
        }
