"""Inputs of several kinds, which options tell apart: `--posts FILE…`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from headcount.cli.parser import Parser
from headcount.errors import NO_INPUT, Failure
from headcount.io import names
from headcount.values.tsv import shown


class Inputs:
    """Which file is of which kind. A folder stands for the files in it."""

    def __init__(self, parser: Parser):
        self._parser = parser
        self._kind_of: dict[str, str] = {}
        self._left_out = ""

    def add(self, kind: str, path: str) -> None:
        """Raises Failure 66 for a folder without files; a file of two kinds is a usage error."""
        for file in map(names.safe, names.files_of(path)):
            if names.is_no_data(file):
                self._left_out = file
                continue
            if self._kind_of.setdefault(file, kind) != kind:
                told = f"named as --{self._kind_of[file]} and as --{kind}"
                self._parser.error(f"{shown(file)} is {told}")

    def add_stdin(self, kind: str) -> None:
        """Read standard input as a kind, for lack of others.

        Raises Failure 66 where others were named, but hold no data.
        """
        if self._left_out:
            text = "left out, for its name starts with . or _, and there is no other input"
            raise Failure(f"{shown(self._left_out)}: {text}", NO_INPUT)
        self.add(kind, "-")

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


def parsed(parser: Parser, kinds: Sequence[str]) -> argparse.Namespace:
    """The options, with the inputs of each kind as lists of the session name them."""
    parser.lists(*kinds)
    options = parser.parse()
    for kind in kinds:
        name = kind.replace("-", "_")
        setattr(options, name, parser.joined([], getattr(options, f"{name}_from")))
    return options


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
