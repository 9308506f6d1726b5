r"""event-metrics - make files of events with metrics, and of their dimensions

Tab-separated, with a header; columns and metrics in any order. Without --folder
all events go to standard output, as one file. With it, into the folder: --files
files events-1.tsv …, first_dimensions.tsv and second_dimensions.tsv. Some events
have a dimension that these have not.

With --truth also the answer, as show-report prints it behind a report's name:
hourly_events_by_first_dimension, metric_totals and unknown_metrics.

Example:
  $ make-data event-metrics --count 500 --files 4 --folder made --unknown-fraction 0
  $ cat made/events-*.tsv | grep -c '"metrics"'
  475
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import json
import os
from collections import Counter
from random import Random

from headcount.cli import types
from headcount.cli.parser import Parser
from headcount.errors import INTERRUPTED, OK, USAGE, Failure
from headcount.io import interrupt, output, processes
from headcount.pipelines.event_metrics.record import COLUMNS, KNOWN
from headcount.testdata import common
from headcount.values import tsv

_DIMENSIONS = ("first_dimensions", "second_dimensions")
_ORPHANS = 0.01  # of events
_NONE = ["", "null", "{}", '{"metrics":{}}', '{"metrics":null}']
_ODD_NAMES = ["metric four", "métrique", "日本", 'a"b', "a\\b", "tab\there", "", "Metric_One", "id"]
_ODD_VALUES = [1.5, "text", True, None, [1, 2], {"a": 1}, 10**15, -3]
_BLOCK = 1000  # events


def add_options(parser: Parser) -> None:
    for name, default, kind, what in (
        ("--count", 1000, types.count, "how many events"),
        ("--files", 1, types.positive, "over how many files"),
        ("--days", 7, types.positive, "on how many days"),
        (
            "--dimensions",
            20,
            types.positive,
            "how many first dimensions; of second ones twice that",
        ),
        ("--seed", 1, types.count, "the same seed and options make the same bytes"),
    ):
        what += f" (default: {default})"
        parser.add_argument(name, metavar="N", type=kind, default=default, help=what)
    common.add_fractions(
        parser,
        ("--unknown-fraction", 0.1, "this part of the events has metrics without a column, too"),
        ("--odd", 0.0, "this part is spelled or quoted oddly"),
        ("--repeated", 0.0, "this part comes again, in whichever file"),
        ("--broken", 0.0, "this part is followed by a line that cannot be used"),
    )
    parser.add_argument("--folder", metavar="FILE", help="the folder to make")
    parser.add_argument("--truth", metavar="FILE", help="write the answer")


class Maker:
    """Makes events one after the other, and knows the reports of all so far."""

    def __init__(self, options):
        self._options = options
        self._random = Random(options.seed)
        self._ids = 0
        self._hours: Counter[tuple[int, str]] = Counter()
        self._totals: Counter[str] = Counter()
        self._valued: Counter[str] = Counter(dict.fromkeys(KNOWN, 0))
        self._unknown: Counter[str] = Counter()

    def event(self) -> dict[str, str]:
        """The fields of one more event; it counts from now on."""
        random, options = self._random, self._options
        self._ids += random.choice((1, 1, 1, 2))  # ids have gaps
        first = random.randrange(options.dimensions)
        if random.random() < _ORPHANS:
            first += options.dimensions
        at = random.randrange(options.days * 86_400)
        time = f"{at // 3600 % 24:02}:{at // 60 % 60:02}:{at % 60:02}"
        recorded = f"2024-03-{1 + at // 86_400 % 28:02} {time}"
        fields = {
            "id": str(self._ids),
            "first_dimension_id": str(first),
            "second_dimension_id": str(random.randrange(2 * options.dimensions)),
            "recorded_date": recorded,
            "created_date": f"2024-04-01 00:{at % 60:02}:00",
        }
        self._hours[first, f"{recorded[:13]}:00:00"] += 1
        odd = random.random() < options.odd
        if odd and random.random() < 0.5:
            fields["recorded_date"] = recorded.replace(" ", "T") + random.choice(("", ".5", ".000"))
        fields["event_metrics"] = self._metrics(odd)
        return fields

    def _metrics(self, odd: bool) -> str:
        random = self._random
        if random.random() < 0.05:
            return random.choice(_NONE)
        metrics = {}
        for name in random.sample(KNOWN, 3):
            if random.random() < 0.8:
                metrics[name] = value = random.randrange(1000) - (odd and 500)
                if odd and random.random() < 0.3:
                    metrics[name] = random.choice((None, str(value), float(value)))
                if metrics[name] is not None:
                    self._totals[name] += value
                    self._valued[name] += 1
        if random.random() < self._options.unknown_fraction:
            name = f"metric_{random.randrange(3) + 4}"
            metrics[name] = random.randrange(100)
            if odd:
                name = random.choice(_ODD_NAMES)
                metrics[name] = random.choice(_ODD_VALUES)
            self._unknown.update(metrics.keys() - set(KNOWN))
        items = list(metrics.items())
        if odd:
            random.shuffle(items)
        spaces = random.choice([(", ", ": "), (",", ":")]) if odd else (",", ":")
        return json.dumps(
            {"metrics": dict(items)}, separators=spaces, ensure_ascii=random.random() < 0.5
        )

    def text(self) -> bytes:
        """The reports."""
        hours: Counter[tuple[str, str]] = Counter()
        for (first, hour), events in self._hours.items():
            if first < self._options.dimensions:
                hours[_name("first", first), hour] += events
        report = "hourly_events_by_first_dimension"
        rows = [tsv.row(report, *key, hours[key]) for key in sorted(hours)]
        for name in sorted(KNOWN) if self._ids else ():
            rows.append(tsv.row("metric_totals", name, self._totals[name], self._valued[name]))
        for name, events in sorted(self._unknown.items(), key=lambda item: (-item[1], item[0])):
            rows.append(tsv.row("unknown_metrics", name, events))
        return b"".join(rows)


def _name(dimension: str, ident: int) -> str:
    return f"{dimension} {ident // 2}" if ident < 4 else f"{dimension} {ident}"  # some share one


class Writer:
    """Writes events as lines of one file, in an order of columns of its own."""

    def __init__(self, random: Random, options):
        self._random, self._options = random, options
        self._columns = random.sample(COLUMNS, len(COLUMNS))
        if options.odd:
            self._columns.insert(random.randrange(6), "comment")
        self._quoted = random.random() < options.odd

    def header(self) -> str:
        return "\t".join(self._columns) + "\n"

    def lines(self, event: dict[str, str]) -> str:
        """An event, and perhaps a line behind it that cannot be used."""
        fields = [event.get(name, "") for name in self._columns]
        if self._quoted:
            text = io.StringIO()
            csv.writer(text, delimiter="\t", lineterminator="\n").writerow(fields)
            line = text.getvalue()
        else:
            line = "\t".join(fields) + "\n"
        if self._options.broken and self._random.random() < self._options.broken:
            return line + self._broken(fields)
        return line

    def _broken(self, fields: list[str]) -> str:
        bad = {
            "id": ("", "x", "1e3", "99999999999999999999", "１"),
            "recorded_date": ("", "2024-02-30 00:00:00", "2024-03-01", "2024-03-01 24:00:00"),
            "event_metrics": ("[]", "{", '{"metrics":[]}', '{"metrics":{"metric_one":"x"}}'),
        }
        name = self._random.choice(list(bad))
        broken = list(fields)
        broken[self._columns.index(name)] = self._random.choice(bad[name])
        if self._random.random() < 0.2:
            broken.append("more")
        return "\t".join(broken) + "\n"


def run(parser: Parser, options) -> int:
    """Write the events, and what belongs to them; returns the exit status."""
    if options.files > 1 and not options.folder:
        raise Failure("several --files need a --folder", USAGE)
    maker, random = Maker(options), Random(f"{options.seed} files")
    processes.widen_pipe(1)
    with contextlib.ExitStack() as stack:
        if options.folder:
            fds = _files(options)
            for fd in fds:
                stack.callback(os.close, fd)
        else:
            fds = [1]
        writers = [Writer(random, options) for _ in fds]
        for fd, writer in zip(fds, writers, strict=True):
            output.write(fd, writer.header().encode())
        left, again = options.count, []
        most = min(_BLOCK, -(-options.count // options.files))  # so that no file is empty
        for number in itertools.count():
            if not left or interrupt.requested():
                break
            size, left = min(most, left), left - min(most, left)
            events = [maker.event() for _ in range(size)] + again
            again = [event for event in events if random.random() < options.repeated]
            if not left:
                events += again
            place = number % len(fds)
            lines = map(writers[place].lines, events)
            output.write(fds[place], "".join(lines).encode())
    if options.truth:
        fd = output.open_private(options.truth, os.O_TRUNC)
        output.write(fd, maker.text(), options.truth)
    if not options.folder:
        output.close_stdout()
    return INTERRUPTED if interrupt.requested() else OK


def _files(options) -> list[int]:
    """Makes the folder and its files; returns those of events, open."""
    os.makedirs(options.folder, exist_ok=True)

    def opened(name: str) -> int:
        return output.open_private(os.path.join(options.folder, f"{name}.tsv"), os.O_TRUNC)

    for dimension, size in zip(
        _DIMENSIONS, (options.dimensions, 2 * options.dimensions), strict=True
    ):
        fd = opened(dimension)
        short = dimension.partition("_")[0]
        rows = [f"{ident}\t{_name(short, ident)}\n" for ident in range(size)]
        output.write(fd, "".join(["id\tname\n", *rows]).encode())
        os.close(fd)
    width = len(str(options.files))
    return [opened(f"events-{number:0{width}}") for number in range(1, options.files + 1)]
