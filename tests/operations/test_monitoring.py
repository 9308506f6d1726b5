"""export-metrics: what Prometheus' own parser and a statsd server read is the database's."""

import json
import os
import shutil
import socket
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from headcount.operations import monitoring
from helpers.browser_server import fill
from helpers.programs import run
from helpers.sessions import query


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    db = tmp_path_factory.mktemp("all") / "all.db"
    fill(db)
    run("import-site-activity", "--db", db, "-", stdin=b"no JSON\n")  # fails: too many rejects
    run("run-job", "--db", db, "--every", "12h", "fine", "--", "sleep", "0.3", check=0)
    run("run-job", "--db", db, "once", "--", "true", check=0)
    run("run-job", "--db", db, "once", "--", "sh", "-c", "exit 7", check=7)
    with closing(sqlite3.connect(db)) as connection:  # an hour later
        connection.execute(
            "UPDATE job_run SET ended_at = datetime(ended_at, '1 hour') WHERE exit = 7"
        )
        connection.commit()
    return db


DEFAULT = ("property", "default")


def parsed(text):
    """Each sample's value by its name and labels."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture(scope="module")
def samples(db):
    return parsed(run("export-metrics", "--db", db, check=0).stdout.decode())


def of_pipeline(samples, name, pipeline):
    return samples["headcount_" + name, ("pipeline", pipeline)]


def test_each_line_is_somewhere(db, samples):
    totals = query(db, "SELECT pipeline, sum(lines) FROM run WHERE status = 'done' GROUP BY 1")
    assert len(totals) == 5
    for pipeline, lines in totals:
        assert of_pipeline(samples, "import_lines_total", pipeline) == lines > 0
        outcomes = {
            outcome: samples[
                "headcount_import_lines_by_outcome_total",
                ("outcome", outcome),
                ("pipeline", pipeline),
            ]
            for outcome in ("kept", "filtered", "duplicate", "rejected")
        }
        assert sum(outcomes.values()) == lines
        sums = ", ".join(f"sum({outcome})" for outcome in outcomes)
        where = f"WHERE pipeline = '{pipeline}' AND status = 'done'"
        assert query(db, f"SELECT {sums} FROM run {where}") == [tuple(outcomes.values())]


def test_runs_and_their_times(db, samples):
    for pipeline, status, count, ended in query(
        db, "SELECT pipeline, status, count(*), max(unixepoch(ended_at)) FROM run GROUP BY 1, 2"
    ):
        labels = ("pipeline", pipeline), ("status", status)
        assert samples["headcount_import_runs_total", *labels] == count
        if status == "done":
            name = "import_last_success_timestamp_seconds"
            assert of_pipeline(samples, name, pipeline) == ended
    failed = [key[1] for key in samples if "failed" in key[-1]]
    assert failed == [("pipeline", "import-site-activity")]


def test_jobs(db, samples):
    def job(name, job):
        return samples.get((f"headcount_job_{name}", ("job", job)))

    now = time.time()
    assert job("every_seconds", "fine") == 12 * 3600 and job("every_seconds", "once") is None
    assert 0.3 <= job("last_duration_seconds", "fine") < 30
    assert (job("last_exit_status", "fine"), job("last_exit_status", "once")) == (0, 7)
    for name in ("last_start", "last_success"):
        assert 0 <= now - job(f"{name}_timestamp_seconds", "once") < 600
    ended = query(db, "SELECT unixepoch(ended_at) FROM job_run WHERE job = 'once' ORDER BY id")
    assert job("last_success_timestamp_seconds", "once") == ended[0][0] < ended[1][0]


def test_ages(db, samples):
    """The end of the newest local day, here by the offset that Chicago had then; newest events."""
    (day,) = query(db, "SELECT max(date) FROM active_user_table")[0]
    over = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1, hours=5)
    age = of_pipeline(samples, "newest_day_age_seconds", "import-active-users")
    assert abs(time.time() - over.timestamp() - age) < 600
    for pipeline, sql in {
        "import-recent-changes": "SELECT max(timestamp) FROM recent_change_raw",
        "import-comments": "SELECT max(unixepoch(created_at)) FROM comment",
        "import-event-metrics": "SELECT max(unixepoch(recorded_date)) FROM event",
    }.items():
        age = of_pipeline(samples, "newest_event_age_seconds", pipeline)
        assert abs(time.time() - query(db, sql)[0][0] - age) < 600
    assert of_pipeline(samples, "newest_day_age_seconds", "import-site-activity") > 0


def test_everything_is_described_and_there(db, samples):
    assert {key[0] for key in samples} == set(monitoring.HELP)
    assert samples["headcount_database_size_bytes",] >= os.stat(db).st_size


def test_the_file_is_the_old_one_or_the_new_one(db, tmp_path):
    path = tmp_path / "headcount.prom"
    run("export-metrics", "--db", db, path, check=0)
    whole = path.read_text()
    assert parsed(whole) and os.stat(path).st_mode & 0o444 == 0o444  # node_exporter is not us
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"no database" * 1000)
    run("export-metrics", "--db", broken, path, check=1)
    assert path.read_text() == whole and sorted(os.listdir(tmp_path)) == ["broken.db", path.name]


def test_a_full_disk(db, tiny_disk):
    folder, _ = tiny_disk
    path = folder / "headcount.prom"
    path.write_text("old\n")
    (folder / "full").write_bytes(bytes(2 * 2**20 - 8192))
    run("export-metrics", "--db", db, path, check=74)
    assert path.read_text() == "old\n" and sorted(os.listdir(folder)) == ["full", path.name]


def test_statsd_gets_the_same(db, samples):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(20)
        to = f"127.0.0.1:{server.getsockname()[1]}"
        done = run("export-metrics", "--db", db, "--statsd", to, check=0)
        assert done.stdout == b""
        got = {}
        sent = [key for key in samples if key[0] != "headcount_active_users_by"]
        while len(got) < len(sent):
            packet = server.recv(65536).decode()
            assert len(packet) <= 512  # what any network carries in one piece
            got |= dict(line.split(":") for line in packet.split("\n"))
    assert got["headcount.job_last_exit_status.once"] == "7|g"
    lines = of_pipeline(samples, "import_lines_total", "import-comments")
    assert got["headcount.import_lines_total.import-comments"] == f"{lines:.0f}|g"


def test_what_is_no_import_is_not_told_as_one(db, tmp_path):
    copy = shutil.copy(db, tmp_path / "copy.db")
    run("forget-user", "--db", copy, "--mode", "keep", "--quiet", "nobody-at-all")
    assert b"forget-user" not in run("export-metrics", "--db", copy, check=0).stdout
    assert b"tool,forget-user,done" in run("show-runs", "--db", copy, "--format", "csv").stdout


def test_the_last_day_by_value(db, samples):
    ((day, users),) = query(db, "SELECT max(date), active_user_count FROM active_user_table")
    assert samples["headcount_active_users", DEFAULT] == users
    by = "SELECT dimension, value, active_user_count FROM active_users_by WHERE date = '{}'"
    expected = {
        ("headcount_active_users_by", ("dimension", field), DEFAULT, ("value", value)): count
        for field, value, count in query(db, by.format(day))
    }
    found = {key: count for key, count in samples.items() if key[0] == "headcount_active_users_by"}
    assert found == expected and expected
    left_out = {key[1:]: n for key, n in samples.items() if key[0].endswith("left_out")}
    fields = ("platform", "geo.country")
    assert left_out == {(("dimension", field), DEFAULT): 0 for field in fields}


def test_values_of_a_field_are_bounded_and_any_text(tmp_path):
    """The last day alone; 100 values, of equals the first by name; the parser gives each back."""
    hostile = ["", '"} 1\n', "a\\", "\r", "\u2028", "שלום", "<script>", "x" * 5000]
    values = hostile + [f"value {i:03}" for i in range(97)]
    event = {"event_name": "user_engagement", "event_timestamp": 1577836800000000}
    param = {"key": "engagement_time_msec", "value": {"int_value": 3000}}
    session = {"key": "engaged_session_event", "value": {"int_value": 1}}
    event["event_params"] = [param, session]
    days = [("old", 0, "gone")] + [
        (f"{value} {i}", 1, value) for value in values for i in range(2 if value in hostile else 1)
    ]
    lines = [
        json.dumps(
            event
            | {"user_pseudo_id": user, "platform": value}
            | {"event_timestamp": event["event_timestamp"] + day * 86_400_000_000}
        )
        for user, day, value in days
    ]
    db = tmp_path / "my.db"
    given = ["--quiet", "--tz", "UTC", "--by", "platform"]
    run("import-active-users", "--db", db, *given, stdin="\n".join(lines).encode(), check=0)
    samples = parsed(run("export-metrics", "--db", db, check=0).stdout.decode())
    name = "headcount_active_users_by"
    found = {key[3][1]: count for key, count in samples.items() if key[0] == name}
    assert found == dict.fromkeys(hostile, 2) | {f"value {i:03}": 1 for i in range(92)}
    assert samples[f"{name}_left_out", ("dimension", "platform"), DEFAULT] == 5
    assert samples["headcount_active_users", DEFAULT] == len(days) - 1
