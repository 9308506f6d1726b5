"""What a pipeline does with its options before it does anything else: for all of them alike."""

import os
import re
import shutil
import subprocess

import pytest

from headcount.pipelines import input_kinds, session
from helpers.events import event
from helpers.programs import BARE, BIN, PROGRAMS, ROOT, run
from helpers.sessions import query

IMPORTS = [name for name in PROGRAMS if name.startswith(("import-", "merge-", "spark-"))]
COUNTS = [name for name in PROGRAMS if name.startswith("count-") and name != "count-distinct"]
# Options with a value that cannot be, and what is said: the option that was typed comes first.
WRONG = {
    "import-active-users": [
        ("--jobs", "zero", "--jobs: expected a positive whole number, got 'zero'"),
        ("--min-engagement", "x", "--min-engagement: expected a number of seconds, got 'x'"),
        ("--definition", "nobody", "--definition: expected some of "),
        ("--tz", "Mars/Olympus", "--tz: no time zone 'Mars/Olympus'"),
        ("--sketch", "both", "--sketch: expected beside or instead, got 'both'"),
        ("--max-rejects", "few", "--max-rejects: expected a number or a percentage, got 'few'"),
        ("--wait", "long", "--wait: expected a number of seconds, got 'long'"),
        ("--user", "event_name", "--user: event_name cannot be the user"),
        ("--since", "yesterday", "--since: expected a date as YYYY-MM-DD, got 'yesterday'"),
        ("--db", "", "--db: expected the name of a file, got ''"),
    ],
    "import-site-activity": [
        ("--jobs", "0", "--jobs: expected a positive whole number, got '0'"),
        ("--tz", "device", "--tz: expected a zone"),
    ],
    "import-recent-changes": [
        ("--fraction", "2", "--fraction: expected a number from 0 to 1, got '2'"),
        ("--batch", "0", "--batch: expected a positive whole number, got '0'"),
        ("--url", "ftp://x", "--url: expected an http:// or https:// address, got 'ftp://x'"),
        ("--silence", "0", "--silence: expected a number of seconds above 0, got '0'"),
        ("--max-event", "big", "--max-event: expected a size such as 100MB, got 'big'"),
    ],
    "import-comments": [
        ("--delimiter", "ab", "--delimiter: "),
        ("--encoding", "klingon", "--encoding: "),
    ],
    "import-event-metrics": [
        ("--write-batch", "0", "--write-batch: expected a positive whole number, got '0'")
    ],
    "merge-parts": [("--sketch", "x", "--sketch: expected beside or instead, got 'x'")],
    "spark-active-users": [("--master", "mesos://x", "--master: expected spark://HOST:PORT")],
}


def test_all_imports_are_here():
    assert sorted(WRONG) == sorted(IMPORTS)


@pytest.mark.parametrize(
    "program, option, value, said",
    [(program, *wrong) for program, options in WRONG.items() for wrong in options],
)
def test_a_usage_error_touches_nothing_and_names_the_option(program, option, value, said, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for words in ([option, value], [f"{option}={value}"]):
        db = [] if option == "--db" else ["--db", "new.db"]
        kind = ["--info"] if program == "import-comments" else []
        done = run(program, *db, *words, *kind, "file", cwd=tmp_path, check=2)
        assert done.stderr.decode().startswith(f"{program}: {said}") and done.stdout == b""
        assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("program", IMPORTS)
def test_a_file_that_is_not_there_touches_nothing(program, tmp_path):
    kind = ["--info"] if program == "import-comments" else []
    done = run(program, "--db", "new.db", *kind, "none", cwd=tmp_path, check=66)
    assert b"none: no such" in done.stderr and os.listdir(tmp_path) == []


@pytest.mark.parametrize("program", [name for name in IMPORTS if name.startswith("import-")])
def test_a_closed_input_and_a_closed_output(program, tmp_path):
    """A descriptor that the caller has closed is not taken by a file of ours."""
    kind = "--info" if program == "import-comments" else ""
    (tmp_path / "file").write_bytes(b"")
    command = f"{BIN}/{program} --quiet --db my.db {kind} file"
    for closed in ("<&-", ">&-", "2>&-"):
        done = subprocess.run(["bash", "-c", f"{command} {closed}"], cwd=tmp_path, env=BARE)
        assert done.returncode == 0, closed


@pytest.mark.parametrize("name", ["c\udcff", "-1", "-a b", "a\nb", "'q'"])
def test_any_name_of_a_file(name, tmp_path):
    """Bytes that are not UTF-8, and what looks like an option, behind --."""
    (tmp_path / name).write_bytes(event(user="ann"))
    shutil.copy(tmp_path / name, tmp_path / f"{name}2019-12-31")
    at = {"cwd": tmp_path}
    run("import-active-users", "--db", "a.db", "--", name, **at, check=0)
    run("count-active-users", f"--part=p{name}", "--", name, **at, check=0)
    run("merge-parts", "--db", "b.db", f"p{name}", **at, check=0)
    pattern = [f"--inputs={name}{{date}}", "--since", "2019-12-31"]
    run("import-active-users", "--db", "c.db", *pattern, **at, check=0)
    for db in ("a.db", "b.db", "c.db"):
        assert query(tmp_path / db, "SELECT * FROM active_user_table") == [("2019-12-31", 1)]
    done = run("import-comments", "--db", "d.db", "--info", "-", "--", name, **at)
    assert done.returncode != 2 and b"UTF-8" not in done.stderr
    if name.startswith("-"):
        assert (
            name.encode() in run("import-active-users", "--db", "e.db", name, **at, check=2).stderr
        )
        assert not (tmp_path / "e.db").exists()


def test_descriptors_of_the_caller_are_its_own(tmp_path):
    """An input, a key or a part may be any open file of the caller's."""
    (tmp_path / "events").write_bytes(event(user="ann"))
    (tmp_path / "key").write_text("0123456789abcdef")
    script = f"""
        PATH={BIN}:$PATH
        count-active-users --part part events
        import-active-users --db 1.db /dev/stdin <events
        import-active-users --db 1.db /dev/stdin <events
        import-active-users --db 2.db /dev/fd/3 3<events
        import-active-users --db 3.db /dev/fd/4 4<events
        import-active-users --db 4.db --pseudonym-key /dev/stdin events <key
        merge-parts --db 5.db /dev/fd/5 5<part
        """
    done = subprocess.run(["bash", "-ec", script], cwd=tmp_path, env=BARE, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"2019-12-31\t0\t1\n" * 5
    assert b"imported before and unchanged" in done.stderr  # the second of /dev/stdin


def test_an_empty_value_is_as_if_none_was_given(tmp_path):
    empty = ["--valuable-events", "", "--key-events", "", "--rejects", ""]
    for more in ([], ["--pipe"]):
        done = run("count-active-users", *more, *empty, stdin=event(user="ann"), check=0)
        assert done.stdout == b"2019-12-31\t1\n"
    run("import-active-users", "--db", tmp_path / "a.db", *empty, stdin=event(user="a"), check=0)
    run("import-active-users", "--db", tmp_path / "a.db", stdin=event(user="b"), check=0)


@pytest.mark.parametrize("words, status", [(["--nope"], 2), (["none"], 66), (["--jobs", "x"], 2)])
@pytest.mark.parametrize("program", ["count-active-users", "import-active-users", "local-day"])
def test_a_message_that_cannot_be_written_changes_no_status(program, words, status, tmp_path):
    if program == "local-day" and "--jobs" in words:
        words = ["--tz", "x"]
    db = ["--db", tmp_path / "my.db"] if program.startswith("import") else []
    with open("/dev/full", "wb") as full:
        quiet = {"capture_output": False, "stdout": subprocess.PIPE, "stderr": full}
        assert run(program, *db, *words, check=status, **quiet).stdout == b""
    closed = '"$0" "$@" 2>&-'
    command = ["bash", "-c", closed, BIN / program, *db, *words]
    done = subprocess.run(list(map(str, command)), env=BARE, stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (status, b"")


SLOW = {
    "dataclasses",
    "inspect",
    "msgspec",
    "numpy",
    "pyroaring",
    "shutil",
    "sqlite3",
    "subprocess",
}


@pytest.mark.parametrize("program", [*IMPORTS, *COUNTS])
def test_help_loads_nothing_slow(program, tmp_path):
    """So that it takes about as long as that of a filter: what parses and stores is not loaded."""
    step, package = re.search(r"begin_(count|import) (\w+)", (BIN / program).read_text()).groups()
    module = ["-X", "importtime", "-m", "headcount.pipelines.session"]
    command = [ROOT / "lib" / "python", *module, program, step, BIN / program, package]
    command += [tmp_path if step == "count" else "0,2", "--help"]
    done = subprocess.run(command, env=BARE, capture_output=True, text=True)
    loaded = set(re.findall(r"\| +([\w.]+)$", done.stderr, re.M))
    assert f"usage: {program} " in done.stdout and "argparse" in loaded
    assert loaded & SLOW == set()


def test_words_come_whole(tmp_path):
    """Whatever is in them: an end of line, quotes, bytes that are no text; and no words at all."""
    words = {"one": ["a b", "", "c\nd", "$(e) 'f' \"g\" \\"], "none": [], "two": ["\udcff", "-n"]}
    (tmp_path / "words").write_bytes(session.encoded(words))
    script = """
        self=$0
        . "${0%/bin/*}/lib/pipeline.sh"
        read_words <words
        printf '%s\\0' "${#one[@]}" "${one[@]}" "${#none[@]}" "${#two[@]}" "${two[@]}"
        """
    program = BIN / "count-active-users"
    command = ["bash", "-c", script, program]
    done = subprocess.run(command, cwd=tmp_path, env=BARE, capture_output=True)
    assert done.stderr == b""
    told = done.stdout.removesuffix(b"\0").split(b"\0")
    one, two = ([os.fsencode(word) for word in words[name]] for name in ("one", "two"))
    assert told == [b"4", *one, b"0", b"2", *two]
    (tmp_path / "words").write_bytes(session.encoded(words)[:-1])
    done = subprocess.run(command, cwd=tmp_path, env=BARE, capture_output=True)
    assert done.returncode == 1, "words that break off"


def test_kinds_of_inputs(tmp_path):
    """What follows --KIND is of that kind, options in between or not."""
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(b"")
    folder = tmp_path / "folder" / "deep"
    folder.mkdir(parents=True)
    for name in ("z", "_SUCCESS", ".z.crc"):
        (folder / name).write_bytes(b"")
    words = ["--info", "a", "--quiet", "b", "--wait", "9", "--posts=c", "folder"]
    done = run("import-comments", "--db", "my.db", *words, cwd=tmp_path, check=0)
    assert done.stderr == b""
    paths = query(tmp_path / "my.db", "SELECT path FROM run_input ORDER BY path")
    assert paths == [("a",), ("b",), ("c",), ("folder/deep/z",)]
    done = run(
        "import-comments", "--db", "my.db", "--text", "b", "--info", "b", cwd=tmp_path, check=2
    )
    assert b"b is named as --info and as --text" in done.stderr


class Refusing:
    """A parser as far as the kinds of inputs need one."""

    def takes_value(self, word):
        return word == "--wait"

    def error(self, text):
        raise SystemExit(text)


@pytest.mark.parametrize(
    "typed, expected",
    [
        (["--info", "a", "b"], ["--info", "a", "--info=b"]),
        (["--info=a", "--wait", "9", "b"], ["--info=a", "--wait", "9", "--info=b"]),
        (
            ["--info", "a", "--posts", "b", "--", "-c"],
            ["--info", "a", "--posts", "b", "--posts=-c"],
        ),
        (["--info", "-", "-"], ["--info", "-", "--info=-"]),
    ],
)
def test_operands_are_of_the_kind_before_them(typed, expected):
    assert input_kinds.sorted_out(Refusing(), typed, ("info", "posts")) == expected


def test_an_operand_of_no_kind_is_refused():
    with pytest.raises(SystemExit, match="is x --info or --posts"):
        input_kinds.sorted_out(Refusing(), ["--quiet", "x"], ("info", "posts"))
