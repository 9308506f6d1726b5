"""Parts of a count: rows of active users that one process, or one host, has found.

A part is the rows, then one line that starts with #: their number and SHA-256, what they mean (the
settings), and the account of the lines that they come from. Without it a part is not finished.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator

from headcount.cli import types
from headcount.cli.main import start_as
from headcount.cli.parser import Parser
from headcount.errors import FAILED, OTHER_SETTINGS, Failure
from headcount.filters import runner
from headcount.filters.account import Account
from headcount.io import inputs, interrupt, output, workers
from headcount.pipelines.active_users import fused
from headcount.values import tsv

_MARK = b"#part 1 "


class Writer:
    """Makes a part, whole or not at all. Raises Failure 74."""

    def __init__(self, path: str, settings: dict[str, str]):
        self._path, self._settings = path, settings
        self._beside = f"{path}.{os.getpid()}"
        self._digest, self._rows = hashlib.sha256(), 0
        self._fd = output.open_private(self._beside, os.O_TRUNC)

    def add(self, rows: bytes) -> None:
        """Take whole rows."""
        self._digest.update(rows)
        self._rows += rows.count(b"\n")
        output.write(self._fd, rows, self._beside)

    def finish(self, account: Account) -> None:
        """All rows have come; `account` is that of the lines that they come from."""
        end = {"rows": self._rows, "sha256": self._digest.hexdigest(), "settings": self._settings}
        line = json.dumps(end | {"account": vars(account)}).encode()
        output.write(self._fd, b"%b%b\n" % (_MARK, line), self._beside)
        os.fsync(self._fd)
        os.close(self._fd)
        os.rename(self._beside, self._path)

    def close(self) -> None:
        """What has not been finished is as if it had never been."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._beside)


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
        raise Failure(f"{tsv.shown(self.path)}: {why}: make it anew", FAILED)


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
                    f"{tsv.shown(path)} was made with --{name} {part.settings.get(name)}, "
                    f"{tsv.shown(paths[0])} with {common.get(name)}",
                    OTHER_SETTINGS,
                )
    return common


def main() -> int:
    """PIPELINE [FILE…] - what was found in events, as a part"""
    parser = Parser(main.__doc__)
    parser.add_argument("--part", metavar="FILE", required=True, help="the part to make")
    parser.add_argument("--setting", type=types.assignment, action="append", default=[])
    options = fused.parsed(parser, many_in_one=False)  # earlier versions read parts, too
    options.jobs = options.jobs or workers.processors()
    with contextlib.closing(Writer(options.part, dict(options.setting))) as part:

        def finish(account: Account) -> bytes:
            if not interrupt.requested():
                part.add(b"".join(map(runner.from_input, account.inputs)))
                part.finish(account)
            return b""

        try:
            return runner.run(
                options,
                options.rows,
                finish,
                take=part.add,
                rejecter=fused.REJECTER,
                **options.reading,
            )
        except Failure as failure:
            raise Failure(f"{failure}; no part was written", failure.status) from None


def rows() -> int:
    """PIPELINE [FILE…] - the rows of all parts, with the sum of their accounts"""
    parser = Parser(rows.__doc__)
    runner.add_options(parser)
    options = parser.parse()
    whole = Account(parser.prog)
    for path in options.files:
        part = Part(path)
        for block in part.rows():
            output.write(1, block)
        part.account.check()
        for name in ("lines", "kept", "filtered", "duplicate", "passed"):
            setattr(whole, name, getattr(whole, name) + getattr(part.account, name))
        whole.reasons += part.account.reasons
        whole.inputs[path] = part.account.lines
    return runner.end(options, whole)


if __name__ == "__main__":
    start_as(rows, drains=False)
