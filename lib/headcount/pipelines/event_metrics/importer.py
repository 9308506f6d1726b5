"""The import of events with metrics.

Several processes read events and stage them, sorted; once all inputs have been read to their ends,
one process merges them into the database, and closes the run, in one transaction.
"""

from __future__ import annotations

import gc
import itertools
import sqlite3
from functools import partial

from headcount.cli.main import start_as
from headcount.cli.parser import Parser
from headcount.db import connection, ledger, tombstones
from headcount.db.merge import merge
from headcount.db.staging import MOST_FILES, Stage, attached
from headcount.errors import OK, REJECTS
from headcount.filters import runner
from headcount.filters.account import Account
from headcount.filters.progress import Progress
from headcount.filters.recognised import note_nothing, recognised
from headcount.filters.rejects import RejectLog
from headcount.formats import delimited, tables
from headcount.io import output, workers
from headcount.pipelines import input_kinds
from headcount.pipelines.event_metrics import dimensions, files, record, registry
from headcount.pipelines.event_metrics.programs import KINDS, add_batch_options
from headcount.pipelines.event_metrics.registry import OWN, Column, UnknownMetrics
from headcount.pipelines.event_metrics.table import OTHERS, EventTable
from headcount.values import tsv

DIMENSIONS = ("first_dimension", "second_dimension")

Names = dict[str, dict[int, str]]  # of each dimension, by id


def read(options, columns: list[Column], table: EventTable, account: Account) -> Names:
    """Stage all events, and return the names of dimensions; `account` says what became of rows."""
    own = [column.name for column in columns if column.kind == OWN]
    unknown = UnknownMetrics({column.name for column in columns})
    reader = record.Reader(own)
    stage = Stage(options.stage, [table], options.write_batch)

    def take(rows: list[record.Row], path: str) -> bytes:
        stage.add(table, rows)
        return unknown.new(reader, path)

    options.files = [*options.events, *options.first_dimensions, *options.second_dimensions]
    progress = Progress.of(options, account.prog, {})
    how = tables.how(options)
    processes = min(options.jobs or workers.processors(), MOST_FILES)
    work = files.Work(how, reader, take, options.read_batch, stage.settle)
    log = RejectLog("parse-metrics", options.rejects)
    gc.freeze()
    gc.disable()  # rows are no cycles, but many: to look at them takes a tenth of the time
    of_inputs = files.results(options.events, work, processes, progress.add, stage.flush)
    kind = delimited.headless_kind(how)
    of_inputs = recognised(of_inputs, kind, options)
    runner.tally(of_inputs, account, log, progress, unknown.take, at_once=1)
    gc.enable()
    log.close()
    of_tables = RejectLog("read-table", options.rejects)
    names: Names = {dimension: {} for dimension in DIMENSIONS}
    paths = (options.first_dimensions, options.second_dimensions)
    of_inputs = itertools.chain.from_iterable(
        dimensions.results(of_kind, how, names[dimension], progress.add)
        for of_kind, dimension in zip(paths, DIMENSIONS, strict=True)
    )
    runner.tally(recognised(of_inputs, kind, options), account, of_tables, progress)
    of_tables.close()
    progress.close()
    account.inputs = dict.fromkeys(options.files, 0) | account.inputs
    account.reasons = log.reasons + of_tables.reasons
    account.check()
    more = "; see show-report unknown_metrics"
    unknown.warn(options, "other_metrics; see promote-metric", more)
    return names


def load(options, table: EventTable, names: Names, account: Account) -> list[bytes]:
    """Merge what is staged, and close the run; returns what has grown in the database, as rows."""
    ledger.refuse_rejects(
        account.rejected, account.lines, options.max_rejects, "nothing was imported"
    )
    with (
        connection.for_import(options.db, options.wait, create=False) as db,
        attached(db, options.stage, [table]) as runs,
        connection.transaction(db),
    ):
        if erased := tombstones.load(db, options.db):
            without = partial(erased.without, is_json=True)
            tombstones.clear(db, runs[table], "id", OTHERS, without)
        before = _sizes(db)
        with_others = registry.others(db)
        changed = merge(db, table, runs[table])
        registry.update(db, options.run, with_others)
        changed += sum(_name(db, dimension, names[dimension]) for dimension in DIMENSIONS)
        account.duplicate, account.kept = account.duplicate + account.kept - changed, changed
        ledger.finish(db, options.run, {}, account)
        account.write(options.account)  # while all can still be undone, should there be no room
        after = _sizes(db)
    grown = (name for name in after if before[name] != after[name])
    return [tsv.row(name, before[name], after[name]) for name in grown]


def _sizes(db: sqlite3.Connection) -> dict[str, int]:
    tables = ("event", *DIMENSIONS)
    return {name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}


def _name(db: sqlite3.Connection, dimension: str, names: dict[int, str]) -> int:
    return db.executemany(
        f"INSERT INTO {dimension} (id, name) VALUES (?, ?) "
        "ON CONFLICT (id) DO UPDATE SET name = excluded.name "
        f"WHERE {dimension}.name <> excluded.name",
        names.items(),
    ).rowcount


def main() -> int:
    """PIPELINE --events-from FILE - merge events and dimensions into the database"""
    parser = Parser(main.__doc__)
    parser.add_argument("--run", type=int, required=True, help="the run of the ledger that this is")
    parser.add_argument("--stage", required=True, help="a folder for rows on their way")
    add_batch_options(parser)
    parser.add_argument("--replace", action="store_true", help="what comes wins")
    tables.add_options(parser, delimiter=None)
    parser.shared("--db", "--wait", "--max-rejects", "--rejects", "--jobs", "--account", "--quiet")
    parser.shared("--progress", "--allow-empty")
    options = input_kinds.parsed(parser, KINDS)
    account = Account(parser.prog)
    with connection.for_reading(options.db) as db:
        columns = registry.columns(db)
    own = tuple(column.column for column in columns if column.kind == OWN)
    table = EventTable(own, options.run, options.replace)
    names = read(options, columns, table, account)
    rows = load(options, table, names, account)
    note_nothing(account, options)
    output.write_imported(rows)
    return REJECTS if account.rejected else OK


if __name__ == "__main__":
    start_as(main, drains=False)
