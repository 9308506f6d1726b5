"""The list of all cases, by the names that --cases takes, and the data that each needs."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

from bench import year
from bench.case import Case
from bench.cases import (
    active_users,
    breakdowns,
    comments,
    event_metrics,
    recent_changes,
    site_activity,
    sources,
    spark,
    store,
)
from bench.data import SHAPES, Data


@dataclass(frozen=True)
class Kind:
    make: Callable[..., Case]
    needs: set[str]
    year: bool = False


CASES = {
    "selective": Kind(active_users.selective, {"events", "slice"}),
    "five-filters": Kind(active_users.five_filters, {"events"}),
    "escapes": Kind(active_users.escapes, {"escapes"}),
    "every-line": Kind(active_users.every_line, {"events"}),
    "definitions": Kind(active_users.definitions, {"events"}),
    "gz": Kind(active_users.gz, {"events", "gz"}),
    "zst": Kind(active_users.zst, {"events", "zst"}),
    "small-files": Kind(active_users.small_files, {"events", "small"}),
    "import": Kind(store.fresh_import, {"events"}),
    "one-more-day": Kind(store.one_more_day, {"day"}, year=True),
    "mau": Kind(store.monthly, {"day"}, year=True),
    "year-mau": Kind(store.report_of_a_year("active_users", "window=28"), {"day"}, year=True),
    "year-retention": Kind(store.report_of_a_year("retention", "by=day"), {"day"}, year=True),
    "year-kinds": Kind(store.report_of_a_year("new_returning_resurrected"), {"day"}, year=True),
    "year-by": Kind(store.report_of_a_year("active_users", by=year.FIELD), {"day"}, year=True),
    "year-by-value": Kind(
        store.report_of_a_year("active_users_by_value", by=year.FIELD), {"day"}, year=True
    ),
    "by-few": Kind(breakdowns.count(breakdowns.FEW), {"dimensions"}),
    "by-many": Kind(breakdowns.count(breakdowns.MANY), {"dimensions"}),
    "import-by-few": Kind(breakdowns.fresh_import(breakdowns.FEW), {"dimensions"}),
    "import-by-many": Kind(breakdowns.fresh_import(breakdowns.MANY), {"dimensions"}),
    "sample": Kind(store.sample, set()),
    "site-activity": Kind(site_activity.site_activity, {"chats", "slice"}),
    "site-import": Kind(site_activity.site_import, {"chats"}),
    "stream": Kind(recent_changes.stream, {"stream"}),
    "site-more": Kind(site_activity.one_more_percent, {"chats", "history"}),
    "comments": Kind(comments.comments, {"comments"}),
    "comments-import": Kind(comments.comments_import, {"comments"}),
    "event-metrics": Kind(event_metrics.event_metrics, {"event metrics"}),
}
_SHAPED = {
    "selective": active_users.selective,
    "every-line": active_users.every_line,
    "import": store.fresh_import,
}
CASES |= {
    f"{name}-{shape.replace(' ', '-')}": Kind(functools.partial(make, shape=shape), {shape})
    for name, make in _SHAPED.items()
    for shape in SHAPES
}
CASES |= {name: Kind(sources.source(name), {"source"}) for name in sources.NAMES}
if spark.available():
    CASES["spark"] = Kind(spark.spark, {"events"})


def check_room(names: list[str], data: Data, users: int) -> None:
    """Raises Failure if the disk is too small for the data of these cases."""
    kinds = [CASES[name] for name in names]
    besides = users * year.ROOM if any(kind.year for kind in kinds) else 0
    data.check_room(set().union(*(kind.needs for kind in kinds)), besides)


def make(name: str, data: Data, users: int) -> Case:
    """The case, with all its data made. `users`: how many the year of history has."""
    kind = CASES[name]
    return kind.make(data, users) if kind.year else kind.make(data)
