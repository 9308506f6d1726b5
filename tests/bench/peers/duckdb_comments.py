"""duckdb_comments.py [--db DB] --posts FILE… --info FILE… - the reports of comments, by experts

Prints what count-comments does. All cores. FILE may be a glob.
With --db, writes pages, posts and comments into a new SQLite file first, as import-comments has
them: sorted, indexes last. (DuckDB 2.0 has no extension for SQLite: rows go by way of Arrow.)

The lines are read with an explicit schema, two levels of comments: to infer it takes as long again.
"""

import argparse
import itertools
import os
import sqlite3

import duckdb

parser = argparse.ArgumentParser()
parser.add_argument("--db")
parser.add_argument("--posts", nargs="+", required=True)
parser.add_argument("--info", nargs="+", required=True)
options = parser.parse_args()

REPLY = "STRUCT(h_id VARCHAR, created_time VARCHAR, up_likes BIGINT, parent STRUCT(h_id VARCHAR))"
COMMENT = (
    f"STRUCT(h_id VARCHAR, created_time VARCHAR, up_likes BIGINT, comments STRUCT(data {REPLY}[]))"
)
POST = f"STRUCT(h_id VARCHAR, comments STRUCT(data {COMMENT}[]))"
LINES = f"""read_json($info, format = 'newline_delimited', maximum_object_size = 134217728,
    columns = {{h_id: 'VARCHAR', posts: 'STRUCT(data {POST}[])'}})"""

duck = duckdb.connect()
duck.execute("SET TimeZone = 'UTC'")
duck.execute("SET preserve_insertion_order = false")
duck.execute(
    f"CREATE TEMP TABLE crawl AS SELECT h_id AS page_id, unnest(posts.data) AS post FROM {LINES}",
    {"info": options.info},
)
duck.execute(
    """
    CREATE TEMP TABLE found AS
    WITH comments AS (SELECT post.h_id AS post_id, unnest(post.comments.data) AS c FROM crawl),
    replies AS (
        SELECT post_id, c.h_id AS nested_in, unnest(c.comments.data) AS r FROM comments
    )
    SELECT id, min(post_id) AS post_id, min(parent) AS parent, min(time) AS time,
        max(likes) AS likes
    FROM (
        SELECT c.h_id AS id, NULL AS parent, post_id, c.created_time AS time, c.up_likes AS likes
        FROM comments
        UNION ALL
        SELECT r.h_id, coalesce(r.parent.h_id, nested_in), post_id, r.created_time, r.up_likes
        FROM replies
    ) GROUP BY id
    """
)

TABLES = """
CREATE TABLE page (page_id TEXT PRIMARY KEY NOT NULL) WITHOUT ROWID;
CREATE TABLE post (post_id TEXT PRIMARY KEY NOT NULL, page_id TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE comment (
    pk INTEGER PRIMARY KEY, comment_id TEXT NOT NULL UNIQUE, post_id TEXT NOT NULL, parent_id TEXT,
    created_at TEXT NOT NULL, up_likes INTEGER, message TEXT
);"""
INDEXES = """
CREATE INDEX comment_by_parent ON comment (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX comment_by_time ON comment (created_at, parent_id);"""
ROWS = {
    "page (page_id)": "SELECT DISTINCT page_id FROM crawl",
    "post (post_id, page_id)": "SELECT post.h_id, min(page_id) FROM crawl GROUP BY 1",
    "comment (comment_id, post_id, parent_id, created_at, up_likes)": """
        SELECT id, post_id, parent, time[:19] || 'Z', likes FROM found""",
}
AT_ONCE = 50_000  # rows to fetch
VALUES = 1000  # to insert with a statement: executemany, row by row, takes twice as long


def store(path: str) -> None:
    """Write the tables. The file is new: it needs no journal, but to be on the disk in the end."""
    lite = sqlite3.connect(path, isolation_level=None)
    # where the module knows no adapter for a type, it searches for long
    sqlite3.register_adapter(type(None), lambda none: none)
    for pragma in ("page_size = 16384", "journal_mode = OFF", "synchronous = OFF"):
        lite.execute(f"PRAGMA {pragma}")
    lite.executescript(TABLES)
    lite.execute("BEGIN")
    for table, query in ROWS.items():
        for batch in duck.sql(f"{query} ORDER BY 1").to_arrow_reader(AT_ONCE):
            columns = [column.to_pylist() for column in batch.columns]
            values = list(itertools.chain.from_iterable(zip(*columns, strict=True)))
            one = f"({', '.join('?' * len(columns))})"
            step = VALUES // len(columns) * len(columns)
            for start in range(0, len(values), step):
                some = values[start : start + step]
                rows = ", ".join([one] * (len(some) // len(columns)))
                lite.execute(f"INSERT INTO {table} VALUES {rows}", some)
    lite.execute("PRAGMA cache_size = -4096")  # sorted in parts that fit into a processor's cache
    lite.execute("PRAGMA threads = 1")
    for index in INDEXES.split(";")[:-1]:
        lite.execute(index)
    lite.execute("COMMIT")
    lite.close()
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


if options.db:
    store(options.db)
REPORTS = {
    "comments_by_day": (
        """SELECT time[:10] AS day, count(*) FILTER (parent IS NULL),
            count(*) FILTER (parent IS NOT NULL)
        FROM found GROUP BY day ORDER BY day""",
        {},
    ),
    "comments_by_post_type": (
        """SELECT coalesce(type, '(unknown)') AS type, count(*), sum(likes)
        FROM found LEFT JOIN (
            SELECT post_h_id, min(type) AS type FROM read_parquet($posts) GROUP BY 1
        ) AS post ON post_id = post_h_id
        GROUP BY 1 ORDER BY 1""",
        {"posts": options.posts},
    ),
    "most_replied_comments": (
        """SELECT row_number() OVER (ORDER BY count(*) DESC, found.id), found.id, count(*)
        FROM found JOIN found AS reply ON reply.parent = found.id
        GROUP BY found.id ORDER BY count(*) DESC, found.id LIMIT 10""",
        {},
    ),
}
for name, (query, params) in REPORTS.items():
    for row in duck.execute(query, params).fetchall():
        print(name, *row, sep="\t")
