"""The options of a stream of server-sent events."""

import argparse

from headcount import __version__, cli, making, sse, sse_client


def add(parser: cli.Parser) -> None:
    """Add them all."""
    parser.add_argument(
        "--last-event-id", metavar="ID", default="", help="go on behind the event with this id"
    )
    parser.add_argument(
        "--since", metavar="TIME", help="where to begin, if there is no id, as ?since= (ISO 8601)"
    )
    parser.add_argument(
        "--max-event",
        metavar="SIZE",
        type=making.size,
        default=sse.MAX_EVENT,
        help="reject events that are larger (default: 16 MiB)",
    )
    parser.add_argument(
        "--silence",
        metavar="SECONDS",
        type=_seconds,
        default=60.0,
        help="connect anew if nothing has come for so long (default: 60)",
    )
    parser.add_argument(
        "--give-up",
        metavar="SECONDS",
        type=_seconds,
        default=300.0,
        help="end with status 75 if no event has come for so long (default: 300)",
    )
    parser.add_argument(
        "--user-agent",
        metavar="TEXT",
        default=f"Headcount/{__version__} (read-sse)",
        help="who asks: add how to reach you, as many services want it",
    )


def settings(options) -> sse_client.Settings:
    """What was given, for the client."""
    return sse_client.Settings(
        user_agent=options.user_agent,
        silence=options.silence,
        give_up=options.give_up,
        since=options.since,
        last_id=options.last_event_id,
        max_event=options.max_event,
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds < 10**9:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return seconds
