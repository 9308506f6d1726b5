"""What a server still has of rows that are deleted: nothing, once its tables are written anew.

Its log of writes, its replicas and its backups are out of our reach.
"""

from __future__ import annotations

from collections.abc import Iterator

from headcount import postgres
from headcount.failure import Failure
from headcount.traces import Search


def scrub(url: str, wait: float) -> None:
    """Write all tables anew, without their dead rows; a reader that stays is a Failure 75."""
    try:
        with postgres.errors(url), postgres.connect(url) as connection:
            postgres.wait_for_locks(connection, wait)
            for table in postgres.tables(connection):
                connection.execute(f'VACUUM FULL "{table}"')
    except Failure as failure:
        text = f"erased, but not yet from the server's files: {failure}; run this again"
        raise Failure(text, failure.status) from None


def within(url: str, search: Search) -> Iterator[str]:
    """What is to be said of tables that have a trace."""
    with postgres.errors(url, "read"), postgres.connect(url) as connection:
        for table in postgres.tables(connection):
            copy = connection.cursor().copy(f'COPY "{table}" TO STDOUT (FORMAT binary)')
            with copy as blocks:
                found = search.in_blocks(map(bytes, blocks))
                for _ in blocks:  # the rest of it
                    pass
            if found:
                yield f"{table} of {postgres.shown(url)} still has it"
