"""Jobs of the crontab: alone, in time, quiet or loud; and what show-runs knows of them."""

import contextlib
import http.server
import json
import os
import signal
import sqlite3
import subprocess
import threading
import time
from datetime import datetime

import pytest

from helpers.programs import BARE, BIN, ROOT, run

SAMPLE = ROOT / "data" / "sample" / "events.jsonl.gz"


@pytest.fixture
def db(tmp_path):
    path = tmp_path / "my.db"
    run("import-active-users", "--db", path, stdin=b"", check=0)
    return path


def job(db, *arguments, **options):
    """run-job OPTION… NAME -- COMMAND…"""
    return run("run-job", "--db", db, *arguments, **options)


def shell(script):
    return ["--", "sh", "-c", script]


def rows(db):
    with contextlib.closing(sqlite3.connect(db)) as connection:
        connection.row_factory = sqlite3.Row
        return list(connection.execute("SELECT * FROM job_run ORDER BY id"))


def runs(db, *options):
    return json.loads(run("show-runs", "--db", db, "--json", *options, check=0).stdout)


def started(db, *arguments):
    command = [BIN / "run-job", "--db", db, *arguments]
    return subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=BARE
    )


def wait_for(condition, seconds=15):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def test_a_success_is_quiet_and_its_output_passes(db, tmp_path):
    done = job(db, "night", *shell("echo out; echo said >&2"), check=0)
    assert (done.stdout, done.stderr) == (b"out\n", b"")
    (row,) = rows(db)
    assert (row["status"], row["exit"], row["attempts"], row["message"]) == ("done", 0, 1, "said\n")
    assert row["command"] == "sh -c 'echo out; echo said >&2'" and 0 < row["seconds"] < 5
    log = tmp_path / "log" / "night.log"
    assert "\nsaid\n" in log.read_text() and log.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("status", [1, 2, 65, 66, 74, 99])
def test_a_failure_and_rejects_are_told_with_the_command_s_own_status(status, db):
    done = job(db, "night", *shell(f"for i in $(seq 30); do echo $i >&2; done; exit {status}"))
    assert done.returncode == status and done.stdout == b""
    told = done.stderr.decode().splitlines()
    assert told[:-1] == [str(i) for i in range(11, 31)]
    assert f"run-job: night: exit {status} after" in told[-1] and "log/night.log" in told[-1]
    assert rows(db)[0]["status"] == ("done" if status == 65 else "failed")


def test_a_command_that_cannot_be_started(db, tmp_path):
    assert (
        b"no such command: No such file" in job(db, "x", "--", "no such command", check=127).stderr
    )
    assert b"Permission denied" in job(db, "x", "--", tmp_path, check=126).stderr
    assert [row["exit"] for row in rows(db)] == [127, 126]


def test_a_command_that_is_killed(db):
    assert job(db, "x", *shell("kill -9 $$")).returncode == 137
    assert rows(db)[0]["exit"] == 137


def test_the_environment_is_the_same_from_anywhere(db, tmp_path):
    odd = BARE | {"LC_ALL": "tr_TR.UTF-8", "PYTHONPATH": "/nowhere", "FOO": "1", "TZ": "Asia/Tokyo"}
    rich = {"env": odd, "cwd": "/"}
    printed = [
        job(db, "x", "--env", "EXTRA=a=b", *shell("env -u PWD | sort"), check=0, **options).stdout
        for options in ({}, rich)
    ]
    assert printed[0] == printed[1]
    names = {line.partition(b"=")[0] for line in printed[0].splitlines()} - {b"PWD", b"_", b"SHLVL"}
    assert names == {b"PATH", b"HOME", b"LOGNAME", b"USER", b"SHELL", b"LC_ALL", b"EXTRA"}
    assert job(
        db, "x", *shell("local-day --version; cat"), stdin=b"typed", check=0
    ).stdout.startswith(b"local-day ")


def test_only_75_is_tried_again_after_longer_and_longer_pauses(db, tmp_path):
    count = tmp_path / "count"
    script = f'echo x >>"{count}"; [ "$(wc -l <"{count}")" -ge 3 ] || exit 75'
    begin = time.monotonic()
    job(db, "x", "--back-off", "0.3s", *shell(script), check=0)
    assert 0.9 < time.monotonic() - begin < 5
    assert (rows(db)[0]["attempts"], rows(db)[0]["exit"]) == (3, 0)
    count.unlink()
    job(db, "x", "--retries", 1, "--back-off", "0", *shell(script), check=75)
    assert (rows(db)[1]["attempts"], rows(db)[1]["status"]) == (2, "failed")
    count.unlink()
    job(db, "x", *shell(script.replace("75", "74")), check=74)
    assert rows(db)[2]["attempts"] == 1


def test_a_job_whose_time_is_up_is_ended_with_all_it_started(db, tmp_path):
    pid = tmp_path / "pid"
    begin = time.monotonic()
    done = job(
        db, "x", "--timeout", "0.5s", *shell(f'sleep 60 & echo $! >"{pid}"; wait'), check=124
    )
    assert time.monotonic() - begin < 5 and b"its time was up" in done.stderr
    wait_for(lambda: not os.path.exists(f"/proc/{pid.read_text().strip()}"))
    assert rows(db)[0]["exit"] == 124


def test_a_job_that_heeds_no_sigterm_is_killed(db, monkeypatch):
    from headcount.operations.jobs import supervise

    monkeypatch.setattr(supervise, "_GRACE", 0.3)
    command = ["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"]
    begin = time.monotonic()
    assert supervise.run(command, {"PATH": "/usr/bin:/bin"}, 0.3, lambda data: None) == 124
    assert time.monotonic() - begin < 5


def test_what_a_job_leaves_behind_keeps_nobody_waiting(db):
    begin = time.monotonic()
    job(db, "x", *shell("sleep 20 & echo said >&2"), check=0, capture_output=False)
    assert time.monotonic() - begin < 5 and rows(db)[0]["message"] == "said\n"


def test_a_job_runs_once_at_a_time_others_beside_it(db, tmp_path):
    go = tmp_path / "go"
    script = f'while [ ! -e "{go}" ]; do sleep 0.05; done'
    first = started(db, "long", *shell(script))
    wait_for(lambda: [row["status"] for row in rows(db)] == ["running"])
    second = job(db, "long", *shell("echo never"), check=75)
    assert second.stdout == b"" and b"the job long holds" in second.stderr
    assert job(db, "other", *shell("echo beside"), check=0).stdout == b"beside\n"
    go.touch()
    first.communicate(timeout=20)
    assert first.returncode == 0
    entered = [(row["job"], row["status"], row["exit"]) for row in rows(db)]
    assert entered == [("long", "done", 0), ("long", "failed", 75), ("other", "done", 0)]
    skipped = rows(db)[1]
    assert skipped["message"].startswith("skipped: the job long holds")
    assert 'name="long"} 75' not in run("export-metrics", "--db", db, check=0).stdout.decode()
    job(db, "long", *shell("true"), check=0)


def test_killed_itself_it_is_entered_as_aborted_and_its_command_still_runs_alone(db, tmp_path):
    go = tmp_path / "go"
    script = f'while [ ! -e "{go}" ]; do sleep 0.05; done'
    first = started(db, "long", *shell(script))
    wait_for(lambda: len(rows(db)) == 1)
    first.kill()
    first.wait()  # its pipes are the command's, too
    job(db, "long", *shell("echo never"), check=75)
    go.touch()
    wait_for(lambda: job(db, "long", *shell("true")).returncode == 0)
    statuses = [row["status"] for row in rows(db)]  # (each start that found the lock is one)
    assert statuses[0] == "aborted" and statuses[-1] == "done"
    assert set(statuses[1:-1]) == {"failed"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_go_to_the_command(number, db):
    process = started(
        db, "x", *shell("trap 'echo ended >&2; exit 7' INT TERM HUP; sleep 60 >/dev/null & wait")
    )
    wait_for(lambda: len(rows(db)) == 1)
    time.sleep(0.2)
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 7 and b"ended" in err
    assert rows(db)[0]["exit"] == 7


class Watchman(http.server.BaseHTTPRequestHandler):
    seen, status = [], 200

    def do_GET(self):
        self.seen.append(self.path)
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_the_heart_beats_after_a_success_alone(db, tmp_path):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Watchman)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/ping"
    job(db, "x", "--heartbeat", url, *shell("exit 1"), check=1)
    assert Watchman.seen == []
    job(db, "x", "--heartbeat", url, *shell("exit 65"), check=65)
    assert job(db, "x", "--heartbeat", url, *shell("true"), check=0).stderr == b""
    assert Watchman.seen == ["/ping", "/ping"]
    Watchman.status = 500
    done = job(db, "x", "--heartbeat", url, *shell("true"), check=0)
    assert b"heartbeat" in done.stderr, "loud, though the job itself has succeeded"
    server.shutdown()
    server.server_close()
    done = job(db, "x", "--heartbeat", url, *shell("true"), check=0)
    assert b"heartbeat" in done.stderr
    beat = tmp_path / "beat"
    job(db, "x", "--heartbeat", beat, *shell("true"), check=0)
    assert abs(time.time() - float(beat.read_text())) < 60
    done = job(db, "x", "--heartbeat", tmp_path / "none" / "beat", *shell("true"), check=0)
    assert b"cannot write" in done.stderr


def test_on_failure_gets_what_was_said(db, tmp_path):
    told = tmp_path / "told"
    alarm = ["--on-failure", f'{{ echo "$JOB $JOB_STATUS $JOB_LOG"; cat; }} >"{told}"']
    job(db, "x", *alarm, *shell("true"), check=0)
    job(db, "x", *alarm, *shell("exit 65"), check=65)
    assert not told.exists()
    job(db, "x", *alarm, *shell("echo oops >&2; exit 3"), check=3)
    assert told.read_text() == f"x 3 {tmp_path}/log/x.log\noops\n"
    done = job(db, "x", "--on-failure", "exit 9", *shell("exit 3"), check=3)
    assert b"--on-failure: exit status 9" in done.stderr


def test_without_a_database_a_ledger_or_a_log_the_job_runs_all_the_same(tmp_path, tiny_disk):
    db = tmp_path / "new.db"
    job(db, "x", *shell("true"), check=0)
    assert not db.exists(), "only imports make one"
    command = ["--", "import-active-users", "--quiet", "--db", db, SAMPLE]
    job(db, "night", *command, check=0)
    assert [(row["job"], row["status"]) for row in rows(db)] == [("night", "done")]
    db.write_bytes(b"no database" * 1000)
    done = job(db, "x", *shell("echo out"), check=0)
    assert done.stdout == b"out\n" and b"not in the ledger" in done.stderr
    folder, _ = tiny_disk
    with contextlib.suppress(OSError), open(folder / "rest", "wb") as file:
        while True:
            file.write(b"x" * 4096)
            file.flush()
    log = ["--log", folder / "x.log"]
    done = job(tmp_path / "other.db", "x", *log, *shell("echo said >&2; exit 3"), check=3)
    assert b"said" in done.stderr and b"x.log" in done.stderr


def test_it_is_entered_when_it_started_also_where_it_makes_the_database(tmp_path):
    db = tmp_path / "new.db"
    begin = time.time()
    script = 'sleep 2; exec import-active-users --quiet --db "$0" "$1"'
    job(db, "night", "--", "sh", "-c", script, db, SAMPLE, check=0)
    (row,) = rows(db)
    at = datetime.fromisoformat(row["started_at"]).timestamp()
    assert at <= begin + 1 and row["seconds"] >= 2


def test_a_log_is_rotated_within_a_run(db, tmp_path):
    """Lines stay whole, and none is lost."""
    log = tmp_path / "x.log"
    job(db, "x", "--log", log, *shell("seq 1 500000 >&2"), check=0)
    kept = [log.with_name(f"x.log.{i}") for i in range(5, 0, -1)] + [log]
    kept = [path for path in kept if path.exists()]
    assert len(kept) == 4 and all(path.stat().st_size <= 1 << 20 for path in kept)
    lines = [line for path in kept for line in path.read_text().splitlines()]
    assert lines[1:-1] == [str(i) for i in range(1, 500001)]
    job(db, "y", "--log", tmp_path / "y.log", *shell("seq 1 2000000 >&2"), check=0)
    assert len(list(tmp_path.glob("y.log*"))) == 6
    assert (tmp_path / "y.log").read_text().splitlines()[-2] == "2000000"


def test_logs_are_rotated(db, tmp_path):
    log = tmp_path / "x.log"
    for _ in range(8):
        script = "head -c 1200000 /dev/zero | tr '\\0' '\\n' >&2"
        job(db, "x", "--log", log, *shell(script), check=0)
    kept = sorted(path.name for path in tmp_path.glob("x.log*"))
    assert kept == ["x.log", *(f"x.log.{i}" for i in range(1, 6))]
    assert all((tmp_path / name).stat().st_size < 1_300_000 for name in kept)


def test_a_line_without_end_takes_no_memory_in_the_ledger(db):
    job(db, "x", *shell("head -c 30000000 /dev/zero | tr '\\0' x >&2; exit 1"), check=1)
    assert len(rows(db)[0]["message"]) < 3000


def test_bytes_that_are_no_text(db):
    done = job(db, "x", *shell(r"printf '\377\033[31m\n' >&2; exit 1"), check=1)
    assert b"\\xff" in done.stderr
    assert runs(db, "--job", "x")[-1]["status"] == "failed"
    job(db, "x", "--", "echo", b"\xff".decode(errors="surrogateescape"), check=0)
    assert rows(db)[-1]["command"] == "echo '\\udcff'"
    assert b"how many?" in job(db, "x", "--retries", -1, *shell("true"), check=2).stderr


# ---- show-runs


def test_runs_are_shown(db):
    job(db, "b", "--every", "1d", *shell("echo first >&2; echo last >&2; exit 3"), check=3)
    job(db, "a", *shell("true"), check=0)
    found = [(row["kind"], row["name"], row["status"], row["exit"]) for row in runs(db)]
    assert sorted(found) == [
        ("import", "import-active-users", "done", None),
        ("job", "a", "done", 0),
        ("job", "b", "failed", 3),
    ]
    assert [row["name"] for row in runs(db, "--failed")] == ["b"]
    assert [row["name"] for row in runs(db, "--job", "a")] == ["a"]
    assert len(runs(db, "--last", 1)) == 1 and runs(db, "--last", 0) == []
    table = run("show-runs", "--db", db, check=0).stdout.decode()
    assert "last" in table and "first" not in table
    assert run("show-runs", "--db", db, "--overdue", check=0).stdout == b""


def test_a_job_that_has_not_run_in_time_is_noticed(db):
    def ago(job, hours, status="done", every=86_400):
        with contextlib.closing(sqlite3.connect(db)) as connection:
            connection.execute(
                "INSERT INTO job_run (job, command, every, status, started_at) VALUES "
                "(?, '', ?, ?, strftime('%Y-%m-%dT%H:%M:%SZ', 'now', ?))",
                [job, every, status, f"-{hours} hours"],
            )
            connection.commit()

    def overdue():
        done = run("show-runs", "--db", db, "--overdue", "--format", "tsv")
        lines = done.stdout.decode().splitlines()[1:]
        assert done.returncode == (65 if lines else 0)
        return [line.split("\t")[0] for line in lines]

    ago("fine", 30)
    ago("of no time", 9000, every=None)
    ago("weekly", 200, every=604_800)
    assert overdue() == []
    ago("late", 37)
    ago("late", 2, "failed")  # it starts, but in vain
    ago("never", 37, "failed")
    ago("new", 2, "failed")
    assert overdue() == ["late", "never"]
    ago("late", 1)
    ago("never", 0, "failed", every=0)  # no longer wanted
    assert overdue() == []
    job(db, "late", "--every", "0", *shell("true"), check=0)


def test_no_time_at_all_is_refused(tmp_path):
    done = run("run-job", "--db", tmp_path / "my.db", "x", "--timeout", "0", "--", "true", check=2)
    assert b"a length of time above 0" in done.stderr
