"""The parser of options: an option has one text in every program."""

import argparse
import os
import sys
from collections.abc import Callable

from headcount import __version__
from headcount.checkout import ROOT
from headcount.cli import types
from headcount.cli.main import say
from headcount.errors import USAGE
from headcount.io import names, output
from headcount.values.tsv import shown

_ANY_BYTES = {"FILE", "FILE…", "PART", "PATTERN"}  # the name of a file need not be UTF-8

# The options that several programs take, each declared once.
_SHARED = {
    "--db": {
        "metavar": "FILE",
        "type": types.named_file,
        "default": os.path.join(ROOT, "data", "headcount.db"),
        "help": "the database (default: data/headcount.db beside bin/); imports, reports and "
        "checks also take postgresql://USER@HOST/NAME",
    },
    "--tz": {
        "metavar": "ZONE",
        "default": "America/Chicago",
        "help": "IANA time zone, or device: each event's own offset (default: America/Chicago)",
    },
    "--files-from": {
        "metavar": "FILE",
        "type": types.named_file,
        "action": "append",
        "default": [],
        "help": "the names of more inputs are in FILE (-: on stdin), a line each, or each ended by "
        "NUL",
    },
    "--rejects": {
        "metavar": "FILE",
        "help": "append each rejected line to FILE, as JSON that can be replayed",
    },
    "--quiet": {"action": "store_true", "help": "no progress bar and no notes"},
    "--progress": {
        "action": "store_true",
        "help": "a progress bar on stderr (the default on a terminal, for files)",
    },
    "--allow-empty": {
        "action": "store_true",
        "help": "accept an input in which nothing looks like what is expected, as an empty one",
    },
    "--account": {
        "metavar": "FILE",
        "help": "write the counts of lines in, kept, filtered, duplicate and rejected, as JSON",
    },
    "--jobs": {
        "metavar": "N",
        "type": types.processes,
        "help": "how many processes share the work (default: as many as there are processors; "
        "into a pipe one, for there the next program needs them)",
    },
    "--upstream": {
        "metavar": "FILE",
        "action": "append",
        "default": [],
        "help": "the account of a filter before this one (repeat, in order); all must agree",
    },
    "--property": {
        "metavar": "NAME",
        "default": "default",
        "help": "whose: an app that imports named with --property (default: default, that of "
        "active_user_table)",
    },
    "--max-rejects": {
        "metavar": "N|N%",
        "type": types.allowance,
        "default": "1%",
        "help": "refuse to commit if more of the lines that were looked at are rejected "
        "(default: 1%%)",
    },
    "--wait": {
        "metavar": "SECONDS",
        "type": types.seconds,
        "default": 60.0,
        "help": "how long to wait for a locked database before exit 75 (default: 60)",
    },
}


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """80 columns everywhere, and one margin in every program."""

    def __init__(self, prog: str):
        super().__init__(prog, width=80, max_help_position=24)
        self._action_max_length = 24


class Parser(argparse.ArgumentParser):
    """A parser whose help is the program's docstring and then its options.

    The docstring's first line is `NAME OPERANDS - what it does`.
    """

    def __init__(self, doc: str):
        headline, _, body = doc.partition("\n")
        synopsis, _, summary = headline.partition(" - ")
        super().__init__(
            prog=os.path.basename(sys.argv[0]),
            usage=" ".join(["%(prog)s [OPTION…]", *synopsis.split(" ")[1:]]),
            description=f"{summary}\n{body}".strip("\n"),
            formatter_class=_HelpFormatter,
            allow_abbrev=False,
            add_help=False,
        )
        self.rewrite: Callable[[list[str]], list[str]] = list  # arguments, before they are parsed
        self._typed: dict[str, list[str]] = {}  # options, each as often as it was given

    def inputs(self, metavar: str = "FILE", what: str = "inputs; none or - is stdin") -> None:
        """Declare the inputs: `parse` leaves all that are named, in any way, in `files`."""
        self.add_argument(
            "files",
            nargs="*",
            metavar=metavar,
            help=f"{what}; a folder stands for the files in it, but for those whose names start "
            "with . or _",
        )
        self.lists("files")

    def lists(self, *kinds: str) -> None:
        """Declare, for each of these kinds of inputs, the option that names lists of them."""
        for kind in kinds:
            self.add_argument(f"--{kind}-from", **_SHARED["--files-from"])

    def shared(self, *options: str, **changes) -> None:
        """Take these of the options that mean the same everywhere; `changes` are to their texts."""
        for name in options:
            self.add_argument(name, **_SHARED[name] | changes)

    def parse(self, arguments: list[str] | None = None) -> argparse.Namespace:
        """The options; --help and --version are answered here."""
        self.add_argument("--help", action="help", help="show this text")
        self.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
        arguments = self.rewrite(sys.argv[1:] if arguments is None else arguments)
        if "--" in arguments:  # argparse would lose it between options and operands
            end = arguments.index("--")
            arguments = arguments[:end] + list(map(names.safe, arguments[end + 1 :]))
        options = self.parse_intermixed_args(arguments)
        for action in self._actions:
            value = getattr(options, action.dest, None)
            texts = value if isinstance(value, list | tuple) else [value]
            name = "/".join(action.option_strings) or action.metavar
            if action.metavar not in _ANY_BYTES and not all(map(_is_text, texts)):
                self.error(f"{name}: expected UTF-8, got {', '.join(map(ascii, texts))}")
            if not action.option_strings:  # argparse takes -1 and "-a b" for operands
                for text in texts:
                    if isinstance(text, str) and text.startswith("-") and text != "-":
                        self.error(f"unrecognized arguments: {text}")
        if hasattr(options, "files_from"):
            options.files = self.joined(options.files, options.files_from)
        return options

    def joined(self, typed: list[str], lists: list[str], option: str = "--files-from") -> list[str]:
        """Inputs that are typed, and those in the lists of an option. Raises Failure 66.

        A list without names is a usage error where it would mean standard input.
        """
        files = names.joined(typed, lists)
        if lists and not files:
            self.error(f"{option}: expected names of inputs, got none in {shown(lists[-1])}")
        if "-" in lists and "-" in files:
            self.error(f"{option}: stdin cannot be an input and a list of them: leave out one -")
        return files

    def _get_values(self, action, arg_strings):  # argparse calls it for what was typed, only
        if action.option_strings:
            name = action.option_strings[0]
            words = [name] if action.nargs == 0 else [f"{name}={text}" for text in arg_strings]
            self._typed.setdefault(name, []).extend(words)
        return super()._get_values(action, arg_strings)

    def typed(self, *names: str) -> list[str]:
        """Those of these options that were typed, with their values as they were, as words."""
        return [word for name in names for word in self._typed.get(name, [])]

    def takes_value(self, word: str) -> bool:
        """Whether an option has its value in the word behind it."""
        action = self._option_string_actions.get(word)
        return action is not None and action.nargs != 0

    def text(self, name: str, default: str) -> str:
        """The value of an option as it was typed last."""
        words = self._typed.get(name)
        return words[-1].partition("=")[2] if words else default

    def _print_message(self, message, file=None):  # argparse would lose an error of a long one
        if message:
            output.write(1, message.encode())

    def error(self, message: str):
        message = message.removeprefix("argument ")  # a message starts with the option
        message = message.replace("expected one argument", "expected a value")
        message = message.replace("ignored explicit argument", "takes no value, got")
        say(f"{self.prog}: {message}\nTry '{self.prog} --help'.")
        sys.exit(USAGE)


def _is_text(value) -> bool:
    try:
        str(value).encode()
    except UnicodeEncodeError:
        return False
    return True
