"""The options of run-job."""

from __future__ import annotations

import argparse
import os
import re

from headcount.cli import types
from headcount.cli.main import split_command
from headcount.cli.parser import Parser


def name(text: str) -> str:
    """Of a job: it is part of the names of files."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", text):
        raise argparse.ArgumentTypeError(f"{text!r}: use letters, digits, - and _")
    return text


def parse(parser: Parser) -> argparse.Namespace:
    """What run-job is asked for: its options, and behind -- the command."""
    parser.add_argument("name", nargs="?", metavar="NAME", type=name, help="the job's name")
    times = {"metavar": "TIME", "type": types.duration}
    parser.add_argument(
        "--every", **times, help="how often it should run (1d), for show-runs --overdue"
    )
    parser.add_argument(
        "--timeout", metavar="TIME", type=types.some_time, help="end it after so long (15m)"
    )
    parser.add_argument(
        "--retries", metavar="N", type=int, default=3, help="of exit 75 (default: 3)"
    )
    parser.add_argument(
        "--back-off", default=30.0, **times, help="before the first retry; then twice as long, …"
    )
    parser.add_argument(
        "--on-failure",
        metavar="COMMAND",
        help="a shell command; its input is what the job said last, and it has $JOB, $JOB_STATUS "
        "and $JOB_LOG",
    )
    parser.add_argument(
        "--heartbeat",
        metavar="URL|FILE",
        help="after a success: get URL, or write the time to FILE",
    )
    parser.add_argument(
        "--env",
        metavar="NAME=VALUE",
        type=types.assignment,
        action="append",
        default=[],
        help="a variable for COMMAND; may be repeated",
    )
    parser.add_argument(
        "--log", metavar="FILE", help="the log (default: log/NAME.log beside the database)"
    )
    parser.shared("--db")
    arguments, command = split_command()
    options = parser.parse(arguments)
    options.prog, options.command = parser.prog, command
    if options.retries < 0:
        parser.error(f"--retries {options.retries}: how many?")
    if options.name is None or not options.command:
        parser.error("say which job, and behind -- which command")
    if options.log is None:
        folder = os.path.dirname(os.path.realpath(options.db))
        options.log = os.path.join(folder, "log", f"{options.name}.log")
    return options
