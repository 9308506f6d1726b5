"""The tables of comments: how two rows with one key become one, how a stage is merged into them.

Each column keeps the least or the greatest of its values, null being none at all: so it makes no
difference in which order rows come, or how often.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from headcount.db.merge import merge, staged
from headcount.db.staging import Row


class Table(NamedTuple):
    """A table of the database, or of a stage of it: its key, and which value each column keeps."""

    name: str
    key: str
    least: tuple[str, ...] = ()
    greatest: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """All of them, as they stand in a row."""
        return (self.key, *self.least, *self.greatest)

    def merged(self, one: Row, other: Row) -> Row:
        """One row of two with the same key."""
        if (
            one[:-1] == other[:-1] and len(self.greatest) == 1
        ):  # fast, for most copies are like that
            mine, others = one[-1], other[-1]
            return one if others is None or (mine is not None and mine >= others) else other
        values = [one[0]]
        for i, pair in enumerate(zip(one[1:], other[1:], strict=True)):
            known = [value for value in pair if value is not None]
            keep = min if i < len(self.least) else max
            values.append(keep(known, default=None))
        return tuple(values)

    def merge_into(self, target: str, rows: str) -> str:
        """The statement that merges a query's rows (its columns are ours) into a table.

        It changes as many rows as are new or become others.
        """
        columns = ", ".join(self.columns)
        changes, differs = [], []
        for names, keep, beyond in ((self.least, "min", "<"), (self.greatest, "max", ">")):
            for name in names:
                new = f"excluded.{name}"
                changes.append(f"{name} = coalesce({keep}(old.{name}, {new}), old.{name}, {new})")
                differs.append(f"{new} {beyond} old.{name}")
                differs.append(f"(old.{name} IS NULL AND {new} IS NOT NULL)")
        action = "NOTHING"
        if changes:
            action = f"UPDATE SET {', '.join(changes)} WHERE {' OR '.join(differs)}"
        return (
            f"INSERT INTO {target} AS old ({columns}) "
            f"SELECT {columns} FROM ({rows}) AS staged WHERE true "
            f"ON CONFLICT ({self.key}) DO {action}"
        )


PAGE = Table("page", "page_id")
POST = Table("post", "post_id", least=("page_id",))
POST_META = Table("post_meta", "post_id", least=("page_id", "type", "created_at", "name_id"))
COMMENT = Table(
    "comment", "comment_id", least=("post_id", "parent_id", "created_at"), greatest=("up_likes",)
)
TEXT = Table("text", "comment_id", greatest=("message",))
TABLES = (PAGE, POST, POST_META, COMMENT, TEXT)


_SIZES = {
    "page": "SELECT count(*) FROM page",
    "post": "SELECT count(*) FROM post",
    "post_meta": "SELECT count(*) FROM post_meta",
    "comment": "SELECT count(*) FROM comment",
    "message": "SELECT count(*) FROM comment_message",
    "waiting_text": "SELECT count(*) FROM waiting_text",
}


def load(
    db: sqlite3.Connection, runs: dict[Table, list[str]]
) -> tuple[int, list[tuple[str, int, int]]]:
    """Within a transaction: merge runs into the tables; returns how many of their rows say more,
    and what has grown: name, size before, size after.

    (Rows that say more: those of the database that are new or have become others, each once.)
    """
    names = list(_SIZES)
    waiting = _size(db, "waiting_text")
    if not waiting and not runs[TEXT]:
        names.remove("message")  # none is new, and to count them takes a look at every comment
    before = {name: _size(db, name) for name in names}
    changed = sum(merge(db, table, runs[table]) for table in (PAGE, POST, POST_META, COMMENT))
    if waiting:
        _use_waiting(db)
    changed += _add_texts(db, runs[TEXT])
    after = {name: _size(db, name) for name in names}
    grown = [(name, before[name], after[name]) for name in names if before[name] != after[name]]
    return changed, grown


def _size(db: sqlite3.Connection, name: str) -> int:
    return db.execute(_SIZES[name]).fetchone()[0]


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
