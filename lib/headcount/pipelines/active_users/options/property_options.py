"""The options of properties: whose events these are, where a database has several apps."""

from __future__ import annotations

import argparse
import glob
import os
import re

from headcount.cli import types
from headcount.cli.parser import Parser
from headcount.db import properties
from headcount.errors import NO_INPUT, USAGE, Failure
from headcount.pipelines import dated_files
from headcount.pipelines.active_users.definitions import OWN, STITCHED
from headcount.pipelines.active_users.events import source
from headcount.pipelines.active_users.options import breakdown_options

PLACE = "{property}"  # in --inputs, where files or folders have the name of theirs
MOST = 100  # new ones in a run: a field with more says something else


def name(text: str) -> str:
    """The name of a property."""
    if not text or text != text.strip() or not text.isprintable():
        raise types.expected("the name of a property", text)
    return text


def add_option(parser: Parser, more: str) -> None:
    """Take the name of one."""
    parser.add_argument(
        "--property",
        metavar="NAME",
        type=name,
        default=properties.DEFAULT,
        help=f"whose events these are: an app with days, settings and counts of its own{more} "
        f"(default: {properties.DEFAULT}, that of active_user_table)",
    )


def add_by(parser: Parser) -> None:
    """Take the field that says whose an event is."""
    parser.add_argument(
        "--property-by",
        metavar="FIELD",
        type=breakdown_options.field,
        default=(),
        help="the events are of several properties: of those that this field names, by its dotted "
        "path, as app_info.id. All have the settings of this import",
    )


def add_options(parser: Parser) -> None:
    """Take both."""
    add_option(
        parser,
        "; of one that the database knows, options that are left out are as they were. With "
        f"{PLACE} in a FILE or PATTERN, as 'exports/{PLACE}', each that has files is imported, one "
        "after the other",
    )
    add_by(parser)


def resolve(parser: Parser, options: argparse.Namespace) -> None:
    """Refuse what does not go together."""
    if not options.property_by:
        return
    if options.property != properties.DEFAULT:
        parser.error("--property-by: the events say whose they are: leave out --property")
    if getattr(options, "pipe", False):
        parser.error("--property-by: the filters of the pipe do not tell them: leave out --pipe")


def words(options: argparse.Namespace) -> list[str]:
    """Resolved options, as the sink takes them."""
    if getattr(options, "property_by", ()):
        return [f"--property-by={options.property_by[0]}"]
    return [f"--property={options.property}"] if options.property != properties.DEFAULT else []


def plan(options: argparse.Namespace) -> dict[str, str | None]:
    """Whose files these are, as a Plan has it: what was read for one is news to another."""
    if getattr(options, "property_by", ()):
        return {"property": None, "of": f"properties by {options.property_by[0]}"}
    whose = options.property
    return {"property": whose, "of": "" if whose == properties.DEFAULT else f"property {whose}"}


def remembered(parser: Parser, options: argparse.Namespace) -> list[str]:
    """The options that a property was made with and that are not typed; of the default one none:
    they have to be given again."""
    if options.property == properties.DEFAULT:
        return []
    from headcount.db import address, connection  # slow to import, and --help does without
    from headcount.db.postgres import server

    db = options.db
    if not (server.has_tables(db) if address.is_url(db) else os.path.exists(db)):
        return []
    with connection.for_reading(db) as open_db:
        if options.property not in properties.names(open_db):
            return []
        properties.show(open_db, options.property)
        settings = dict(open_db.execute("SELECT name, value FROM setting").fetchall())
    return [word for word in _as_typed(settings) if not parser.typed(word.partition("=")[0])]


def each(arguments: list[str]) -> list[list[str]]:
    """The arguments of the imports that those with {property} in a FILE or PATTERN stand for: one
    of each property that has a file, sorted. Raises Failure 66 if none has, 2 for a --property, and
    for {property} in another option: its value is not a pattern of inputs.
    """
    for before, word in zip(["", *arguments], arguments, strict=False):
        option = word.partition("=")[0] if word.startswith("-") else before
        if PLACE in word and option in _OTHER_FILES:
            raise Failure(f"{option}: {PLACE} is read in a FILE and in --inputs only", USAGE)
    patterns = {
        i: word.removeprefix(_INPUTS)
        for i, word in enumerate(arguments)
        if PLACE in word and (word.startswith(_INPUTS) or not word.startswith("-"))
    }
    if not patterns:
        return [arguments]
    if typed := [word for word in arguments if word.startswith("--property")]:
        raise Failure(f"{PLACE} says whose files these are: leave out {typed[0]}", USAGE)
    found = {i: dated_files.places(pattern, PLACE) for i, pattern in patterns.items()}
    if not any(found.values()):
        raise Failure(f"no file {', '.join(patterns.values())}", NO_INPUT)
    imports = []
    for name in sorted(set().union(*found.values())):
        words = [f"--property={name}"]
        for i, word in enumerate(arguments):
            path = found[i].get(name) if i in found else None
            if i not in found:
                words.append(word)
            elif word.startswith(_INPUTS) or arguments[i - 1 : i] == [_INPUTS[:-1]]:
                words.append(f"{_INPUTS}{path}" if word.startswith(_INPUTS) else path or "")
            elif path:
                words += sorted(glob.glob(path))
        imports.append(words)
    return imports


_INPUTS = "--inputs="
_OTHER_FILES = ("--db", "--files-from", "--pseudonym-key", "--rejects")


def _as_typed(settings: dict[str, str]) -> list[str]:
    """The settings of a property as options: those that an import may leave out."""
    found = []
    if (of := settings.get("source", source.GA4)) != source.GA4:
        found += [f"--source={of}"]
        fields = re.fullmatch("(?s)time=(.*) name=(.*)", settings.get("field", ""))
        for role, paths in zip(("time", "name"), fields.groups() if fields else (), strict=False):
            found += [f"--field={role}={paths}"] if paths else []
    for option, usual in _USUAL.items():
        if (value := settings.get(option, usual)) != usual:
            found.append(f"--{option}={value}")
    usual = OWN if of == source.GA4 else ""
    if of == source.GA4 and settings.get("definition", usual) != usual:
        found.append(f"--definition={settings['definition']}")
    if settings.get("identity") == STITCHED:  # which says who the user is
        found = [word for word in found if not word.startswith("--user=")]
    if events := settings.get("valuable-events"):
        found.append(f"--valuable-events={events}")
    elif (param := settings.get("valuable-param")) and param != "engaged_session_event":
        found.append(f"--valuable-param={param}")
    if settings.get("skip-bots"):
        found.append("--skip-bots")
    return found


_USUAL = {
    "tz": "",
    "identity": "user",
    "min-engagement": "3",
    "key-events": "",
    "user": "user_pseudo_id",
    "sketch": "",
}
