"""A stream into a table as one would write it: httpx-sse, json, executemany.

Usage: httpx_sse_store.py --batch N --db FILE --url URL
"""

import argparse
import json
import sqlite3

import httpx
from httpx_sse import connect_sse

parser = argparse.ArgumentParser()
parser.add_argument("--batch", type=int)
parser.add_argument("--db")
parser.add_argument("--url")
options = parser.parse_args()

db = sqlite3.connect(options.db, isolation_level=None)
db.execute("PRAGMA journal_mode = WAL")
db.execute("PRAGMA synchronous = FULL")
db.execute(
    "CREATE TABLE recent_change_raw (pk INTEGER PRIMARY KEY, id TEXT UNIQUE, timestamp INTEGER, "
    "wiki TEXT, type TEXT, bot INTEGER, user TEXT, event TEXT)"
)
db.execute("CREATE INDEX by_time ON recent_change_raw (timestamp, wiki, type, bot, user)")
batch = []


def store() -> None:
    db.execute("BEGIN IMMEDIATE")
    db.executemany(
        "INSERT OR IGNORE INTO recent_change_raw (id, timestamp, wiki, type, bot, user, event) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        batch,
    )
    db.execute("COMMIT")
    batch.clear()


with (
    httpx.Client(timeout=5) as client,
    connect_sse(client, "GET", options.url) as source,
):
    try:
        for found in source.iter_sse():
            event = json.loads(found.data)
            batch.append(
                (
                    event["meta"]["id"],
                    event["timestamp"],
                    event["wiki"],
                    event["type"],
                    event["bot"],
                    event["user"],
                    found.data,
                )
            )
            if len(batch) >= options.batch:
                store()
    except httpx.ReadTimeout:
        pass
    store()
