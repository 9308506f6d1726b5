"""The cases of breakdowns: active users by the values of a field, counted and imported."""

from collections.abc import Callable

from bench import PEERS, PEERS_PYTHON
from bench.case import Case
from bench.contenders import Contender, importing, ours
from bench.data import Data
from bench.targets import AtMost, Faster

FEW, MANY = "app_info.version", "geo.city"  # make-data has 10 values of one, 1,000 of the other
_MOST = {FEW: 1.3, MANY: 1.8}  # times as long as without


def _rows(text: str) -> str:
    """Rows of date, field, value and count, sorted."""
    return "".join(sorted(text.splitlines(keepends=True)))


def count(field: str) -> Callable[[Data], Case]:
    """Counting by the values of a field, against an engine that does the same."""

    def make(data: Data) -> Case:
        events = data.with_dimensions()
        command = [PEERS_PYTHON, "-I", PEERS / "duckdb_count.py", f"--by={field}", events]
        contenders = [
            ours("count-active-users", "--by", field, events, answer=_rows),
            Contender("DuckDB", list(map(str, command)), answer=_rows),
        ]
        return Case(f"by the values of {field}", contenders, [Faster(2)])

    return make


def fresh_import(field: str) -> Callable[[Data], Case]:
    """Importing by the values of a field, against importing the same events without."""

    def make(data: Data) -> Case:
        events = data.with_dimensions()
        db = data.work / "import-by.db"
        plain = importing(data.work / "import.db", events, name="the plain import", role="baseline")
        by_field = importing(db, "--by", field, events)
        return Case(
            f"import by the values of {field}",
            [by_field, plain],
            [AtMost(_MOST[field], plain.name)],
            data.truth(events),
        )

    return make
