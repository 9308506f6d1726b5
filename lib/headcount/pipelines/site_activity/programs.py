"""The programs of site activity: their options, declared beside what these come to."""

from __future__ import annotations

import argparse

from headcount.cli.parser import Parser
from headcount.pipelines.session import Plan, Program, add_reading_options, spelled
from headcount.values import zones


def _declare_count(parser: Parser) -> None:
    parser.inputs()
    parser.shared("--allow-empty")
    add_reading_options(parser)


def _declare_import(parser: Parser) -> None:
    parser.shared("--db")
    parser.shared("--tz", help="IANA time zone of the local days (default: America/Chicago)")
    parser.shared("--max-rejects", "--wait")
    _declare_count(parser)


def _words(parser: Parser) -> list[str]:
    return parser.typed("--tz", "--rejects", "--jobs", "--allow-empty", "--quiet", "--progress")


def _count(parser: Parser, options: argparse.Namespace) -> Plan:
    return Plan(options.files, {"count": _words(parser)}, module="site_activity.count")


def _import(parser: Parser, options: argparse.Namespace) -> Plan:
    if options.tz == zones.DEVICE:
        parser.error("--tz: expected a zone, for chat lines know no device")
    try:
        zones.find(options.tz)
    except ValueError as error:
        parser.error(f"--tz: {error}")
    settings = spelled({}, parser, {"site-activity.tz": options.tz})
    return Plan(options.files, {"importer": _words(parser)}, settings=settings)


PROGRAMS = {
    "count-site-activity": Program(_declare_count, _count),
    "import-site-activity": Program(_declare_import, _import),
}
