"""The import of events with metrics as a whole: kills, full disks, memory, hostile names."""

import contextlib
import csv
import errno
import gzip
import io
import json
import os
import random
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from helpers.programs import BARE, BIN, run
from helpers.thorough import long
from pipelines.event_metrics.test_record import NAMES, VALUES, content, imported, shown
from reference import event_metrics as reference

KILLS = int(os.environ.get("KILLS", "5"))
EVENTS = 60_000
HEADER = "\t".join(reference.COLUMNS) + "\n"


def line(ident, metrics="{}", first=1, at="2024-03-01 00:00:00"):
    fields = (ident, first, 1, at, "2024-04-01 00:00:00", metrics)
    return "\t".join(map(str, fields)) + "\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    options = ["--count", EVENTS, "--files", 24, "--repeated", 0.02, "--dimensions", 50]
    run("make-data", "event-metrics", *options, "--folder", folder, check=0)
    tables = [folder / "first_dimensions.tsv", folder / "second_dimensions.tsv"]
    files = sorted(folder.glob("events-*"))
    return [*files, "--first-dimensions", tables[0], "--second-dimensions", tables[1]]


@pytest.fixture(scope="module")
def whole(made, tmp_path_factory):
    db = tmp_path_factory.mktemp("whole") / "whole.db"
    imported(db, "--jobs", 1, *made)
    return content(db)


@pytest.mark.sample(2)
@pytest.mark.parametrize("jobs", [2, 4])
def test_24_files_are_the_same_with_any_number_of_workers(jobs, made, whole, tmp_path):
    imported(tmp_path / "my.db", "--jobs", jobs, *made)
    assert content(tmp_path / "my.db") == whole
    assert len(whole["event"]) == EVENTS


def started(db, made, *options):
    command = [BIN / "import-event-metrics", "--db", db, *options, *made]
    return subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=BARE
    )


def pids(db):
    found = subprocess.run(["pgrep", "-f", f"[-]-db {db} "], capture_output=True, text=True)
    return list(map(int, found.stdout.split()))


def once_it_is_read(fifo):
    """A descriptor to write to a FIFO, which there can be as soon as somebody reads it."""
    end = time.monotonic() + 60
    while True:
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            assert error.errno == errno.ENXIO and time.monotonic() < end
            time.sleep(0.01)


def has_open(pid, path):
    with contextlib.suppress(OSError):  # it ended meanwhile
        folder = Path(f"/proc/{pid}/fd")
        return str(path) in [os.readlink(link) for link in folder.iterdir()]
    return False


def test_a_worker_killed_midway_fails_the_import_and_a_rerun_completes(made, whole, tmp_path):
    db, fifo = tmp_path / "my.db", tmp_path / "last"
    os.mkfifo(fifo)  # it is read by one worker, which waits for it
    process = started(db, [*made, fifo], "--jobs", 2)
    with open(once_it_is_read(fifo), "w"):
        (reader,) = [pid for pid in pids(db) if has_open(pid, fifo)]
        os.kill(reader, signal.SIGKILL)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 1 and out == b""
    assert b"nothing was imported" in err, err
    assert content(db)["event"] == []
    imported(db, *made)
    assert content(db) == whole


def test_killed_at_any_moment_and_run_again_is_the_same(made, whole, tmp_path):
    db = tmp_path / "my.db"
    begin = time.monotonic()
    imported(tmp_path / "other.db", *made)
    seconds = time.monotonic() - begin
    rng, killed = random.Random(13), 0
    while killed < KILLS:
        process = started(db, made)
        time.sleep(rng.random() * seconds)
        if process.poll() is None:
            victims = [process.pid, *pids(db)]
            for pid in victims if rng.random() < 0.7 else [rng.choice(victims)]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.communicate()
            killed += process.returncode != 0
        else:
            process.communicate()
        if db.exists():
            with contextlib.closing(sqlite3.connect(db)) as connection:
                if connection.execute("PRAGMA user_version").fetchone()[0]:
                    count = connection.execute("SELECT count(*) FROM event").fetchone()[0]
                    assert count in (0, EVENTS), "all or nothing"
                    if count:
                        for end in ("", "-wal", "-shm"):
                            Path(f"{db}{end}").unlink(missing_ok=True)
    time.sleep(0.5)  # what is left of the last one ends
    imported(db, *made)
    assert content(db) == whole
    with contextlib.closing(sqlite3.connect(db)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert not list(tmp_path.glob("my.db.*stage*"))


def test_a_full_disk_is_an_error_and_leaves_nothing(made, whole, tiny_disk):
    folder, resize = tiny_disk
    db = folder / "my.db"
    for size in ("1m", "4m", "9m"):  # in the ledger, the stage, the database
        resize(size)
        done = imported(db, *made, check=74)
        assert done.stdout == b"" and done.stderr
        assert {path.name for path in folder.iterdir()} <= {
            "my.db", "my.db-wal", "my.db-shm", "my.db.import-event-metrics.lock"
        }  # fmt: skip
    resize("200m")
    imported(db, *made)
    assert content(db) == whole


def test_an_output_that_cannot_be_written_is_an_error(made, tmp_path):
    with open("/dev/full", "w") as full:
        done = imported(tmp_path / "my.db", made[0], stdout=full, stderr=subprocess.PIPE,
                        capture_output=False, check=74)  # fmt: skip
    assert b"all is imported, but" in done.stderr
    with open("/dev/full", "w") as full:
        done = run("parse-metrics", made[0], stdout=full, stderr=subprocess.PIPE,
                   capture_output=False, check=74)  # fmt: skip


@long
def test_memory_of_an_import_is_flat(tmp_path):
    """Far below what its rows would take; it is the same for ten times as many."""
    code = (
        "import resource, subprocess, sys; "
        "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    made = ["--count", 800_000, "--files", 3, "--folder", tmp_path]
    run("make-data", "event-metrics", *made, check=0)
    command = [BIN / "import-event-metrics", "--quiet", "--db", tmp_path / "my.db", "--jobs", 2]
    command += sorted(tmp_path.glob("events-*"))
    peak = int(subprocess.check_output(["python3", "-c", code, *map(str, command)]))
    assert peak < 200_000, "KB"


@pytest.mark.parametrize("keep", ["all but a byte", "half", "head"])
def test_a_truncated_gz_imports_nothing(keep, tmp_path):
    db, path = tmp_path / "my.db", tmp_path / "events.tsv.gz"
    good = tmp_path / "good.tsv"
    good.write_text(HEADER + line(999))
    packed = gzip.compress((HEADER + "".join(map(line, range(500)))).encode())
    path.write_bytes(packed)
    imported(tmp_path / "whole.db", path)
    assert len(content(tmp_path / "whole.db")["event"]) == 500
    path.write_bytes(packed[: {"all but a byte": -1, "half": len(packed) // 2, "head": 8}[keep]])
    done = imported(db, good, path, check=None)
    assert done.returncode == 1 and done.stdout == b"" and str(path).encode() in done.stderr
    assert content(db)["event"] == []


def test_lines_that_cannot_be_used_are_named_and_can_be_replayed(tmp_path):
    bad = [
        ("x\t1\t1\t2024-03-01 00:00:00\t2024-03-01 00:00:00\t{}", "id is no integer"),
        ("1\t1\t1\tsoon\t2024-03-01 00:00:00\t{}", "recorded_date is no time"),
        ("1\t1\t1\t2024-03-01 00:00:00\t\t{}", "created_date is missing"),
        ("1\t1\t1\t2024-03-01 00:00:00\t2024-03-01 00:00:00", "wrong number of fields"),
        (line(1, "[]").strip(), "event_metrics are no metrics"),
        (line(1, '{"metrics":').strip(), "event_metrics are no JSON"),
        (
            line(1, '{"metrics":{"metric_one":"7","metric_two":"x"}}').strip(),
            "a known metric is no integer",
        ),
        ("2\t1\t1\t2024-03-01 00:00:00\t2024-03-01 00:00:00\t\0", "event_metrics are no JSON"),
        ('"2\t1\t1\t2024-03-01 00:00:00\t2024-03-01 00:00:00\t{}', "not CSV"),
    ]
    path, log, db = tmp_path / "events", tmp_path / "rejects", tmp_path / "my.db"
    path.write_text(HEADER + "".join(f"{text}\n{line(i + 10)}" for i, (text, _) in enumerate(bad)))
    done = imported(db, "--rejects", log, path, check=65)
    assert [row[0] for row in content(db)["event"]] == [i + 10 for i in range(len(bad))]
    rejects = [json.loads(text) for text in log.read_text().splitlines()]
    assert [(found["line"], found["reason"].partition(":")[0]) for found in rejects] == [
        (2 * i + 2, reason) for i, (_, reason) in enumerate(bad)
    ]
    assert f"{path}:2: id is no integer".encode() in done.stderr
    assert rejects[6]["reason"].endswith(": metric_two: 'x'")
    mended = HEADER + rejects[1]["raw"].replace("soon", "2024-03-01 00:00:00") + "\n"
    imported(db, stdin=mended.encode())
    assert content(db)["event"][0][0] == 1


def test_corrupt_huge_and_empty_lines(tmp_path):
    huge = json.dumps({"metrics": {"metric_one": 1, "text": "x" * 20_000_000}})
    lines = [line(1), "\n" * 100_000, line(2, huge), "\r\n", line(3).replace("\n", "\r\n")]
    data = (HEADER + "".join(lines)).encode() + b"\xff\xfe\n" + os.urandom(50).replace(b'"', b"")
    db = tmp_path / "my.db"
    imported(db, stdin=data, check=65)
    rows = content(db)["event"]
    assert [row[0] for row in rows] == [1, 2, 3] and len(rows[1][-1]) > 20_000_000


def test_hostile_names_are_data_and_no_statement_is_made_of_them(tmp_path, monkeypatch):
    """Only the indexes of an empty table are dropped and made: the import does no other DDL."""
    from headcount.db import connection as database
    from headcount.pipelines.event_metrics import importer

    hostile = [*NAMES, '"; DROP TABLE event; --', "%s{0}", "a" * 10_000, "select", "ｉｄ", "rowid"]
    rng = random.Random(1)
    items = [
        (name, rng.choice([v for v in VALUES if v not in ("1e400", "01")])) for name in hostile
    ]
    metrics = ",".join(f"{json.dumps(name)}:{value}" for name, value in items[3:])
    metrics = f'{{"metrics":{{{metrics}}}}}'
    path, db = tmp_path / "x'; DROP TABLE run;--\n.tsv", tmp_path / "my.db"
    path.write_text(HEADER + line(1, metrics))
    done = imported(db, path)
    assert b"\x1b" not in done.stderr and len(content(db)["metric"]) == len(set(hostile[3:]))
    again = tmp_path / "again.tsv"
    again.write_text(HEADER + line(2, metrics))
    with contextlib.closing(sqlite3.connect(db)) as connection:
        connection.execute("UPDATE run SET status = 'running'")
        connection.commit()
    statements = []
    for_import = database.for_import

    @contextlib.contextmanager
    def watched(*arguments, **options):
        with for_import(*arguments, **options) as connection:
            connection.set_trace_callback(statements.append)
            yield connection

    monkeypatch.setattr(database, "for_import", watched)
    (tmp_path / "list").write_bytes(bytes(again))
    monkeypatch.setattr("sys.argv", ["import-event-metrics", "--run", "1", "--db", str(db),
        "--stage", str(tmp_path), "--account", str(tmp_path / "account"), "--jobs", "1",
        "--events-from", str(tmp_path / "list")])  # fmt: skip
    assert importer.main() == 0
    assert len(content(db)["event"]) == 2
    ddl = [text for text in statements if text.split()[0].upper() in ("CREATE", "DROP", "ALTER")]
    assert ddl == [] and len(statements) > 5


def test_an_index_of_one_s_own_stays_whatever_its_name(tmp_path):
    db = tmp_path / "my.db"
    imported(db, stdin=HEADER.encode())
    with contextlib.closing(sqlite3.connect(db)) as connection:
        connection.execute('CREATE INDEX "my ""own"" index" ON event (created_date)')
    imported(db, stdin=(HEADER + line(1)).encode())
    with contextlib.closing(sqlite3.connect(db)) as connection:
        found = connection.execute("SELECT name FROM sqlite_schema WHERE name LIKE 'my%'")
        assert found.fetchall() == [('my "own" index',)]


def test_reports_for_spreadsheets_run_no_formula(tmp_path):
    db, out = tmp_path / "my.db", tmp_path / "report.csv"
    names = ["=1+1", "+x", "-x", "@x", "\tx", "\rx", 'a"b', "x,=1", "plain"]
    text = io.StringIO()
    csv.writer(text).writerows([("id", "name"), *enumerate(names)])
    table = tmp_path / "first"
    table.write_text(text.getvalue(), newline="")
    events = "".join(line(i, first=i) for i in range(len(names)))
    imported(db, "--first-dimensions", table, stdin=(HEADER + events).encode())
    report = ["show-report", "hourly_events_by_first_dimension", "--db", db, "--format", "csv"]
    run(*report, "--output", out, check=0)
    with open(out, newline="", encoding="utf-8-sig") as file:
        found = list(csv.reader(file))[1:]
    assert len(found) == len(names) and {row[1:] == ["2024-03-01 00:00:00", "1"] for row in found}
    assert not any(row[0].startswith(("=", "+", "-", "@", "\t", "\r")) for row in found)
    run(*report, "--raw", "--output", out, check=0)
    with open(out, newline="", encoding="utf-8-sig") as file:
        assert {row[0] for row in list(csv.reader(file))[1:]} == set(names)


def test_inputs_that_lack_a_column_are_named(tmp_path):
    path = tmp_path / "events"
    path.write_text("id\tname\n1\tx\n")
    done = imported(tmp_path / "my.db", path, check=66)
    assert f"{path}: expected a table with the columns id, first_dim".encode() in done.stderr
    assert b", got no column first_dimension_id in id, name;" in done.stderr
    done = imported(
        tmp_path / "my.db", "--first-dimensions", path, stdin=(HEADER + line(1)).encode()
    )
    assert b"first_dimension\t0\t1" in done.stdout
    path.write_text("id;naam\n")
    done = imported(tmp_path / "my.db", "--second-dimensions", path, stdin=b"", check=66)
    assert b"got no column name in id, naam;" in done.stderr


OPTIONS = [
    ["--count", 3000],
    ["--count", 5000, "--files", 24, "--repeated", 0.2],
    ["--count", 4000, "--files", 3, "--odd", 0.3, "--broken", 0.1, "--seed", 2],
    ["--count", 2000, "--files", 2, "--odd", 1, "--unknown-fraction", 1],
    ["--count", 500, "--unknown-fraction", 0],
    ["--count", 1],
    ["--count", 0],
]


@pytest.mark.sample(4)
@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: " ".join(map(str, options)))
def test_the_truth_of_made_events_is_what_the_reference_and_the_import_find(options, tmp_path):
    folder, truth, db = tmp_path / "made", tmp_path / "truth", tmp_path / "my.db"
    run("make-data", "event-metrics", *options, "--folder", folder, "--truth", truth, check=0)
    expected = reference.Events()
    files = sorted(folder.glob("events-*"))
    for file in files:
        expected.read(file.read_text(), "\t")
    with open(folder / "first_dimensions.tsv", newline="") as file:
        names = {int(row["id"]): row["name"] for row in csv.DictReader(file, delimiter="\t")}
    assert len(expected.rows) == options[1], "exactly as many as were asked for"
    assert (expected.rejects > 0) == ("--broken" in options)
    rows = [(name, *row) for name, rows in expected.reports(names).items() for row in rows]
    told = [tuple(text.split("\t")) for text in truth.read_text().splitlines()]
    assert len(told) == len(rows)
    tables = [f"--{kind}-dimensions={folder}/{kind}_dimensions.tsv" for kind in ("first", "second")]
    imported(db, *files, *tables, check=65 if expected.rejects else 0)
    for name, rows in expected.reports(names).items():
        assert shown(db, name) == [tuple(map(str, row)) for row in rows], name
    found = b"".join(
        b"".join(
            name.encode() + b"\t" + text + b"\n"
            for text in run("show-report", name, "--db", db, "--format", "tsv").stdout.split(b"\n")[
                1:-1
            ]
        )
        for name in expected.reports(names)
    )
    assert truth.read_bytes() == found
    if "--files" in options:
        assert len(files) == options[3] and all(file.stat().st_size > 100 for file in files)
    headers = {file.read_text().partition("\n")[0] for file in files}
    assert len(headers) > 1 or len(files) < 3, "columns in any order"
