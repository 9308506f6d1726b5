"""The options that say which users are active: those of a Definition."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from headcount.cli import types
from headcount.cli.parser import Parser
from headcount.pipelines.active_users.definitions import DEFINITIONS, KEY_EVENTS, OWN, listed
from headcount.values import decimals, pseudonyms

if TYPE_CHECKING:
    from headcount.pipelines.active_users.record import Definition


def add_options(parser: Parser) -> None:
    """Take these options."""
    parser.add_argument(
        "--user",
        metavar="FIELD[,FIELD…]",
        type=types.names,
        default=("user_pseudo_id",),
        help="which field is the user; the first present one (default: user_pseudo_id)",
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
        default="engaged_session_event",
        help="the parameter of a valuable event (default: engaged_session_event)",
    )
    parser.add_argument(
        "--valuable-events",
        metavar="NAME[,NAME…]",
        type=types.names_if_any,
        default=(),
        help="events that are valuable, in place of the parameter",
    )
    parser.add_argument(
        "--definition",
        metavar="NAME[,NAME…]",
        type=definitions,
        default=(OWN,),
        help=f"when a user is active: {', '.join(DEFINITIONS)} (default: {OWN})",
    )
    parser.add_argument(
        "--key-events",
        metavar="NAME[,NAME…]",
        type=types.names_if_any,
        default=KEY_EVENTS,
        help="events that make a session an engaged one (default: purchase, first_open, "
        "in_app_purchase, app_store_subscription_convert and _renew)",
    )


def definition(parser: Parser, options, *, with_offset: bool, summed: bool = False) -> Definition:
    """What the options say. With `summed`, rows have amounts for count-distinct to add up."""
    others = not summed and options.definition != (OWN,)
    check_user(parser, options)
    from headcount.pipelines.active_users.record import Definition  # slow to import: for --help

    return Definition(
        min_msec=options.min_engagement,
        valuable_param=options.valuable_param,
        valuable_events=frozenset(options.valuable_events),
        summed=summed,
        named=frozenset(options.definition if others else ()),
        key_events=frozenset(options.key_events or KEY_EVENTS),
        user_fields=options.user,
        with_offset=with_offset,
    )


def check_user(parser: Parser, options) -> None:
    """A field that is something else is a usage error."""
    from headcount.pipelines.active_users.ga4 import Event

    for field in options.user:
        if field in Event.__struct_fields__:
            parser.error(f"--user: {field} cannot be the user")


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


def pseudonym_key(path: str) -> bytes:
    """The key in a file, without white space around it."""
    try:
        with open(path, "rb") as file:
            content = file.read().strip()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{path}: {error.strerror}") from None
    if len(content) < pseudonyms.LEAST:
        text = (
            f"{path}: a key has at least {pseudonyms.LEAST} bytes; make one: openssl rand -hex 32"
        )
        raise argparse.ArgumentTypeError(text)
    return content


def _sorted(text: str) -> str:
    return ",".join(sorted(set(text.split(","))))


# How the settings of a database are spelled, so that they can be held against each other.
SPELLINGS = {
    "min-engagement": lambda text: decimals.plain(_seconds(text)),
    "pseudonym-key": lambda path: path and pseudonyms.key_id(pseudonym_key(path)),
    "valuable-events": _sorted,
    "key-events": _sorted,
    "definition": lambda text: ",".join(definitions(text)),
}
