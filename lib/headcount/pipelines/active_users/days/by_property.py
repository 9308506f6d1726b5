"""Rows of several properties: each goes into the sets of its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from headcount.db import properties
from headcount.db import settings as db_settings
from headcount.db.tombstones import Tombstones
from headcount.errors import OTHER_SETTINGS, REJECTS, Failure
from headcount.filters.results import Result
from headcount.filters.runner import PROPERTY
from headcount.io.blocks import Block
from headcount.pipelines.active_users.days.collect import ActiveUsers
from headcount.pipelines.active_users.days.merge import Merged
from headcount.pipelines.active_users.options.property_options import MOST
from headcount.values import tsv


class Run(NamedTuple):
    """What a run says of all its properties."""

    id: int
    settings: Mapping[str, str]
    field: str  # which says whose an event is
    replace: bool
    by: Sequence[str]
    most: int


class ActiveUsersByProperty:
    """Collects rows as ActiveUsers does, behind lines that say whose they are (PROPERTY)."""

    def __init__(self):
        self._users: dict[str, ActiveUsers] = defaultdict(ActiveUsers)
        self._current = ""

    def add(self, block: Block) -> Result:
        """Take in the rows of a block; one that says nothing new is a duplicate."""
        text, results = bytes(block.text), []
        for i, part in enumerate((b"\n" + text).split(b"\n" + PROPERTY)):
            if i:
                name, _, part = part.partition(b"\n")
                self._current = _name(tsv.unescape(name.decode()))
            else:
                part = part.removeprefix(b"\n")
            if part:
                results.append((part, self._users[self._current].add(Block(part))))
        kept = sum(result.kept for _, result in results)
        duplicate = sum(result.duplicate for _, result in results)
        rejects = [
            (reject, block.name, block.line, line)
            for _, result in results
            for reject, _, _, line in result.rejects
        ]
        filtered = sum(result.filtered for _, result in results)
        records = kept + duplicate + filtered + len(rejects)
        return Result(b"", kept, filtered, duplicate, rejects, records=records)

    def merge(
        self,
        db: properties.Named,
        run: Run,
        inputs: Iterable[str],
        erased: Tombstones | None,
    ) -> Merged:
        """Within a transaction: merge the rows of each property into its days. The changes have its
        name before the date.

        Each that a run with this field has brought before takes part: a file may have lost its
        events. Raises Failure 65 for too many properties, 78 for one with other settings.
        """
        known = "SELECT DISTINCT property FROM run_property WHERE field = ?"
        before = {name for (name,) in db.execute(known, [run.field]).fetchall()}
        if len(self._users.keys() - before) > MOST:
            count = f"{run.field} has {len(self._users):,} values"
            raise Failure(f"--property-by: {count}: name a field that tells apps apart", REJECTS)
        found = []
        for name in sorted(before | self._users.keys()):
            properties.use(db, name)
            db_settings.enter(db, dict(run.settings))
            enter(db, run.id, name, run.field)
            users = self._users[name]
            users.add_inputs(inputs)
            how = {"replace": run.replace, "erased": erased, "by": run.by, "most": run.most}
            found.append((name, users.merge(db, run.id, **how)))
        properties.use(db, properties.DEFAULT)
        return Merged(
            [(name, *change) for name, merged in found for change in merged.changes],
            tuple(f"{name}: {note}" for name, merged in found for note in merged.notes),
            any(merged.is_late for _, merged in found),
            tuple(error for _, merged in found for error in merged.sketch_errors),
            {f"{field} ({n})": count for n, m in found for field, count in m.in_other.items()},
        )


def enter(db: properties.Named, run_id: int, name: str, field: str | None = None) -> None:
    """Within a transaction: a run brings this property, which is used.

    Raises Failure 78 if users are kept under other names than in the other properties: one who is
    to be erased could be found in some alone.
    """
    if name != properties.DEFAULT:
        db.execute("INSERT INTO run_property VALUES (?, ?, ?)", [run_id, name, field])
    query = f"SELECT name, value FROM setting WHERE name IN ({', '.join('?' * len(_SHARED))})"
    own = dict(db.execute(query, _SHARED).fetchall())
    for other in properties.each(db):
        for setting, value in db.execute(query, _SHARED).fetchall():
            if own[setting] != value:
                raise Failure(
                    f"property {tsv.shown(other)} was made with --{setting} {value or '(none)'}, "
                    f"and {tsv.shown(name)} with {own[setting] or '(none)'}: that has to be the "
                    "same for all of a database",
                    OTHER_SETTINGS,
                )


_SHARED = ["pseudonym-key", "sketch"]


def _name(value: str) -> str:
    """The property that a value names: one that reads like ours has a backslash before it."""
    return f"\\{value}" if value.lstrip("\\") == properties.DEFAULT else value
