"""What the pipelines of comments read: crawls, tables of posts, tables of texts."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterable, Iterator

from headcount.cli.parser import Parser
from headcount.db.staging import MOST_FILES
from headcount.filters import runner
from headcount.filters.account import Account
from headcount.filters.progress import Progress
from headcount.filters.recognised import recognised
from headcount.filters.rejects import Reject, RejectLog
from headcount.filters.results import Process, Result, results
from headcount.formats import delimited, tables
from headcount.io import workers
from headcount.pipelines import input_kinds
from headcount.pipelines.comments import crawl_times
from headcount.pipelines.comments.record import KIND
from headcount.pipelines.comments.tables import POST_META, TEXT, Row, Table


def parsed(parser: Parser) -> argparse.Namespace:
    """The options, with what `read` wants to know."""
    tables.add_options(parser)
    tables.add_kind(parser)
    parser.shared("--rejects", "--jobs", "--account", "--allow-empty", "--quiet", "--progress")
    return input_kinds.parsed(parser, ("info", "posts", "text"))


def read(
    options,
    account: Account,
    process: Process,
    add: Add,
    *,
    take: Callable[[bytes], None] = lambda rows: None,
    at_end: Callable[[], None] = lambda: None,
) -> None:
    """Read all inputs to their ends: blocks of crawls go to `process`, rows of tables to `add`.

    The rows of `process` go to `take`; each process calls `at_end` when it has no more to do.
    `account` says in the end what has become of all records.
    """
    options.files = [*options.info, *options.posts, *options.text]
    progress = Progress.of(options, account.prog, {})
    crawls = RejectLog("parse-comments", options.rejects)
    processes = min(options.jobs or workers.processors(), MOST_FILES - 1)
    of_inputs = results(options.info, process, processes, progress.add, at_end=at_end)
    runner.tally(recognised(of_inputs, KIND, options), account, crawls, progress, take)
    crawls.close()
    of_tables = RejectLog("read-table", options.rejects)
    how = tables.how(options)._replace(kind=options.kind)
    of_inputs = itertools.chain(
        posts(options.posts, how, add, progress.add),
        texts(options.text, how, add, progress.add),
    )
    of_inputs = recognised(of_inputs, delimited.headless_kind(how), options)
    runner.tally(of_inputs, account, of_tables, progress)
    of_tables.close()
    progress.close()
    account.inputs = dict.fromkeys(options.files, 0) | account.inputs
    account.reasons = crawls.reasons + of_tables.reasons
    account.check()


POST_COLUMNS = ("post_h_id", "page_h_id", "type", "created_time", "name_h_id")
TEXT_COLUMNS = ("h_id", "message")

_AS_THEY_ARE = {str, type(None)}

Add = Callable[[Table, Iterable[Row]], None]


def posts(
    paths: list[str], how: tables.How, add: Add, on_read: Callable[[int], None]
) -> Iterator[tuple[str, int, Result]]:
    """Give the rows of tables of posts to `add`; yields what `filters.tally` wants."""
    how = how._replace(columns=POST_COLUMNS, distinct=True)
    return _results(paths, how, POST_META, _post, add, on_read)


def texts(
    paths: list[str], how: tables.How, add: Add, on_read: Callable[[int], None]
) -> Iterator[tuple[str, int, Result]]:
    """The same for tables of texts."""
    how = how._replace(columns=TEXT_COLUMNS)
    return _results(paths, how, TEXT, _text, add, on_read)


def _results(
    paths: list[str],
    how: tables.How,
    table: Table,
    row: Callable[[tuple], Row | Reject | None],
    add: Add,
    on_read: Callable[[int], None],
) -> Iterator[tuple[str, int, Result]]:
    for path in paths:
        for batch in tables.batches(path, how, on_read):
            rows, rejects = [], list(batch.rejects)
            for values, number in zip(batch.rows, batch.numbers, strict=True):
                made = row(values)
                if type(made) is Reject:
                    rejects.append(tables.rejected(made, path, number, batch, values))
                elif made is not None:
                    rows.append(made)
            add(table, rows)
            duplicate, records = batch.duplicate, batch.records
            filtered = records - len(rows) - duplicate - len(rejects)
            right_kind = len(rejects) - len(batch.rejects)  # these have the columns
            result = Result(b"", len(rows), filtered, duplicate, rejects, records, right_kind)
            yield path, records, result


def _post(values: tuple) -> Row | Reject:
    if not set(map(type, values)) <= _AS_THEY_ARE or "" in values:
        values = tuple(map(_known, values))
    post_id, page_id, kind, created, name_id = values
    if post_id is None:
        return Reject("post_h_id is missing")
    if created is not None:
        try:
            created = crawl_times.utc(created, assumed="Z")
        except ValueError as error:
            return Reject("bad created_time", f"post {post_id}: {error}")
    return post_id, page_id, kind, created, name_id


def _text(values: tuple) -> Row | Reject | None:
    """None for a row without message."""
    ident, message = _known(values[0]), values[1]
    if ident is None:
        return Reject("h_id is missing")
    return None if message is None else (ident, str(message))


def _known(value: object) -> str | None:
    """A value as text; one that is empty is none."""
    return None if value is None or value == "" else str(value)
