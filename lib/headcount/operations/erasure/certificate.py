"""The certificate of an erasure."""

from __future__ import annotations

from dataclasses import dataclass, field

from headcount.db import address
from headcount.db.tombstones import RECOUNT
from headcount.operations.erasure.files import LEAST, Searched, sha256
from headcount.operations.erasure.forgetting import Change
from headcount.operations.erasure.rows import Left
from headcount.operations.erasure.rows import Searched as Table
from headcount.values import clock, spellings

_SKETCHES = "the sketches of days, in which nobody can be told apart"
_SHOWN = 20  # rows of a column


@dataclass
class Certificate:
    """All of it, but not of whom."""

    db: str
    mode: str
    erased_at: str = field(default_factory=clock.now)
    removed: dict[str, int] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    before: dict[str, str] = field(default_factory=dict)  # hashes of files
    after: list[Searched] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    has_sketches_alone: bool = False  # of the app's users, with no ids
    has_bytes: bool = True  # whether the name is long enough to be searched for in bytes

    def files_left(self) -> list[Searched]:
        """Files with a trace of the person, or that cannot be searched.

        Of the database, only where no row says it.
        """
        return [
            file
            for file in self.after
            if file.error or (file.has_it and not (file.kind == "database" and self.left))
        ]

    def sentences(self) -> list[str]:
        """What is left, and the way out."""
        found = []
        if self.has_sketches_alone and self.mode == RECOUNT:
            found.append(
                f"{_SKETCHES}: published days stay as they are, and imports leave the ID out from "
                "now on; to count a day anew, import its files with --replace"
            )
        tool = "psql" if address.is_url(self.db) else "sqlite3"
        for column in dict.fromkeys((left.table, left.column) for left in self.left):
            rows = [left.row for left in self.left if (left.table, left.column) == column]
            more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
            found.append(
                f"{column[0]}.{column[1]} still has it, in rows {', '.join(rows[:_SHOWN])}{more}: "
                "as a part of a longer word, or as a word of the source's; if it means them there, "
                f"change it: {tool} {address.shown(self.db)}"
            )
        for file in self.files_left():
            way_out = _WAYS_OUT.get(file.kind, "take it out by hand")
            if file.error:
                found.append(f"{file.path} cannot be searched: {file.error}; {way_out}")
            else:
                found.append(f"{file.path} still has it: {way_out}")
        return found

    def out_of_reach(self) -> list[str]:
        """What this could not search, or does not change."""
        backups = [f"{file.path} (not changed)" for file in self.after if file.kind == "backup"]
        others = ["the raw events, and copies of them", "copies of the database and of backups"]
        if self.has_sketches_alone:
            others.append(_SKETCHES)
        if address.is_url(self.db):
            others.append("the server's log of writes, its replicas and its backups")
        return [*backups, *others]

    def as_dict(self) -> dict:
        """The certificate, for JSON."""
        files = [
            {
                "file": file.path,
                "kind": file.kind,
                "bytes": file.size,
                "sha256_before": self.before.get(file.path),
                "sha256_after": sha256(file.path),
                "still_has_it": file.has_it,
                **({"error": file.error} if file.error else {}),
            }
            for file in self.after
        ]
        return {
            "database": address.shown(self.db),
            "mode": self.mode,
            "erased_at": self.erased_at,
            "removed": self.removed,
            "changed": [list(change) for change in self.changes],
            "searched": {
                "spellings": list(spellings.TOLD),
                "tables": [
                    {"table": t.table, "columns": list(t.columns), "rows": t.rows}
                    for t in self.tables
                ],
                "files": files,
                "bytes_searched": self.has_bytes or f"names of fewer than {LEAST} bytes are not",
            },
            "left": [left._asdict() for left in self.left],
            "left_in_files": [file.path for file in self.files_left()],
            "out_of_reach": self.out_of_reach(),
        }


_WAYS_OUT = {
    "backup": "delete it; restored, it is erased anew",
    "database": "run this again",
    "journal": "end what has the database open, and run this again",
    "log": "delete it",
}
