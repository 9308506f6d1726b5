"""Comments in the database: what stages hold is merged into it."""

from __future__ import annotations

import sqlite3

from headcount.comment_tables import COMMENT, PAGE, POST, POST_META, TEXT, Table
from headcount.merging import merge, staged

_SIZES = {
    "page": "SELECT count(*) FROM page",
    "post": "SELECT count(*) FROM post",
    "post_meta": "SELECT count(*) FROM post_meta",
    "comment": "SELECT count(*) FROM comment",
    "message": "SELECT count(*) FROM comment_message",
    "waiting_text": "SELECT count(*) FROM waiting_text",
}


def sizes(db: sqlite3.Connection) -> dict[str, int]:
    """How many there are of what an import may add to."""
    return {name: db.execute(query).fetchone()[0] for name, query in _SIZES.items()}


def load(db: sqlite3.Connection, runs: dict[Table, list[str]]) -> int:
    """Within a transaction: merge runs into the tables; returns how many of their rows say more.

    (That is: rows of the database that are new or have become others, each once.)
    """
    changed = sum(merge(db, table, runs[table]) for table in (PAGE, POST, POST_META, COMMENT))
    _use_waiting(db)
    return changed + _add_texts(db, runs[TEXT])


def _add_texts(db: sqlite3.Connection, runs: list[str]) -> int:
    """Texts wait for their comments; most, not for long."""
    if not runs:
        return 0
    texts = TEXT.merge_into("waiting_text", staged(db, TEXT, runs, "waiting_text"))
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
