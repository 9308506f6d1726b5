"""Folders and lists as inputs: every program that reads inputs takes them."""

import os
import subprocess

import pytest

from helpers.events import event
from helpers.programs import BARE, BIN, PROGRAMS, run
from helpers.sessions import query

READERS = [
    name
    for name in PROGRAMS
    if name.startswith(("count-", "import-", "grep-", "parse-", "read-", "sample-"))
    or name in ("local-day", "merge-parts", "spark-active-users", "upsert-rows")
]
# What these want before they look at an input.
FIRST = {
    "grep-events": ["name"],
    "sample-lines": ["--fraction", "1"],
    "upsert-rows": ["--create", "active_user_table"],
}
COMMENTS = ("count-comments", "import-comments")  # whose inputs are of kinds
MANY = 9_000  # files
NAMES = ["a b", "a\nb", "-x", "c\udcff", "$(e)'\"\\"]


def list_option(program):
    return "--info-from" if program in COMMENTS else "--files-from"


def command(program):
    db = ["--db", "new.db"] if program.startswith(("import-", "merge-", "spark-", "ups")) else []
    return [program, *db, *FIRST.get(program, [])]


@pytest.mark.sample(8)
@pytest.mark.parametrize("program", READERS)
@pytest.mark.parametrize("text, status", [(b"", 2), (b"\n\0\n", 66), (b"none\n", 66)])
def test_a_list_of_nothing_is_never_standard_input(program, text, status, tmp_path):
    (tmp_path / "list").write_bytes(text)
    option = list_option(program)
    for path, more in (("list", {"stdin": b"no input\n"}), ("-", {"stdin": text})):
        done = run(*command(program), option, path, cwd=tmp_path, check=status, **more)
        shown = "stdin" if path == "-" else path
        said = {
            b"": f"{program}: {option}: expected names of inputs, got none in {shown}\n",
            b"none\n": "none: ",
        }.get(text, r"\n: ")
        assert said in done.stderr.decode() and done.stdout == b""


@pytest.mark.sample(2)
@pytest.mark.parametrize("program", READERS)
def test_standard_input_is_an_input_or_a_list(program, tmp_path):
    option = list_option(program)
    kind = ["--info"] if program in COMMENTS else []
    for lists in ([option, "-", *kind, "-"], [option, "-", option, "list"]):
        (tmp_path / "list").write_bytes(b"-\n")
        done = run(*command(program), *lists, cwd=tmp_path, stdin=b"x\n", check=2)
        assert done.stderr.decode().startswith(f"{program}: {option}: stdin cannot be an input and")


@pytest.mark.parametrize("program", READERS)
def test_a_folder_without_files_is_no_input(program, tmp_path):
    """To an import it is a night before the first file: not a failure each time."""
    (tmp_path / "empty").mkdir()
    kind = ["--info"] if program in COMMENTS else []
    imports = program.startswith(("import", "merge", "spark"))
    is_quiet = imports and program not in COMMENTS
    done = run(*command(program), *kind, "empty", cwd=tmp_path, check=0 if is_quiet else 66)
    said = f"{program}: empty: no files in it{' yet: nothing to import' if is_quiet else ''}\n"
    assert done.stderr.decode() == said and done.stdout == b""
    if is_quiet:  # but with another input beside it, it is one that was expected
        (tmp_path / "file").write_bytes(b"")
        run(*command(program), "empty", "file", cwd=tmp_path, check=66)


@pytest.mark.sample(2)
@pytest.mark.parametrize("how", ["a list", "a list on stdin", "a folder"])
@pytest.mark.parametrize("more", [[], ["--pipe"]])
def test_counts_and_imports_of_any_names(how, more, tmp_path):
    (tmp_path / "d" / "deep").mkdir(parents=True)
    paths = [os.path.join("d", name) for name in NAMES[:2]]
    paths += [os.path.join("d", "deep", name) for name in NAMES[2:]]
    for number, path in enumerate(paths):
        (tmp_path / path).write_bytes(event(user=f"user {number}"))
    text = b"".join(os.fsencode(path) + b"\0" for path in (*paths, paths[0]))
    (tmp_path / "list").write_bytes(text)
    words, stdin = {
        "a list": (["--files-from", "list"], b""),
        "a list on stdin": (["--files-from=-"], text),
        "a folder": (["d"], b""),
    }[how]
    at = {"cwd": tmp_path, "stdin": stdin, "check": 0}
    expected = b"2019-12-31\t%d\n" % len(paths)
    assert run("count-active-users", *more, *words, **at).stdout == expected
    done = run("import-active-users", *more, "--db", "my.db", *words, **at)
    assert done.stdout == b"2019-12-31\t0\t%d\n" % len(paths)
    read = query(tmp_path / "my.db", "SELECT path, lines FROM run_input")
    shown = {path.encode(errors="backslashreplace").decode() for path in paths}
    assert set(read) == {(path, 1) for path in shown} and len(read) == len(paths)
    done = run("import-active-users", *more, "--db", "my.db", *words, **at)
    assert done.stderr.decode().endswith(": 5 files were imported before and unchanged: skipped\n")


def test_what_looks_like_an_option_in_a_list(tmp_path):
    one, other = event(user="a"), event(user="b")
    (tmp_path / "-x").write_bytes(one)
    (tmp_path / "--all").write_bytes(other)
    (tmp_path / "list").write_bytes(b"-x\n--all\n")
    at = {"cwd": tmp_path, "check": 0}
    assert run("grep-events", "--all", "--files-from", "list", **at).stdout == one + other
    done = run("import-active-users", "--db", "my.db", "--files-from", "list", **at)
    paths = query(tmp_path / "my.db", "SELECT path FROM run_input ORDER BY path")
    assert paths == [("./--all",), ("./-x",)] and done.stdout.endswith(b"\t0\t2\n")


def test_all_operands_of_all_lines_are_inputs(tmp_path):
    """grep-events --all names no events, so the first operand is an input like the others."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "1").write_bytes(b"a\n")
    (tmp_path / "2").write_bytes(b"b\n")
    (tmp_path / "empty").write_bytes(b"")
    at = {"cwd": tmp_path, "check": 0}
    assert run("grep-events", "d", "--all", **at).stdout == b"a\n"
    assert run("grep-events", "--all", "--", "d", "2", **at).stdout == b"a\nb\n"
    assert run("grep-events", "2", "--all", "--files-from", "empty", **at).stdout == b"b\n"


def test_kinds_have_lists_of_their_own(tmp_path):
    made = ["comments", "--comments", "300", "--posts", "posts.csv"]
    crawls = run("make-data", *made, cwd=tmp_path, check=0).stdout.splitlines(keepends=True)
    (tmp_path / "crawls").mkdir()
    for number, crawl in enumerate(crawls):
        (tmp_path / "crawls" / f"{number}").write_bytes(crawl)
    (tmp_path / "infos").write_text("".join(f"crawls/{i}\n" for i in range(len(crawls))))
    (tmp_path / "posts").write_text("posts.csv\n")
    lists = ["--info-from", "infos", "--posts-from", "posts"]
    typed = ["--info", "crawls", "--posts", "posts.csv"]
    at = {"cwd": tmp_path, "check": 0}
    counted = run("count-comments", *lists, **at).stdout
    assert counted == run("count-comments", *typed, **at).stdout != b""
    run("import-comments", "--db", "my.db", *lists, **at)
    done = run("import-comments", "--db", "my.db", *typed, **at)
    skipped = f"{len(crawls) + 1} files were imported before and unchanged: skipped\n"
    assert done.stderr.decode().endswith(skipped)


@pytest.mark.parametrize("kind, program", [("--info", "import-comments"), ("", "import-event-m")])
def test_a_mark_alone_is_no_data_and_never_standard_input(kind, program, tmp_path):
    (tmp_path / "_SUCCESS").write_bytes(b"")
    program = next(name for name in PROGRAMS if name.startswith(program))
    words = [kind] if kind else []
    done = run(program, "--db", "my.db", *words, "_SUCCESS", cwd=tmp_path, check=66)
    assert b"_SUCCESS: left out, for its name starts with . or _" in done.stderr
    assert not (tmp_path / "my.db").exists()


def test_a_day_may_be_a_folder(tmp_path):
    for day, user in (("30", "ann"), ("31", "ben")):
        (tmp_path / f"date=2019-12-{day}").mkdir()
        (tmp_path / f"date=2019-12-{day}" / "part-0").write_bytes(event(user=user))
    (tmp_path / "date=2019-12-29").mkdir()  # and nothing in it
    dated = ["--inputs", "date={date}", "--since", "2019-12-29"]
    done = run("import-active-users", "--db", "my.db", *dated, cwd=tmp_path, check=65)
    assert done.stdout == b"2019-12-31\t0\t2\n"
    assert done.stderr == b"import-active-users: 1 day has no file: 2019-12-29\n"


def test_parts_come_in_folders_and_lists(tmp_path):
    (tmp_path / "parts").mkdir()
    for user in ("ann", "ben"):
        part = ["--part", f"parts/{user}"]
        run("count-active-users", *part, stdin=event(user=user), cwd=tmp_path, check=0)
    (tmp_path / "list").write_text("parts/ann\nparts/ben\n")
    for db, words in (("a.db", ["parts"]), ("b.db", ["--files-from", "list"])):
        done = run("merge-parts", "--db", db, *words, cwd=tmp_path, check=0)
        assert done.stdout == b"2019-12-31\t0\t2\n"


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A folder of events in more files than a command line takes, with a list of these."""
    folder = tmp_path_factory.mktemp("many")
    (folder / "files").mkdir()
    events = [event(user=f"user {number}") for number in range(7)]
    paths = [f"files/{number:0240}" for number in range(MANY)]
    for number, path in enumerate(paths):
        (folder / path).write_bytes(events[number % 7])
    (folder / "list").write_text("\n".join(paths))
    assert (folder / "list").stat().st_size > os.sysconf("SC_ARG_MAX")
    with pytest.raises(OSError, match="Argument list too long"):
        run("count-active-users", *paths, cwd=folder)
    return folder


def with_few_descriptors(words, folder):
    script = 'ulimit -n 48; exec "$0" "$@"'
    done = subprocess.run(
        ["bash", "-c", script, BIN / words[0], *words[1:]],
        cwd=folder,
        env=BARE,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.sample(2)
@pytest.mark.parametrize("more", [[], ["--pipe"]])
def test_more_files_than_a_command_line_takes(more, many):
    counted = with_few_descriptors(["count-active-users", *more, "--files-from", "list"], many)
    assert counted.stdout == b"2019-12-31\t7\n"
    db = f"my{len(more)}.db"
    night = [BIN / "import-active-users", *more, "--db", db, "--files-from", "list"]
    done = with_few_descriptors(["run-job", "--db", db, "night", "--", *night], many)
    assert done.stdout == b"2019-12-31\t0\t7\n"
    done = with_few_descriptors(["import-active-users", *more, "--db", db, "files"], many)
    assert done.stderr.endswith(b": %d files were imported before and unchanged: skipped\n" % MANY)
    statuses = "SELECT run_id, status, count(*), sum(lines) FROM run_input GROUP BY 1, 2"
    assert query(many / db, statuses) == [(1, "read", MANY, MANY), (2, "skipped", MANY, None)]
    told = run("why-day", "--db", many / db, "2019-12-31", check=0).stdout.decode()
    assert (
        told.endswith(f"\nand {MANY - 100} more files: --json names all\n")
        and told.count("\n") < 120
    )
