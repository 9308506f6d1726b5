"""The imports of several properties, one after the other: each its own run, all or nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from headcount.cli.main import say, start_as
from headcount.errors import OK, REJECTS
from headcount.io import output
from headcount.pipelines.active_users.options import property_options
from headcount.values import tsv


def main() -> int:
    """PROGRAM SCRIPT [ARGUMENT…]: an import for each property that --inputs finds; the changes of
    each have its name before the date. One that fails is told, and the others go on."""
    script, *arguments = sys.argv[1:]
    worst = OK
    for words in property_options.each(arguments):
        name = next(w for w in words if w.startswith("--property=")).partition("=")[2]
        status, changes = _imported([script, *words])
        rows = changes.splitlines(keepends=True)
        output.write_imported([tsv.escape(name).encode() + b"\t" + row for row in rows])
        if status:
            say(f"{os.path.basename(script)}: property {tsv.shown(name)}: exit status {status}")
        if status > 128:  # it was to stop
            return status
        worst = worst if status in (OK, REJECTS) and worst else status
    return worst


def _imported(command: list[str]) -> tuple[int, bytes]:
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as child:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _: os.kill(child.pid, number))
        changes = child.stdout.read()
    status = child.returncode
    return (status if status >= 0 else 128 - status), changes


if __name__ == "__main__":
    start_as(main, drains=False)
