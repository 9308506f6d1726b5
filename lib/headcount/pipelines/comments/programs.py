"""The programs of comments: their options, declared beside what these come to."""

from __future__ import annotations

import argparse
import os

from headcount.cli import types
from headcount.cli.parser import Parser
from headcount.formats import tables
from headcount.pipelines.input_kinds import Inputs, sorted_out
from headcount.pipelines.session import Plan, Program, add_reading_options
from headcount.values import zones

_MEANINGS = {
    "info": "crawls of pages with their comments",
    "posts": "tables of posts: Parquet, CSV or TSV",
    "text": "tables of the texts of comments",
}


def _declare_files(parser: Parser, kinds: tuple[str, ...]) -> None:
    for kind in kinds:
        parser.add_argument(
            f"--{kind}",
            metavar="FILE…",
            type=types.named_file,
            action="append",
            default=[],
            help=_MEANINGS[kind],
        )
    parser.lists(*kinds)
    parser.rewrite = lambda arguments: sorted_out(parser, arguments, kinds)
    tables.add_options(parser)
    tables.add_kind(parser)
    parser.shared("--allow-empty")


def add_report_options(parser: Parser) -> None:
    """Add what says of which days the reports are."""
    parser.shared("--tz", default="UTC", help="IANA time zone of the days (default: UTC)")
    parser.add_argument(
        "--after",
        metavar="DAY",
        type=types.day,
        help="by type of post, only what was made at or after the start of this day, UTC",
    )


def _declare_count(parser: Parser) -> None:
    _declare_files(parser, ("info", "posts"))
    add_report_options(parser)
    add_reading_options(parser)


def _declare_import(parser: Parser) -> None:
    _declare_files(parser, ("info", "posts", "text"))
    parser.shared("--db", "--max-rejects", "--wait")
    add_reading_options(parser)


def _inputs(parser: Parser, options: argparse.Namespace) -> Inputs:
    inputs = Inputs(parser)
    for kind in _MEANINGS:
        lists = getattr(options, f"{kind}_from", [])
        for path in parser.joined(getattr(options, kind, []), lists, f"--{kind}-from"):
            inputs.add(kind, path)
    if not inputs.files:
        inputs.add_stdin("info")
    return inputs


def _words(parser: Parser) -> list[str]:
    of_text = ("--delimiter", "--encoding", "--escape", "--header", "--from")
    return parser.typed(*of_text, "--rejects", "--jobs", "--allow-empty", "--quiet", "--progress")


def _count(parser: Parser, options: argparse.Namespace) -> Plan:
    try:
        zones.find(options.tz)
    except ValueError as error:
        parser.error(f"--tz: {error}")
    inputs = _inputs(parser, options)
    if "-" in inputs.files and os.isatty(0):
        parser.error("name files, or pipe crawls in")
    words = [f"--tz={options.tz}", *parser.typed("--after"), *_words(parser)]
    return Plan(inputs.files, {"count": words}, module="comments.count", kinds=inputs.kinds)


def _import(parser: Parser, options: argparse.Namespace) -> Plan:
    inputs = _inputs(parser, options)
    return Plan(
        inputs.files,
        {"importer": _words(parser)},
        kinds=inputs.kinds,
    )


PROGRAMS = {
    "count-comments": Program(_declare_count, _count),
    "import-comments": Program(_declare_import, _import),
}
