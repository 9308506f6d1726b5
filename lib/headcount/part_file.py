"""Parts of a count: rows of active users that one process, or one host, has found.

A part is the rows, then one line that starts with #: their number and SHA-256, what they mean (the
settings), and the account of the lines that they come from. Without it a part is not finished.

`python -m headcount.part_file PIPELINE write|settings|rows …` is how pipelines use it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator

from headcount import cli, db_settings, inputs, output
from headcount.account import Account
from headcount.failure import FAILED, OK, OTHER_SETTINGS, REJECTS, Failure

_MARK = b"#part 1 "
_READ = 1 << 20


def write(path: str, rows: str, settings: dict[str, str], account: Account) -> None:
    """Make a part of a file of rows, whole or not at all. Raises Failure 74."""
    beside = f"{path}.{os.getpid()}"
    digest, number = hashlib.sha256(), 0
    try:
        fd = output.open_private(beside, os.O_TRUNC)
        with open(rows, "rb") as source:
            while block := source.read(_READ):
                digest.update(block)
                number += block.count(b"\n")
                output.write(fd, block, beside)
        end = {"rows": number, "sha256": digest.hexdigest(), "settings": settings}
        line = json.dumps(end | {"account": vars(account)}).encode()
        output.write(fd, b"%b%b\n" % (_MARK, line), beside)
        os.fsync(fd)
        os.close(fd)
        os.rename(beside, path)
    except BaseException:
        if os.path.exists(beside):
            os.unlink(beside)
        raise


class Part:
    """A part as it is read; what its last line says is known once all rows have been taken."""

    def __init__(self, path: str):
        self.path = path
        self.settings: dict[str, str] = {}
        self.account = Account("")

    def rows(self) -> Iterator[bytes]:
        """Blocks of whole rows. Raises Failure 1 for a part that is damaged or not finished."""
        digest, number, end = hashlib.sha256(), 0, None
        for block in inputs.blocks([self.path]):
            text = bytes(block.text)
            if end is not None:
                self._refuse("there is something behind its end")
            at = 0 if text.startswith(_MARK) else text.find(b"\n" + _MARK) + 1
            if text.startswith(_MARK) or at:
                text, end = text[:at], text[at + len(_MARK) :]
            digest.update(text)
            number += text.count(b"\n")
            yield text
        try:
            known = json.loads(end or b"")
            self.settings = known["settings"]
            saved = known["account"]
            vars(self.account).update(saved, reasons=Counter(saved["reasons"]))
            same = (known["rows"], known["sha256"]) == (number, digest.hexdigest())
        except (ValueError, KeyError, TypeError):
            self._refuse("it is no part, or not finished")
        if not same:
            self._refuse("it is damaged")

    def _refuse(self, why: str) -> None:
        raise Failure(f"{inputs.shown(self.path)}: {why}: make it anew", FAILED)


def common_settings(paths: list[str]) -> dict[str, str]:
    """What all parts mean. Raises Failure 78 if that is not the same."""
    common: dict[str, str] = {}
    for path in paths:
        part = Part(path)
        for _ in part.rows():
            pass
        common = common or part.settings
        for name in sorted(common.keys() | part.settings.keys()):
            if common.get(name) != part.settings.get(name):
                raise Failure(
                    f"{inputs.shown(path)} was made with --{name} {part.settings.get(name)}, "
                    f"{inputs.shown(paths[0])} with {common.get(name)}",
                    OTHER_SETTINGS,
                )
    return common


def _rows(options) -> int:
    """Print the rows of all parts, and give the sum of their accounts."""
    whole = Account(options.prog)
    for path in options.files:
        part = Part(path)
        for block in part.rows():
            output.write(1, block)
        part.account.check()
        for name in ("lines", "kept", "filtered", "duplicate"):
            setattr(whole, name, getattr(whole, name) + getattr(part.account, name))
        whole.reasons += part.account.reasons
        whole.inputs[path] = part.account.lines
    whole.write(options.account)
    output.close_stdout()
    return REJECTS if whole.rejected else OK


def main() -> int:
    """PIPELINE write|settings|rows [OPTION…] FILE… - make a part, or read some

    write: the rows of a file and the account of who wrote them become the part that comes second.
    settings: what all parts mean, as NAME=VALUE, each ended by NUL.
    """
    parser = cli.Parser(main.__doc__)
    parser.add_argument("step", choices=("write", "settings", "rows"), help="which")
    parser.add_argument("files", nargs="*", metavar="FILE", help="parts; write: rows, part")
    parser.add_argument("--setting", type=db_settings.option, action="append", default=[])
    parser.add_argument("--account", help="of the rows")
    options = parser.parse()
    options.prog = parser.prog
    if options.step == "write":
        rows, part = options.files
        write(part, rows, dict(options.setting), Account.read(options.account))
        return OK
    if options.step == "settings":
        found = common_settings(options.files)
        output.write(1, b"".join(f"{n}={v}\0".encode() for n, v in found.items()))
        return OK
    return _rows(options)


if __name__ == "__main__":
    sys.argv.pop(0)  # messages come in the pipeline's name
    cli.start(main, drains=False)
