"""doctor: each thing that it looks for, made so, is told; and nothing else is."""

import os
import re
import sqlite3
import stat
import subprocess
from contextlib import closing

import pytest

from headcount.db import connection as database
from headcount.operations import doctor
from helpers.events import event
from helpers.programs import BARE, BIN, ROOT, run
from helpers.sessions import query


@pytest.fixture
def db(tmp_path):
    path = tmp_path / "my.db"
    run("import-active-users", "--db", path, "--quiet", check=0)
    return path


def problems(check, db="none.db"):
    return [problem for problem, _ in check(str(db))]


def changed(db, sql):
    with closing(sqlite3.connect(db)) as connection:
        connection.execute(sql)
        connection.commit()


def test_a_healthy_database(db):
    """Of this machine nothing is known; around a new database all is well."""
    for check in (
        doctor.interpreter,
        doctor.sqlite,
        doctor.path,
        doctor.permissions,
        doctor.time,
        doctor.journal,
        doctor.schema,
    ):
        assert problems(check, db) == []


def test_what_doctor_prints_it_has_found(db):
    db.chmod(0o644)
    done = run("doctor", "--db", db, check=65)
    assert f"{db} may be opened by others (0644): chmod 600 {db}" in done.stdout.decode()
    assert b"!!  permissions: " in done.stdout and b"ok  schema: " in done.stdout
    quiet = run("doctor", "--db", db, "--quiet", check=65).stdout
    assert b"permissions: " in quiet and b"schema" not in quiet


# ---- the machine


def test_packages_of_another_version(monkeypatch):
    def version(name, real=doctor.metadata.version):
        if name == "msgspec":
            raise doctor.metadata.PackageNotFoundError
        return "0.1" if name == "pyroaring" else real(name)

    monkeypatch.setattr(doctor.metadata, "version", version)
    found = problems(doctor.interpreter)
    assert len(found) == 2 and found[0].startswith("msgspec is missing, and should be ")
    assert found[1].startswith("pyroaring is 0.1, and should be ")


def test_every_package_of_the_lock_is_looked_at():
    assert len(doctor._locked()) > 20 and "tzdata" in doctor._locked()


def test_an_old_python_and_an_old_sqlite(monkeypatch):
    monkeypatch.setattr(doctor, "_PYTHON", (9, 9))
    monkeypatch.setattr(doctor, "_SQLITE", (9, 9))
    assert "too old" in problems(doctor.interpreter)[0]
    assert "too old" in problems(doctor.sqlite)[0]


def test_tools_that_cron_does_not_see(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "SYSTEM_PATH", str(tmp_path))
    assert len(problems(doctor.path)) == len(doctor._TOOLS)
    for tool in doctor._TOOLS:
        (tmp_path / tool).write_text("#!/bin/sh\necho 4 3\n")
        (tmp_path / tool).chmod(0o755)
    assert problems(doctor.path) == [f"{tmp_path}/bash is 4.3"]


@pytest.mark.parametrize(
    "variable, text",
    [
        ({"BASH_ENV": "/etc/profile"}, "BASH_ENV=/etc/profile is set"),
        ({"TMPDIR": "/no/such/folder"}, "cannot write temporary files to /no/such/folder"),
        ({"LC_ALL": "xx_XX.UTF-8"}, "LC_ALL=xx_XX.UTF-8 is not a locale of this machine"),
        ({"LANG": "xx_XX.UTF-8"}, "LANG=xx_XX.UTF-8 is not a locale of this machine"),
    ],
)
def test_an_environment_that_meddles(variable, text):
    done = run("doctor", "--quiet", "--db", "none.db", check=65, env=BARE | variable)
    assert text in done.stdout.decode()


def test_a_machine_with_newer_zones(monkeypatch, tmp_path):
    zones = tmp_path / "tzdata.zi"
    monkeypatch.setattr(doctor, "_SYSTEM_ZONES", zones)
    for text, count in (("# version 2999a\n", 1), ("# version 2001a\n", 0), ("# redo\n", 0)):
        zones.write_text(text)
        assert len(problems(doctor.zone_data)) == count


# ---- around the database


def test_a_disk_that_fills_up(tiny_disk):
    folder, resize = tiny_disk
    assert f"{folder} has 2 MB left; 100 MB would be safe" in problems(
        doctor.disk_space, folder / "my.db"
    )
    resize("300m")

    def at():
        found = problems(doctor.disk_space, folder / "my.db")
        return [text for text in found if str(folder) in text]

    assert at() == []
    with open(folder / "my.db", "wb") as file:
        file.truncate(200 << 20)
    assert at() == [f"{folder} has 300 MB left; 400 MB would be safe"]


@pytest.mark.parametrize(
    "name", ["my.db", "my.db-wal", "log/night.log.1", "backups/my-20260101T000000Z.db.gz"]
)
def test_files_that_others_may_read(name, db):
    path = db.parent / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    path.chmod(0o640)
    assert problems(doctor.permissions, db) == [f"{path} may be opened by others (0640)"]
    path.chmod(0o600)
    assert problems(doctor.permissions, db) == []


def test_a_folder_that_anybody_may_write(db):
    db.parent.chmod(0o777)
    assert problems(doctor.permissions, db) == [f"anybody may replace files in {db.parent}"]
    db.parent.chmod(0o1777)
    assert problems(doctor.permissions, db) == []


def test_a_database_of_somebody_else(db, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: os.stat(db).st_uid + 1)
    assert problems(doctor.permissions, db) == [f"{db} belongs to another user"]


def test_a_folder_that_one_cannot_write(db, unprivileged):
    db.parent.chmod(0o500)
    try:
        command = [*unprivileged, BIN / "doctor", "--db", db, "--quiet"]
        done = subprocess.run(command, env=BARE, capture_output=True)
    finally:
        db.parent.chmod(0o700)
    assert f"you cannot write to {db.parent}" in done.stdout.decode()


@pytest.mark.parametrize(
    "kind, count", [("nfs4", 1), ("9p", 1), ("fuse.sshfs", 1), ("ext4", 0), ("fuse.ntfs", 0)]
)
def test_a_network_disk(kind, count, db, monkeypatch):
    monkeypatch.setattr(doctor, "_file_system", lambda folder: kind)
    assert len(problems(doctor.locks, db)) == count


def test_the_disk_of_a_folder_is_found(tiny_disk):
    folder, _ = tiny_disk
    assert doctor._file_system(str(folder)) == "tmpfs"
    (folder / "within").mkdir()
    assert doctor._file_system(str(folder / "within")) == "tmpfs"
    assert doctor._file_system("/proc") == "proc"


def test_a_clock_that_goes_back(db):
    changed(db, "UPDATE run SET ended_at = '2999-01-01T00:00:00Z'")
    (found,) = problems(doctor.time, db)
    assert "something was written at 2999-01-01T00:00:00Z" in found


def test_journals(db):
    other = db.parent / "other.db"
    (db.parent / "other.db-wal").touch()
    assert problems(doctor.journal, other) == [f"{other}-wal is there without {other}"]
    with open(f"{db}-wal", "wb") as file:
        file.truncate(65 << 20)
    assert problems(doctor.journal, db) == [f"{db}-wal has grown to 65 MB"]


def test_what_is_left_of_a_killed_import(db):
    stage = db.parent / "my.db.import-active-users.stage.AbCdEf"
    stage.mkdir()
    assert problems(doctor.journal, db) == [f"{stage} is left of a killed import"]
    lock = f"{db}.import-active-users.lock"
    with open(lock) as file:
        doctor.fcntl.flock(file, doctor.fcntl.LOCK_EX)
        assert problems(doctor.journal, db) == []


def test_versions(db):
    changed(db, "UPDATE run SET zone_rules = '1999a'")
    (found,) = problems(doctor.schema, db)
    assert "by zone rules 1999a" in found
    changed(db, f"PRAGMA user_version = {database.SCHEMA_VERSION - 1}")
    (found,) = problems(doctor.schema, db)
    assert f"here it is {database.SCHEMA_VERSION}" in found
    changed(db, "PRAGMA user_version = 99")
    (found,) = problems(doctor.schema, db)
    assert "newer Headcount" in found


def test_a_folder_that_is_not_there(tmp_path):
    done = run("doctor", "--db", tmp_path / "none" / "my.db", check=66)
    assert b"no folder" in done.stderr and done.stdout == b""


def test_nothing_is_changed(db):
    before = db.read_bytes(), stat.S_IMODE(db.stat().st_mode), sorted(os.listdir(db.parent))
    run("doctor", "--db", db)
    assert query(db, "PRAGMA integrity_check") == [("ok",)]
    names = sorted(set(os.listdir(db.parent)) - {"my.db-wal", "my.db-shm"})
    assert (db.read_bytes(), stat.S_IMODE(db.stat().st_mode), names) == before


# ---- the crontab


def crontab(tmp_path, *lines):
    path = tmp_path / "crontab"
    head = [f"HOME={tmp_path}", f'HEADCOUNT="{ROOT}"', "", "# a comment: import-nothing"]
    path.write_text("\n".join([*head, *lines]) + "\n")
    return path


def found_in(db, path):
    done = run("doctor", "--db", db, "--quiet", "--crontab", path)
    text = done.stdout.decode()
    found = [line for line in text.splitlines() if "crontab, line" in line]
    assert bool(found) == ("crontab: What" in text)
    return found


def test_the_crontab_s_imports_fit_their_databases(tmp_path):
    db = tmp_path / "my.db"
    run("import-active-users", "--db", db, "--tz", "America/Chicago", stdin=event(), check=0)
    folder = tmp_path / "events"
    folder.mkdir()
    job = '17 4 * * * "$HEADCOUNT/bin/run-job" --every 1d night --'
    program = '"$HEADCOUNT/bin/import-active-users"'
    fits = crontab(
        tmp_path,
        f"{job} {program} --db my.db --tz America/Chicago events >> changes.tsv 2>&1",
        f"@daily {program} --db new.db --tz Asia/Tokyo events | cat",
        "1 1 * * * echo 100\\% > x; true",
    )
    made = lambda: {p.name for p in tmp_path.iterdir()} - {"my.db-shm", "my.db-wal"}  # noqa: E731
    before = made()
    assert found_in(db, fits) == []
    assert made() == before, "nothing is made"
    (folder / "one").write_bytes(event())
    assert found_in(db, fits) == []
    wrong = crontab(
        tmp_path,
        f"{job} {program} --db my.db --tz Europe/Berlin events",
        f"{job} {program} --db my.db --tz Mars/Base events",
        f"{job} {program} --db my.db --tz America/Chicago nowhere",
        f"{job} {program} --db my.db --tz America/Chicago --no-such events",
        f"{job} /nowhere/import-comments --db my.db --info events",
        f"{job} ${{HEADCOUNT}}/bin/import-site-activity --db my.db --tz Asia/Tokyo events",
    )
    found = found_in(db, wrong)
    assert [re.search(r"line (\d+)", line)[1] for line in found] == ["5", "6", "7", "8", "9"], found
    assert "made with --tz America/Chicago, not Europe/Berlin" in found[0]
    assert "Mars/Base" in found[1] and "nowhere: no such file" in found[2]
    assert "--no-such" in found[3] and "/nowhere/import-comments" in found[4]


def test_a_crontab_that_is_not_there(tmp_path):
    done = run("doctor", "--db", tmp_path / "my.db", "--crontab", tmp_path / "none", check=65)
    assert b"crontab" in done.stdout and b"cannot open" in done.stdout
