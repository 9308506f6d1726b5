"""The import of chat lines.

What has been read is merged and committed every second, together with how far that is: after any
end of this process another one goes on from there. The tables for queries change at the end, in
the transaction that closes the run.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from headcount.cli.main import note, start_as
from headcount.cli.parser import Parser
from headcount.db import checkpoints, connection, ledger, tombstones
from headcount.db import settings as db_settings
from headcount.db.tombstones import ERASED
from headcount.errors import INTERRUPTED, Failure
from headcount.filters import runner
from headcount.filters.account import Account
from headcount.io import interrupt, workers
from headcount.io.splits import Offset
from headcount.pipelines.site_activity import record
from headcount.pipelines.site_activity.chat_table import Table, sorted_by_id
from headcount.pipelines.site_activity.columns import Collected, Columns, Source
from headcount.pipelines.site_activity.store import Merger, Publisher
from headcount.values import zones
from headcount.values.tsv import shown

_SECONDS = 0.7  # from the start of one transaction to that of the next, at least
_MOST = 2_000_000  # lines to hold meanwhile

_TZ = "site-activity.tz"


class Importer:
    """Takes packed tables; another thread writes what has come to the database meanwhile."""

    def __init__(self, options, files: dict[str, checkpoints.File], begun: dict[str, Offset]):
        self._options, self._files, self._offsets = options, files, dict(begun)
        self._collected = Collected()
        self._moved: set[str] = set()  # files whose offsets have moved since the last commit
        self._account = Account(options.pipeline)
        self._writer = _Writer(options, files)
        self._thread = ThreadPoolExecutor(1)  # its thread starts once the processes are forked
        self._writing: Future | None = None
        self._last = time.monotonic()

    def take(self, rows: bytes) -> None:
        """Collect rows, and hand them over when it is time."""
        for source in self._collected.add(rows):
            self._enter(source)
        idle = self._writing is None or self._writing.done()
        late = time.monotonic() - self._last > _SECONDS
        if self._collected.lines > _MOST or (idle and late):
            self._hand_over()

    def _enter(self, source: Source) -> None:
        account = self._account
        account.lines += source.lines
        account.filtered += source.lines - source.found - source.rejected
        account.reasons["rejected"] += source.rejected
        if source.name in self._files:
            offset = self._offsets.get(source.name, Offset())
            # Each process stops at its own place when it is interrupted: there may be a gap.
            if source.start == offset.bytes:
                self._offsets[source.name] = Offset(
                    offset.bytes + source.bytes, offset.lines + source.ends
                )
                self._moved.add(source.name)
        if source.unfinished:
            text = "the last line has no end yet: left for the next run"
            note(f"{shown(source.name)}: {text}", self._options)

    def _hand_over(self) -> None:
        table = self._collected.take()
        if table is not None:
            table = sorted_by_id(table)  # here, while the other thread may still be writing
        if self._writing is not None:
            self._writing.result()
        self._last = time.monotonic()
        moved = {path: self._offsets[path] for path in self._moved}
        self._moved.clear()
        self._writing = self._thread.submit(
            self._writer.write,
            table,
            self._collected.sites.take_new(),
            self._collected.names.take_new(),
            moved,
            copy.deepcopy(self._account),
        )

    def finish(self, account: Account) -> bytes:
        """Write what is left, then close the run and publish."""
        self._hand_over()
        self._writing.result()
        if interrupt.requested():
            text = "interrupted: what was read is kept, and the next run goes on from there"
            raise Failure(text, INTERRUPTED)
        self._thread.submit(self._writer.publish, account).result()
        return b""

    def close(self) -> None:
        """End the thread, once it has written what it has begun to write."""
        self._thread.submit(self._writer.close)
        self._thread.shutdown()


class _Writer:
    """Writes to the database, all in one thread."""

    def __init__(self, options, files: dict[str, checkpoints.File]):
        self._options, self._files = options, files
        self._days = zones.LocalDays(zones.find(options.tz))
        self._settings = {_TZ: options.tz}
        self._open = contextlib.ExitStack()
        self._kept = self._duplicate = self._erased = 0

    @functools.cached_property
    def _db(self) -> sqlite3.Connection:
        options = self._options
        return self._open.enter_context(
            connection.for_import(options.db, options.wait, create=False)
        )

    @functools.cached_property
    def _merger(self) -> Merger:
        return Merger(self._db, self._days, tombstones.load(self._db, self._options.db))

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with connection.errors(self._options.db), connection.transaction(self._db):
            yield self._db

    def write(
        self,
        table: Table | None,
        sites: list[str],
        names: list[str],
        moved: dict[str, Offset],
        account: Account,
    ) -> None:
        """Commit lines, with the new texts behind their codes, and how far they bring us."""
        with self._transaction() as db:
            db_settings.enter(db, self._settings)
            if table is not None:
                kept, erased = self._merger.merge(table, sites, names)
                self._kept += kept
                self._erased += erased
                self._duplicate += table.lines - kept - erased
            checkpoints.keep(db, self._options.pipeline, self._files, moved)
            self._complete(account)
            ledger.enter_lines(db, self._options.run, account)
            ledger.enter_reasons(db, self._options.run, "run_filter", {ERASED: self._erased})

    def _complete(self, account: Account) -> None:
        account.kept, account.duplicate = self._kept, self._duplicate
        account.filtered += self._erased
        account.check()

    def publish(self, account: Account) -> None:
        """Bring the tables for queries up to date, and close the run."""
        self._complete(account)
        options = self._options
        with self._transaction() as db:
            lines, rejected = ledger.unpublished(db, options.run)
            ledger.refuse_rejects(
                rejected + account.rejected,
                lines + account.lines,
                options.max_rejects,
                "what was read is kept, but no number has changed",
            )
            Publisher(db, self._days).publish()
            ledger.finish(db, options.run, self._settings, account)
            account.write(options.account)  # while all can still be undone, should there be no room

    def close(self) -> None:
        """Close the database, if it was opened."""
        self._open.close()


def main() -> int:
    """PIPELINE [FILE…] - merge chat lines into the database"""
    parser = Parser(main.__doc__)
    parser.add_argument("--run", type=int, required=True, help="the run of the ledger that this is")
    parser.shared("--db", "--tz", "--wait", "--max-rejects")
    runner.add_options(parser, "--rejects", "--jobs", "--allow-empty")
    options = parser.parse()
    options.pipeline = parser.prog
    options.jobs = options.jobs or workers.processors()
    with connection.for_import(options.db, options.wait, create=False) as db:
        files, begun, changed = checkpoints.find(db, options.pipeline, options.files)
    for path in changed:
        text = "no longer the file that was read: read from its start"
        note(f"{shown(path)}: {text}", options)
    with contextlib.closing(Importer(options, files, begun)) as importer:
        return runner.run(
            options,
            Columns(growing=files),
            importer.finish,
            take=importer.take,
            rejecter="parse-chat",
            kind=record.KIND,
            offsets=begun,
        )


if __name__ == "__main__":
    start_as(main)
