"""Lines that cannot be used: said on stderr, kept for replay, counted by reason.

They are kept as JSON Lines: `prog`, `file`, `line`, `reason`, and the line itself as `raw` or, if
it is not UTF-8, as `raw_base64`. Of a record of a text table there are more keys, called as the
options that read it again: `header`, `delimiter`, `encoding`, and where they matter `escape` and
`from`.
"""

import contextlib
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from headcount.io import output
from headcount.values import tsv

SHOWN = 5

# An event whose sender withheld consent has no user. That is no fault of the data's, so such
# rejects are counted apart and do not count towards --max-rejects. All have the same detail: which
# fields name none.
UNIDENTIFIED = "unidentified"


class Table(NamedTuple):
    """How a record of a text table is to be read: the names of its fields, and what options say."""

    header: tuple[str, ...]
    delimiter: str
    encoding: str  # of several (a,b) the first that fits
    escape: str | None = None
    kind: str | None = None  # as --from has it; None: CSV

    def record(self, fields: Sequence[str | None]) -> bytes | None:
        """Fields as a line to be read so; None if its encodings do not have all of them."""
        if self.kind:
            text = tsv.row(*fields).decode().removesuffix("\n")
        else:
            import csv  # rarely needed
            import io

            line = io.StringIO()
            marks = {"delimiter": self.delimiter, "escapechar": self.escape}
            csv.writer(line, lineterminator="\r\n", **marks).writerow(fields)  # these get quotes
            text = line.getvalue().removesuffix("\r\n")
        for encoding in self.encoding.split(","):
            with contextlib.suppress(UnicodeEncodeError):
                return text.encode(encoding)
        return None

    def keys(self) -> dict[str, object]:
        """What a file of rejects says of it."""
        keys = self._asdict()
        keys["from"] = keys.pop("kind")
        return {key: value for key, value in keys.items() if value is not None}


class Reject(NamedTuple):
    """Why a line cannot be used: a reason (one of few, they are counted) and what was seen.

    Of a record of a text table, how it is to be read: the values of a Table, as a plain tuple, so
    that processes can send it.
    """

    reason: str
    detail: str = ""
    table: tuple | None = None


class RejectLog:
    """The rejects of one run of one program."""

    def __init__(self, prog: str, path: str | None):
        self.prog = prog
        self.reasons: Counter[str] = Counter()
        self._path = path
        self._fd = output.open_private(path, os.O_APPEND) if path else None
        self._shown = 0
        self._unidentified = ""

    def add(self, reject: Reject, name: str, line: int, raw: bytes) -> None:
        """Count one rejected line, keep it in the file, and say so if it is among the first."""
        self.reasons[reject.reason] += 1
        text = f"{reject.reason}: {reject.detail}" if reject.detail else reject.reason
        self.keep(text, name, line, raw, reject.table)
        if reject.reason == UNIDENTIFIED:
            self._unidentified = reject.detail
        elif self._shown < SHOWN:
            self._shown += 1
            print(f"{self.prog}: {tsv.shown(name)}:{line}: {text}", file=sys.stderr)

    def keep(self, text: str, name: str, line: int, raw: bytes, table: tuple | None = None) -> None:
        """Write one rejected line to the file, if there is one."""
        if self._fd is None:
            return
        entry = {"prog": self.prog, "file": name, "line": line, "reason": text}
        try:
            entry["raw"] = raw.decode()
        except UnicodeDecodeError:
            import base64  # rarely needed

            entry["raw_base64"] = base64.b64encode(raw).decode()
        if table is not None:
            entry |= Table(*table).keys()
        # one write: two programs may append to one file
        output.write(self._fd, json.dumps(entry).encode() + b"\n", self._path)

    def close(self) -> None:
        """Say how many more there were, and where to look."""
        if self._fd is not None:
            os.close(self._fd)
        unidentified = self.reasons[UNIDENTIFIED]
        more = self.reasons.total() - unidentified - self._shown
        where = "" if self._path else "; --rejects FILE keeps them all"
        if more:
            print(f"{self.prog}: {more} more lines rejected{where}", file=sys.stderr)
        if unidentified:
            text = f"{unidentified} rejected as unidentified: {self._unidentified}"
            print(f"{self.prog}: {text}", file=sys.stderr)
