"""Files that imports have read before, to be read again for what was not asked for then."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from headcount.cli.main import note
from headcount.errors import NO_INPUT, Failure
from headcount.io.splits import is_url
from headcount.values.tsv import shown

if TYPE_CHECKING:
    import sqlite3  # slow to import, and --help does without

_READ = """
SELECT DISTINCT path, coalesce(property, 'default'), field
FROM run_input
JOIN run ON run.id = run_input.run_id
LEFT JOIN run_property ON run_property.run_id = run.id
WHERE
    pipeline IN ('import-active-users', 'spark-active-users')
    AND run.status = 'done' AND run_input.status = 'read'
ORDER BY path
"""


def files(options: argparse.Namespace) -> tuple[list[str], bool]:
    """Those that finished imports of the database have read, and are there; and whether that is
    less than all of them.

    Says which are not there. Raises Failure 66 if none is.
    """
    from headcount.db import connection  # slow to import, and --help does without

    with connection.for_reading(options.db) as db:
        paths = list(dict.fromkeys(_read(db, options)))
    there = [path for path in paths if is_url(path) or os.path.isfile(path)]
    gone = [shown(path) for path in paths if path not in there]
    if not there:
        raise Failure("--backfill: expected files that were imported before, found none", NO_INPUT)
    if gone:
        verb = "is" if len(gone) == 1 else "are"
        note(f"{', '.join(gone)} {verb} gone: who came with that stays (unknown)", options)
    return there, bool(gone)


def _read(db: sqlite3.Connection, options: argparse.Namespace) -> Iterator[str]:
    """What was read for the same property, or told them apart by the same field."""
    query = "SELECT count(*) FROM sqlite_schema WHERE name = 'run_property'"
    if not db.execute(query).fetchone()[0]:  # it was made before there were any
        db.execute("CREATE TEMP TABLE run_property (run_id, property, field)")
    wanted = options.property_by[0] if options.property_by else None
    for path, name, field in db.execute(_READ).fetchall():
        if field == wanted and (wanted or name == options.property):
            yield path
