"""What goes wrong around an import: it commits all or nothing, and a re-run mends it."""

import contextlib
import fcntl
import gzip
import os
import random
import shlex
import shutil
import signal
import sqlite3
import stat
import subprocess
import time
from contextlib import closing

import pytest
from pyroaring import BitMap

from conftest import BARE, BIN, PROGRAMS, ROOT, run
from events import NOON, event, write_padded

EXIT_WITHIN = 2  # seconds after a signal
KILLED = {signal.SIGTERM: {143, -signal.SIGTERM}, signal.SIGINT: {130, -signal.SIGINT}}
OLD = b"2019-12-31\t1\n"  # what `small` says


# ---- what a database says, and what runs


def query(db, sql):
    with closing(sqlite3.connect(db)) as connection:
        return connection.execute(sql).fetchall()


def truth(db):
    """The published counts, and the users of each day and signal by their own names."""
    if not db.exists() or not query(db, "SELECT 1 FROM sqlite_schema"):
        return {}, {}
    names = dict(query(db, "SELECT id, key FROM user"))
    sets = {
        (day, name): {names[i] for i in BitMap.deserialize(users)}
        for day, name, users in query(db, "SELECT date, signal, users FROM active_day")
    }
    return dict(query(db, "SELECT date, active_user_count FROM active_user_table")), sets


def runs(db):
    """The status of each run in the ledger."""
    return [status for (status,) in query(db, "SELECT status FROM run ORDER BY id")]


def sound(db):
    return query(db, "PRAGMA integrity_check") == [("ok",)]


def stages(db):
    return list(db.parent.glob(f"{db.name}.stage*"))


class Member:
    """A process of a session, as /proc shows it."""

    def __init__(self, pid):
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        self.pid, self.state, self.parent, self.session = (
            pid,
            fields[0],
            int(fields[1]),
            int(fields[3]),
        )
        self.ticks = int(fields[11]) + int(fields[12])
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            self.command = file.read().replace(b"\0", b" ").decode(errors="replace")


def members(session):
    """All living processes of a session."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                member = Member(int(name))
                if member.session == session and member.state != "Z":
                    found.append(member)
    return found


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return result


def settle(session, *programs):
    """Wait until these programs run and the whole session waits for something."""

    def running():
        commands = [member.command for member in members(session)]
        return all(any(program in command for command in commands) for program in programs)

    wait_until(running)
    quiet_since, before = time.monotonic(), None
    while time.monotonic() - quiet_since < 0.25:
        time.sleep(0.03)
        now = sorted((member.pid, member.ticks) for member in members(session))
        if now != before:
            quiet_since, before = time.monotonic(), now


@contextlib.contextmanager
def session(program, *arguments, **options):
    """A program in a session of its own, of which nothing is left afterwards."""
    process = subprocess.Popen(
        [BIN / program, *map(str, arguments)],
        **{
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "env": BARE,
            "start_new_session": True,
        }
        | options,
    )
    try:
        yield process
    finally:
        kill_session(process.pid)
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()


def kill_session(number):
    for _ in range(50):
        left = members(number)
        for member in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(member.pid, signal.SIGKILL)
        if not left:
            return
        time.sleep(0.02)


# ---- inputs


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "small.jsonl"
    path.write_bytes(event(user="first"))
    return path


@pytest.fixture(scope="session")
def big(tmp_path_factory):
    """Large enough for an import to take most of a second."""
    return write_padded(tmp_path_factory.mktemp("big") / "big.jsonl", 40)


@pytest.fixture(scope="session")
def imported(small, tmp_path_factory):
    db = tmp_path_factory.mktemp("imported") / "a.db"
    run("import-active-users", "--db", db, small, check=0)
    return db


@pytest.fixture
def db(imported, tmp_path):
    """A database with an import in it."""
    return shutil.copy(imported, tmp_path / "a.db")


@pytest.fixture(scope="session")
def golden(big, imported, tmp_path_factory):
    """What an undisturbed import of `big` leaves, and the seconds it takes."""
    db = shutil.copy(imported, tmp_path_factory.mktemp("golden") / "a.db")
    start = time.monotonic()
    run("import-active-users", "--db", db, big, check=0)
    return truth(db), time.monotonic() - start


# ---- a filter that dies


def tree_with(folder, program, script):
    """A checkout in which one program is another."""
    for part in ("bin", "lib"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "schema.sql", folder)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    replaced = folder / "bin" / program
    replaced.write_text(script)
    replaced.chmod(0o755)
    return folder / "bin"


# Reads its last operand if that is a file, as the real one does; writes one line and is gone.
DIES = """#!/bin/bash
last=${{@: -1}}
if [[ -f $last ]]; then exec <"$last"; fi
head -n 1
exit {status}
"""
SILENT = """#!/bin/bash
exit {status}
"""
by_status = pytest.mark.parametrize("status", [0, 1, 66, 137])


@by_status
@pytest.mark.parametrize("script", [DIES, SILENT], ids=["after a line", "at once"])
@pytest.mark.parametrize("program", ["grep-events", "parse-engagement", "local-day", "upsert-rows"])
def test_an_import_with_a_dying_filter_commits_nothing(program, script, status, db, tmp_path):
    bin = tree_with(tmp_path / "tree", program, script.format(status=status))
    events = tmp_path / "events.jsonl"
    events.write_bytes(b"".join(event(user=f"user {i}") for i in range(1000)))
    before = truth(db)
    done = run(bin / "import-active-users", "--db", db, events)
    assert truth(db) == before and not stages(db)
    assert runs(db) == ["done", "failed"]
    assert done.returncode not in (0, 65)
    if program != "upsert-rows":
        assert done.stdout == b"" and done.stderr != b""

    run("import-active-users", "--db", db, events, check=0)
    assert truth(db)[0] == {"2019-12-31": 1001}


@by_status
@pytest.mark.parametrize("script", [DIES, SILENT], ids=["after a line", "at once"])
@pytest.mark.parametrize(
    "program", ["grep-events", "parse-engagement", "local-day", "count-distinct"]
)
def test_a_count_with_a_dying_filter_prints_nothing(program, script, status, tmp_path):
    bin = tree_with(tmp_path / "tree", program, script.format(status=status))
    events = b"".join(event(user=f"user {i}") for i in range(1000))
    done = run(bin / "count-active-users", stdin=events)
    assert done.returncode not in (0, 65)
    if program != "count-distinct":
        assert done.stdout == b"" and done.stderr != b""


def test_a_filter_that_loses_a_line_is_noticed(db, tmp_path):
    """Even where it reads everything and says 0."""
    bin = tree_with(
        tmp_path / "tree",
        "local-day",
        f'#!/bin/bash\n{shlex.quote(str(BIN))}/local-day "$@" | sed 500d\n',
    )
    events = tmp_path / "events.jsonl"
    events.write_bytes(b"".join(event(user=f"user {i}") for i in range(1000)))
    before = truth(db)
    done = run(bin / "import-active-users", "--db", db, events)
    assert done.returncode == 1 and b"1000" in done.stderr and b"999" in done.stderr
    assert truth(db) == before
    assert run(bin / "count-active-users", events).stdout == b""


# ---- kill -9


@pytest.mark.parametrize("seed", range(10))
def test_kill_at_any_moment(seed, big, imported, golden, tmp_path):
    """Five times each, one process or all are killed; a re-run is as if nothing had been."""
    whole, seconds = golden
    dice = random.Random(seed)
    before = truth(imported)
    for turn in range(5):
        folder = tmp_path / f"{turn}"
        folder.mkdir()
        db = shutil.copy(imported, folder / "a.db")
        with session("import-active-users", "--db", db, big) as process:
            time.sleep(dice.uniform(0, seconds))
            victims = sorted(members(process.pid), key=lambda member: member.pid)
            if victims and dice.random() < 0.8:
                victims = [dice.choice(victims)]
            for victim in victims:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim.pid, signal.SIGKILL)
            process.communicate(timeout=20)
            names = [victim.command.rpartition("/bin/")[2].partition(" ")[0] for victim in victims]
            what = f"{process.returncode} after kill -9 of {names}"
            if alone := dice.random() < 0.5:  # else the re-run meets what is left of the killed run
                wait_until(lambda: not members(process.pid))
            left = truth(db)
            assert left in (before, whole), what
            if process.returncode == 0:
                assert left == whole, what
            begun = len(runs(db)) == 2
            again = run("import-active-users", "--db", db, big)
            assert again.returncode == 0, (what, again.stderr)
        assert truth(db) == whole, what
        assert sound(db)
        assert stages(db) == []
        ledger = runs(db)
        if begun and alone:
            assert ledger[1] in (("done",) if left == whole else ("failed", "aborted")), what
        assert ledger[-1] == "done" and "running" not in ledger
        print(
            f"killed {len(victims)}: {what};",
            "all" if left == whole else "nothing",
            f"committed; {ledger}",
        )


# ---- SIGTERM, SIGINT


SIGNALS = [
    (signal.SIGTERM, "bash"),
    (signal.SIGINT, "bash"),
    (signal.SIGTERM, "group"),
    (signal.SIGINT, "group"),
]
PHASES = ["lock", "begin", "stage", "load"]


@pytest.mark.parametrize("number, target", SIGNALS, ids=lambda value: getattr(value, "name", value))
@pytest.mark.parametrize("phase", PHASES)
def test_a_signal_in_each_phase(phase, number, target, db, tmp_path):
    """Each phase is held up by the test, so that the signal is sure to hit it."""
    before = truth(db)
    with contextlib.ExitStack() as stack:
        if phase == "lock":
            lock = stack.enter_context(open(f"{db}.lock", "a"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        writer = stack.enter_context(closing(sqlite3.connect(db, isolation_level=None)))
        if phase == "begin":
            writer.execute("BEGIN IMMEDIATE")
        process = stack.enter_context(
            session("import-active-users", "--db", db, "--wait", 30, stdin=subprocess.PIPE)
        )
        if phase in ("stage", "load"):
            process.stdin.write(event(user="new"))
            process.stdin.flush()
            settle(process.pid, "grep-events", "parse-engagement", "local-day")
        if phase == "load":
            writer.execute("BEGIN IMMEDIATE")
            process.stdin.close()
            process.stdin = None
            settle(process.pid, "upsert-rows")
        settle(
            process.pid,
            {"lock": "flock", "begin": "enter_run", "load": "upsert-rows"}.get(phase, "local-day"),
        )

        sent = time.monotonic()
        (os.kill if target == "bash" else os.killpg)(process.pid, number)
        if phase == "load":  # its last act is to enter the failure, for which it waits as long
            time.sleep(0.5)
            writer.execute("ROLLBACK")
        _, stderr = process.communicate(timeout=EXIT_WITHIN)
        assert time.monotonic() - sent < EXIT_WITHIN
        assert process.returncode in KILLED[number], stderr
        assert b"Traceback" not in stderr
        assert truth(db) == before and not stages(db)
        if phase in ("stage", "load"):
            assert runs(db) == ["done", "failed"]
    run("import-active-users", "--db", db, stdin=event(user="new"), check=0)
    assert truth(db)[0] == {"2019-12-31": 2}


@pytest.mark.parametrize("number, target", SIGNALS, ids=lambda value: getattr(value, "name", value))
def test_a_signal_at_any_moment(number, target, big, imported, golden, tmp_path):
    whole, seconds = golden
    before = truth(imported)
    for turn in range(4):
        folder = tmp_path / f"{turn}"
        folder.mkdir()
        db = shutil.copy(imported, folder / "a.db")
        with session("import-active-users", "--db", db, big) as process:
            time.sleep(seconds * (turn + 0.5) / 4)
            sent = time.monotonic()
            (os.kill if target == "bash" else os.killpg)(process.pid, number)
            process.communicate(timeout=10)
            took = time.monotonic() - sent
        assert took < EXIT_WITHIN + seconds
        left = truth(db)
        assert left in (before, whole) and sound(db) and not stages(db)
        assert (process.returncode == 0) <= (left == whole)
        assert process.returncode != 65
        run("import-active-users", "--db", db, big, check=0)
        assert truth(db) == whole


# ---- Ctrl-C


def test_the_writer_hears_of_ctrl_c_first():
    """It dies within a line; the filter sees the end of its input, and only then the signal."""
    with session("grep-events", "a", stdin=subprocess.PIPE) as process:
        process.stdin.write(b'"a"\n"a" and so')
        process.stdin.flush()
        assert process.stdout.readline() == b'"a"\n'
        process.stdin.close()
        time.sleep(0.03)
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == b""
        assert process.wait(5) == 130


def test_interrupted_count_of_a_growing_file(tmp_path):
    """As with `tail -F events.jsonl | count-active-users` and Ctrl-C."""
    events = tmp_path / "events.jsonl"
    events.write_bytes(b"".join(event(user=f"user {i}") for i in range(50)) + event()[:40])
    script = 'trap : INT; tail -n +1 -F "$2" 2>/dev/null | "$1"; echo "${PIPESTATUS[1]}" >&2'
    process = subprocess.Popen(
        ["bash", "-c", script, "bash", BIN / "count-active-users", events],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=BARE,
        start_new_session=True,
    )
    try:
        settle(
            process.pid, "tail", "grep-events", "parse-engagement", "local-day", "count-distinct"
        )
        os.killpg(process.pid, signal.SIGINT)
        stdout, stderr = process.communicate(timeout=5)
    finally:
        kill_session(process.pid)
    assert stdout == b"2019-12-31\t50\n"
    assert stderr == b"130\n"


def reading(session_id, program):
    """How many bytes a program of a session has read so far."""
    for member in members(session_id):
        if f"/bin/{program}" in member.command:
            with contextlib.suppress(OSError), open(f"/proc/{member.pid}/io") as file:
                return int(file.readline().split()[1])
    return 0


@pytest.mark.parametrize("target", ["bash", "group"])
@pytest.mark.parametrize(
    "packed",
    [
        False,
        True,
    ],
    ids=["plain", "gzip"],
)
def test_interrupted_count_of_a_file(packed, target, big, tmp_path):
    path = big
    if packed:
        path = tmp_path / "big.jsonl.gz"
        path.write_bytes(gzip.compress(big.read_bytes(), 0))
    with session("count-active-users", *[path] * 40) as process:
        wait_until(lambda: reading(process.pid, "parse-engagement") > 20_000_000)
        time.sleep(0.3)  # by now the others have begun, too
        (os.kill if target == "bash" else os.killpg)(process.pid, signal.SIGINT)
        stdout, stderr = process.communicate(timeout=5)
    assert process.returncode == 130, stderr
    assert stderr == b""
    counts = dict(line.split(b"\t") for line in stdout.splitlines())
    assert b"2019-12-31" in counts
    assert all(0 < int(count) <= 500 for count in counts.values())


def test_interrupted_while_it_loads():
    """No traceback from what is not ready for Ctrl-C yet. (The interpreter's own start has one.)"""
    code = "import headcount; raise KeyboardInterrupt"
    done = subprocess.run([ROOT / "lib" / "python", "-c", code], capture_output=True, env=BARE)
    assert done.returncode in KILLED[signal.SIGINT] and done.stderr == b""


# ---- several at once


def start_import(db, *files, wait=None):
    options = [] if wait is None else ["--wait", str(wait)]
    return subprocess.Popen(
        [BIN / "import-active-users", "--db", db, *options, *files],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=BARE,
    )


def finish_imports(processes):
    """Their statuses; each has a message where it gave up."""
    statuses = []
    for process in processes:
        _, stderr = process.communicate(timeout=60)
        statuses.append(process.returncode)
        assert process.returncode in (0, 75), stderr
        assert (process.returncode == 75) <= (b"another import holds" in stderr)
    return statuses


def three_files(tmp_path):
    files = []
    for i in range(3):
        files.append(tmp_path / f"{i}.jsonl")
        files[-1].write_bytes(
            b"".join(
                event(user=f"user {j}", micros=NOON + k * 86_400_000_000)
                for j in range(i * 50, i * 50 + 100)
                for k in range(2)
            )
        )
    return files


UNION = {"2019-12-31": 200, "2020-01-01": 200}


@pytest.mark.parametrize(
    "which", [(0, 0), (0, 1), (0, 1, 2, 0, 1, 2)], ids=["same", "different", "six"]
)
def test_imports_at_once(which, tmp_path):
    files = three_files(tmp_path)
    db = tmp_path / "a.db"
    statuses = finish_imports([start_import(db, files[i]) for i in which])
    assert set(statuses) == {0}
    assert runs(db) == ["done"] * len(which)
    read = query(db, "SELECT path, count(*) FROM run_input WHERE status = 'read' GROUP BY path")
    assert read == [(str(files[i]), 1) for i in sorted(set(which))], "each file is read once"
    run("import-active-users", "--db", db, *files, check=0)
    assert truth(db)[0] == UNION
    assert sound(db) and not stages(db)


def test_imports_at_once_that_do_not_wait(tmp_path):
    files = three_files(tmp_path)
    db = tmp_path / "a.db"
    statuses = finish_imports([start_import(db, files[i % 3], wait=0.05) for i in range(6)])
    assert 0 in statuses and 75 in statuses
    run("import-active-users", "--db", db, *files, check=0)
    assert truth(db)[0] == UNION
    assert "running" not in runs(db) and sound(db) and not stages(db)


def test_a_held_lock(db, tmp_path):
    (tmp_path / "new.jsonl").write_bytes(event(user="new"))
    with open(f"{db}.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        start = time.monotonic()
        done = run(
            "import-active-users", "--db", db, "--wait", 0.5, tmp_path / "new.jsonl", check=75
        )
        assert 0.4 < time.monotonic() - start < 2
        assert done.stdout == b"" and done.stderr.count(b"\n") == 1 and b".lock" in done.stderr
        assert runs(db) == ["done"]
    run("import-active-users", "--db", db, "--wait", 0.5, tmp_path / "new.jsonl", check=0)


@pytest.mark.parametrize("wait", ["abc", "-1", "", "1x"])
def test_a_bad_time_to_wait_is_a_usage_error(wait, db, small):
    done = run("import-active-users", "--db", db, "--wait", wait, small, check=2)
    assert b"--wait" in done.stderr


@pytest.mark.parametrize("statement", ["BEGIN EXCLUSIVE", "BEGIN IMMEDIATE"])
def test_a_locked_database(statement, db, tmp_path):
    (tmp_path / "new.jsonl").write_bytes(event(user="new"))
    before = truth(db)
    with closing(sqlite3.connect(db, isolation_level=None)) as other:
        other.execute(statement)
        start = time.monotonic()
        done = run(
            "import-active-users", "--db", db, "--wait", 0.5, tmp_path / "new.jsonl", check=75
        )
        assert 0.4 < time.monotonic() - start < 3
        assert done.stdout == b"" and b"locked" in done.stderr and b"Traceback" not in done.stderr
        report = run("show-report", "--db", db, "active_users", "--format", "tsv", check=0)
        assert b"2019-12-31\t1\t" in report.stdout, "readers do not wait for writers"
    assert truth(db) == before and not stages(db)
    run("import-active-users", "--db", db, tmp_path / "new.jsonl", check=0)
    assert truth(db)[0] == {"2019-12-31": 2}


def test_a_database_that_is_locked_when_it_comes_to_loading(db):
    before = truth(db)
    with session(
        "import-active-users", "--db", db, "--wait", 0.5, stdin=subprocess.PIPE
    ) as process:
        settle(process.pid, "local-day")
        with closing(sqlite3.connect(db, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            stdout, stderr = process.communicate(event(user="new"), timeout=10)
    assert process.returncode == 75 and stdout == b"" and b"locked" in stderr
    assert truth(db) == before and not stages(db)
    run("import-active-users", "--db", db, stdin=event(user="new"), check=0)
    assert truth(db)[0] == {"2019-12-31": 2}
    assert runs(db) == ["done", "aborted", "done"]


def test_a_writer_that_lets_go_in_time_is_waited_for(db, tmp_path):
    (tmp_path / "new.jsonl").write_bytes(event(user="new"))
    with closing(sqlite3.connect(db, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        process = start_import(db, tmp_path / "new.jsonl")
        time.sleep(0.7)
        other.execute("ROLLBACK")
    assert finish_imports([process]) == [0]
    assert truth(db)[0] == {"2019-12-31": 2}


def test_a_deleted_lock_file(db, tmp_path):
    (tmp_path / "new.jsonl").write_bytes(event(user="new"))
    os.close(os.open(f"{db}.lock", os.O_CREAT))
    os.unlink(f"{db}.lock")
    run("import-active-users", "--db", db, tmp_path / "new.jsonl", check=0)
    assert truth(db)[0] == {"2019-12-31": 2}


# ---- full disk


TO_STDOUT = {
    "grep-events": (["user_engagement"], event()),
    "parse-engagement": ([], event()),
    "local-day": ([], b"%d\tann\n" % NOON),
    "count-distinct": ([], b"a\tb\n"),
    "count-active-users": ([], event()),
    "show-report": ([], b""),
    "import-active-users": (["--db", "a.db"], event(user="new")),
}


@pytest.mark.parametrize("program", TO_STDOUT)
def test_a_full_disk_behind_standard_output(program, db):
    arguments, stdin = TO_STDOUT[program]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [BIN / program, *arguments],
            input=stdin,
            stdout=full,
            stderr=subprocess.PIPE,
            env=BARE,
            cwd=db.parent,
        )
    assert done.returncode == 74, done.stderr
    assert b"No space left" in done.stderr and b"Traceback" not in done.stderr


def test_an_import_that_cannot_print_says_that_it_has_committed(db):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [BIN / "import-active-users", "--db", db],
            input=event(user="new"),
            stdout=full,
            stderr=subprocess.PIPE,
            env=BARE,
        )
    assert done.returncode == 74
    assert b"all is imported, but cannot write" in done.stderr
    assert runs(db)[-1] == "done"


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_to_a_full_disk(program, option):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [BIN / program, option], stdout=full, stderr=subprocess.PIPE, env=BARE
        )
    assert done.returncode == 74 and done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("option", ["--rejects", "--account"])
def test_a_full_disk_behind_other_files(option):
    done = run("parse-engagement", option, "/dev/full", stdin=event() + b"{}\n", check=74)
    assert b"/dev/full" in done.stderr and b"No space left" in done.stderr


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 2 MB, and a function that gives it another size."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount: {mounted.stderr.decode().strip()}")

    def resize(size):
        subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)

    yield folder, resize
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("users", [60_000, 18_000], ids=["stage", "database"])
def test_a_full_disk(users, tiny_disk, imported, tmp_path):
    folder, resize = tiny_disk
    db = shutil.copy(imported, folder / "a.db")
    before = truth(db)
    events = tmp_path / "events.jsonl"
    events.write_bytes(
        b"".join(event(user=f"a user with a long name, {i:09}") for i in range(users))
    )
    for _ in range(2):
        done = run("import-active-users", "--db", db, events)
        assert done.returncode == 74, done.stderr
        assert (
            done.stdout == b""
            and b"cannot write" in done.stderr
            and b"Traceback" not in done.stderr
        )
        assert truth(db) == before and sound(db) and not stages(db)
        report = run("show-report", "--db", db, "active_users", "--format", "tsv", check=0)
        assert b"2019-12-31\t1\t" in report.stdout
    assert "done" not in runs(db)[1:]
    resize("64m")
    run("import-active-users", "--db", db, events, check=0)
    assert truth(db)[0] == {"2019-12-31": users + 1}
    assert runs(db)[1:][-1] == "done" and "running" not in runs(db)


def test_a_full_disk_is_a_failed_run(tiny_disk, imported, tmp_path):
    folder, _ = tiny_disk
    db = shutil.copy(imported, folder / "a.db")
    events = tmp_path / "events.jsonl"
    events.write_bytes(
        b"".join(event(user=f"a user with a long name, {i:09}") for i in range(60_000))
    )
    run("import-active-users", "--db", db, events, check=74)
    assert runs(db) == ["done", "failed"]


# ---- permissions


@pytest.mark.parametrize("what", ["file", "directory", "both"])
def test_a_read_only_database(what, unprivileged, imported, small, tmp_path):
    folder = tmp_path / "shelf"
    folder.mkdir()
    db = shutil.copy(imported, folder / "a.db")
    events = tmp_path / "new.jsonl"
    events.write_bytes(event(user="new"))
    before = truth(db)
    if what in ("file", "both"):
        db.chmod(0o400)
    if what in ("directory", "both"):
        folder.chmod(0o500)
    try:
        done = subprocess.run(
            [*unprivileged, BIN / "import-active-users", "--db", db, events],
            capture_output=True,
            env=BARE,
        )
        report = subprocess.run(
            [*unprivileged, BIN / "show-report", "--db", db, "active_users", "--format", "tsv"],
            capture_output=True,
            env=BARE,
        )
    finally:
        folder.chmod(0o700)
    assert done.returncode == 74, done.stderr
    assert b"cannot write" in done.stderr and str(folder).encode() in done.stderr
    assert done.stdout == b"" and b"Traceback" not in done.stderr
    assert report.returncode == 0, report.stderr
    assert b"2019-12-31\t1\t" in report.stdout and report.stderr == b""
    assert truth(db) == before and not stages(db)


def test_a_database_that_may_not_be_read(unprivileged, imported, tmp_path):
    db = shutil.copy(imported, tmp_path / "a.db")
    db.chmod(0)
    done = subprocess.run(
        [*unprivileged, BIN / "show-report", "--db", db, "runs"], capture_output=True, env=BARE
    )
    assert done.returncode not in (0, 65) and done.stdout == b""
    assert b"cannot read" in done.stderr


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_what_holds_user_ids_is_private(tmp_path):
    db, rejects = tmp_path / "a.db", tmp_path / "rejects"
    lines = event() + b'{"event_name":"user_engagement"}\n'
    options = ["--db", db, "--rejects", rejects, "--max-rejects", "1"]
    with session("import-active-users", *options, stdin=subprocess.PIPE, umask=0) as process:
        process.stdin.write(lines)
        process.stdin.flush()
        settle(process.pid, "local-day")
        (stage,) = stages(db)
        assert mode(stage) == 0o700
        with closing(sqlite3.connect(db)) as reader:  # keeps the log of the database alive
            reader.execute("SELECT count(*) FROM run").fetchall()
            process.communicate(timeout=20)
            assert process.returncode == 65
            for path in (db, f"{db}-wal", f"{db}-shm", f"{db}.lock", rejects):
                assert mode(path) == 0o600, path
    assert sorted(path.name for path in tmp_path.iterdir() if "stage" in path.name) == []


def test_a_database_open_to_others_is_warned_of(db, small):
    db.chmod(0o666)
    done = run("import-active-users", "--db", db, small, check=0)
    assert b"others" in done.stderr


# ---- the reader goes away

MUCH = {
    "grep-events": (["user_engagement"], event() * 20_000),
    "parse-engagement": ([], event() * 50_000),
    "local-day": ([], b"%d\tann\n" % NOON * 100_000),
    "count-distinct": ([], b"".join(b"%d\t1\n" % i for i in range(200_000))),
    "count-active-users": ([], event() + event(micros=NOON + 86_400_000_000)),
    "import-active-users": (["--db", "b.db"], event() + event(micros=NOON + 86_400_000_000)),
    "show-report": ([], b""),
}


@pytest.mark.parametrize("program", MUCH)
def test_quiet_under_head(program, tmp_path):
    arguments, stdin = MUCH[program]
    (tmp_path / "input").write_bytes(stdin)
    script = '"$@" <input | head -n 1; echo "${PIPESTATUS[*]}"'
    done = subprocess.run(
        ["bash", "-c", script, "bash", BIN / program, *arguments],
        cwd=tmp_path,
        env=BARE,
        capture_output=True,
    )
    assert done.stderr == b""
    assert done.stdout.count(b"\n") == 2 and done.stdout.endswith(b"\n0 0\n")


@pytest.mark.parametrize("program", MUCH)
@pytest.mark.parametrize("option", [None, "--help", "--version"])
def test_quiet_where_nobody_reads(program, option, tmp_path):
    arguments, stdin = MUCH[program]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [BIN / program, *([option] if option else arguments)],
        input=stdin,
        stdout=write,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=BARE,
    )
    os.close(write)
    assert done.stderr == b"" and done.returncode in (0, -signal.SIGPIPE, 141)
    if program == "import-active-users" and not option:
        assert truth(tmp_path / "b.db")[0] == {"2019-12-31": 1, "2020-01-01": 1}
