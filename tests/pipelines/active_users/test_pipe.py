"""The pipe as it is written (--pipe) and the program that has it in one: the same of everything."""

import itertools
import json
import signal
import subprocess

import pytest

from faults.one_import.common import tree_with
from headcount.pipelines.active_users.definitions import DEFINITIONS
from helpers.events import event
from helpers.programs import run
from helpers.sessions import query, session, settle
from pipelines.active_users.test_definitions import ALL, made, options_of
from pipelines.active_users.test_part_file import content

FILTERS = ["grep-events", "parse-engagement", "local-day"]
VALIDATED = pytest.mark.parametrize("more", [(), ("--validate",)], ids=["grep", "validate"])
# What the ledger has of a run; what repeats other rows, either leaves out where it likes.
LEDGER = [
    "SELECT lines, kept + duplicate, filtered, rejected, unidentified, status FROM run",
    "SELECT run_id, reason, rejects FROM run_reject ORDER BY 1, 2",
    "SELECT run_id, path, lines FROM run_input ORDER BY 1, 2",
]


def rejects(path):
    """Without the name of the file: who rejected what, why, on which line."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(params=["plain", "events", "device"])
def files(request, tmp_path):
    """Two files of events, one of them an archive, with the options that go with them."""
    lines, (_, _, given) = made(5, 600), options_of(request.param)
    paths = [tmp_path / "plain.jsonl", tmp_path / "packed.jsonl"]
    for path, some in zip(paths, (lines[:350], lines[250:]), strict=True):
        path.write_bytes(b"".join(some))
    subprocess.run(["gzip", paths[1]], check=True)
    return given, [paths[0], f"{paths[1]}.gz"]


@pytest.mark.sample(4)
@VALIDATED
@pytest.mark.parametrize("definition", DEFINITIONS)
def test_counts(definition, more, files, tmp_path):
    given, paths = files
    common = [*given, *more, "--definition", definition, "--quiet", "--rejects"]
    fused = run("count-active-users", *common, tmp_path / "fused", *paths)
    piped = run("count-active-users", "--pipe", *common, tmp_path / "piped", *paths)
    assert piped.stdout == fused.stdout and fused.stdout
    assert piped.returncode == fused.returncode == 65
    assert rejects(tmp_path / "piped") == rejects(tmp_path / "fused") != []


@pytest.mark.sample(6)
@VALIDATED
@pytest.mark.parametrize(
    "definition", ["engaged-valuable", "summed", ALL], ids=["own", "sum", "all"]
)
def test_imports(definition, more, files, tmp_path):
    given, paths = files
    common = [*given, *more, "--definition", definition, "--quiet", "--max-rejects", "99%"]
    done = {}
    for name in ("fused", "piped"):
        own = ["--db", tmp_path / f"{name}.db", "--rejects", tmp_path / name]
        pipe = ["--pipe"] if name == "piped" else []
        done[name] = run("import-active-users", *pipe, *common, *own, *paths)
    assert done["piped"].stdout == done["fused"].stdout != b""
    assert done["piped"].returncode == done["fused"].returncode == 65
    assert rejects(tmp_path / "piped") == rejects(tmp_path / "fused") != []
    fused, piped = tmp_path / "fused.db", tmp_path / "piped.db"
    assert content(piped) == content(fused)
    assert [query(piped, sql) for sql in LEDGER] == [query(fused, sql) for sql in LEDGER]
    run("check-data", "--db", piped, "user_sets", "ledger_sums", "integrity", check=0)


def test_pseudonyms(tmp_path):
    key = tmp_path / "key"
    key.write_text("0123456789abcdef")
    for name, pipe in (("fused", []), ("piped", ["--pipe"])):
        common = ["--db", tmp_path / f"{name}.db", "--pseudonym-key", key]
        run("import-active-users", *pipe, *common, stdin=event(user="ann"), check=0)
    assert content(tmp_path / "piped.db") == content(tmp_path / "fused.db")
    assert query(tmp_path / "piped.db", "SELECT key FROM user") != [("ann",)]


@pytest.mark.parametrize("program", ["count-active-users", "import-active-users"])
def test_a_missing_file_and_a_damaged_one(program, tmp_path):
    """Of a filter that fails the pipe has the status, and nothing is printed or imported."""
    subprocess.run(f"gzip -c | head -c 40 >{tmp_path}/cut.gz", shell=True, input=event() * 9)
    db = ["--db", tmp_path / "my.db"] if program.startswith("import") else []
    for name, status in (("none", 66), ("cut.gz", 1)):
        done = run(program, "--pipe", *db, tmp_path / name, check=status)
        assert done.stdout == b"" and name.encode() in done.stderr
    if db:
        assert query(tmp_path / "my.db", "SELECT count(*) FROM user") == [(0,)]


@pytest.mark.parametrize(
    "program, name",
    [
        *itertools.product(["count-active-users", "import-active-users"], FILTERS),
        ("count-active-users", "count-distinct"),
    ],
)
def test_a_filter_that_dies_without_a_word(program, name, tmp_path):
    """Even with status 0: it has left no account."""
    bin = tree_with(tmp_path / "tree", f"bin/{name}", "#!/bin/bash\ncat >/dev/null\nexit 0\n")
    db = ["--db", tmp_path / "my.db"] if program.startswith("import") else []
    done = run(bin / program, "--pipe", *db, stdin=event(user="ann"))
    assert done.returncode == 1 and done.stdout == b""
    if db:
        assert query(tmp_path / "my.db", "SELECT count(*) FROM user") == [(0,)]


@pytest.mark.parametrize("option", ["--part", "--jobs"])
def test_what_the_pipe_has_not(option, tmp_path):
    done = run("count-active-users", "--pipe", option, "2", cwd=tmp_path, check=2)
    assert f"{option} is ".encode() in done.stderr and not list(tmp_path.iterdir())


def test_ctrl_c_ends_the_input_of_the_whole_pipe():
    """What has been read is counted."""
    with session("count-active-users", "--pipe", stdin=subprocess.PIPE) as process:
        process.stdin.write(event(user="ann") + event(user="bob"))
        process.stdin.flush()
        settle(process.pid, "count-distinct")
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=20)
    assert (process.returncode, stdout, stderr) == (130, b"2019-12-31\t2\n", b"")


@pytest.mark.parametrize("mode", [[], ["--pipe"], ["--jobs", "2"]], ids=str)
def test_rejects_are_judged_by_the_lines_that_were_looked_at(mode, tmp_path):
    """Ten of ten engagements are all of them, however many other events there are."""
    others = event("screen_view") * 2000
    engagements = b"".join(event(user=f"u{i}") for i in range(10))
    bad = engagements.replace(b"3000", b"30x0")
    assert bad.count(b"30x0") == 10
    path, db = tmp_path / "events.jsonl", tmp_path / "my.db"
    for _ in range(2):  # it is not known the second time
        path.write_bytes(others + bad)
        done = run("import-active-users", "--db", db, *mode, path, check=1)
        assert b"10 of 10 lines that were looked at were rejected" in done.stderr
    path.write_bytes(others + engagements * 99 + bad)
    run("import-active-users", "--db", db, *mode, path, check=65)
    assert query(db, "SELECT status FROM run WHERE id = 3") == [("done",)]
