"""What goes wrong around an import: it commits all or nothing, and a re-run mends it."""

import contextlib
import fcntl
import gzip
import os
import random
import shutil
import signal
import sqlite3
import stat
import subprocess
import time
from contextlib import closing

import pytest
from pyroaring import BitMap

from checkouts import copy_of_checkout
from conftest import BARE, BIN, PROGRAMS, ROOT, run
from events import NOON, event, write_padded
from sessions import kill_session, members, query, session, settle, sound, stages, wait_until

EXIT_WITHIN = 2  # seconds after a signal
KILLED = {signal.SIGTERM: {143, -signal.SIGTERM}, signal.SIGINT: {130, -signal.SIGINT}}
OLD = b"2019-12-31\t1\n"  # what `small` says
ROWS = "headcount.active_rows"  # how /proc shows the program that makes the rows


# ---- what a database says


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
    run("import-active-users", "--db", db, "--jobs", 3, big, check=0)
    return truth(db), time.monotonic() - start


# ---- a filter that dies


def tree_with(folder, part, text):
    """A checkout in which one file, named from its root, holds another text."""
    copy_of_checkout(folder)
    (folder / part).write_text(text)
    return folder / "bin"


def tree_with_broken_rows(folder, breaks):
    """A checkout in which the program that makes the rows starts with these lines of Python."""
    part = "lib/headcount/active_rows.py"
    head = "import os, re, runpy\nfrom headcount import account, output\n"
    goes_on = 'runpy.run_module("headcount.whole_active_rows", run_name="__main__")\n'
    bin = tree_with(folder, part, head + breaks + goes_on)
    shutil.copy(ROOT / part, folder / "lib" / "headcount" / "whole_active_rows.py")
    return bin


# Ways to die, that of the program and those of one of the processes that share its work.
DIES = {
    "at once": """
os._exit({status})
""",
    "after a row": """
os.write(1, b"2019-12-31\\tuser 1\\tengaged,valuable\\n")
os._exit({status})
""",
    "half-way": """
def write(fd, data, *name, write=output.write):
    if fd == 1:
        os.write(1, data[: len(data) // 2])
        os._exit({status})
    write(fd, data, *name)
output.write = write
""",
    "before its account": """
account.Account.write = lambda *_: os._exit({status})
""",
    "a process at once": """
def fork(fork=os.fork):
    return fork() or os._exit({status})
os.fork = fork
""",
    "a process half-way": """
def write(fd, data, *name, write=output.write):
    if fd != 1:
        os.write(fd, data[: len(data) // 2])
        os._exit({status})
    write(fd, data, *name)
output.write = write
""",
}
SINK_DIES = {
    "at once": "#!/bin/bash\nexit {status}\n",
    # reads its last operand if that is a file, as the real one does
    "after a line": """#!/bin/bash
last=${{@: -1}}
if [[ -f $last ]]; then exec <"$last"; fi
head -n 1
exit {status}
""",
}
by_status = pytest.mark.parametrize("status", [0, 1, 66, 137])


@pytest.fixture
def two_files(tmp_path):
    """Of 1,000 users together, for two processes."""
    paths = [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    for start, path in zip((0, 500), paths, strict=True):
        path.write_bytes(b"".join(event(user=f"user {start + i}") for i in range(500)))
    return paths


@by_status
@pytest.mark.parametrize("how", DIES)
def test_an_import_whose_rows_break_off_commits_nothing(how, status, db, two_files, tmp_path):
    bin = tree_with_broken_rows(tmp_path / "tree", DIES[how].format(status=status))
    before = truth(db)
    done = run(bin / "import-active-users", "--db", db, "--jobs", 2, *two_files)
    assert truth(db) == before and not stages(db)
    assert runs(db) == ["done", "failed"]
    assert done.returncode == (1 if "process" in how else status or 1), done.stderr
    assert done.stdout == b"" and done.stderr != b"" and b"Traceback" not in done.stderr

    run("import-active-users", "--db", db, *two_files, check=0)
    assert truth(db)[0] == {"2019-12-31": 1001}


@by_status
@pytest.mark.parametrize("how", [how for how in DIES if how not in ("after a row", "half-way")])
def test_a_count_that_breaks_off_fails_and_prints_nothing(how, status, two_files, tmp_path):
    bin = tree_with_broken_rows(tmp_path / "tree", DIES[how].format(status=status))
    done = run(bin / "count-active-users", "--jobs", 2, *two_files)
    assert done.returncode == (1 if "process" in how else status or 1), done.stderr
    assert done.stdout == b"" and b"Traceback" not in done.stderr and (done.stderr or status)


@by_status
def test_a_count_of_sites_that_dies_fails(status, tmp_path):
    text = f"import os\nos._exit({status})\n"
    bin = tree_with(tmp_path / "tree", "lib/headcount/site_activity.py", text)
    done = run(bin / "count-site-activity", os.devnull)
    assert done.returncode == (status or 1) and done.stdout == b""
    assert status or b"stopped early" in done.stderr


@by_status
@pytest.mark.parametrize("how", SINK_DIES)
def test_an_import_with_a_dying_sink_commits_nothing(how, status, db, two_files, tmp_path):
    script = SINK_DIES[how].format(status=status)
    bin = tree_with(tmp_path / "tree", "bin/upsert-rows", script)
    before = truth(db)
    done = run(bin / "import-active-users", "--db", db, *two_files)
    assert truth(db) == before and not stages(db)
    assert runs(db) == ["done", "failed"]
    assert done.returncode not in (0, 65)

    run("import-active-users", "--db", db, *two_files, check=0)
    assert truth(db)[0] == {"2019-12-31": 1001}


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_lost_row_is_noticed(jobs, db, two_files, tmp_path):
    """Even where everything is read and the status is 0."""
    bin = tree_with_broken_rows(
        tmp_path / "tree",
        r"""
def write(fd, data, *name, write=output.write):
    write(fd, re.sub(rb".*\tuser 499\t.*\n", b"", data) if fd == 1 else data, *name)
output.write = write
""",
    )
    before = truth(db)
    done = run(bin / "import-active-users", "--db", db, "--jobs", jobs, *two_files)
    assert done.returncode == 1 and b"1000" in done.stderr and b"999" in done.stderr
    assert truth(db) == before


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_copied_checkout_works(jobs, two_files, tmp_path):
    """So what fails above fails for its reason."""
    bin = tree_with_broken_rows(tmp_path / "tree", "")
    done = run(bin / "count-active-users", "--jobs", jobs, *two_files, check=0)
    assert done.stdout == b"2019-12-31\t1000\n"


# ---- kill -9


@pytest.mark.parametrize("seed", range(3))
def test_kill_at_any_moment(seed, big, imported, golden, tmp_path):
    """Five times each, one process or all are killed; a re-run is as if nothing had been."""
    whole, seconds = golden
    dice = random.Random(seed)
    before = truth(imported)
    for turn in range(5):
        folder = tmp_path / f"{turn}"
        folder.mkdir()
        db = shutil.copy(imported, folder / "a.db")
        with session("import-active-users", "--db", db, "--jobs", 3, big) as process:
            time.sleep(dice.uniform(0, seconds))
            victims = sorted(members(process.pid), key=lambda member: member.pid)
            if victims and dice.random() < 0.8:
                victims = [dice.choice(victims)]
            for victim in victims:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim.pid, signal.SIGKILL)
            process.communicate(timeout=20)
            what = f"{process.returncode} after kill -9 of {[victim.command for victim in victims]}"
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
PHASES = ["lock", "begin", "stage", "stage in processes", "load"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_the_stage_is_made(number, db, tmp_path):
    """By a disk so slow that the directory is there only after the signal."""
    slow, begun = tmp_path / "mktemp", tmp_path / "begun"
    slow.write_text(
        f"#!/bin/bash\ntrap '' INT TERM HUP\ntouch {begun}\nsleep 0.3\n/usr/bin/mktemp \"$@\"\n"
    )
    slow.chmod(0o755)
    env = BARE | {"PATH": f"{tmp_path}:{BARE['PATH']}"}
    with session("import-active-users", "--db", db, os.devnull, env=env) as process:
        wait_until(begun.exists)
        os.killpg(process.pid, number)
        process.communicate(timeout=10)
    assert process.returncode == (130 if number == signal.SIGINT else 143)
    assert not stages(db)


@pytest.mark.parametrize("number, target", SIGNALS, ids=lambda value: getattr(value, "name", value))
@pytest.mark.parametrize("phase", PHASES)
def test_a_signal_in_each_phase(phase, number, target, db, long_files):
    """Each phase is held up by the test, or long, so that the signal is sure to hit it."""
    before = truth(db)
    with contextlib.ExitStack() as stack:
        if phase == "lock":
            lock = stack.enter_context(open(f"{db}.import-active-users.lock", "a"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        writer = stack.enter_context(closing(sqlite3.connect(db, isolation_level=None)))
        if phase == "begin":
            writer.execute("BEGIN IMMEDIATE")
        options = ["--db", db, "--wait", 30]
        if phase == "stage in processes":
            process, *_ = stack.enter_context(sharing("import-active-users", *options, *long_files))
        else:
            process = stack.enter_context(
                session("import-active-users", *options, stdin=subprocess.PIPE)
            )
        if phase in ("stage", "load"):
            process.stdin.write(event(user="new"))
            process.stdin.flush()
            settle(process.pid, ROWS)
        if phase == "load":
            writer.execute("BEGIN IMMEDIATE")
            process.stdin.close()
            process.stdin = None
            settle(process.pid, "upsert-rows")
        if phase in ("lock", "begin"):
            settle(process.pid, {"lock": "flock", "begin": "enter_run"}[phase])

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
        if phase not in ("lock", "begin"):
            assert runs(db) == ["done", "failed"]
        wait_until(lambda: not members(process.pid), EXIT_WITHIN)
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
        with session("import-active-users", "--db", db, "--jobs", 3, big) as process:
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


# ---- processes that share the work


@pytest.fixture
def long_files(big, tmp_path):
    """Names of so much that all processes work for some seconds."""
    paths = [tmp_path / f"{i}.jsonl" for i in range(100)]
    for path in paths:
        path.symlink_to(big)
    return paths


@contextlib.contextmanager
def sharing(program, *arguments):
    """A program in a session, with the pid of the one that makes the rows, and of its two."""
    with session(program, "--jobs", 2, *arguments) as process:
        yield process, *wait_until(lambda: rows_and_its_two(process.pid))


def rows_and_its_two(number):
    """The pid of the process that has two of its kind as children, and theirs; or None."""
    kin = [member for member in members(number) if "/python -I" in member.command]
    for member in kin:
        children = sorted(other.pid for other in kin if other.parent == member.pid)
        if len(children) == 2:
            return member.pid, children
    return None


PIPELINES = pytest.mark.parametrize("program", ["count-active-users", "import-active-users"])
VICTIMS = pytest.mark.parametrize("victim", ["first", "second", "parent"])


@PIPELINES
@VICTIMS
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_one_of_the_processes_is_killed(number, victim, program, db, long_files):
    before = truth(db)
    options = ["--db", db] if program == "import-active-users" else []
    with sharing(program, *options, *long_files) as (process, parent, (first, second)):
        os.kill({"first": first, "second": second, "parent": parent}[victim], number)
        stdout, stderr = process.communicate(timeout=EXIT_WITHIN)
        wait_until(lambda: not members(process.pid), EXIT_WITHIN)
    assert stdout == b"" and b"Traceback" not in stderr
    assert process.returncode == (128 + number if victim == "parent" else 1)
    assert (victim == "parent") <= (b"a process of this program died" not in stderr)
    if program == "import-active-users":
        assert truth(db) == before and not stages(db)
        assert runs(db) == ["done", "failed"]


def test_ctrl_c_of_the_parent_alone(long_files, tmp_path):
    """It means the same as that of all: the last file is not read."""
    last = tmp_path / "last"
    last.write_bytes(event(micros=NOON + 9 * 86_400_000_000))
    with sharing("count-active-users", *long_files, last) as (process, parent, _):
        wait_until(lambda: has_read(process.pid, ROWS) > 80_000_000)
        os.kill(parent, signal.SIGINT)
        stdout, stderr = process.communicate(timeout=EXIT_WITHIN)
        wait_until(lambda: not members(process.pid), EXIT_WITHIN)
    assert (process.returncode, stderr) == (130, b"")
    assert stdout.startswith(b"2019-12-31\t") and b"2020-01-09" not in stdout


@PIPELINES
@pytest.mark.parametrize("victim", [0, 1])
def test_ctrl_c_of_one_of_the_processes(victim, program, db, long_files, tmp_path):
    """It reads no more files; so that is no success."""
    before = truth(db)
    options = ["--db", db] if program == "import-active-users" else []
    last = [tmp_path / "one before the last", tmp_path / "last"]
    for path in last:
        path.write_bytes(event(user=path.name))
    files = [*long_files, *last]
    with sharing(program, *options, *files) as (process, _, workers):
        os.kill(workers[victim], signal.SIGINT)
        stdout, _ = process.communicate(timeout=20)
    assert process.returncode not in (0, 65), stdout
    assert stdout == b"" or (process.returncode == 130 and program == "count-active-users")
    assert truth(db) == before


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_nobody_works_on_for_a_killed_filter(packed, big, tmp_path):
    path = big
    if packed:
        path = tmp_path / "big.jsonl.gz"
        path.write_bytes(gzip.compress(big.read_bytes(), 1))
    with sharing("grep-events", "no such event", *[path] * 1000) as (process, parent, _):
        os.kill(parent, signal.SIGKILL)
        wait_until(lambda: not members(process.pid), EXIT_WITHIN)


def test_a_file_that_shrinks_while_it_is_read(big, tmp_path):
    """What is gone cannot be counted; what is left can, up to a line that is cut."""
    path = tmp_path / "events.jsonl"
    line = event(user="in what is left", micros=NOON - 10**12, pad=1000)
    path.write_bytes(line * (40_000_000 // len(line)))  # five pieces
    with sharing("count-active-users", *[big] * 100, path) as (process, *_):
        os.truncate(path, 12_000_000)  # its pieces are made, and come last
        stdout, stderr = process.communicate(timeout=10)
    assert stdout.startswith(b"2019-12-19\t1\n") and b"Traceback" not in stderr
    assert process.returncode == 65 and b"events.jsonl:" in stderr and b"truncated" in stderr


@PIPELINES
@pytest.mark.parametrize("damage", ["cut", "unreadable", "missing"])
def test_one_bad_file_among_many_fails_the_run(damage, program, db, unprivileged, tmp_path):
    """With the same message, whichever process has it."""
    before, messages = truth(db), set()
    paths = [tmp_path / f"{i}.jsonl.gz" for i in range(5)]
    bad = tmp_path / "bad.jsonl.gz"
    whole = gzip.compress(b"".join(event(user=f"user {i}") for i in range(2000)))
    for path in paths:
        path.write_bytes(whole)
    if damage != "missing":
        bad.write_bytes(whole[:-1000])
    if damage == "unreadable":
        bad.chmod(0)
    options = ["--db", db] if program == "import-active-users" else []
    for place in (0, 1, 2, 5):
        files = [*paths[:place], bad, *paths[place:]]
        command = [*unprivileged, BIN / program, *options, "--jobs", "3", *files]
        done = subprocess.run(command, capture_output=True, env=BARE, timeout=10)
        assert done.returncode == (1 if damage == "cut" else 66), done.stderr
        assert done.stdout == b""
        messages.add(done.stderr)
    assert truth(db) == before and not stages(db)
    (message,) = messages
    assert str(bad).encode() in message and b"Traceback" not in message


def test_head_stops_all_processes_quietly(big):
    script = '"$@" | head -n 1; echo "${PIPESTATUS[*]}"'
    command = ["bash", "-c", script, "bash", BIN / "grep-events", "user_engagement", "--jobs", "2"]
    process = subprocess.Popen(
        [*command, *[big] * 1000],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=BARE,
        start_new_session=True,
    )
    try:
        stdout, stderr = process.communicate(timeout=EXIT_WITHIN)
        assert not members(process.pid)
    finally:
        kill_session(process.pid)
    assert stdout.count(b"\n") == 2 and stdout.endswith(b"\n0 0\n") and stderr == b""


@pytest.mark.parametrize("program", ["parse-engagement", "count-active-users"])
def test_a_full_disk_behind_the_rejects_of_several_processes(program, two_files):
    two_files[1].write_bytes(event() + b'{"user_engagement"\n')
    done = run(program, "--jobs", 2, "--rejects", "/dev/full", *two_files, check=74)
    assert b"/dev/full" in done.stderr and b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr
    assert program == "parse-engagement" or done.stdout == b""


# ---- limits of the system


def right_or_refused(done, answer):
    """All of the answer, or a failure that says why in a line of its own and the sink's."""
    if done.returncode == 0:
        assert (done.stdout, done.stderr) == (answer, b"")
    else:
        assert done.returncode not in (65, 130)
        assert done.stdout == b"" and 1 <= done.stderr.count(b"\n") <= 2, done.stderr
        assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("allowed", [0, 1])
def test_no_more_processes(allowed, two_files, tmp_path):
    """As under `ulimit -u`, which nobody can set for this alone."""
    breaks = f"""
left = [os.fork] * {allowed}
def fork():
    if not left:
        raise BlockingIOError(11, "Resource temporarily unavailable")
    return left.pop()()
os.fork = fork
"""
    bin = tree_with_broken_rows(tmp_path / "tree", breaks)
    done = run(bin / "count-active-users", "--jobs", 2, *two_files)
    right_or_refused(done, b"2019-12-31\t1000\n")


@pytest.mark.parametrize("descriptors", [8, 10, 12, 16, 64])
def test_few_descriptors_for_many_processes(descriptors, two_files):
    """Without lib/python: the shell needs descriptors, too."""
    python = [ROOT / ".venv" / "bin" / "python", "-I", "-X", "utf8"]
    command = [*python, "-m", ROWS, "count-active-users", "--jobs", "20", *two_files * 20]
    script = 'ulimit -n "$0"; "$@" | sort -u | wc -l; exit "${PIPESTATUS[0]}"'
    done = subprocess.run(
        ["bash", "-c", script, str(descriptors), *command], capture_output=True, env=BARE
    )
    if done.returncode:
        assert done.stderr.count(b"\n") == 1 and b"Traceback" not in done.stderr
    else:
        assert (done.stdout, done.stderr) == (b"1000\n", b"")


@PIPELINES
@pytest.mark.parametrize("long_first", [True, False])
def test_no_more_memory_in_a_process(program, long_first, db, small, tmp_path):
    """A line that is longer than the memory is no reason to guess."""
    before = truth(db)
    path = tmp_path / "long"
    path.touch()
    os.truncate(path, 400_000_000)  # zeros that need no disk
    files = [path, small] if long_first else [small, path]
    options = ["--db", db] if program == "import-active-users" else []
    script = 'ulimit -v 400000; exec "$@"'
    command = ["bash", "-c", script, "bash", BIN / program, *options, "--jobs", "2", *files]
    done = subprocess.run(command, capture_output=True, env=BARE, timeout=20)
    assert done.returncode == 1 and done.stdout == b""
    assert b"out of memory" in done.stderr and b"Traceback" not in done.stderr
    assert truth(db) == before and not stages(db)


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
        settle(process.pid, "tail", ROWS)
        os.killpg(process.pid, signal.SIGINT)
        stdout, stderr = process.communicate(timeout=5)
    finally:
        kill_session(process.pid)
    assert stdout == b"2019-12-31\t50\n"
    assert stderr == b"130\n"


def has_read(session_id, program):
    """How many bytes the processes of a program have read so far."""
    total = 0
    for member in members(session_id):
        if program in member.command:
            with contextlib.suppress(OSError), open(f"/proc/{member.pid}/io") as file:
                total += int(file.readline().split()[1])
    return total


@pytest.mark.parametrize("target", ["bash", "group"])
@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_interrupted_count_of_a_file(packed, jobs, target, big, tmp_path):
    path = big
    if packed:
        path = tmp_path / "big.jsonl.gz"
        path.write_bytes(gzip.compress(big.read_bytes(), 0))
    last = tmp_path / "last"
    last.write_bytes(event(micros=NOON + 9 * 86_400_000_000))
    with session("count-active-users", "--jobs", jobs, *[path] * 100, last) as process:
        wait_until(lambda: has_read(process.pid, ROWS) > 80_000_000)
        (os.kill if target == "bash" else os.killpg)(process.pid, signal.SIGINT)
        stdout, stderr = process.communicate(timeout=EXIT_WITHIN)
    assert process.returncode == 130, stderr
    assert stderr == b""
    counts = dict(line.split(b"\t") for line in stdout.splitlines())
    assert b"2019-12-31" in counts and b"2020-01-09" not in counts
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
    with open(f"{db}.import-active-users.lock", "a") as lock:
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
        settle(process.pid, ROWS)
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
    os.close(os.open(f"{db}.import-active-users.lock", os.O_CREAT))
    os.unlink(f"{db}.import-active-users.lock")
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
        settle(process.pid, ROWS)
        (stage,) = stages(db)
        assert mode(stage) == 0o700
        with closing(sqlite3.connect(db)) as reader:  # keeps the log of the database alive
            reader.execute("SELECT count(*) FROM run").fetchall()
            process.communicate(timeout=20)
            assert process.returncode == 65
            for path in (db, f"{db}-wal", f"{db}-shm", f"{db}.import-active-users.lock", rejects):
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
