"""What every program of bin/ promises, whatever it does. A new program is covered at once."""

import re
import subprocess

import pytest

from headcount import __version__
from helpers.examples import examples
from helpers.programs import BARE, BIN, NO_SPARK, PROGRAMS, ROOT, SHIMS, run

every_program = pytest.mark.parametrize("program", PROGRAMS)


def help_of(program):
    return run(program, "--help", check=0).stdout.decode()


@every_program
def test_help_is_complete_and_fits_a_terminal(program):
    text = help_of(program)
    lines = text.splitlines()
    assert lines[0].startswith(f"usage: {program} ")
    assert lines[2], "the third line says what the program does"
    assert "\noptions:\n" in text and "--help" in text and "--version" in text
    assert "Example:" in text
    assert max(map(len, lines)) <= 80


@every_program
def test_version(program):
    assert run(program, "--version", check=0).stdout.decode() == f"{program} {__version__}\n"


@every_program
def test_unknown_option_is_named(program):
    done = run(program, "--frobnicate", check=2)
    assert b"--frobnicate" in done.stderr and b"--help" in done.stderr and not done.stdout


def columns(text):
    """What stands in each line: from 3.13 on, Python has no tabs in its docstrings."""
    return [line.split() for line in text.splitlines()]


@every_program
def test_examples_print_what_they_show(program, tmp_path):
    if program.startswith("spark-") and NO_SPARK:
        pytest.skip(NO_SPARK)
    (tmp_path / "data").symlink_to(ROOT / "data")
    env = BARE | {"PATH": f"{BIN}:{BARE['PATH']}:{SHIMS}"}
    found = examples(help_of(program))
    assert found
    for command, output in found:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command], cwd=tmp_path, env=env, capture_output=True
        )
        assert (done.returncode, done.stderr) == (0, b""), command
        assert columns(done.stdout.decode()) == columns(output), command


@every_program
def test_runs_through_a_symlink_from_elsewhere(program, tmp_path):
    link = tmp_path / "a link"
    link.symlink_to(BIN / program)
    done = subprocess.run([link, "--help"], cwd="/", env=BARE, capture_output=True)
    assert done.returncode == 0 and done.stdout


@pytest.mark.sample(2)
@every_program
def test_help_is_quiet_under_head_and_loud_on_a_full_disk(program):
    pipe = 'set -o pipefail; "$1" --help | head -1'
    done = subprocess.run(["bash", "-c", pipe, "_", BIN / program], env=BARE, capture_output=True)
    assert done.stderr == b"" and done.stdout
    with open("/dev/full", "wb") as full:
        done = run(program, "--help", stdout=full, capture_output=False, stderr=subprocess.PIPE)
    assert done.returncode not in (0, 65)


@every_program
def test_readme_has_a_line_for_it(program):
    summary = help_of(program).splitlines()[2]
    assert f"| `{program}` | {summary} |" in (ROOT / "README.md").read_text()


@pytest.mark.sample(4)
@every_program
def test_any_locale_gives_the_same_help(program):
    english = run(program, "--help").stdout
    for locale in ("tr_TR.UTF-8", "C", "de_DE.ISO-8859-1"):
        assert run(program, "--help", env=BARE | {"LC_ALL": locale}).stdout == english


def test_foreign_python_settings_change_nothing(tmp_path):
    (tmp_path / "msgspec.py").write_text("raise ImportError('not this one')")
    env = BARE | {"PYTHONPATH": str(tmp_path), "PYTHONHOME": "/nowhere", "PYTHONSTARTUP": "x"}
    assert run("parse-engagement", cwd=tmp_path, env=env).returncode == 0


def test_no_table_is_made_outside_the_schema():
    made = re.compile(r"create\s+table", re.I)
    scratch = "staging.py"  # files that are gone when its import ends
    for path in [*BIN.iterdir(), *(ROOT / "lib").rglob("*")]:
        if path.is_file() and path.suffix != ".pyc" and path.name != scratch:
            assert not made.search(path.read_text()), path
