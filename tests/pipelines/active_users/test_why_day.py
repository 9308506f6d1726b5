"""why-day: a count's whole story, as programs read it."""

import json
import sqlite3
import time
from contextlib import closing

from helpers.events import event
from helpers.programs import run
from helpers.sessions import query


def why(db, day, check=0):
    return json.loads(run("why-day", "--db", db, "--json", day, check=check).stdout)


def test_late_data_a_correction_and_a_skipped_file(tmp_path):
    db = tmp_path / "my.db"
    paths = [tmp_path / name for name in ("1.jsonl", "2.jsonl")]
    for path, users in zip(paths, (["ann", "ben"], ["cid"]), strict=True):
        path.write_bytes(b"".join(event(user=user) for user in users))
    run("import-active-users", "--db", db, paths[0], check=0)
    run("import-active-users", "--db", db, *paths[:2], check=0)
    run("import-active-users", "--db", db, paths[1], check=0)  # nothing new
    paths[0].write_bytes(event(user="ann"))
    run("import-active-users", "--db", db, "--replace", paths[0], check=0)
    known = why(db, "2019-12-31")
    story = [(change["run"], change["users"], change["change"]) for change in known["changes"]]
    assert story == [(1, 2, 2), (2, 3, 1), (4, 2, -1)]
    read = [(input["run"], input["path"], input["lines"]) for input in known["inputs"]]
    assert read == [(1, str(paths[0]), 2), (2, str(paths[1]), 1), (4, str(paths[0]), 1)]
    assert (known["active_users"], known["status"], known["agrees"]) == (2, "final", True)
    assert known["sets"] == {"engaged": 2, "valuable": 2, "engaged and valuable": 2}
    assert known["settings"]["tz"] == "America/Chicago"


def test_values_that_followed_earlier_rules(tmp_path):
    db, path = tmp_path / "my.db", tmp_path / "1.jsonl"
    given = ["--db", db, "--definition", "summed"]
    path.write_bytes(event(user="ann"))
    run("import-active-users", *given, path, check=0)
    assert b"earlier rules" not in run("why-day", "--db", db, "2019-12-31", check=0).stdout
    with closing(sqlite3.connect(db)) as connection, connection:
        connection.execute("DELETE FROM setting WHERE name = 'identity'")
        connection.execute("PRAGMA user_version = 8")
    path.write_bytes(event(user="bob"))
    run("import-active-users", *given, path, check=0)
    known = why(db, "2019-12-31")
    assert known["old_rules"].startswith("values of runs before 2 follow earlier rules of summed: ")
    assert b"earlier rules of summed" in run("why-day", "--db", db, "2019-12-31", check=0).stdout


def test_a_day_of_two_signals_is_provisional(tmp_path):
    db, path = tmp_path / "my.db", tmp_path / "now.jsonl"
    now = time.time_ns() // 1000
    buy = event(user="ann", micros=now).replace(b"user_engagement", b"purchase")
    path.write_bytes(event(user="ann", micros=now) + event(user="ben", micros=now) + buy)
    options = ["--valuable-events", "purchase", "--tz", "UTC"]
    run("import-active-users", "--db", db, *options, path, check=0)
    known = why(db, time.strftime("%Y-%m-%d", time.gmtime(now / 1e6)))
    assert known["status"] == "provisional" and known["active_users"] == 1
    assert known["sets"] == {"engaged": 2, "valuable": 1, "engaged and valuable": 1}


def test_a_number_that_somebody_changed(tmp_path):
    db, path = tmp_path / "my.db", tmp_path / "1.jsonl"
    path.write_bytes(event(user="ann"))
    run("import-active-users", "--db", db, path, check=0)
    assert why(db, "2019-12-31")["agrees"]
    query(db, "SELECT 1")
    run("upsert-rows", "--db", db, "active_user_table", stdin=b"2019-12-31\t9\n", check=0)
    assert not why(db, "2019-12-31", check=65)["agrees"]
    run("upsert-rows", "--db", db, "active_user_table", stdin=b"2019-12-30\t1\n", check=0)
    assert not why(db, "2019-12-30", check=65)["agrees"]
