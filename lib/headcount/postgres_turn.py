"""The turn of a pipeline on a server of PostgreSQL, against all hosts: one import at a time.

lib/import.sh holds it for as long as it runs: `python -m headcount.postgres_turn PIPELINE …`.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from headcount import cli, output, postgres
from headcount.failure import TRY_LATER, Failure


@contextlib.contextmanager
def held(url: str, pipelines: list[str], wait: float) -> Iterator[None]:
    """Hold the turns of pipelines. Raises Failure 75 if another holds one for `wait` seconds."""
    with postgres.errors(url), postgres.connect(url) as connection:
        postgres.wait_for_locks(connection, wait)
        for pipeline in pipelines:
            try:
                connection.execute(
                    "SELECT pg_advisory_lock(%s, hashtext(%s || current_schema()))",
                    [postgres.TURN, pipeline],
                )
            except Exception as error:
                if getattr(error, "sqlstate", None) == "55P03":
                    text = f"another import holds the turn of {pipeline}; waited {wait:g} s"
                    raise Failure(text, TRY_LATER) from None
                raise
        yield


def main() -> int:
    """PIPELINE - hold the turn of a pipeline until standard input ends; says so with a line"""
    parser = cli.Parser(main.__doc__)
    parser.shared("--db", "--wait")
    options = parser.parse()
    with held(options.db, [parser.prog], options.wait):
        output.write(1, b"\n")
        sys.stdin.buffer.read()
    return 0


if __name__ == "__main__":
    sys.argv.pop(0)  # messages come in the pipeline's name
    cli.start(main, drains=False)
