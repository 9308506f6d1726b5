"""The import of comments.

Rows are staged first, sorted; once all inputs have been read to their ends, they are merged into
the tables, and the run is closed, in one transaction.
"""

from __future__ import annotations

from headcount.cli.main import start_as
from headcount.cli.parser import Parser
from headcount.db import connection, ledger, tombstones
from headcount.db.staging import Stage, attached
from headcount.errors import OK, REJECTS
from headcount.filters.account import Account
from headcount.filters.recognised import note_nothing
from headcount.filters.results import Result
from headcount.io import output
from headcount.io.blocks import Block
from headcount.pipelines.comments import inputs, record, tables
from headcount.pipelines.comments.tables import COMMENT, PAGE, POST, TABLES, TEXT
from headcount.values import tsv


class Crawls:
    """Stages what the lines of blocks say."""

    def __init__(self, stage: Stage):
        self._stage = stage

    def __call__(self, block: Block) -> Result:
        rejects, records, blank = [], 0, 0
        pages, posts, rows = [], [], []
        for number, crawl in record.crawls(block):
            if crawl is None:
                blank += 1
                continue
            records += crawl.records
            rejects += [(why, block.name, number, raw) for why, raw in crawl.rejects]
            if crawl.page_id is not None:
                pages.append((crawl.page_id,))
                posts += [(post_id, crawl.page_id) for post_id in crawl.post_ids]
                rows += crawl.comments
        for table, staged in ((PAGE, pages), (POST, posts), (COMMENT, rows)):
            self._stage.add(table, staged)
        kept = len(pages) + len(posts) + len(rows)
        return Result(b"", kept, blank, 0, rejects, records + blank)


def load(options, account: Account) -> list[bytes]:
    """Merge what is staged, and close the run; returns what has grown in the database, as rows."""
    ledger.refuse_rejects(
        account.rejected, account.lines, options.max_rejects, "nothing was imported"
    )
    with (
        connection.for_import(options.db, options.wait, create=False) as db,
        attached(db, options.stage, TABLES) as runs,
        connection.transaction(db),
    ):
        if erased := tombstones.load(db, options.db):
            tombstones.clear(db, runs[TEXT], "comment_id", "message", erased.without)
        changed, grown = tables.load(db, runs)
        account.duplicate, account.kept = account.duplicate + account.kept - changed, changed
        ledger.finish(db, options.run, {}, account)
        account.write(options.account)  # while all can still be undone, should there be no room
    return [tsv.row(*row) for row in grown]


def main() -> int:
    """PIPELINE --info-from FILE - merge crawls, posts and texts into the database"""
    parser = Parser(main.__doc__)
    parser.add_argument("--run", type=int, required=True, help="the run of the ledger that this is")
    parser.add_argument("--stage", required=True, help="a folder for rows on their way")
    parser.shared("--db", "--wait", "--max-rejects")
    options = inputs.parsed(parser)
    account = Account(parser.prog)
    stage = Stage(options.stage, TABLES)
    inputs.read(options, account, Crawls(stage), stage.add, at_end=stage.flush)
    stage.flush()
    rows = load(options, account)
    note_nothing(account, options)
    output.write_imported(rows)
    return REJECTS if account.rejected else OK


if __name__ == "__main__":
    start_as(main, drains=False)
