"""The turn of a pipeline on a server of PostgreSQL, against all hosts: one import at a time.

lib/import.sh holds it for as long as it runs: `python -m headcount.postgres_turn PIPELINE …`.
"""

from __future__ import annotations

import sys

from headcount import cli, output, postgres
from headcount.failure import TRY_LATER, Failure


def main() -> int:
    """PIPELINE - hold the turn of a pipeline until standard input ends; says so with a line"""
    parser = cli.Parser(main.__doc__)
    parser.shared("--db", "--wait")
    options = parser.parse()
    with postgres.errors(options.db), postgres.connect(options.db) as connection:
        connection.execute(f"SET lock_timeout = {max(1, round(options.wait * 1000))}")
        try:
            connection.execute(
                "SELECT pg_advisory_lock(%s, hashtext(%s || current_schema()))",
                [postgres.TURN, parser.prog],
            )
        except Exception as error:
            if getattr(error, "sqlstate", None) == "55P03":
                text = f"another import holds the turn of {parser.prog}; waited {options.wait:g} s"
                raise Failure(text, TRY_LATER) from None
            raise
        output.write(1, b"\n")
        sys.stdin.buffer.read()
    return 0


if __name__ == "__main__":
    sys.argv.pop(0)  # messages come in the pipeline's name
    cli.start(main, drains=False)
