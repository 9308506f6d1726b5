"""The imports that a crontab runs, tried without being run.

The format: crontab(5). Commands are read, not run: of the shell's words, variables and patterns of
file names are known, as far as they need no other program.
"""

from __future__ import annotations

import glob
import os
import pwd
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from headcount.checkout import ROOT
from headcount.db.locks import IMPORTS
from headcount.errors import NO_INPUT, Failure

_SETTING = re.compile(r"\s*([A-Za-z_]\w*)\s*=\s*(.*)")
_LINE = re.compile(r"\s*(?:@\w+|(?:\S+\s+){4}\S+)\s+(\S.*)")
_OPERATOR = re.compile(r"[;&|()<>]+")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_PACKAGE = re.compile(r"^begin_import (\w+) ", re.MULTILINE)
_TIME = 60.0  # seconds for one import to look at its inputs' names


class Import(NamedTuple):
    """An import that a crontab starts: in which line, with which arguments and variables."""

    line: int
    words: list[str]
    variables: dict[str, str]


def read(path: str | None) -> str | None:
    """A crontab: of a file, or the user's own; None if there is none.

    Raises Failure 66 for a file that cannot be read.
    """
    if path is not None:
        try:
            return Path(path).read_text(errors="replace")
        except OSError as error:
            raise Failure(f"{path}: cannot open: {error.strerror}", NO_INPUT) from None
    try:
        done = subprocess.run(["crontab", "-l"], capture_output=True, stdin=subprocess.DEVNULL)
    except OSError:
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None


def imports(crontab: str) -> Iterator[Import]:
    """The imports of this checkout, or of another, that a crontab starts."""
    home = pwd.getpwuid(os.getuid()).pw_dir
    variables = {"PATH": "/usr/bin:/bin", "HOME": home}
    for number, line in enumerate(crontab.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if setting := _SETTING.fullmatch(line):
            value = setting[2].strip()
            is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
            variables = variables | {setting[1]: value[1:-1] if is_quoted else value}
        elif entry := _LINE.fullmatch(line):
            command = re.split(r"(?<!\\)%", entry[1])[0].replace(r"\%", "%")
            for words in _commands(command, variables):
                names = [os.path.basename(word) for word in words]
                starts = [i for i, name in enumerate(names) if name.startswith(IMPORTS)]
                if starts:
                    yield Import(number, words[starts[0] :], variables)


def _commands(text: str, variables: dict[str, str]) -> Iterator[list[str]]:
    """The words of each simple command, without what it redirects."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";&|()<>")
    lexer.whitespace_split = True
    words: list[str] = []
    try:
        tokens = iter(list(lexer))
    except ValueError:  # a quote that does not end: cron's shell will say so
        return
    for token in tokens:
        if not _OPERATOR.fullmatch(token):
            words += _expanded(token, variables)
        elif token[0] in "<>":
            if words and words[-1].isdecimal():  # of a descriptor: 2>
                words.pop()
            next(tokens, None)
        else:
            yield words
            words = []
    yield words


def _expanded(word: str, variables: dict[str, str]) -> list[str]:
    word = _VARIABLE.sub(lambda found: variables.get(found[1] or found[2], ""), word)
    return sorted(glob.glob(word)) or [word]


def problem(started: Import) -> str:
    """Why an import would fail before it has read a line; "" if it would not.

    It is asked for that: it parses its options and looks at its database, and changes nothing.
    """
    program, *arguments = started.words
    script = os.path.join(started.variables["HOME"], program)
    try:
        package = _PACKAGE.search(Path(script).read_text())
    except OSError as error:
        return f"{script}: {error.strerror}"
    if package is None:
        return ""
    python = os.path.join(ROOT, "lib", "python")
    name = os.path.basename(script)
    session = [python, "-m", "headcount.pipelines.session", name]
    try:
        done = subprocess.run(
            [*session, "try", script, package[1], "", *arguments],
            env=started.variables | {"LC_ALL": "C.UTF-8"},
            cwd=started.variables["HOME"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIME,
        )
    except subprocess.TimeoutExpired:
        return f"{name}: takes more than {_TIME:g} s to look at its inputs"
    if done.returncode == 0:
        return ""
    said = done.stderr.decode(errors="replace").strip().splitlines()
    return said[0] if said else f"{name}: exit status {done.returncode}"
