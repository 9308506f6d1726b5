"""The import of recent changes: `python -m headcount.import_recent_changes PIPELINE …`."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

from headcount import account as accounts
from headcount import cli, db_settings, filters, inputs, interrupt, making, sse, store
from headcount.account import Account
from headcount.captured import Captured
from headcount.change_importer import SECONDS, Importer
from headcount.change_lines import Reader
from headcount.failure import FAILED, INTERRUPTED, OK, REJECTS
from headcount.inputs import Block
from headcount.progress import Progress
from headcount.rejects import RejectLog
from headcount.sampling import fraction


def blocks(paths: list[str], progress: Progress) -> Iterator[Block | None]:
    """The blocks of inputs; None where standard input has been silent for a while."""
    found = inputs.blocks(paths, progress.add)
    while True:
        if paths == ["-"] and not interrupt.wait(0, SECONDS / 4):
            yield None
        elif (block := next(found, None)) is not None:
            yield block
        else:
            return


def read(importer: Importer, options, progress: Progress) -> None:
    """Feed the importer with all inputs, or until it has enough."""
    reader = Reader(Captured(options.max_event, lambda text: cli.note(text, options)))
    paths = options.files or ["-"]
    for block in blocks(paths, progress):
        if block is not None:
            lines = block.lines()
            name = options.url if options.url else block.name
            for event in reader.events(block):
                importer.take(event, name)
                lines -= 1
                if importer.is_done:
                    return
            # (where lines end with CR alone, many events end in what counts as one line)
            importer.leave_out(max(0, lines))
            importer.account.inputs[name] = importer.account.inputs.get(name, 0) + block.lines()
            progress.count(block.lines())
        importer.keep_up(is_idle=paths == ["-"] and not interrupt.wait(0, 0))
    reader.end()


def whole_account(ours: Account, options, done: bool) -> Account | None:
    """Of all programs of the pipe; None if one of them has failed."""
    if done or not options.upstream:
        return ours
    if not all(map(os.path.exists, options.upstream)):
        return None
    return accounts.total([*map(Account.read, options.upstream), ours])


def main() -> int:
    """PIPELINE [FILE…] - commit recent changes a batch at a time"""
    parser = cli.Parser(main.__doc__)
    parser.add_argument("--run", type=int, required=True, help="the run of the ledger that this is")
    parser.add_argument("--url", help="the stream that standard input is")
    parser.add_argument("--setting", type=db_settings.option, action="append", default=[])
    parser.add_argument("--event", default=sse.MESSAGE, help="the type of events that count")
    parser.add_argument("--fraction", type=fraction, default=1, help="the part to keep, by meta.id")
    parser.add_argument("--batch", type=making.some, default=100, help="commit so many at once")
    parser.add_argument("--limit", type=making.some, help="end when so many more are there")
    parser.add_argument("--max-event", type=making.size, default=sse.MAX_EVENT)
    filters.add_options(parser, "--db", "--wait", "--rejects", "--upstream")
    options = parser.parse()
    options.pipeline = parser.prog
    log = RejectLog(parser.prog, options.rejects)
    progress = Progress.of(options, parser.prog, {})
    with (
        store.for_import(options.db, options.wait, create=False) as db,
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
    return REJECTS if account.rejected else OK


if __name__ == "__main__":
    sys.argv.pop(0)  # messages come in the pipeline's name
    cli.start(main)
