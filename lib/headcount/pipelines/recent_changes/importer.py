"""Commits recent changes a batch at a time, with all that must change together.

Events, the place in the stream that they bring us to, the holes before it, and the ledger: after
any end of this process another one goes on from there.
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections import Counter, defaultdict
from concurrent.futures import Future, ThreadPoolExecutor

from headcount.db import connection, ledger, tombstones
from headcount.db import settings as db_settings
from headcount.filters.account import Account
from headcount.filters.rejects import Reject, RejectLog
from headcount.io import interrupt
from headcount.pipelines.recent_changes import record
from headcount.pipelines.recent_changes.reader import Event, Rejected
from headcount.pipelines.recent_changes.record import Change
from headcount.pipelines.recent_changes.store import ChangeStore, Row
from headcount.values.sampling import Sample

SECONDS = 1.0  # from an event's coming to its commit, at most

_ID = 200  # characters of an id that a message shows


class Importer:
    """Takes events, and commits them when they are many or have waited for long."""

    def __init__(self, options, db: sqlite3.Connection, log: RejectLog):
        self._options, self._db, self._log = options, db, log
        self._store = ChangeStore(db)
        self._erased = tombstones.load(db, options.db)
        self._sample = Sample(options.fraction) if options.fraction < 1 else None
        self.account = Account(options.pipeline, reasons=log.reasons)
        self._left_out: Counter[str] = Counter()
        self._limit = math.inf if options.limit is None else options.limit
        self._room = self._limit  # for more changes
        self._position = ""
        self._waiting = 0  # events that are not committed
        self._since = self._words_at = time.monotonic()
        self._has_settings = False  # in the database
        self._thread = ThreadPoolExecutor(1)
        self._committing: Future | None = None
        self._rows: list[Row] = []
        self._offsets: dict[tuple[str, int], list[int]] = defaultdict(list)

    @property
    def is_done(self) -> bool:
        """Whether as many as were wanted are in the database."""
        return self._room <= 0

    def take(self, event: Event | Rejected, name: str) -> None:
        """One more event of an input."""
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting += 1
        if type(event) is Rejected:
            self._log.add(event.reject, name, event.line, event.raw)
        else:
            line, ident, kind, data = event
            self._position = ident or self._position
            if kind == self._options.event:
                self._take_change(data, name, line, ident)
            else:
                self._left_out["other event"] += 1
        if self._waiting >= self._options.batch or len(self._rows) >= self._room:
            self.commit()

    def _take_change(self, data: bytes, name: str, line: int, event_id: str) -> None:
        # of a stream read-sse has seen to that
        change, place = record.parse(data, is_utf8=self._options.url is not None)
        if place is not None:
            topic, partition, offset = place
            self._offsets[topic, partition].append(offset)
        if change is None:
            self._left_out[record.CANARY] += 1
        elif type(change) is Reject:
            told = [change.detail, f"event id {event_id[:_ID]}" if event_id else ""]
            change = change._replace(detail="; ".join(filter(None, told)))
            self._log.add(change, name, line, data)
        else:
            if self._erased:
                change, data = self._without_erased(change, data)
                if change is None:
                    self._left_out[tombstones.ERASED] += 1
                    return
            ident = change.meta.id
            if self._sample and not self._sample(ident.encode()):
                self._left_out["not sampled"] += 1
                return
            self._rows.append(
                (
                    ident,
                    change.timestamp,
                    change.wiki,
                    change.type,
                    int(change.bot),
                    change.user,
                    data,
                )
            )

    def _without_erased(self, change: Change, data: bytes) -> tuple[Change | None, bytes]:
        """A change that names nobody who was erased; None if it is theirs, and does not count."""
        if change.user is not None:
            erased = self._erased.find(tombstones.EDITOR, tombstones.editor(change.user))
            if erased:
                change.user = erased.name
                if change.user is None:
                    return None, data
        text = self._erased.without(data.decode(), is_json=True, fields=record.FIELDS)
        return change, text.encode()

    def leave_out(self, lines: int) -> None:
        """So many lines more were blank, or did not end an event."""
        self.account.lines += lines
        self._left_out["no event"] += lines

    def keep_up(self, *, is_silent: bool, is_idle: bool) -> None:
        """Commit what has waited for long, or has nothing to wait for, as the input is silent.

        Enter words now and then, if no more input waits.
        """
        now = time.monotonic()
        if self._waiting and (is_silent or now - self._since >= SECONDS):
            self.commit()
        if is_idle and now - self._words_at >= SECONDS:
            self._words_at = now
            self.settle()
            with connection.transaction(self._db):
                self._store.index_words()

    def commit(self) -> None:
        """Commit what has come: another thread waits for the disk, while more is parsed."""
        self.settle()
        with connection.transaction(self._db, self._commit_aside):
            if not self._has_settings:
                db_settings.enter(self._db, dict(self._options.setting))
            self._has_settings = True
            kept = self._store.add(self._rows)
            self.account.lines += self._waiting
            self.account.kept += kept
            self.account.duplicate += len(self._rows) - kept
            near = min((row[1] for row in self._rows), default=None)
            self._store.enter_offsets(self._offsets, near)
            if self._options.url and self._position:
                self._store.move(self._options.url, self._position)
            self._enter_lines()
        self._room = self._limit - self.account.kept
        self._rows.clear()
        self._offsets.clear()
        self._waiting = 0
        if self._store.has_many_ids:
            self.settle()
            with connection.transaction(self._db):
                self._store.index_ids()

    def _commit_aside(self) -> None:
        self._committing = self._thread.submit(self._db.execute, "COMMIT")

    def settle(self) -> None:
        """Wait until what was to be committed is; nothing else may use the database before."""
        if self._committing is not None:
            self._committing.result()
            self._committing = None

    def _enter_lines(self) -> None:
        account, run = self.account, self._options.run
        account.filtered = self._left_out.total()
        account.check()
        ledger.enter_lines(self._db, run, account)
        ledger.enter_reasons(self._db, run, "run_reject", account.reasons)
        ledger.enter_reasons(self._db, run, "run_filter", self._left_out)

    def finish(self, account: Account) -> None:
        """Enter all words, and close the run."""
        more = True
        while more and not interrupt.requested():
            with connection.transaction(self._db):
                more = self._store.index_words()
        with connection.transaction(self._db):
            if self.is_done:
                ledger.forget_inputs(self._db, self._options.run)
            ledger.finish(self._db, self._options.run, dict(self._options.setting), account)
            account.write(self._options.account)  # while it can be undone, should there be no room

    def close(self) -> None:
        """Let the other thread end what it has begun."""
        self._thread.shutdown()
