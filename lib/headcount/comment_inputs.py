"""What the pipelines of comments read: crawls, tables of posts and of texts."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from headcount import cli, filters, jobs, post_tables, table_options
from headcount.account import Account
from headcount.progress import Progress
from headcount.rejects import RejectLog
from headcount.results import Process, results
from headcount.stage import MOST_FILES


def add_options(parser: cli.Parser) -> None:
    """Add what `read` wants to know."""
    for name in ("--info", "--posts", "--text"):
        parser.add_argument(name, nargs="*", metavar="FILE", default=[], help="inputs")
    table_options.add(parser)
    parser.shared("--rejects", "--jobs", "--account", "--quiet", "--progress")


def read(
    options,
    account: Account,
    process: Process,
    add: post_tables.Add,
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
    processes = min(options.jobs or jobs.processors(), MOST_FILES - 1)
    found = results(options.info, process, processes, progress.add, at_end=at_end)
    filters.tally(found, account, crawls, progress, take)
    crawls.close()
    of_tables = RejectLog("read-table", options.rejects)
    how = table_options.how(options)
    found = itertools.chain(
        post_tables.posts(options.posts, how, add, progress.add),
        post_tables.texts(options.text, how, add, progress.add),
    )
    filters.tally(found, account, of_tables, progress)
    of_tables.close()
    progress.close()
    account.reasons = crawls.reasons + of_tables.reasons
    account.check()
