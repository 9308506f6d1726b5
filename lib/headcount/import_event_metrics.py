"""The import of events with metrics: `python -m headcount.import_event_metrics PIPELINE …`.

Several processes read events and stage them, sorted; once all inputs have been read to their ends,
one process merges them into the database, and closes the run, in one transaction.
"""

from __future__ import annotations

import gc
import itertools
import sqlite3
import sys

from headcount import (
    cli,
    dimensions,
    event_files,
    filters,
    jobs,
    ledger,
    metric_registry,
    metrics,
    output,
    store,
    table_options,
    tsv,
)
from headcount.account import Account
from headcount.event_table import EventTable
from headcount.failure import OK, REJECTS
from headcount.merging import merge
from headcount.metric_registry import OWN, Column
from headcount.progress import Progress
from headcount.rejects import RejectLog
from headcount.stage import MOST_FILES, MOST_ROWS, Stage, attached
from headcount.unknown_metrics import UnknownMetrics

DIMENSIONS = ("first_dimension", "second_dimension")

Names = dict[str, dict[int, str]]  # of each dimension, by id


def read(options, columns: list[Column], table: EventTable, account: Account) -> Names:
    """Stage all events, and return the names of dimensions; `account` says what became of rows."""
    own = [column.name for column in columns if column.kind == OWN]
    unknown = UnknownMetrics({column.name for column in columns})
    reader = metrics.Reader(own)
    stage = Stage(options.stage, [table], options.write_batch)

    def take(rows: list[metrics.Row]) -> bytes:
        stage.add(table, rows)
        return unknown.new(reader)

    options.files = [*options.events, *options.first_dimensions, *options.second_dimensions]
    progress = Progress.of(options, account.prog, {})
    how = table_options.how(options)
    processes = min(options.jobs or jobs.processors(), MOST_FILES)
    work = event_files.Work(how, reader, take, options.read_batch, stage.settle)
    log = RejectLog("parse-metrics", options.rejects)
    gc.freeze()
    gc.disable()  # rows are no cycles, but many: to look at them takes a tenth of the time
    found = event_files.results(options.events, work, processes, progress.add, stage.flush)
    filters.tally(found, account, log, progress, unknown.take, at_once=1)
    gc.enable()
    log.close()
    of_tables = RejectLog("read-table", options.rejects)
    names: Names = {dimension: {} for dimension in DIMENSIONS}
    paths = (options.first_dimensions, options.second_dimensions)
    found = itertools.chain.from_iterable(
        dimensions.results(some, how, names[dimension], progress.add)
        for some, dimension in zip(paths, DIMENSIONS, strict=True)
    )
    filters.tally(found, account, of_tables, progress)
    of_tables.close()
    progress.close()
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
        store.for_import(options.db, options.wait, create=False) as db,
        attached(db, options.stage, [table]) as runs,
        store.transaction(db),
    ):
        before = _sizes(db)
        with_others = metric_registry.others(db)
        changed = merge(db, table, runs[table])
        metric_registry.update(db, options.run, with_others)
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
    """PIPELINE --events FILE… - merge events and dimensions into the database"""
    parser = cli.Parser(main.__doc__)
    parser.add_argument("--run", type=int, required=True, help="the run of the ledger that this is")
    parser.add_argument("--stage", required=True, help="a folder for rows on their way")
    parser.add_argument("--read-batch", type=int, default=event_files.READ_BATCH)
    parser.add_argument("--write-batch", type=int, default=MOST_ROWS)
    parser.add_argument("--replace", action="store_true", help="what comes wins")
    for kind in ("events", "first-dimensions", "second-dimensions"):
        parser.add_argument(f"--{kind}", nargs="*", metavar="FILE", default=[], help="inputs")
    table_options.add(parser, delimiter=None)
    parser.shared("--db", "--wait", "--max-rejects", "--rejects", "--jobs", "--account", "--quiet")
    parser.shared("--progress")
    options = parser.parse()
    account = Account(parser.prog)
    with store.for_reading(options.db) as db:
        columns = metric_registry.columns(db)
    own = tuple(column.column for column in columns if column.kind == OWN)
    table = EventTable(own, options.run, options.replace)
    names = read(options, columns, table, account)
    rows = load(options, table, names, account)
    output.write_imported(rows)
    return REJECTS if account.rejected else OK


if __name__ == "__main__":
    sys.argv.pop(0)  # messages come in the pipeline's name
    cli.start(main, drains=False)
