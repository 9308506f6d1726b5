"""A full disk behind any output."""

import shutil
import subprocess

import pytest

from faults.one_import.common import (
    runs,
    truth,
)
from helpers.events import NOON, event
from helpers.programs import BARE, BIN, PROGRAMS, run
from helpers.sessions import (
    sound,
    stages,
)

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


@pytest.mark.sample(2)
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


@pytest.mark.sample(2)
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
    folder, resize = tiny_disk
    resize("2560k")  # there is room for an entry in the ledger
    db = shutil.copy(imported, folder / "a.db")
    events = tmp_path / "events.jsonl"
    events.write_bytes(
        b"".join(event(user=f"a user with a long name, {i:09}") for i in range(60_000))
    )
    run("import-active-users", "--db", db, events, check=74)
    assert runs(db) == ["done", "failed"]
