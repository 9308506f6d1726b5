"""Inputs of several kinds, which options tell apart: `--posts FILE…`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from headcount.cli.parser import Parser
from headcount.errors import NO_INPUT, Failure
from headcount.values.tsv import shown


class Inputs:
    """Which file is of which kind. A folder stands for the files in it."""

    def __init__(self, parser: Parser, kinds: Sequence[str]):
        self._parser, self._kinds = parser, kinds
        self._kind_of: dict[str, str] = {}

    def add(self, kind: str, path: str) -> None:
        """Raises Failure 66 for a folder without files; a file of two kinds is a usage error."""
        paths = list(_within(path)) if os.path.isdir(path) else [path]
        if not paths:
            raise Failure(f"{shown(path)}: no files in it", NO_INPUT)
        for file in paths:
            if _is_no_data(file):
                continue
            if file.startswith("-") and file != "-":
                file = f"./{file}"
            if self._kind_of.setdefault(file, kind) != kind:
                told = f"named as --{self._kind_of[file]} and as --{kind}"
                self._parser.error(f"{shown(file)} is {told}")

    def has(self, kind: str) -> bool:
        """Whether there is any of a kind."""
        return kind in self._kind_of.values()

    @property
    def files(self) -> list[str]:
        """All files, as they were named."""
        return list(self._kind_of)

    @property
    def kinds(self) -> list[str]:
        """The kind of each."""
        return list(self._kind_of.values())

    def words(self, files: Sequence[str] | None = None) -> list[str]:
        """The options that name these files, or all, again."""
        wanted = self._kind_of if files is None else files
        words = []
        for kind in self._kinds:
            words.append(f"--{kind}")
            words += [file for file in wanted if self._kind_of[file] == kind]
        return words


def sorted_out(parser: Parser, arguments: Sequence[str], kinds: Sequence[str]) -> list[str]:
    """The arguments, with each operand behind --KIND as one more `--KIND=OPERAND`.

    What follows `--KIND FILE` is of that kind, too, until another one is named. An operand of which
    no kind is known is a usage error.
    """
    options = {f"--{kind}" for kind in kinds}
    words, kind, rest = [], "", iter(arguments)
    for word in rest:
        if word == "--":
            words += [_of_kind(parser, kind, operand, kinds) for operand in rest]
        elif word in options or word.partition("=")[0] in options:
            kind = word.partition("=")[0]
            words.append(word)
            if "=" not in word and (operand := next(rest, "--")) != "--":
                words.append(operand)
        elif word.startswith("-") and word != "-":
            words.append(word)
            if parser.takes_value(word) and (operand := next(rest, None)) is not None:
                words.append(operand)
        else:
            words.append(_of_kind(parser, kind, word, kinds))
    return words


def _of_kind(parser: Parser, kind: str, operand: str, kinds: Sequence[str]) -> str:
    if not kind:
        *most, last = [f"--{name}" for name in kinds]
        parser.error(f"is {shown(operand)} {', '.join(most)} or {last}?")
    return f"{kind}={operand}"


def _within(folder: str) -> Iterator[str]:
    """The files of a folder and of those in it, sorted."""
    files = []
    for path, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not _is_no_data(name)]
        links = [name for name in folders if os.path.islink(os.path.join(path, name))]
        for name in (*names, *links):
            file = os.path.join(path, name)
            if not _is_no_data(name) and (os.path.islink(file) or os.path.isfile(file)):
                files.append(file)
    return iter(sorted(files, key=os.fsencode))


def _is_no_data(path: str) -> bool:
    """Programs that write folders of parts leave marks and checksums beside them."""
    return os.path.basename(path).startswith((".", "_"))
