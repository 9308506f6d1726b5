"""The README's chapter on adding a filter, or a pipeline, followed to the letter."""

import re
import subprocess

import pytest

from helpers.checkouts import copy_of_checkout
from helpers.docs import README
from helpers.programs import BARE, ROOT

CHAPTER = README.read_text().split("## Adding a filter, or a pipeline\n")[1]
FILTER = r'''#!/usr/bin/env -S sh -c 'f=$(readlink -f "$0"); exec "${f%/*}/../lib/python" "$f" "$@"'
r"""keep-long [FILE…] - keep the lines that are longer than ten bytes

Columns in and out: any.
Rejects: lines that are not UTF-8.

Example:
  $ printf 'short\nas long as it takes\n' | keep-long
  as long as it takes
"""

from headcount.cli.main import start
from headcount.cli.parser import Parser
from headcount.filters import runner
from headcount.filters.rejects import Reject


def keep(line: bytes) -> bytes | Reject | None:
    try:
        line.decode()
    except UnicodeDecodeError:
        return Reject("not UTF-8")
    return line + b"\n" if len(line) > 10 else None


def main() -> int:
    parser = Parser(__doc__)
    runner.add_options(parser, "--rejects")
    return runner.run(parser.parse(), runner.each_line(keep))


if __name__ == "__main__":
    start(main)
'''
PACKAGE = {
    "__init__.py": "",
    "record.py": '''"""Steps, as far as we read them."""


def parse(line: bytes) -> tuple[str, int]:
    walker, steps = line.decode().split("\\t")
    return walker, int(steps)
''',
    "importer.py": '''"""The import of steps."""

from headcount.cli.main import start_as
from headcount.cli.parser import Parser
from headcount.db import connection, ledger
from headcount.filters import runner
from headcount.filters.rejects import Reject
from headcount.pipelines.steps import record


def main() -> int:
    """PIPELINE [FILE…] - add steps to the database"""
    parser = Parser(main.__doc__)
    parser.add_argument("--run", type=int, required=True)
    runner.add_options(parser, "--db", "--wait", "--rejects", "--max-rejects")
    options = parser.parse()
    rows = []

    def take(line):
        try:
            rows.append(record.parse(line))
        except ValueError:
            return Reject("not a walker and steps")
        return b""

    def finish(account):
        with (
            connection.for_import(options.db, options.wait, create=False) as db,
            connection.transaction(db),
        ):
            db.executemany("INSERT INTO steps VALUES (?, ?)", rows)
            ledger.finish(db, options.run, {}, account)
        return b""

    return runner.run(options, runner.each_line(take), finish)


if __name__ == "__main__":
    start_as(main, drains=False)
''',
    "programs.py": '''"""The program of steps."""

from headcount.pipelines.session import Plan, Program


def _declare(parser):
    parser.inputs()
    parser.shared("--db", "--max-rejects", "--wait", "--rejects", "--quiet")


def _import(parser, options):
    return Plan(options.files, {"importer": parser.typed("--rejects", "--quiet")})


PROGRAMS = {"import-steps": Program(_declare, _import)}
''',
}


@pytest.fixture
def tree(tmp_path):
    """A checkout with what the contract's tests need."""
    folder = copy_of_checkout(tmp_path / "tree")
    for name in ("tests", "data/sample", "README.md", "pyproject.toml", "Makefile"):
        target = folder / name
        target.parent.mkdir(exist_ok=True)
        subprocess.run(["cp", "-R", ROOT / name, target], check=True)
    return folder


def outcome_of(tree, *arguments):
    """The tests of that checkout, as `make test` runs them."""
    command = [ROOT / ".venv/bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *arguments], cwd=tree, env=BARE | {"LANG": "C.UTF-8"}, capture_output=True
    )
    return done.returncode, done.stdout.decode()


def test_a_filter_is_two_files(tree):
    script, case = re.findall(r"`((?:bin|tests/cases)/verb-noun[^`]*)`", CHAPTER)[:2]
    script = tree / script.replace("verb-noun", "keep-long")
    case = tree / case.replace("verb-noun", "keep-long")
    script.write_text(FILTER)
    script.chmod(0o755)
    mine = ["-k", "keep-long", "tests/contract/test_programs.py", "tests/contract/test_cases.py"]
    status, told = outcome_of(
        tree, *mine, "tests/contract/test_cases.py::test_every_program_has_a_case"
    )
    assert status == 1 and "test_readme_has_a_line_for_it[keep-long]" in told  # make docs adds it
    case.parent.mkdir(parents=True)
    case.write_text("printf 'short\\nas long as it takes\\n\\377\\n' | keep-long\n")
    assert outcome_of(tree, "--accept", "-k", "keep-long", "tests/contract/test_cases.py")[0] == 0
    assert (case.parent / "expout").read_text() == "as long as it takes\n"
    assert (case.parent / "exit").read_text() == "65\n"
    readme = (tree / "README.md").read_text()
    row = "| `keep-long` | keep the lines that are longer than ten bytes |\n<!-- end -->"
    (tree / "README.md").write_text(readme.replace("<!-- end -->", row, 1))
    status, told = outcome_of(tree, *mine)
    assert status == 0, told
    (tree / "bin" / "keep-long").unlink()  # and the test that all have a case would go red
    assert outcome_of(tree, "tests/contract/test_cases.py::test_every_program_has_a_case")[0] == 0


def test_a_pipeline_is_one_package(tree):
    (package,) = re.findall(r"`(lib/headcount/pipelines/)NAME/`", CHAPTER)
    (copied,) = re.findall(r"copy `(bin/import-[a-z-]+)`", CHAPTER)
    folder = tree / package / "steps"
    folder.mkdir()
    for name, text in PACKAGE.items():
        (folder / name).write_text(text)
    assert {"record.py", "importer.py", "programs.py"} <= set(re.findall(r"`(\w+\.py)`", CHAPTER))
    script = (tree / copied).read_text()
    head, doc, rest = "#!/usr/bin/env bash\n", "#/ import-steps [FILE…] - add steps\n", ""
    rest = "".join(
        line.replace("site_activity", "steps").replace("keep_memory ", "")
        for line in script.splitlines(keepends=True)[1:]
        if not line.startswith("#/")
    )
    (tree / "bin" / "import-steps").write_text(head + doc + rest)
    (tree / "bin" / "import-steps").chmod(0o755)
    with open(tree / "schema.sql", "a") as schema:
        schema.write("CREATE TABLE IF NOT EXISTS steps (walker TEXT, steps INTEGER) STRICT;\n")

    def run(*arguments, stdin=b""):
        command = [tree / "bin" / arguments[0], *arguments[1:]]
        done = subprocess.run(command, cwd=tree, env=BARE, input=stdin, capture_output=True)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    assert run("import-steps", "--help")[1].startswith("usage: import-steps [OPTION…] [FILE…]")
    assert run("import-steps", "--db", "my.db", "--wait", "x")[0] == 2
    assert not (tree / "my.db").exists()
    (tree / "walks").write_text("ann\t900\nbob\tmany\n")
    status, _, told = run("import-steps", "--db", "my.db", "--max-rejects", "50%", "walks")
    assert status == 65 and "walks:2: not a walker and steps" in told
    status, _, told = run("import-steps", "--db", "my.db", "walks")
    assert (status, "imported before" in told) == (0, True)
    runs = run("show-runs", "--db", "my.db", "--format", "csv")[1].splitlines()
    assert len(runs) == 3 and all("import-steps" in line for line in runs[1:])
    status, told = outcome_of(tree, "tests/contract/test_layers.py")
    assert status == 0, told
