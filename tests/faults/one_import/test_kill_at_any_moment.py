"""kill -9 at any moment of an import."""

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import time
from contextlib import closing

import pytest

from faults.one_import.common import (
    runs,
    truth,
)
from helpers.programs import run
from helpers.sessions import (
    members,
    session,
    settle,
    sound,
    stages,
    wait_until,
)


@pytest.mark.sample(4)
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


def test_who_is_killed_while_it_waits_for_the_database_enters_no_run(db, small, tmp_path):
    """The session that was to enter it notices: the next import may be at work by then."""
    shutil.copy(small, tmp_path / "other")
    with closing(sqlite3.connect(db, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with session("import-active-users", "--db", db, tmp_path / "other") as process:
            settle(process.pid, "pipelines.session")
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            writer.execute("ROLLBACK")
            wait_until(lambda: not members(process.pid))
    assert runs(db) == ["done"]
    run("import-active-users", "--db", db, tmp_path / "other", check=0)
    assert runs(db) == ["done", "done"]
