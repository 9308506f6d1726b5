"""backup-db: a backup is whole, sound and of one moment, or it is not there."""

import gzip
import os
import random
import shutil
import sqlite3
import stat
import subprocess
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from headcount.errors import Failure
from headcount.operations import backups
from headcount.operations.backups import Backup
from helpers.programs import BARE, BIN, run
from helpers.sessions import query


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A database of some megabytes that do not compress."""
    path = tmp_path_factory.mktemp("made") / "my.db"
    run("import-active-users", "--db", path, "--quiet", check=0)
    with closing(sqlite3.connect(path)) as db:
        dice = random.Random(1)
        rows = [(f"2024-01-{1 + i:02}", "engaged", dice.randbytes(200_000)) for i in range(28)]
        db.executemany("INSERT INTO active_day VALUES (?, ?, ?)", rows)
        db.commit()
    return path


@pytest.fixture
def db(made, tmp_path):
    return Path(shutil.copy(made, tmp_path / "my.db"))


def dump(db):
    with closing(sqlite3.connect(db)) as connection:
        return list(connection.iterdump())


def kept(folder):
    return sorted(folder.glob("*.db.gz"))


def test_the_way_there_and_back(db, tmp_path):
    done = run("backup-db", "--db", db, check=0)
    (backup,) = kept(tmp_path / "backups")
    assert done.stdout.decode() == f"{backup}\n" and done.stderr == b""
    assert os.listdir(tmp_path / "backups") == [backup.name]
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert stat.S_IMODE(backup.parent.stat().st_mode) == 0o700
    run("backup-db", "--db", tmp_path / "new.db", "--restore", backup, check=0)
    assert dump(tmp_path / "new.db") == dump(db)
    assert stat.S_IMODE((tmp_path / "new.db").stat().st_mode) == 0o600
    (tmp_path / "by-hand.db").write_bytes(gzip.decompress(backup.read_bytes()))
    assert dump(tmp_path / "by-hand.db") == dump(db)
    assert not list(tmp_path.glob(".*"))


def test_one_moment_while_others_write(db, tmp_path):
    """Each transaction changes the first page and the last: never one without the other."""
    ending = threading.Event()
    written = []

    def write():
        with closing(sqlite3.connect(db, timeout=60, isolation_level=None)) as connection:
            while not ending.is_set():
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("INSERT INTO setting VALUES (?, '')", [f"n{len(written)}"])
                connection.execute("INSERT INTO user (key) VALUES (?)", [f"n{len(written)}"])
                connection.execute("COMMIT")
                written.append(time.monotonic())

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(3):
            start = time.monotonic()
            run("backup-db", "--db", db, check=0)
            assert sum(at > start for at in written) > 10  # it has kept nobody waiting
    finally:
        ending.set()
        writer.join()
    for number, backup in enumerate(kept(tmp_path / "backups")):
        run("backup-db", "--db", tmp_path / f"{number}.db", "--restore", backup, check=0)
        (settings,), (users,) = (
            query(tmp_path / f"{number}.db", f"SELECT count(*) FROM {counted} LIKE 'n%'")
            for counted in ("setting WHERE name", "user WHERE key")
        )
        assert settings == users and settings[0] > 0


@pytest.mark.parametrize("left", ["my.db", "my.db-wal", "my.db-journal"])
def test_a_restore_overwrites_nothing(left, db, tmp_path):
    run("backup-db", "--db", db, check=0)
    (backup,) = kept(tmp_path / "backups")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / left).write_bytes(b"precious")
    done = run("backup-db", "--db", elsewhere / "my.db", "--restore", backup, check=2)
    assert b"move it away" in done.stderr
    assert os.listdir(elsewhere) == [left] and (elsewhere / left).read_bytes() == b"precious"


def test_a_damaged_backup_is_not_restored(tmp_path):
    small = tmp_path / "small.db"
    run("import-active-users", "--db", small, "--quiet", check=0)
    run("backup-db", "--db", small, check=0)
    (backup,) = kept(tmp_path / "backups")
    whole = backup.read_bytes()
    dice = random.Random(3)
    bad, target = tmp_path / "bad.db.gz", tmp_path / "new.db"
    damaged = [whole[:cut] for cut in dice.sample(range(len(whole)), 100)]
    for _ in range(100):
        place = dice.randrange(10, len(whole))  # the header before has a time and flags of no use
        flipped = bytearray(whole)
        flipped[place] ^= 1 << dice.randrange(8)
        damaged.append(bytes(flipped))
    damaged += [b"", b"no archive", gzip.compress(b"no database"), gzip.compress(b"")]
    content = gzip.decompress(whole)
    for archive in damaged:
        bad.write_bytes(archive)
        try:
            backups.restore(bad, str(target))
        except Failure:
            assert not target.exists() and not list(tmp_path.glob(".new*"))
        else:  # bits that fill the last byte up
            assert target.read_bytes() == content
            target.unlink()
    done = run("backup-db", "--db", target, "--restore", bad, check=66)
    assert b"bad.db.gz" in done.stderr and b"partial" not in done.stderr


def test_of_a_damaged_database_no_backup_is_kept(db, tmp_path):
    run("backup-db", "--db", db, "--keep", "1d", check=0)
    (first,) = kept(tmp_path / "backups")
    with open(db, "r+b") as file:  # an inner page of the table of bitmaps
        (page,) = query(db, "SELECT rootpage FROM sqlite_schema WHERE name = 'active_day'")[0]
        file.seek((page - 1) * 16384)
        file.write(b"\xff" * 16384)
    done = run("backup-db", "--db", db, "--keep", "1d", check=1)
    assert b"my.db" in done.stderr and b"partial" not in done.stderr
    assert b"restore" in done.stderr
    assert kept(tmp_path / "backups") == [first]


def test_what_the_disk_has_made_of_a_backup_is_noticed(db, tmp_path, monkeypatch):
    def pack(path, packed, pack=backups._pack):
        digest = pack(path, packed)
        content = gzip.decompress(packed.read_bytes())
        packed.write_bytes(gzip.compress(content[:-1] + b"x"))
        return digest

    monkeypatch.setattr(backups, "_pack", pack)
    with pytest.raises(Failure, match="does not hold"):
        backups.make(str(db), tmp_path / "backups")
    assert os.listdir(tmp_path / "backups") == []


def test_a_full_disk(db, tiny_disk):
    folder, resize = tiny_disk
    done = run("backup-db", "--db", db, "--to", folder, check=74)
    assert b"cannot write" in done.stderr and os.listdir(folder) == []
    resize("60m")
    run("backup-db", "--db", db, "--to", folder, check=0)
    assert len(os.listdir(folder)) == 1


def test_kill_at_any_moment(db, tmp_path):
    """What has a backup's name is one, and what a killed one leaves goes with the next."""
    folder = tmp_path / "backups"
    dice = random.Random(4)
    start = time.monotonic()
    run("backup-db", "--db", db, "--to", folder, check=0)
    seconds = time.monotonic() - start
    killed = 0
    for _ in range(12):
        process = subprocess.Popen(
            [BIN / "backup-db", "--db", db, "--to", folder], env=BARE, stdout=subprocess.DEVNULL
        )
        time.sleep(dice.uniform(0, seconds))
        process.kill()
        killed += process.wait() != 0
        for number, backup in enumerate(kept(folder)):
            backups.restore(backup, str(tmp_path / f"restored-{number}.db"))
            os.unlink(tmp_path / f"restored-{number}.db")
    assert killed > 5
    run("backup-db", "--db", db, "--to", folder, "--keep", "1d", check=0)
    assert len(os.listdir(folder)) == 1


def test_a_file_system_without_links(db, tmp_path, monkeypatch):
    def link(path, target):
        raise PermissionError(1, "Operation not permitted", target)

    monkeypatch.setattr(os, "link", link)
    first = backups.make(str(db), tmp_path / "backups")
    second = backups.make(str(db), tmp_path / "backups")
    assert first != second and kept(tmp_path / "backups") == [first, second]
    backups.restore(first, str(tmp_path / "new.db"))
    assert dump(tmp_path / "new.db") == dump(db)


def test_what_is_kept():
    """Of backups at four and at five each night, for three years."""
    night = datetime(2026, 11, 28, 5, tzinfo=UTC)
    hours = [timedelta(days=day, hours=hour) for day in range(1100) for hour in (0, 1)]
    made = [Backup(night - before, Path()) for before in hours]

    def dates(*rules):
        gone = backups.surplus(made, dict(rules))
        left = [backup.made for backup in made if backup not in gone]
        assert all(at.hour == 5 for at in left)
        return [f"{at:%Y-%m-%d}" for at in left]

    assert dates(("d", 3)) == ["2026-11-28", "2026-11-27", "2026-11-26"]
    assert dates(("w", 3)) == ["2026-11-28", "2026-11-22", "2026-11-15"]
    assert dates(("m", 3)) == ["2026-11-28", "2026-10-31", "2026-09-30"]
    assert dates(("y", 9)) == ["2026-11-28", "2025-12-31", "2024-12-31", "2023-12-31"]
    both = dates(("d", 7), ("w", 4), ("m", 12))
    assert both[6:10] == ["2026-11-22", "2026-11-15", "2026-11-08", "2026-10-31"]
    assert len(both) == 7 + 2 + 11


def test_an_outage_costs_no_backup():
    made = [Backup(datetime(2020, 1, day, tzinfo=UTC), Path()) for day in (9, 5, 1)]
    assert backups.surplus(made, {"d": 3}) == []
    assert backups.surplus(made, {"d": 2}) == made[2:]


def test_the_new_one_stays_even_where_the_clock_goes_back(db, tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()
    tomorrow = folder / "my-21260101T000000Z.db.gz"
    others = [folder / "other-20200101T000000Z.db.gz", folder / "my-20200101.db.gz", folder / "my"]
    for path in (tomorrow, *others):
        path.touch()
    done = run("backup-db", "--db", db, "--keep", "1d", check=0)
    made = Path(done.stdout.decode().rstrip())
    assert made.exists() and tomorrow.exists() and all(path.exists() for path in others)
