"""Comments in the database: what stages hold is merged into it."""

from __future__ import annotations

import sqlite3

from headcount.comment_stage import grouped, in_order
from headcount.comment_tables import COMMENT, PAGE, POST, POST_META, TEXT, Table

_CACHE = 64 << 10  # KB

_SIZES = {
    "page": "SELECT count(*) FROM page",
    "post": "SELECT count(*) FROM post",
    "post_meta": "SELECT count(*) FROM post_meta",
    "comment": "SELECT count(*) FROM comment",
    "message": "SELECT count(*) FROM comment_search_docsize",  # has a row for each
    "waiting_text": "SELECT count(*) FROM waiting_text",
}


def sizes(db: sqlite3.Connection) -> dict[str, int]:
    """How many there are of what an import may add to."""
    return {name: db.execute(query).fetchone()[0] for name, query in _SIZES.items()}


def load(db: sqlite3.Connection, runs: dict[Table, list[str]]) -> int:
    """Within a transaction: merge runs into the tables; returns how many of their rows say more.

    (That is: rows of the database that are new or have become others, each once.)
    """
    db.execute(f"PRAGMA cache_size = -{_CACHE}")
    changed = sum(_merge(db, table, runs[table]) for table in (PAGE, POST, POST_META, COMMENT))
    _use_waiting(db)
    return changed + _add_texts(db, runs[TEXT])


def _merge(db: sqlite3.Connection, table: Table, runs: list[str]) -> int:
    if not runs:
        return 0
    target = f"main.{table.name}"
    if db.execute(f"SELECT EXISTS (SELECT * FROM {target})").fetchone()[0]:
        return db.execute(table.merge_into(target, grouped(table, runs))).rowcount
    # All is new, whatever comes again: so there is no need to sort it, and indexes may come last.
    indexes = db.execute(
        "SELECT name, sql FROM sqlite_schema "
        "WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL",
        [table.name],
    ).fetchall()
    for name, _ in indexes:
        db.execute(f"DROP INDEX {name}")
    db.execute(table.merge_into(target, in_order(table, runs)))
    for _, sql in indexes:
        db.execute(sql)
    return db.execute(f"SELECT count(*) FROM {target}").fetchone()[0]


def _add_texts(db: sqlite3.Connection, runs: list[str]) -> int:
    """Texts wait for their comments; most, not for long."""
    if not runs:
        return 0
    texts = TEXT.merge_into("waiting_text", grouped(TEXT, runs))
    waiting = db.execute(texts).rowcount
    used, gone = _use_waiting(db)
    return waiting - gone + used


def _use_waiting(db: sqlite3.Connection) -> tuple[int, int]:
    """Give comments their texts; returns how many messages are others, and wait no more."""
    used = db.execute(
        "UPDATE comment SET message = waiting_text.message FROM waiting_text "
        "WHERE comment.comment_id = waiting_text.comment_id "
        "AND (comment.message IS NULL OR waiting_text.message > comment.message)"
    ).rowcount
    gone = db.execute(
        "DELETE FROM waiting_text WHERE comment_id IN (SELECT comment_id FROM comment)"
    ).rowcount
    return used, gone
