"""A metric that was unknown gets a column: nothing is lost, and nothing is read again."""

import contextlib
import json
import random
import sqlite3

import pytest

from headcount.db import connection as database
from headcount.pipelines.event_metrics import promote
from helpers.programs import run
from pipelines.event_metrics.test_import import HEADER, line
from pipelines.event_metrics.test_record import NAMES, content, imported, shown, some_event, written
from reference import event_metrics as reference

PROMOTABLE = [name for name in NAMES if name not in reference.KNOWN and "\0" not in name]


def promoted(db, *arguments, **options):
    return run("promote-metric", "--db", db, *arguments, **{"check": 0} | options)


def integers(rng, event):
    """The event with such values for metrics as any column of integers takes."""
    items = {rng.choice(NAMES): rng.choice([5, -3, "7", 5.0, None]) for _ in range(4)}
    return event | {"event_metrics": json.dumps({"metrics": items})}


@pytest.mark.sample(4)
@pytest.mark.parametrize("seed", range(4))
def test_promoted_later_is_the_same_as_promoted_before(seed, tmp_path):
    rng = random.Random(seed)
    ids, files = range(60), []
    for number in range(3):
        events = [integers(rng, some_event(rng, ids)) for _ in range(60)]
        files.append(tmp_path / f"{number}")
        files[-1].write_text(written(rng, events)[0], newline="")
    names = rng.sample(PROMOTABLE, 4)
    # an empty name is none in SQL, and some differ from columns in case alone
    columns = [(name, f"column {i}") for i, name in enumerate(names)]
    dbs = tmp_path / "before.db", tmp_path / "later.db", tmp_path / "between.db"
    for db, when in zip(dbs, (0, 3, 1), strict=True):
        imported(db, stdin=HEADER.encode())
        for number in range(4):
            if number == when:
                for name, column in columns:
                    promoted(db, "--new", "--column", column, "--", name)
            if number < 3:
                imported(db, files[number], check=None)
    assert content(dbs[0]) == content(dbs[1]) == content(dbs[2])
    expected = reference.Events((*reference.KNOWN, *names))
    for file in files:
        text = file.read_bytes().decode()
        header = text.partition("\n")[0]
        expected.read(text, max("\t,;|", key=header.count))
    rows = [(*row[:-1], reference.as_json(row[-1])) for _, row in sorted(expected.rows.items())]
    assert content(dbs[1])["event"] == rows
    assert content(dbs[1])["metric"] == expected.registry()
    totals = dict.fromkeys(expected.names) | {
        name: (str(total), str(events))
        for name, total, events in expected.reports({})["metric_totals"]
    }
    assert {row[0]: row[1:] for row in shown(dbs[1], "metric_totals")} == totals
    warned = imported(dbs[1], "-", stdin=files[0].read_bytes(), check=None).stderr
    assert not any(f"unknown metric {name!r}:".encode() in warned for name in names)


def test_events_are_moved_some_at_a_time(tmp_path, monkeypatch):
    db = tmp_path / "my.db"
    ids = [*range(-5, 40), -(2**63), 2**63 - 1]
    lines = [line(i, f'{{"metrics":{{"x":{n},"y":"\\"x\\":"}}}}') for n, i in enumerate(ids)]
    imported(db, stdin=(HEADER + "".join(lines)).encode())
    monkeypatch.setattr(promote, "_BATCH", 3)
    with database.for_import(str(db), 1) as connection, database.transaction(connection):
        assert promote.promote(connection, "x", "x", "own", new=False) == len(ids)
    found = {row[0]: row[-2:] for row in content(db)["event"]}
    assert found == {i: (n, '{"y":"\\"x\\":"}') for n, i in enumerate(ids)}


def test_a_generated_column_shows_values_of_any_type(tmp_path):
    db = tmp_path / "my.db"
    values = ["1", "1.5", '"text"', "true", "null", "[1,2]", '{"a":1}']
    lines = [line(i, f'{{"metrics":{{"metric 4":{value}}}}}') for i, value in enumerate(values)]
    imported(db, stdin=(HEADER + "".join(lines) + line(99)).encode())
    before = content(db)["metric"]
    refused = promoted(db, "metric 4", check=1)
    assert b"metric 'metric 4' is no integer in event 1: 1.5" in refused.stderr
    assert b"--generated" in refused.stderr
    assert promoted(db, "metric 4", "--generated").stdout == b"metric 4\t6\n"
    found = content(db)
    assert [row[-2] for row in found["event"]] == [
        *(1, 1.5, "text", 1, None, "[1,2]", '{"a":1}', None)
    ]
    assert found["metric"] == before and shown(db, "unknown_metrics") == []
    imported(db, stdin=(HEADER + line(100, '{"metrics":{"metric 4":"new"}}')).encode())
    assert content(db)["event"][-1][-2] == "new"
    assert promoted(db, "metric 4", "--generated").stdout == b"metric 4\t7\n"
    refused = promoted(db, "metric 4", check=1)  # of its own, again: all must be integers
    assert content(db)["event"][-1][-2] == "new", refused.stderr


def test_a_generated_column_becomes_one_of_its_own(tmp_path):
    db = tmp_path / "my.db"
    imported(db, stdin=(HEADER + line(1, '{"metrics":{"x":7,"y":"z"}}')).encode())
    promoted(db, "x", "--generated")
    assert promoted(db, "x").stdout == b"x\t1\n"
    assert content(db)["event"][0][-2:] == (7, '{"y":"z"}')
    with contextlib.closing(sqlite3.connect(db)) as connection:
        found = connection.execute("SELECT * FROM event_metric WHERE metric = 'x'").fetchall()
    assert found == [(1, "2024-03-01 00:00:00", "x", 7)]
    refused = promoted(db, "x", "--generated", check=2)
    assert b"metric 'x' has the column 'x' already" in refused.stderr


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["metric_9"], "no event has a metric 'metric_9'"),
        (["metric_one"], None),
        (["Metric_One"], "event has a column 'metric_one' already: name another with --column"),
        (["id"], "event has a column 'id' already"),
        (["é", "--column", "OTHER_METRICS"], "event has a column 'other_metrics' already"),
        ([""], "'' cannot be a name in SQL"),
        (["back\\slash", "--generated"], "give it a column of its own"),
        (['q"uote', "--generated"], "give it a column of its own"),
        (["metric_one", "--column", "other"], "metric 'metric_one' has the column 'metric_one'"),
    ],
)
def test_what_cannot_be_changes_nothing(arguments, message, tmp_path):
    db = tmp_path / "my.db"
    items = ",".join(f"{json.dumps(name)}:1" for name in NAMES)
    imported(db, stdin=(HEADER + line(1, f'{{"metrics":{{{items}}}}}')).encode())
    before, schema = content(db), "SELECT sql FROM sqlite_schema ORDER BY name"
    with contextlib.closing(sqlite3.connect(db)) as connection:
        statements = connection.execute(schema).fetchall()
    done = promoted(db, *arguments, check=2 if message else 0)
    assert message is None or message in done.stderr.decode()
    with contextlib.closing(sqlite3.connect(db)) as connection:
        assert connection.execute(schema).fetchall() == statements
    assert content(db) == before


def test_hostile_names_are_names(tmp_path):
    db = tmp_path / "my.db"
    names = ['"; DROP TABLE event; --', "'", "x" * 10_000, "select", "a\nb", "日本", "$.x", "%s"]
    items = ",".join(f"{json.dumps(name)}:{i}" for i, name in enumerate(names))
    imported(db, stdin=(HEADER + line(1, f'{{"metrics":{{{items}}}}}')).encode())
    for name in names:
        promoted(db, name)
    row = content(db)["event"][0]
    assert row[8:] == (*range(len(names)), None)
    assert content(db)["metric"] == []
    imported(db, stdin=(HEADER + line(2, f'{{"metrics":{{{items}}}}}')).encode())
    assert len(content(db)["event"]) == 2
    assert {row[0] for row in shown(db, "metric_totals")} == {*names, *reference.KNOWN}


def test_many_columns(tmp_path):
    db = tmp_path / "my.db"
    imported(db, stdin=HEADER.encode())
    items = {f"m{i}": i for i in range(410)}
    imported(db, stdin=(HEADER + line(1, json.dumps({"metrics": items}))).encode())
    with contextlib.closing(sqlite3.connect(db)) as connection:
        connection.execute("BEGIN")
        for i in range(396):  # as promote-metric would, but at once
            connection.execute(f"ALTER TABLE event ADD COLUMN m{i} INTEGER")
            connection.execute("INSERT INTO metric_column VALUES (?, ?, 'own')", [f"m{i}"] * 2)
        connection.commit()
    assert promoted(db, "m396").stdout == b"m396\t1\n"
    assert b"no more can be had" in promoted(db, "m397", check=2).stderr
    rows = "".join(line(i, json.dumps({"metrics": items})) for i in range(2, 300))
    imported(db, stdin=(HEADER + rows).encode())
    found = shown(db, "metric_totals")
    assert ("m300", str(300 * 298), "298") in found and len(found) == 400


def test_it_waits_for_an_import(tmp_path):
    db = tmp_path / "my.db"
    imported(db, stdin=(HEADER + line(1, '{"metrics":{"x":7}}')).encode())
    with open(f"{db}.import-event-metrics.lock") as file:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)
        done = promoted(db, "x", "--wait", "0.2", check=75)
        assert b"an import holds" in done.stderr
    promoted(db, "x")
    assert b"no database" in promoted(tmp_path / "none.db", "x", check=66).stderr
