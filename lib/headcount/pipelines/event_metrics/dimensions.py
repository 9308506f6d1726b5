"""Tables of dimensions: a name for each id."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from headcount.filters.rejects import Reject
from headcount.filters.results import Result
from headcount.formats import tables
from headcount.pipelines.event_metrics import metric_values

COLUMNS = ("id", "name")


def results(
    paths: list[str], how: tables.How, names: dict[int, str], on_read: Callable[[int], None]
) -> Iterator[tuple[str, int, Result]]:
    """Enter what tables say into `names`, the last name of an id counting.

    Yields what `filters.tally` wants.
    """
    how = how._replace(kind=tables.CSV, columns=COLUMNS)
    for path in paths:
        for batch in tables.batches(path, how, on_read):
            kept, rejects = 0, list(batch.rejects)
            for values, number in zip(batch.rows, batch.numbers, strict=True):
                dimension = _dimension(values)
                if type(dimension) is Reject:
                    rejects.append(tables.rejected(dimension, path, number, batch, values))
                else:
                    ident, names[ident] = dimension
                    kept += 1
            right_kind = len(rejects) - len(batch.rejects)  # these have the columns
            counts = (kept, batch.filtered, 0, rejects, batch.records, right_kind)
            yield path, batch.records, Result(b"", *counts)


def _dimension(values: tuple) -> tuple[int, str] | Reject:
    ident, name = values
    try:
        ident = metric_values.integer(str(ident))
    except ValueError:
        return Reject("id of a dimension is no integer", f"{ident!r:.40}")
    if name is None or name == "\\N":
        return Reject("name of a dimension is missing", f"id {ident}")
    return ident, str(name)
