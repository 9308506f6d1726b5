"""The program of event metrics: its options, declared beside what these come to."""

from __future__ import annotations

import argparse

from headcount.cli import types
from headcount.cli.parser import Parser
from headcount.formats import tables
from headcount.pipelines.input_kinds import Inputs
from headcount.pipelines.session import Plan, Program, add_reading_options

_EVENTS, *_DIMENSIONS = KINDS = ("events", "first-dimensions", "second-dimensions")


def _declare(parser: Parser) -> None:
    parser.inputs()
    texts = ("a table of the first dimensions; repeat for more", "likewise, of the second ones")
    for kind, text in zip(_DIMENSIONS, texts, strict=True):
        parser.add_argument(
            f"--{kind}",
            metavar="FILE",
            type=types.named_file,
            action="append",
            default=[],
            help=text,
        )
    tables.add_options(parser, delimiter=None)
    parser.shared("--allow-empty")
    parser.add_argument(
        "--replace", action="store_true", help="what comes wins over what the database has"
    )
    add_batch_options(parser)
    parser.shared("--db", "--max-rejects", "--wait")
    add_reading_options(parser)


def add_batch_options(parser: Parser) -> None:
    """Add how much is held at once."""
    parser.add_argument(
        "--read-batch",
        metavar="N",
        type=types.positive,
        default=5000,
        help="parse so many records at once (default: 5000)",
    )
    parser.add_argument(
        "--write-batch",
        metavar="N",
        type=types.positive,
        default=50_000,
        help="sort and stage so many events at once (default: 50000)",
    )


def _import(parser: Parser, options: argparse.Namespace) -> Plan:
    inputs = Inputs(parser)
    for path in options.files:
        inputs.add(_EVENTS, path)
    for kind in _DIMENSIONS:
        for path in getattr(options, kind.replace("-", "_")):
            inputs.add(kind, path)
    if not inputs.has(_EVENTS):
        inputs.add_stdin(_EVENTS)
    of_text = ("--delimiter", "--encoding", "--escape", "--header")
    of_batches = ("--replace", "--read-batch", "--write-batch")
    of_all = ("--rejects", "--jobs", "--allow-empty", "--quiet", "--progress")
    words = parser.typed(*of_text, *of_batches, *of_all)
    return Plan(
        inputs.files,
        {"importer": words},
        kinds=inputs.kinds,
        again=options.replace,
    )


PROGRAMS = {"import-event-metrics": Program(_declare, _import)}
