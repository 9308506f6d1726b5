"""The tables that come beside crawls: of posts, and of the texts of comments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from headcount import crawl_times, tables
from headcount.comment_tables import POST_META, TEXT, Row, Table
from headcount.rejects import Reject
from headcount.results import Result

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
    """Likewise, of tables of texts."""
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
            found, rejects = [], list(batch.rejects)
            for values, number in zip(batch.rows, batch.numbers, strict=True):
                one = row(values)
                if type(one) is Reject:
                    raw = msgspec.json.encode(dict(zip(batch.columns, values, strict=True)))
                    rejects.append((one, path, number, raw))
                elif one is not None:
                    found.append(one)
            add(table, found)
            duplicate, records = batch.duplicate, batch.records
            filtered = records - len(found) - duplicate - len(rejects)
            yield path, records, Result(b"", len(found), filtered, duplicate, rejects, records)


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
