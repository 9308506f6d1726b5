"""The options of forget-user."""

from __future__ import annotations

import argparse
import sys

from headcount.cli.parser import Parser
from headcount.db import tombstones
from headcount.io import names
from headcount.pipelines.active_users.options import pseudonym_options


def parse(parser: Parser) -> argparse.Namespace:
    """What forget-user is asked for: one of an ID, --list, --lift and --again."""
    parser.add_argument("id", nargs="?", metavar="ID", help="who")
    parser.add_argument("files", nargs="*", metavar="FILE", help="rejects and logs to clean")
    parser.add_argument(
        "--mode",
        choices=(tombstones.KEEP, tombstones.RECOUNT),
        help="whether published numbers stay; to be given",
    )
    parser.add_argument("--list", action="store_true", help="show what was erased, not whom")
    parser.add_argument("--lift", metavar="ID", help="let ID come back; * for all")
    parser.add_argument("--reason", metavar="TEXT", help="of --lift: why; it is kept")
    parser.add_argument("--again", action="store_true", help="erase anew who was erased before")
    parser.add_argument("--format", choices=("tsv", "json"), default="tsv", help="(default: tsv)")
    parser.add_argument(
        "--backups", metavar="FOLDER", help="look there as well (default: backups/ beside --db)"
    )
    parser.add_argument(
        "--pseudonym-key",
        metavar="FILE",
        type=pseudonym_options.key,
        help="the key that the app's events were imported with, if any",
    )
    parser.shared("--db", "--wait", "--quiet")
    options = parser.parse()
    if "--" in sys.argv[1:-1]:
        first = sys.argv[sys.argv.index("--") + 1]
        if options.id == names.safe(first):  # it is an ID, not the name of a file
            options.id = first
    asked = sum((options.list, options.again, options.lift is not None, options.id is not None))
    if asked > 1:
        parser.error("expected one of ID, --list, --lift and --again, got several")
    if options.lift is not None and not options.reason:
        parser.error("--lift: expected --reason TEXT with it")
    for name in ("id", "lift"):
        if getattr(options, name) == "-":
            setattr(options, name, sys.stdin.readline().rstrip("\n"))
    if not asked or options.id == "":
        parser.error("missing ID")
    if options.id and not options.mode:
        parser.error("--mode keep or --mode recount? see --help")
    return options
