"""Rows 2 to 5 and 33 of a server's own: its processes, disk and power, connections, passwords."""

import contextlib
import os
import random
import socket
import time

import pytest

from faults.databases import POSTGRESQL, content, copy_db, differences, problems, stored
from faults.pipelines import attempt, imported
from faults.test_disk import failing, fine_again
from helpers import postgres_server as servers
from helpers.events import event
from helpers.programs import BARE, run
from helpers.sessions import session
from helpers.thorough import IN_FULL, long

pytestmark = pytest.mark.only(POSTGRESQL)
TIMES = 10 if IN_FULL else 1  # random moments


def anew(one, db):
    """A copy whose sequences go on after a crash: a copied one trusts a log that is not its own."""
    copy_db(one, db)
    servers.query(db, "CHECKPOINT")


@contextlib.contextmanager
def importing(start, db):
    """An import of the second file, at some moment of it."""
    with session(*start.pipeline.command(db, start.files[1])) as process:
        time.sleep(random.uniform(0.1, 0.6))
        yield process


def all_or_nothing(start, db, process):
    """What an import has done that something happened to; its process has ended."""
    said = process.communicate(timeout=60)[1]
    assert b"Traceback" not in said
    if process.returncode in (0, 65):
        assert differences(db, start.golden) == []
    elif not start.pipeline.keeps:
        assert [] in (differences(db, whole) for whole in (start.base, start.golden))
    fine_again(start, db)


@pytest.mark.fault(2)
def test_the_server_ends_the_connections(start, db, server, injected):
    for _ in range(TIMES):
        copy_db(start.one, db)
        with injected(start.pipeline.name), importing(start, db) as process:
            server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'headcount' AND pid <> pg_backend_pid()"
            )
            all_or_nothing(start, db, process)


@pytest.mark.fault(2)
def test_the_server_crashes(start, db, server, injected):
    """The import says that it is gone, and it is worth another try."""
    for _ in range(TIMES):
        anew(start.one, db)
        with injected(start.pipeline.name), importing(start, db) as process:
            server.kill()
            process.wait(timeout=60)
            done = attempt(start.pipeline, db, start.files[1])
            server.start()
            assert done.returncode == 75 and b"Traceback" not in done.stderr
            assert done.stderr.count(b"\n") == 1, done.stderr
            all_or_nothing(start, db, process)


@long
@pytest.mark.fault(3)
def test_the_servers_power_is_cut(start, power, injected):
    """What the import has called done is there; the rest comes with the next."""
    folder, cut, restart = power
    with servers.running(str(folder), syncs=True) as server:
        one, db = server.database(), server.database()
        imported(start.pipeline, one, start.files[0])
        os.sync()  # what initdb has written
        for _ in range(TIMES):
            anew(one, db)
            with injected(start.pipeline.name), importing(start, db) as process:
                cut()
                server.kill()
                process.wait(timeout=60)
                restart()
                server.start()
                all_or_nothing(start, db, process)


@pytest.mark.fault(5)
def test_the_connection_breaks_at_a_call(start, db, injected, tmp_path):
    """(No more can be sent then, either; libpq asks for the reason, and that fails.)"""
    failing(start, db, injected, tmp_path, "recvfrom", "ECONNRESET", {75})


@pytest.mark.fault(5)
def test_the_network_swallows_all(injected):
    """A server that is reached, and then is not: nobody waits for it for hours."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        injected("import-active-users on a server"),
    ):
        url = f"postgresql://test@127.0.0.1:{listening.getsockname()[1]}/x?connect_timeout=2"
        began = time.monotonic()
        done = run("import-active-users", "--db", url, stdin=event(), check=75)
        assert time.monotonic() - began < 20 and b"Traceback" not in done.stderr


@long
@pytest.mark.fault(4)
def test_the_servers_disk_is_full(injected, tiny_disk, tmp_path):
    """Nothing of the run is committed, and once there is room again all is."""
    folder, resize = tiny_disk
    resize("100m")
    many = tmp_path / "many.jsonl"
    many.write_bytes(b"".join(event(user=f"user-{n}-{'x' * 400}") for n in range(20_000)))
    with servers.running(str(folder)) as server, injected("import-active-users on a server"):
        db, filler = server.new(), folder / "filler"
        run("import-active-users", "--db", db, stdin=event(), check=0)
        before = content(db)
        with contextlib.suppress(OSError), filler.open("wb") as file:
            for _ in range(200):
                file.write(bytes(1 << 20))
        with filler.open("rb+") as file:
            file.truncate(filler.stat().st_size - (3 << 20))
        done = run("import-active-users", "--db", db, many)
        assert done.returncode in (74, 75), done.stderr  # 75: it has ended, for want of room
        assert b"Traceback" not in done.stderr
        filler.unlink()
        if done.returncode == 75:
            server.kill()
            server.start()
        assert differences(db, before) == []
        run("import-active-users", "--db", db, many, check=0)
        assert len(content(db)["sets"]) > 0 and problems(db) == []
        assert servers.query(db, 'SELECT count(*) FROM "user"') == [(20_001,)]


@pytest.mark.fault(33)
def test_a_password_stays_where_it_is(server, injected, tmp_path, monkeypatch):
    """In nothing that is printed or stored, of a server that is there or is not."""
    monkeypatch.setitem(BARE, "XDG_CACHE_HOME", str(tmp_path))
    secret, db, bad = "very-secret-of-ours", server.database(), tmp_path / "bad"
    named = db.replace("test@", f"test:{secret}@")
    urls = [
        named,
        f"{db}&password={secret}",
        named.replace("port=5432", "port=1"),
        named.replace("test:", "nobody:"),
    ]
    said = []
    with injected("import-active-users on a server", len(urls)):
        for url in urls:
            options = ["--db", url, "--validate", "--max-rejects", "9", "--rejects", bad]
            said.append(run("import-active-users", *options, stdin=event() + b"{ no JSON\n"))
            for command in ("show-runs", "check-data", "export-metrics", "backup-db", "serve-db"):
                said.append(run(command, "--db", url))
            for command in (["show-report", "active_users"], ["why-day", "2019-12-31"]):
                said.append(run(*command, "--db", url))
        assert {done.returncode for done in said} == {0, 2, 65, 75}
        texts = [done.stdout + done.stderr for done in said] + [stored(db)]
        paths = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert bad in paths and len(paths) > 1
        texts += [bytes(path) + path.read_bytes() for path in paths]
        assert [text for text in texts if secret.encode() in text] == []
