"""The program of recent changes: its options, declared beside what these come to."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from headcount.cli import types
from headcount.cli.parser import Parser
from headcount.formats import sse, sse_client
from headcount.io.splits import is_url
from headcount.pipelines.session import Plan, Program, Words, spelled
from headcount.values import decimals

if TYPE_CHECKING:
    import sqlite3  # slow to import, and --help does without

# How settings are spelled, so that they can be held against each other.
SPELLINGS = {"recent-changes.fraction": lambda text: decimals.plain(decimals.exact(text))}

_OF_STREAMS = ("--since", "--replay", "--silence", "--give-up", "--user-agent")


def add_event_options(parser: Parser) -> None:
    """Add what says which events count, and how many are committed at once."""
    parser.add_argument(
        "--event",
        metavar="TYPE",
        default=sse.MESSAGE,
        help="the type of the events that count (default: message)",
    )
    parser.add_argument(
        "--fraction",
        metavar="F",
        type=types.part,
        default=1,
        help="keep only this part of the events, chosen by meta.id, the same every time; counts "
        "are of the part (default: 1)",
    )
    parser.add_argument(
        "--batch",
        metavar="N",
        type=types.positive,
        default=100,
        help="commit so many events at once, at most (default: 100)",
    )
    parser.add_argument(
        "--limit",
        metavar="N",
        type=types.positive,
        help="end when so many more are in the database",
    )


def _declare(parser: Parser) -> None:
    parser.inputs()
    parser.shared("--db")
    parser.add_argument(
        "--url", metavar="URL", type=_url, help="the stream of server-sent events to read"
    )
    add_event_options(parser)
    parser.add_argument(
        "--replay",
        metavar="TIME",
        help="begin at TIME (ISO 8601), to fill holes, and not where the last run ended; "
        "Wikimedia remembers about a week",
    )
    sse_client.add_stream_options(parser)
    parser.shared("--wait", "--rejects", "--allow-empty", "--quiet", "--progress")


def _url(text: str) -> str:
    if not is_url(text) or not text.partition("://")[2]:
        raise types.expected("an http:// or https:// address", text)
    return text


def _import(parser: Parser, options: argparse.Namespace) -> Plan:
    if options.url and options.files:
        parser.error("name a --url, or files")
    if not options.url:
        if streams := parser.typed(*_OF_STREAMS):
            parser.error(f"{streams[0].partition('=')[0]} is for a stream: name its --url")
        if any(map(is_url, options.files)):
            parser.error("name a stream with --url")
    typed = {
        "recent-changes.event": options.event,
        "recent-changes.fraction": parser.text("--fraction", "1"),
    }
    of_events = ("--event", "--fraction", "--batch", "--limit", "--max-event")
    rejects = parser.typed("--rejects", "--quiet")
    of_files = parser.typed("--allow-empty", "--progress")
    of_client = parser.typed("--max-event", "--silence", "--give-up", "--user-agent")
    words = {
        "url": [options.url or ""],
        "importer": [
            *parser.typed(*of_events),
            *rejects,
            *of_files,
        ],
        "read_sse": [*of_client, *rejects],
    }

    def entered(db: sqlite3.Connection, _due: list[str]) -> Words:
        return {"position": _position(parser, options, db) if options.url else []}

    files = [options.url] if options.url else options.files
    return Plan(files, words, settings=spelled(SPELLINGS, parser, typed), entered=entered)


def _position(parser: Parser, options: argparse.Namespace, db: sqlite3.Connection) -> list[str]:
    """Where in the stream to go on: behind the last event that is in the database."""
    if options.replay:
        return [f"--since={options.replay}"]
    from headcount.pipelines.recent_changes import store  # --help does without

    return [f"--last-event-id={store.position(db, options.url)}", *parser.typed("--since")]


PROGRAMS = {"import-recent-changes": Program(_declare, _import)}
