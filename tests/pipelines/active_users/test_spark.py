"""Spark: its tasks find what one program finds, however files are cut and whoever is killed."""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from random import Random

import pytest

from headcount.filters import runner
from headcount.filters.account import Account
from headcount.filters.progress import Progress
from headcount.filters.rejects import RejectLog
from headcount.io import inputs
from headcount.pipelines.active_users.spark import class_archive
from helpers.checkouts import copy_of_checkout
from helpers.events import event
from helpers.programs import BARE, NO_SPARK, ROOT, run
from helpers.sessions import query, stages
from helpers.thorough import IN_FULL, long
from pipelines.active_users import test_breakdowns as breakdowns
from pipelines.active_users import test_properties as apps
from pipelines.active_users.test_definitions import ALL, made, options_of
from pipelines.active_users.test_part_file import CONTENT, ask

needs_spark = pytest.mark.skipif(bool(NO_SPARK), reason=NO_SPARK or "there is one")
ENV = BARE | {"SPARK_LOCAL_IP": "127.0.0.1"}
if os.environ.get("JAVA_HOME"):
    ENV["JAVA_HOME"] = os.environ["JAVA_HOME"]
WHOLE = [*CONTENT, "SELECT * FROM user", "SELECT date, signal, hex(users) FROM active_day"]


def whole(db):
    """The content of a database, the numbers of users included."""
    return [sorted(ask(db, sql), key=repr) for sql in WHOLE]


@pytest.fixture(scope="module")
def context():
    from pyspark import SparkContext

    os.environ["PYSPARK_PYTHON"] = str(ROOT / ".venv" / "bin" / "python")
    with SparkContext("local[2]", "test") as context:
        yield context


@long
@needs_spark
@pytest.mark.parametrize("seed", range(20 if IN_FULL else 2))
def test_any_cut_order_and_repetition(seed, context, tmp_path, monkeypatch):
    """Rows, account and rejects are those of one reader of all files."""
    from headcount.pipelines.active_users.spark import driver, task

    rng = Random(seed)
    world = rng.choice(["plain", "events", "device"])
    lines, (_, _, given) = made(seed, 600), options_of(world)
    arguments = [*map(str, given), "--mergeable", "--validate", "--rejects", "-"]
    if rng.random() < 0.7:
        arguments += ["--definition", ALL]
    paths = []
    for number in range(rng.randrange(1, 4)):
        path = tmp_path / f"{number}.jsonl"
        path.write_bytes(b"".join(rng.choices(lines, k=rng.randrange(1, 400))))
        paths.append(str(path))
    subprocess.run(["gzip", "-k", paths[0]], check=True)
    paths.append(f"{paths[0]}.gz")
    rng.shuffle(paths)

    alone = task.options([*arguments, "--", *paths])
    rows, rejects, lines_of = set(), [], dict.fromkeys(paths, 0)
    for block in inputs.blocks(paths):
        result = alone.rows(block)
        rows.update(by_input([result.rows]))
        rejects += [(why, name, line, bytes(raw)) for why, name, line, raw in result.rejects]
        lines_of[block.name] += block.lines()
    rows.update(by_input([alone.reading["at_end"]() or b""]))

    size = rng.randrange(300, 30_000)  # bytes: pieces far smaller than they would be
    monkeypatch.setattr(driver, "_SMALLEST", size)
    monkeypatch.setattr(driver, "_LARGEST", size)
    work = list(driver.tasks(paths, rng.randrange(1, 3)))
    assert len(work) > 1
    contents = list(driver.found(context, arguments, work))
    found = [one for one in contents if isinstance(one, task.Found)]
    texts = [one for one in contents if isinstance(one, bytes)]
    all_rows = list(by_input(texts))
    assert set(all_rows) == rows and len(all_rows) == len(rows)  # each once

    log, ours = RejectLog("test", None), Account("test")
    kept = []
    log.add = lambda *reject: kept.append(reject)
    runner.tally(driver.in_order(found), ours, log, Progress("test", None, False))
    assert kept == rejects and ours.inputs == lines_of
    assert ours.lines == ours.kept + ours.filtered + ours.duplicate + len(rejects)


def by_input(texts):
    """Rows, each with its input: the line before it that names one."""
    for line in b"".join(texts).splitlines():
        if line.startswith(runner.FROM_INPUT):
            path = line
        elif not line.startswith(runner.EVENTS):
            yield path, line


@needs_spark
def test_a_failure_in_a_task_is_told_with_its_file_and_host(context, tmp_path):
    from headcount.pipelines.active_users.spark import driver, task

    subprocess.run(f"gzip -c | head -c 40 >{tmp_path}/cut.gz", shell=True, input=event() * 9)
    paths = [str(tmp_path / "cut.gz")]
    contents = driver.found(context, [], list(driver.tasks(paths, 2)))
    (failed,) = [one for one in contents if isinstance(one, task.Failed)]
    assert "cut.gz" in failed.text and socket.gethostname() in failed.text and failed.status == 1


@needs_spark
def test_few_rejects_are_sent_and_all_are_counted(context, tmp_path):
    from headcount.pipelines.active_users.spark import driver, task

    (tmp_path / "bad.jsonl").write_bytes(b"{bad\n" * 100)
    paths = [str(tmp_path / "bad.jsonl")]
    contents = driver.found(context, ["--validate"], list(driver.tasks(paths, 2)))
    (found,) = [one for one in contents if isinstance(one, task.Found)]
    assert len(found.rejects) == 5 and found.reasons.total() == 95 and found.lines == 100


@needs_spark
def test_breakdowns_of_tasks(tmp_path):
    lines, db = breakdowns.made(1), tmp_path / "my.db"
    paths = breakdowns.files(tmp_path, lines, Random(1))
    how = ["--quiet", "--db", db, *breakdowns.BY, "--jobs", 2]
    run("spark-active-users", *how, *paths, env=ENV, check=0)
    assert breakdowns.published(db) == breakdowns.brute(lines, breakdowns.FIELDS)


@needs_spark
def test_properties_of_tasks(tmp_path):
    files = [tmp_path / f"{number}.jsonl" for number in range(3)]
    for number, file in enumerate(files):
        file.write_bytes(b"".join(apps.events(number)))
    how = ["--property-by=app_info.id", *apps.HOW["several"], *files]
    dbs = [tmp_path / "mine.db", tmp_path / "theirs.db"]
    apps.imported(dbs[0], *how)
    run("spark-active-users", "--quiet", "--db", dbs[1], "--jobs", 2, *how, env=ENV, check=0)
    assert set(apps.properties_of(dbs[0])) == set(apps.properties_of(dbs[1]))
    for name in apps.properties_of(dbs[0]):
        assert apps.content(dbs[0], name) == apps.content(dbs[1], name)


@needs_spark
def test_an_import_on_this_host(tmp_path):
    """The program as a whole: the same database, rejects and output as import-active-users."""
    for number in range(2):
        (tmp_path / f"{number}.jsonl").write_bytes(b"".join(made(number, 500)))
    files = ["0.jsonl", "1.jsonl", "./0.jsonl"]
    key = tmp_path / "a key"
    key.write_text("0123456789abcdef")
    key.chmod(0o600)
    common = [
        "--validate",
        "--max-rejects",
        "100%",
        "--definition",
        ALL,
        "--pseudonym-key",
        "a key",
    ]
    done = {}
    for program, more in (("import-active-users", []), ("spark-active-users", ["--jobs", 2])):
        done[program] = run(
            program,
            *common,
            *more,
            *["--db", f"{program}.db", "--rejects", f"{program}.rejects", *files],
            cwd=tmp_path,
            env=ENV,
        )
    ours, theirs = done["spark-active-users"], done["import-active-users"]
    assert ours.returncode == theirs.returncode == 65, ours.stderr
    assert ours.stdout == theirs.stdout and ours.stdout
    assert ours.stderr == theirs.stderr, ours.stderr.decode()
    paths = [tmp_path / f"{program}.rejects" for program in done]
    assert paths[0].read_bytes() == paths[1].read_bytes() != b""
    databases = [tmp_path / f"{program}.db" for program in done]
    assert whole(databases[0]) == whole(databases[1])
    sums = "SELECT lines, filtered, rejected, unidentified FROM run"
    assert query(databases[0], sums) == query(databases[1], sums)
    shown = run("show-runs", "--db", databases[1], "--json", check=0).stdout
    assert [run["kind"] for run in json.loads(shown)] == ["import"]
    metrics = run("export-metrics", "--db", databases[1], check=0).stdout
    assert b'headcount_import_lines_total{pipeline="spark-active-users"}' in metrics
    again = run("spark-active-users", *common, "--db", databases[1], *files, cwd=tmp_path, env=ENV)
    assert again.returncode == 0 and b"3 files were imported before" in again.stderr


class Cluster:
    """A stand-alone master and two workers on the loopback."""

    def __init__(self, folder):
        import pyspark

        self._spark_class = Path(pyspark.__file__).parent / "bin" / "spark-class"
        self._env = ENV | {"SPARK_LOCAL_DIRS": str(folder), "SPARK_WORKER_DIR": str(folder)}
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"spark://127.0.0.1:{port}"
        self.log = folder / "log"
        self._processes = [self._start("master.Master", "--port", str(port))]
        for _ in range(2):
            worker = ["worker.Worker", "--cores", "1", "--memory", "1g", self.url]
            self._processes.append(self._start(*worker))
        deadline = time.monotonic() + 60
        while self.log.read_text().count("Registering worker") < 2:
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)

    def _start(self, name, *arguments):
        common = ["--host", "127.0.0.1", "--webui-port", "0"]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [self._spark_class, f"org.apache.spark.deploy.{name}", *common, *arguments],
                env=self._env,
                stdout=log,
                stderr=log,
            )

    def stop(self):
        for process in self._processes:
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.stop()


def readers(path):
    """The processes that have a file open, as the tasks of a cluster have: not their parents."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"pyspark.daemon" in (process / "cmdline").read_bytes() and any(
                os.readlink(fd) == str(path) for fd in (process / "fd").iterdir()
            ):
                yield int(process.name)
        except OSError:
            continue


def parent_named(pid, name):
    """The nearest ancestor of a process whose command line holds a name."""
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        if name in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    raise AssertionError(name)


@long
@needs_spark
def test_a_cluster_whose_tasks_are_killed(cluster, tmp_path):
    """Two tasks and a whole executor die mid-way; the database is what one machine makes."""
    path = tmp_path / "events.jsonl"
    some = b"".join(made(7, 700))
    with path.open("wb") as file:
        for _ in range((120 << 20) // len(some)):
            file.write(some)
    common = ["--validate", "--max-rejects", "100%", "--quiet", path]
    alone, db = tmp_path / "alone.db", tmp_path / "my.db"
    theirs = run("import-active-users", "--db", alone, *common)
    killed = []

    def kill():
        for number in range(3):
            while not killed or len(killed) == number:
                for pid in readers(path):
                    try:
                        if number == 1:
                            pid = parent_named(pid, b"CoarseGrainedExecutorBackend")
                        os.kill(pid, signal.SIGKILL)
                    except OSError:
                        continue
                    killed.append(pid)
                    break
                if done.is_set():
                    return
                time.sleep(0.002)

    done = threading.Event()
    killer = threading.Thread(target=kill)
    killer.start()
    ours = run("spark-active-users", "--master", cluster.url, "--db", db, *common, env=ENV)
    done.set()
    killer.join()
    assert len(killed) == 3, ours.stderr
    assert ours.returncode == theirs.returncode == 65, ours.stderr
    assert ours.stdout == theirs.stdout and ours.stdout
    assert whole(db) == whole(alone)
    sums = "SELECT lines, filtered, rejected, unidentified FROM run"
    assert query(db, sums) == query(alone, sums)
    assert stages(db) == []


@needs_spark
def test_the_set_up_has_made_an_archive_of_classes():
    """Wherever the checkout is: where its path has a blank, too."""
    assert Path(class_archive.PATH).stat().st_size > 1 << 20


@needs_spark
@long
@pytest.mark.parametrize("archive", [None, b"", b"no archive" * 9000])
def test_an_archive_of_classes_that_is_no_good(archive, tmp_path):
    """Spark starts as it does without."""
    tree = copy_of_checkout(tmp_path / "tree")
    (tree / ".venv").unlink()
    shutil.copytree(ROOT / ".venv", tree / ".venv", copy_function=os.symlink, symlinks=True)
    (tree / ".venv" / "spark.jsa").unlink()
    if archive is not None:
        (tree / ".venv" / "spark.jsa").write_bytes(archive)
    (tmp_path / "x").write_bytes(event())
    given = ["--master", "local[1]", "--db", tmp_path / "my.db", tmp_path / "x"]
    ours = {"executable": tree / "bin" / "spark-active-users"}
    done = run("spark-active-users", *given, **ours, env=ENV, check=0)
    assert done.stdout == b"2019-12-31\t0\t1\n" and b"warning" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["-"],
        ["--master", "mesos://here", "x"],
        ["--master", "local[0]", "x"],
        ["--jobs", "0", "x"],
        ["/dev/null"],
    ],
)
def test_wrong_usage(arguments, tmp_path):
    if arguments[:1] == ["--jobs"] and NO_SPARK:
        pytest.skip(NO_SPARK)
    (tmp_path / "x").write_bytes(event())
    done = run("spark-active-users", "--db", "my.db", *arguments, cwd=tmp_path, env=ENV)
    assert done.returncode == 2 and b"Try 'spark-active-users --help'" in done.stderr
    assert b"Traceback" not in done.stderr


@needs_spark
def test_a_key_that_is_not_there(tmp_path):
    """No import without the pseudonyms that were asked for."""
    (tmp_path / "x").write_bytes(event())
    for key in ("key", "no/key"):
        given = ["--pseudonym-key", key, "--db", "my.db", "x"]
        done = run("spark-active-users", *given, cwd=tmp_path, env=ENV, check=66)
        assert b"key: no such file" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_no_java(tmp_path):
    """Where there is none, the way out is told."""
    (tmp_path / "bin").mkdir()
    for name in ("bash", "sh", "env", "readlink", "cat"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    (tmp_path / "x").write_bytes(event())
    env = {"PATH": str(tmp_path / "bin"), "HOME": "/"}
    done = run("spark-active-users", "--db", tmp_path / "my.db", tmp_path / "x", env=env, check=1)
    assert b"needs Java" in done.stderr and not (tmp_path / "my.db").exists()


def test_a_person_is_not_forgotten_meanwhile(tmp_path):
    """Who erases waits for its turn, as for all other imports."""
    db = tmp_path / "my.db"
    run("import-active-users", "--db", db, stdin=event(user="ann-the-person"), check=0)
    with open(f"{db}.spark-active-users.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = ["forget-user", "--db", db, "--mode", "keep", "--wait", 0.1, "ann-the-person"]
        assert b"spark-active-users.lock" in run(*command, check=75).stderr
