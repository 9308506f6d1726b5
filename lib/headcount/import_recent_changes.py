"""The import of recent changes: `python -m headcount.import_recent_changes PIPELINE …`.

Events are committed a batch at a time, with the place in the stream that they bring us to, the
holes before it and the ledger: after any end of this process another one goes on from there.
"""

from __future__ import annotations

import math
import os
import sqlite3
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from headcount import account as accounts
from headcount import (
    cli,
    filters,
    inputs,
    interrupt,
    ledger,
    making,
    recent_change,
    sse,
    store,
)
from headcount.account import Account
from headcount.captured import Captured
from headcount.change_lines import Event, Reader, Unusable
from headcount.change_store import ChangeStore, Row
from headcount.failure import FAILED, INTERRUPTED, OK, REJECTS
from headcount.inputs import Block
from headcount.pieces import total_size
from headcount.progress import Progress
from headcount.rejects import Reject, RejectLog
from headcount.sampling import Sample, fraction

_SECONDS = 1.0  # from an event's coming to its commit, at most


class Importer:
    """Takes events, and commits them when they are many or have waited for long."""

    def __init__(self, options, db: sqlite3.Connection, log: RejectLog):
        self._options, self._db, self._log = options, db, log
        self._store = ChangeStore(db)
        self._sample = Sample(options.fraction) if options.fraction < 1 else None
        self.account = Account(options.pipeline, reasons=log.reasons)
        self._left_out: Counter[str] = Counter()
        self._limit = math.inf if options.limit is None else options.limit
        self._room = self._limit  # for more changes
        self._position = ""
        self._waiting = 0  # events that are not committed
        self._since = 0.0
        self._has_settings = False  # in the database
        self._thread = ThreadPoolExecutor(1)
        self._committing: Future | None = None
        self._rows: list[Row] = []
        self._offsets: dict[tuple[str, int], list[int]] = defaultdict(list)

    @property
    def is_done(self) -> bool:
        """Whether as many as were wanted are in the database."""
        return self._room <= 0

    def take(self, event: Event | Unusable, name: str) -> None:
        """One more event of an input."""
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting += 1
        if type(event) is Unusable:
            self._log.add(event.reject, name, event.line, event.raw)
        else:
            line, ident, kind, data = event
            self._position = ident or self._position
            if kind == self._options.event:
                self._take_change(data, name, line)
            else:
                self._left_out["other event"] += 1
        if self._waiting >= self._options.batch or len(self._rows) >= self._room:
            self.commit()

    def _take_change(self, data: bytes, name: str, line: int) -> None:
        # of a stream read-sse has seen to that
        change, place = recent_change.parse(data, is_utf8=self._options.url is not None)
        if place is not None:
            topic, partition, offset = place
            self._offsets[topic, partition].append(offset)
        if change is None:
            self._left_out[recent_change.CANARY] += 1
        elif type(change) is Reject:
            self._log.add(change, name, line, data)
        else:
            ident = change.meta.id
            if self._sample and not self._sample(ident.encode()):
                self._left_out["not sampled"] += 1
                return
            self._rows.append(
                (ident, change.timestamp, change.wiki, change.type, change.bot, change.user, data)
            )

    def leave_out(self, lines: int) -> None:
        """So many lines more were blank, or did not end an event."""
        self.account.lines += lines
        self._left_out["no event"] += lines

    def commit_if_late(self) -> None:
        """Commit what has waited for long; while there is so little to do, enter words."""
        if self._waiting and time.monotonic() - self._since >= _SECONDS:
            self.commit()
            self.settle()
            with store.transaction(self._db):
                self._store.index_words()

    def commit(self) -> None:
        """Commit what has come: another thread waits for the disk, while more is parsed."""
        self.settle()
        with store.transaction(self._db, self._commit_aside):
            if not self._has_settings:
                ledger.enter_settings(self._db, dict(self._options.setting))
            self._has_settings = True
            kept = self._store.add(self._rows)
            self.account.lines += self._waiting
            self.account.kept += kept
            self.account.duplicate += len(self._rows) - kept
            near = min((row[1] for row in self._rows), default=None)
            self._store.enter_offsets(self._offsets, near)
            if self._options.url and self._position:
                self._store.move(self._options.url, self._position)
            self._enter(self.account)
        self._room = self._limit - self.account.kept
        self._rows.clear()
        self._offsets.clear()
        self._waiting = 0
        if self._store.has_many_ids:
            self.settle()
            with store.transaction(self._db):
                self._store.index_ids()

    def _commit_aside(self) -> None:
        self._committing = self._thread.submit(self._db.execute, "COMMIT")

    def settle(self) -> None:
        """Wait until what was to be committed is; nothing else may use the database before."""
        if self._committing is not None:
            self._committing.result()
            self._committing = None

    def _enter(self, account: Account) -> None:
        account.filtered = self._left_out.total()
        account.check()
        run = self._options.run
        ledger.enter_lines(self._db, run, account)
        ledger.enter_reasons(self._db, run, "run_reject", account.reasons)
        ledger.enter_reasons(self._db, run, "run_filter", self._left_out)

    def finish(self, account: Account) -> None:
        """Enter all words, and close the run."""
        more = True
        while more and not interrupt.requested():
            with store.transaction(self._db):
                more = self._store.index_words()
        with store.transaction(self._db):
            if self.is_done:
                ledger.forget_inputs(self._db, self._options.run)
            ledger.finish(self._db, self._options.run, dict(self._options.setting), account)


def blocks(paths: list[str], progress: Progress) -> Iterator[Block | None]:
    """The blocks of inputs; None where standard input has been silent for a while."""
    found = inputs.blocks(paths, progress.add)
    while True:
        if paths == ["-"] and not interrupt.wait(0, _SECONDS / 4):
            yield None
        elif (block := next(found, None)) is not None:
            yield block
        else:
            return


def read(importer: Importer, options, progress: Progress) -> None:
    """Feed the importer with all inputs, or until it has enough."""
    reader = Reader(Captured(sse.MAX_EVENT, lambda text: cli.note(text, options)))
    for block in blocks(options.files or ["-"], progress):
        if block is not None:
            lines = block.lines()
            name = options.url if options.url else block.name
            for event in reader.events(block):
                importer.take(event, name)
                lines -= 1
                if importer.is_done:
                    return
            importer.leave_out(lines)
            importer.account.inputs[name] = importer.account.inputs.get(name, 0) + block.lines()
        importer.commit_if_late()
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
    parser.add_argument("--setting", type=ledger.settings_option, action="append", default=[])
    parser.add_argument("--event", default=sse.MESSAGE, help="the type of events that count")
    parser.add_argument("--fraction", type=fraction, default=1, help="the part to keep, by meta.id")
    parser.add_argument("--batch", type=making.some, default=100, help="commit so many at once")
    parser.add_argument("--limit", type=making.some, help="end when so many more are there")
    filters.add_options(parser, "--db", "--wait", "--rejects", "--upstream")
    options = parser.parse()
    options.pipeline = parser.prog
    log = RejectLog(parser.prog, options.rejects)
    progress = Progress(parser.prog, total_size(options.files or ["-"], {}), options.progress)
    with store.for_import(options.db, options.wait, create=False) as db:
        importer = Importer(options, db, log)
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
    account.write(options.account)
    return REJECTS if account.rejected else OK


if __name__ == "__main__":
    sys.argv.pop(0)  # messages come in the pipeline's name
    cli.start(main)
