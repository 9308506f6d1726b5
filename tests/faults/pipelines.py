"""The five imports as the fault matrix sees them: small inputs, and a command."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

from faults.databases import Db
from helpers.programs import BARE, BIN, run


class Pipeline(NamedTuple):
    """`made` is what make-data is asked for; `kind` stands before files, `header` in each."""

    name: str
    made: tuple[str, ...]
    kind: tuple[str, ...] = ()
    header: bool = False
    strict: tuple[str, ...] = ()  # options that make it look at every line
    lenient: tuple[str, ...] = ("--max-rejects", "100%")
    keeps: bool = False  # what it has read, even if it fails
    table: str = ""  # of which all files are versions

    @property
    def label(self) -> str:
        return f"{self.name}-corrected" if self.table else self.name

    def inputs(self, folder: Path, count: int = 3) -> list[Path]:
        """Different files, a bit of whose content is the same."""
        paths = []
        for seed in range(count):
            lines = run("make-data", *self.made, "--seed", seed + 1, check=0).stdout
            if paths and not self.header:  # each of which has its columns in another order
                again = -9 if not self.table else -200
                lines += b"".join(paths[-1].read_bytes().splitlines(keepends=True)[again:])
            paths.append(folder / f"{self.name}-{seed}.txt")
            if self.table:
                paths[-1] = folder / str(seed) / self.table
                paths[-1].parent.mkdir()
            paths[-1].write_bytes(lines)
        return paths

    def command(self, db: Db, *files: Path, bin: Path = BIN) -> list[str]:
        """An import of files."""
        words = [bin / self.name, "--quiet", "--db", db, *self.strict, *self.kind, *files]
        return list(map(str, words))


PIPELINES = [
    Pipeline("import-active-users", ("engagement", "--events", "300"), strict=("--validate",)),
    Pipeline("import-site-activity", ("chat", "--lines", "300", "--sites", "3"), keeps=True),
    Pipeline("import-recent-changes", ("recent-changes", "--events", "60"), lenient=(), keeps=True),
    Pipeline("import-comments", ("comments", "--comments", "120"), ("--info",)),
    Pipeline("import-event-metrics", ("event-metrics", "--count", "120"), header=True),
]

CORRECTED = Pipeline(
    "import-active-users",
    ("engagement", "--events", "300", "--users", "40"),
    strict=("--validate", "--definition", "engaged-valuable,engaged-session,summed,ga4-active"),
    table="events_20240306.txt",
)


def imported(pipeline: Pipeline, db: Db, *files: Path, **options) -> subprocess.CompletedProcess:
    """An import that has to succeed."""
    done = attempt(pipeline, db, *files, **options)
    assert done.returncode == 0, done.stderr
    return done


def attempt(pipeline: Pipeline, db: Db, *files: Path, **options) -> subprocess.CompletedProcess:
    """An import, however it ends."""
    options = {"env": BARE, "capture_output": True, "stdin": subprocess.DEVNULL} | options
    return subprocess.run(pipeline.command(db, *files), **options)
