"""The import of recent changes, as its pipeline runs it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from headcount.cli import types
from headcount.cli.main import note, start_as
from headcount.cli.parser import Parser
from headcount.db import connection
from headcount.errors import FAILED, INTERRUPTED, OK, REJECTS
from headcount.filters import account, runner
from headcount.filters.account import Account
from headcount.filters.progress import Progress
from headcount.filters.recognised import Gate, note_nothing
from headcount.filters.rejects import RejectLog
from headcount.formats import sse
from headcount.formats.sse import Captured
from headcount.io import inputs, interrupt
from headcount.io.blocks import Block
from headcount.pipelines.recent_changes import record
from headcount.pipelines.recent_changes.importer import SECONDS, Importer
from headcount.pipelines.recent_changes.programs import add_event_options
from headcount.pipelines.recent_changes.reader import Event, Reader, Rejected


def blocks(paths: list[str], progress: Progress) -> Iterator[Block | None]:
    """The blocks of inputs; None where standard input has been silent for a while."""
    unread = inputs.blocks(paths, progress.add)
    while True:
        if paths == ["-"] and not interrupt.wait(0, SECONDS / 4):
            yield None
        elif (block := next(unread, None)) is not None:
            yield block
        else:
            return


def read(importer: Importer, options, progress: Progress) -> None:
    """Feed the importer with all inputs, or until it has enough."""
    captured = Captured(options.max_event, lambda text: note(text, options))
    reader = Reader(captured, is_of_read_sse=bool(options.url))
    paths = options.files or ["-"]

    def left_out(_event: Event | Rejected) -> Iterator[Event | Rejected]:
        importer.leave_out(1)
        return iter(())

    # a stream is live: what it sends is told at once
    gate = Gate(record.KIND, options, left_out, known=[options.url] if options.url else [])
    for block in blocks(paths, progress):
        if block is not None:
            lines = block.lines()
            name = options.url if options.url else block.name
            is_open = gate.is_open(name)
            for event in reader.events(block):
                lines -= 1
                if is_open:
                    importer.take(event, name)
                else:
                    for held in passed(gate, event, name, options):
                        importer.take(held, name)
                    is_open = gate.is_open(name)
                if importer.is_done:
                    return
            # (where lines end with CR alone, many events end in what counts as one line)
            importer.leave_out(max(0, lines))
            importer.account.inputs[name] = importer.account.inputs.get(name, 0) + block.lines()
            progress.count(block.lines())
        is_idle = paths == ["-"] and not interrupt.wait(0, 0)
        importer.keep_up(is_silent=block is None, is_idle=is_idle)
    for event in gate.end():
        importer.take(event, gate.name)
    reader.end()


def passed(gate: Gate, event: Event | Rejected, name: str, options) -> Iterator[Event | Rejected]:
    """What the gate lets through with an event; one of another type is told by that."""
    if type(event) is Rejected:
        return gate.take(name, event, lambda: [event.raw], is_sound=False)
    *_, kind, data = event
    return gate.take(name, event, lambda: [data], is_sound=kind != options.event)


def whole_account(ours: Account, options, done: bool) -> Account | None:
    """Of all programs of the pipe; None if one of them has failed."""
    if done or not options.upstream:
        return ours
    if not all(map(os.path.exists, options.upstream)):
        return None
    return account.total([*map(Account.read, options.upstream), ours])


def main() -> int:
    """PIPELINE [FILE…] - commit recent changes a batch at a time"""
    parser = Parser(main.__doc__)
    parser.add_argument("--run", type=int, required=True, help="the run of the ledger that this is")
    parser.add_argument("--url", help="the stream that standard input is")
    parser.add_argument("--setting", type=types.assignment, action="append", default=[])
    add_event_options(parser)
    parser.add_argument("--max-event", type=types.size, default=sse.MAX_EVENT)
    runner.add_options(parser, "--db", "--wait", "--rejects", "--upstream", "--allow-empty")
    options = parser.parse()
    options.pipeline = parser.prog
    log = RejectLog(parser.prog, options.rejects)
    progress = Progress.of(options, parser.prog, {})
    with (
        connection.for_import(options.db, options.wait, create=False) as db,
        contextlib.closing(Importer(options, db, log)) as importer,
    ):
        read(importer, options, progress)
        importer.commit()
        importer.settle()
        progress.close()
        log.close()
        if interrupt.requested():
            return INTERRUPTED
        account = whole_account(importer.account, options, importer.is_done)
        if account is None:
            return FAILED  # and the program that failed has said why
        importer.finish(account)
    note_nothing(account, options)
    return REJECTS if account.rejected else OK


if __name__ == "__main__":
    start_as(main)
