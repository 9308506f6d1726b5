"""The options that say which users are active: those of a Definition."""

import argparse

from headcount import cli, decimals
from headcount.engagement import Definition
from headcount.evidence import KEY_EVENTS
from headcount.ga4 import Event
from headcount.signals import DEFINITIONS, OWN, listed


def add(parser: cli.Parser) -> None:
    """Take these options."""
    parser.add_argument(
        "--user",
        metavar="FIELD[,FIELD…]",
        type=names,
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
        type=names,
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
        type=names,
        default=KEY_EVENTS,
        help="events that make a session an engaged one (default: purchase, first_open, "
        "in_app_purchase, app_store_subscription_convert and _renew)",
    )


def definition(
    parser: cli.Parser, options, *, with_offset: bool, summed: bool = False
) -> Definition:
    """What the options say. With `summed`, rows have amounts for count-distinct to add up."""
    others = not summed and options.definition != (OWN,)
    for field in options.user:
        if field in Event.__struct_fields__:
            parser.error(f"{field} cannot be the user")
    return Definition(
        min_msec=options.min_engagement,
        valuable_param=options.valuable_param,
        valuable_events=frozenset(options.valuable_events),
        summed=summed,
        named=frozenset(options.definition if others else ()),
        key_events=frozenset(options.key_events),
        user_fields=options.user,
        with_offset=with_offset,
    )


def msec(seconds: str):
    """Milliseconds, exactly, of a text in seconds."""
    try:
        value = decimals.shifted(decimals.exact(seconds), 3)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{seconds!r} is no number of seconds") from None
    if not 0 <= value < 10**12:
        raise argparse.ArgumentTypeError(f"{seconds!r} is no sensible number of seconds")
    return int(value) if value == int(value) else value


def definitions(text: str) -> tuple[str, ...]:
    """Names of definitions."""
    try:
        return listed(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is {error}") from None


def names(text: str) -> tuple[str, ...]:
    """The names in a comma-separated list, which must not be empty."""
    found = tuple(name for name in text.split(",") if name)
    if not found:
        raise argparse.ArgumentTypeError("name at least one")
    return found
