"""Files that imports have read before, to be read again for what was not asked for then."""

from __future__ import annotations

import argparse
import os

from headcount.cli.main import note
from headcount.errors import NO_INPUT, Failure
from headcount.io.splits import is_url
from headcount.values.tsv import shown

_READ = """
SELECT DISTINCT path
FROM run_input
JOIN run ON run.id = run_id
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
        paths = [path for (path,) in db.execute(_READ).fetchall()]
    there = [path for path in paths if is_url(path) or os.path.isfile(path)]
    gone = [shown(path) for path in paths if path not in there]
    if not there:
        raise Failure("--backfill: expected files that were imported before, found none", NO_INPUT)
    if gone:
        verb = "is" if len(gone) == 1 else "are"
        note(f"{', '.join(gone)} {verb} gone: who came with that stays (unknown)", options)
    return there, bool(gone)
