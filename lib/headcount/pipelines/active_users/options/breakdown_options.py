"""The options of breakdowns: the fields by whose values active users are counted."""

from __future__ import annotations

import argparse
import re

from headcount.cli import types
from headcount.cli.main import note
from headcount.cli.parser import Parser
from headcount.pipelines.active_users.definitions import DEFINITIONS
from headcount.pipelines.active_users.events import source

NONE = "(none)"  # the event has no such field, or a null there
OTHER = "(other)"  # values beyond the bound
UNKNOWN = "(unknown)"  # whose events came without the breakdown
_USUAL = "usual"
TIMES = "*"  # between two fields, or their values: one breakdown by both
MOST = 1_000  # values of a field
_PATH = re.compile(r"(?:[^.\\*\s]|\\.)+(?:\.(?:[^.\\*\s]|\\.)+)*")


def paths_of(field: str) -> list[str]:
    """The dotted paths of a breakdown; a backslash stands before a `*` within a name."""
    return re.split(r"(?<!\\)\*", field)


def add_options(parser: Parser) -> None:
    """Take these options."""
    parser.add_argument(
        "--by",
        metavar="FIELD[,FIELD…]",
        type=_fields,
        default=(),
        help="also count by the values of a field: its dotted path, as platform, geo.country or "
        "event_params.page_location; 'platform*geo.country' is one breakdown by both; usual: those "
        "that one usually asks for, of the source. A user with two values on a day is in both. "
        "What counts is the value of an event that makes the user active; with two signals, of "
        "either. Where it is missing, it is (none)",
    )
    add_most(parser)


def add_most(parser: Parser) -> None:
    """Take the bound of values."""
    parser.add_argument(
        "--max-values",
        metavar="NUMBER",
        type=types.positive,
        default=MOST,
        help="how many values of a field are told apart: those of earlier runs, then those with "
        "the most users in the run, of equals the first by name. The others are (other), and stay "
        f"there (default: {MOST:,})",
    )


def add_backfill(parser: Parser) -> None:
    """Take the option that reads again what the database knows."""
    parser.add_argument(
        "--backfill",
        action="store_true",
        help="with --by, and without files: read those again that imports have read before, so "
        "that the values of their events are known, too; those that are gone are told (exit 65)",
    )


def words(options: argparse.Namespace) -> list[str]:
    """Resolved options, as programs behind take them."""
    if not options.by:
        return []
    return [f"--by={','.join(options.by)}", f"--max-values={options.max_values}"]


def resolve(parser: Parser, options: argparse.Namespace, enough: set[str]) -> None:
    """Put the source's usual fields where these are asked for. Refuse what does not tell which
    event made a user active: for the definitions `enough` one event is enough."""
    if getattr(options, "backfill", False):
        if not options.by:
            parser.error("--backfill: name the fields, with --by FIELD")
        if options.files or options.inputs:
            parser.error("--backfill reads what was imported before: leave out the files")
    if options.by == (_USUAL,):
        options.by = source.find(options.source).usual
        if not options.by:
            parser.error(f"--by: {options.source} has no usual fields: name some")
    if not options.by:
        return
    got = ",".join(options.definition)
    if not enough.issuperset(options.definition):
        listed = ", ".join(name for name in DEFINITIONS if name in enough)
        parser.error(f"--by: one event has to be enough, as for {listed}; got {got}")
    if getattr(options, "pipe", False):
        parser.error("--by: the filters of the pipe do not tell values: leave out --pipe")
    if getattr(options, "sketch", None) == "instead":
        parser.error("--by: sketches are of all users: leave out --sketch instead")


def field(text: str) -> tuple[str]:
    """One field by its dotted path: a tuple of one."""
    if not _PATH.fullmatch(text):
        raise types.expected("the dotted path of a field, as app_info.id", text)
    return (text,)


def _fields(text: str) -> tuple[str, ...]:
    fields = types.names(text)
    for field in fields:
        for path in paths_of(field):
            if not _PATH.fullmatch(path):
                raise types.expected("the dotted path of a field, as geo.country", path)
    if len(set(fields)) < len(fields):
        raise argparse.ArgumentTypeError(f"expected each field once, got {text}")
    return fields


def note_folded(folded: dict[str, int], options) -> None:
    """Say of which fields how many values are in one."""
    for field, number in folded.items():
        values = "1 value" if number == 1 else f"{number:,} values"
        note(f"(other) has {values} of {field}; --max-values tells more apart", options)


def note_several(several: dict[str, int], options) -> None:
    """Say of which fields the counts do not add up to those of all users."""
    for field, number in several.items():
        if number:
            times = "once" if number == 1 else f"{number:,} times"
            note(f"{times} a user had several values of {field} on a day: all count", options)
