"""The options that say which users are active: those of a Definition."""

from __future__ import annotations

import argparse
import re
from datetime import date
from typing import TYPE_CHECKING

from headcount.cli import types
from headcount.cli.parser import Parser
from headcount.pipelines.active_users.definitions import (
    ANY_EVENT,
    DEFINITIONS,
    GA4_FLAG,
    KEY_EVENTS,
    OWN,
    PERSON,
    STITCHED,
    listed,
)
from headcount.pipelines.active_users.events import source
from headcount.pipelines.active_users.options import breakdown_options, pseudonym_options
from headcount.values import clock, decimals, instants, zones

if TYPE_CHECKING:
    from headcount.pipelines.active_users.events.record import Definition


def add_source_options(parser: Parser, default: str | None = source.GA4) -> None:
    """Take those that say whose events these are, and which of their fields count."""
    none = "none is expected, and each line is taken"
    parser.add_argument(
        "--source",
        metavar="NAME",
        type=_source,
        default=default,
        help=f"whose events these are: {', '.join(source.names())} (default: {default or none})",
    )
    parser.add_argument(
        "--user",
        metavar="FIELD[,FIELD…]",
        type=types.names,
        help="which field is the user; the first present one (default: the source's; of ga4 "
        "user_pseudo_id)",
    )
    parser.add_argument(
        "--field",
        metavar="user|time|name|agent=FIELD[,FIELD…]",
        type=_field,
        action="append",
        default=[],
        help="which field says who, when or what, or what the user agent is, by its dotted path, "
        "as properties.user.id; with --source fields, user and time at least",
    )
    parser.add_argument(
        "--time-unit",
        metavar="UNIT",
        type=types.one_of(*instants.UNITS, instants.ISO),
        help="what times are: s, ms, us, ns (since 1970, UTC) or iso (default: the source's; of "
        "ga4 us). A date with a time of day is always read; without an offset it is UTC",
    )
    parser.add_argument(
        "--earliest",
        metavar="DATE",
        type=types.day,
        default=date(2000, 1, 1),
        help="reject events of earlier days, UTC (default: 2000-01-01)",
    )
    parser.add_argument(
        "--latest",
        metavar="DATE",
        type=types.day,
        help="reject events of later days, UTC (default: more than 24 hours from now)",
    )
    parser.shared("--allow-empty")
    parser.add_argument(
        "--skip-bots",
        action="store_true",
        help="leave out events whose user agent the list crawler-user-agents knows as a bot's; "
        "for sources that say what the agent is. The list grows with each version of Headcount",
    )


def add_options(parser: Parser) -> None:
    """Take these options."""
    add_source_options(parser)
    parser.add_argument(
        "--identity",
        metavar="HOW",
        type=types.one_of("user", STITCHED),
        default="user",
        help="stitched: a user is a person; a device (user_pseudo_id) seen with one user_id is "
        "that person's, on earlier days, too; a device seen with several is a user of its own. "
        "Sums and sessions belong to a device (default: user, the one that --user names)",
    )
    parser.add_argument(
        "--min-engagement",
        metavar="SECONDS",
        type=msec,
        default=3000,
        help="the least engagement; fractions allowed (default: 3)",
    )
    parser.add_argument(
        "--valuable-param",
        metavar="NAME",
        help="the parameter of a valuable event (default: engaged_session_event, or "
        "session_engaged where an event has none)",
    )
    parser.add_argument(
        "--valuable-events",
        metavar="NAME[,NAME…]",
        type=types.names_if_any,
        default=(),
        help="events that are valuable, in place of the parameter; of any-event those that count",
    )
    parser.add_argument(
        "--definition",
        metavar="NAME[,NAME…]",
        type=definitions,
        help=f"when a user is active: {', '.join(DEFINITIONS)}. A session counts on the day it "
        "began; if it passes midnight, also on the next, where it qualifies there by itself "
        f"(default: {OWN}; of other sources than {source.GA4} {ANY_EVENT})",
    )
    parser.add_argument(
        "--key-events",
        metavar="NAME[,NAME…]",
        type=types.names_if_any,
        default=KEY_EVENTS,
        help="events that make a session an engaged one (default: purchase, first_open, "
        "in_app_purchase, app_store_subscription_convert and _renew)",
    )


def resolve(parser: Parser, options) -> None:
    """Put the source's defaults where nothing was typed; what does not go together is an error."""
    other = options.source != source.GA4
    options.stitched = getattr(options, "identity", "user") == STITCHED
    if options.stitched:
        if other or options.user or "user" in dict(options.field):
            parser.error("--identity: stitched is for the users of ga4, who have no other --user")
        if getattr(options, "pseudonyms", pseudonym_options.EVER) == pseudonym_options.DAY:
            parser.error("--identity: who has a new pseudonym each day cannot be known again")
        if getattr(options, "sketch", None):
            parser.error("--identity: a sketch cannot give up the users that turn out to be one")
        options.user = ("user_pseudo_id", PERSON)
    options.fields = fields(parser, options)
    options.definition = options.definition or ((ANY_EVENT,) if other else (OWN,))
    if other and options.definition != (ANY_EVENT,):
        parser.error(
            f"--definition: expected {ANY_EVENT}, for {options.source} has no engagement time; got "
            f"{','.join(options.definition)}"
        )
    if other and (typed := parser.typed("--min-engagement", "--valuable-param", "--key-events")):
        parser.error(f"{typed[0].partition('=')[0]}: {options.source} has no engagement time")
    if other and getattr(options, "tz", None) == zones.DEVICE:
        parser.error(f"--tz: {options.source} does not say what a device's offset is; name a zone")


def definition(options, *, with_offset: bool, summed: bool = False) -> Definition:
    """What resolved options say. With `summed`, rows have amounts for count-distinct to add up."""
    summed = summed and not options.stitched
    others = not summed and (options.stitched or options.definition != (OWN,))
    from headcount.pipelines.active_users.events.record import (
        Definition,  # slow to import, and --help does without
    )

    named = options.valuable_param
    return Definition(
        min_msec=options.min_engagement,
        valuable_params=(named,) if named else Definition().valuable_params,
        valuable_events=frozenset(options.valuable_events),
        summed=summed,
        named=frozenset(options.definition if others else ()),
        key_events=frozenset(options.key_events or KEY_EVENTS),
        stitched=options.stitched,
        fields=options.fields,
        with_offset=with_offset,
    )


def fields(parser: Parser, options) -> source.Fields:
    """Which field says what. What cannot be is a usage error."""
    known = source.find(options.source)
    given = dict(options.field)
    if len(given) < len(options.field):
        parser.error(
            "--field: expected each of user, time, name and agent at most once; of several "
            "fields the first present one counts: user=userId,anonymousId"
        )
    if options.user and "user" in given:
        parser.error("--user: the user is in --field, too; leave one of them out")
    if options.user:
        given["user"] = options.user
        if options.source != source.GA4:  # whose users are fields at the top level
            try:
                _check_paths("user", options.user)
            except argparse.ArgumentTypeError as error:
                parser.error(f"--user: {error}")
    for name, default in (("user", known.user), ("time", known.time)):
        if not given.setdefault(name, default):
            parser.error(f"--field: {options.source} needs {name}=FIELD; see --help")
    agent = given.get("agent", known.agent)
    skips_bots = getattr(options, "skip_bots", False)
    if skips_bots and not agent:
        way_out = "" if options.source == source.GA4 else "; name it with --field agent=FIELD"
        parser.error(f"--skip-bots: {options.source} does not say what the agent is{way_out}")
    found = source.Fields(
        options.source,
        given["user"],
        given["time"],
        given.get("name", known.name),
        options.time_unit or known.unit,
        agent if skips_bots else (),
        _micros(options.earliest),
        _last(options.latest) if options.latest else _a_day_from_now(),
    )
    if found.earliest > found.latest:
        parser.error(f"--earliest {options.earliest} is after the latest day there can be")
    if options.source == source.GA4:
        if "agent" in dict(options.field):
            parser.error(f"--field: {source.GA4} does not say what the agent is")
        for name in ("time", "name"):
            if name in dict(options.field):
                parser.error(f"--field: the {name} of {source.GA4} is {getattr(known, name)[0]}")
        if found.user != known.user:
            from headcount.pipelines.active_users.events.ga4 import Event  # slow to import

            for field in found.user:
                if field in Event.__struct_fields__:
                    parser.error(f"--user: {field} cannot be the user")
    elif getattr(options, "valuable_events", ()) and not found.name:
        parser.error("--valuable-events: say which field is the event's name: --field name=FIELD")
    return found


def add_named(parser: Parser) -> None:
    """Take what was named by hand, which the session finds out: `named` below."""
    parser.add_argument(
        "--named", metavar="KIND NAME", action="append", default=[], help=argparse.SUPPRESS
    )


def named(parser: Parser, options) -> list[str]:
    """What was named by hand, and so should be in some event: `parameter x`, `event y`."""
    found = [f"parameter {options.valuable_param}"] if options.valuable_param else []
    events = list(options.valuable_events)
    if parser.typed("--key-events"):
        events += options.key_events
    # (a number may be spelled in many ways)
    found += [f"event {name}" for name in events if not name.replace(".", "").isdigit()]
    if GA4_FLAG in options.definition:  # intraday tables lack it
        found.append("field is_active_user")
    known, fields = source.find(options.source), options.fields
    usual = {*known.columns, "user_id"}  # of which a night may have none
    for paths, defaults in (
        (fields.user, known.user),
        (fields.time, known.time),
        (fields.name, known.name),
        (fields.agent, known.agent),
    ):
        for path in paths:
            parts = re.split(r"(?<!\\)\+", path) if paths is fields.user else [path]
            if path not in defaults:
                found += [f"field {part}" for part in parts if part not in usual]
    # (A name is searched as JSON has it.)
    told_by = [*getattr(options, "by", ()), *getattr(options, "property_by", ())]
    for field in told_by if not known.text else ():
        found += [f"field {path}" for path in breakdown_options.paths_of(field)]
    return list(dict.fromkeys(found))


def _micros(day: date) -> int:
    return (day - date(1970, 1, 1)).days * zones.DAY_SECONDS * instants.SECOND


def _last(day: date) -> int:
    return min(_micros(day) + zones.DAY_SECONDS * instants.SECOND - 1, zones.LAST_MICROS)


# A clock that says something else has not been set: it does not tell what is in the future.
_CLOCKS_SINCE, _CLOCKS_UNTIL = "2026-11-01", "9000"


def _a_day_from_now() -> int:
    now = clock.now()
    if not _CLOCKS_SINCE <= now < _CLOCKS_UNTIL:
        return zones.LAST_MICROS
    return instants.of_text(now) + zones.DAY_SECONDS * instants.SECOND


def _source(text: str) -> str:
    """The name of a source."""
    try:
        source.check(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


_PATH = r"(?s)(?:[^.\\]|\\.)+(?:\.(?:[^.\\]|\\.)+)*"


def _field(text: str) -> tuple[str, tuple[str, ...]]:
    """Which field is the user, time, name or agent: `user=userId,anonymousId`."""
    name, paths = types.assignment(text)
    if name not in ("user", "time", "name", "agent"):
        raise types.expected("user=FIELD, time=FIELD, name=FIELD or agent=FIELD", text)
    found = types.names(paths)
    _check_paths(name, found)
    return name, found


def _check_paths(name: str, paths: tuple[str, ...]) -> None:
    """Raises ArgumentTypeError for a text that is not a dotted path (or, of the user, several that
    a + joins)."""
    for path in paths:
        for part in re.split(r"(?<!\\)\+", path) if name == "user" else [path]:
            if not re.fullmatch(_PATH, part):
                raise types.expected("names with a dot between them, as in who.id", path)


def msec(seconds: str):
    """Milliseconds, exactly, of a text in seconds."""
    value = decimals.shifted(_seconds(seconds), 3)
    return int(value) if value == int(value) else value


def _seconds(text: str):
    try:
        value = decimals.exact(text)
    except ValueError:
        value = -1
    if not 0 <= value < 10**9:
        raise types.expected("a number of seconds", text)
    return value


def definitions(text: str) -> tuple[str, ...]:
    """Names of definitions."""
    try:
        return listed(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _sorted(text: str) -> str:
    return ",".join(sorted(set(text.split(","))))


# How the settings of a database are spelled, so that they can be held against each other.
SPELLINGS = {
    "min-engagement": lambda text: decimals.plain(_seconds(text)),
    "pseudonym-key": lambda path: path and pseudonym_options.key_id(path),
    "valuable-events": _sorted,
    "key-events": _sorted,
    "definition": lambda text: ",".join(definitions(text)),
}
