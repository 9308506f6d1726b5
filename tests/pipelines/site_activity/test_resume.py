"""import-site-activity is killed, terminated or out of disk: the next run goes on, to the answer.

For more of it: KILL_LINES=5000000 KILLS=30 .venv/bin/pytest -s
tests/pipelines/site_activity/test_resume.py
"""

import contextlib
import os
import random
import signal
import subprocess
import time

import pytest

from helpers.programs import BIN, run
from helpers.sessions import members, query, session, sound, stages, wait_until
from helpers.thorough import long

LINES = int(os.environ.get("KILL_LINES", 1_200_000))
KILLS = int(os.environ.get("KILLS", 8))
PROGRAM = "import-site-activity"


@pytest.fixture(scope="session")
def chats(tmp_path_factory):
    """Some seconds of work, and the activity they make."""
    folder = tmp_path_factory.mktemp("chats")
    path, truth = folder / "chat.jsonl", folder / "truth"
    with path.open("wb") as file:
        command = [BIN / "make-data", "chat", "--lines", str(LINES), "--truth", truth]
        subprocess.run(command, stdout=file, check=True)
    return path, truth.read_text()


@pytest.fixture(scope="session")
def undisturbed(chats, tmp_path_factory):
    """What an import that nothing happens to makes, and how many seconds it takes."""
    db = tmp_path_factory.mktemp("undisturbed") / "my.db"
    begin = time.monotonic()
    run(PROGRAM, "--db", db, chats[0], check=0)
    return published(db), time.monotonic() - begin


def published(db):
    """All tables for queries."""
    tables = ["site_activity", "site_activity_by_day", "site_online_interval"]
    return [sorted(query(db, f"SELECT * FROM {table}"), key=repr) for table in tables]


def is_whole(db, chats, undisturbed, *, again=False):
    """The answer is that of the undisturbed run, and no line was committed twice or never.

    After an interrupt some lines may be read `again`: processes stop at different places.
    """
    assert published(db) == undisturbed[0]
    activity = "".join(
        f"{site},messages={messages},emails={emails},operators={operators},visitors={visitors}\n"
        for site, messages, emails, operators, visitors in published(db)[0]
    )
    assert activity == chats[1]
    [(lines, kept)] = query(db, "SELECT sum(lines), sum(kept) FROM run")
    assert lines >= LINES if again else lines == LINES
    assert kept == query(db, "SELECT sum(lines) FROM chat_lines")[0][0]
    assert sound(db) and stages(db) == []
    assert query(db, "SELECT status FROM run ORDER BY id DESC LIMIT 1") == [("done",)]
    assert query(db, "SELECT * FROM run WHERE status = 'running'") == []


def committed(db):
    """How many lines are in the database."""
    if not db.exists() or not query(db, "SELECT 1 FROM sqlite_schema WHERE name = 'chat_lines'"):
        return 0
    return query(db, "SELECT coalesce(sum(lines), 0) FROM chat_lines")[0][0]


@long
@pytest.mark.parametrize("who", ["all", "one"])
def test_kill_again_and_again_until_it_is_through(who, chats, undisturbed, tmp_path):
    """Of the whole group, or of one process; started again with no other action."""
    dice = random.Random(who)
    kills = imports = 0
    seconds = undisturbed[1]
    while kills < KILLS:
        imports += 1
        db = tmp_path / f"{imports}.db"
        worked, killed = 0.0, 0
        while True:
            before = committed(db)
            begin = time.monotonic()
            with session(PROGRAM, "--db", db, chats[0]) as process:
                patience = dice.uniform(1, 5) * min(1, seconds / 5)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(patience)
                victims = sorted(members(process.pid), key=lambda member: member.pid)
                if process.poll() is None and victims:
                    killed += 1
                    for victim in victims if who == "all" else [dice.choice(victims)]:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(victim.pid, signal.SIGKILL)
                process.communicate(timeout=30)
                wait_until(lambda process=process: not members(process.pid))
            worked += time.monotonic() - begin
            assert committed(db) >= before
            if process.returncode == 0:
                break
        is_whole(db, chats, undisturbed)
        kills += killed
        print(f"{who}: {killed} kills, {worked:.1f} s of work; undisturbed {seconds:.1f} s")


@pytest.mark.sample(6)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("target", ["bash", "group"])
def test_a_signal_ends_it_within_two_seconds(number, target, chats, undisturbed, tmp_path):
    dice = random.Random(number)
    db = tmp_path / "my.db"
    for _ in range(2):
        with session(PROGRAM, "--db", db, chats[0]) as process:
            time.sleep(dice.uniform(0.1, 0.9) * undisturbed[1])
            begin = time.monotonic()
            if process.poll() is None:
                (os.kill if target == "bash" else os.killpg)(process.pid, number)
            _, message = process.communicate(timeout=30)
            assert time.monotonic() - begin < 2
            assert b"Traceback" not in message
            assert process.returncode in (0, 130 if number == signal.SIGINT else 143)
            wait_until(lambda process=process: not members(process.pid))
        assert stages(db) == []
    run(PROGRAM, "--db", db, chats[0])
    is_whole(db, chats, undisturbed, again=number == signal.SIGINT)


@pytest.mark.sample(4)
@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.2, 0.3])
def test_ctrl_c_keeps_what_was_read_up_to_the_first_gap(seconds, chats, undisturbed, tmp_path):
    """Each process stops at its own place: the mark must not count what lies behind a gap."""
    db = tmp_path / "my.db"
    with session(PROGRAM, "--db", db, "--jobs", 3, chats[0]) as process:
        wait_until(
            lambda: (
                sum("headcount.pipelines.site_activity" in m.command for m in members(process.pid))
                > 3
            )
        )
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGINT)
        _, message = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"interrupted: what was read is kept, and the next run goes on from there" in message
    assert published(db) == [[], [], []]
    for size, lines in query(db, "SELECT bytes, lines FROM input_mark"):
        with chats[0].open("rb") as file:
            before = file.read(size)
        assert before.count(b"\n") == lines and before.endswith(b"\n")
    run(PROGRAM, "--db", db, chats[0], check=0)
    is_whole(db, chats, undisturbed, again=True)


def test_a_full_disk_in_the_middle(chats, undisturbed, tiny_disk):
    folder, resize = tiny_disk
    resize("26m")
    db = folder / "my.db"
    for advice in (b"run it again to go on", b""):  # the second may have no room to begin
        done = run(PROGRAM, "--db", db, chats[0])
        assert done.returncode == 74 and b"Traceback" not in done.stderr, done.stderr
        assert b"cannot write" in done.stderr and advice in done.stderr, done.stderr
        assert published(db) == [[], [], []] and sound(db)
        assert run("show-report", "--db", db, "site_activity").returncode == 0
    resize(f"{LINES // 1000}m")
    run(PROGRAM, "--db", db, chats[0], check=0)
    is_whole(db, chats, undisturbed)


@pytest.mark.parametrize("how", ["replaced", "cut short", "removed"])
def test_a_file_that_is_no_longer_the_same_once_it_is_read(how, tmp_path):
    """A FIFO behind it holds up the import: once that is open, the file has been read."""
    db, path, fifo = tmp_path / "my.db", tmp_path / "chat.jsonl", tmp_path / "fifo"
    lines = run("make-data", "chat", "--lines", 10, "--duplicates", 0, check=0).stdout
    path.write_bytes(lines)
    os.mkfifo(fifo)
    with session(PROGRAM, "--db", db, "--jobs", 1, path, fifo) as process:
        with fifo.open("wb"):
            if how == "cut short":
                os.truncate(path, 5)
            else:
                path.rename(tmp_path / "chat.1")
            if how == "replaced":
                path.write_bytes(lines)
        _, message = process.communicate(timeout=30)
    assert process.returncode == 75 and b"was replaced or cut short while it was read" in message
    assert committed(db) == 0
    path.write_bytes(lines)
    run(PROGRAM, "--db", db, path, check=0)
    assert committed(db) == 10


def test_two_at_once(chats, undisturbed, tmp_path):
    db = tmp_path / "my.db"
    with (
        session(PROGRAM, "--db", db, chats[0]) as first,
        session(PROGRAM, "--db", db, chats[0]) as then,
    ):
        for process in (first, then):
            process.communicate(timeout=60)
            assert process.returncode == 0
    is_whole(db, chats, undisturbed)
