"""The list of all cases, by the names that --cases takes, and the data that each needs."""

from collections.abc import Callable
from dataclasses import dataclass

from bench import (
    chat_cases,
    comment_cases,
    count_cases,
    metric_cases,
    spark_cases,
    store_cases,
    stream_cases,
    year,
)
from bench.case import Case
from bench.data import Data


@dataclass(frozen=True)
class Kind:
    make: Callable[..., Case]
    needs: set[str]
    year: bool = False


CASES = {
    "selective": Kind(count_cases.selective, {"events", "slice"}),
    "five-filters": Kind(count_cases.five_filters, {"events"}),
    "escapes": Kind(count_cases.escapes, {"escapes"}),
    "every-line": Kind(count_cases.every_line, {"events"}),
    "gz": Kind(count_cases.gz, {"events", "gz"}),
    "zst": Kind(count_cases.zst, {"events", "zst"}),
    "small-files": Kind(count_cases.small_files, {"events", "small"}),
    "import": Kind(store_cases.fresh_import, {"events"}),
    "one-more-day": Kind(store_cases.one_more_day, {"day"}, year=True),
    "mau": Kind(store_cases.monthly, {"day"}, year=True),
    "year-mau": Kind(store_cases.report_of_a_year("active_users", "window=28"), {"day"}, year=True),
    "year-retention": Kind(store_cases.report_of_a_year("retention", "by=day"), {"day"}, year=True),
    "year-kinds": Kind(
        store_cases.report_of_a_year("new_returning_resurrected"), {"day"}, year=True
    ),
    "sample": Kind(store_cases.sample, set()),
    "site-activity": Kind(chat_cases.site_activity, {"chats", "slice"}),
    "site-import": Kind(chat_cases.site_import, {"chats"}),
    "stream": Kind(stream_cases.stream, {"stream"}),
    "site-more": Kind(chat_cases.one_more_percent, {"chats", "history"}),
    "comments": Kind(comment_cases.comments, {"comments"}),
    "comments-import": Kind(comment_cases.comments_import, {"comments"}),
    "event-metrics": Kind(metric_cases.event_metrics, {"event metrics"}),
}
if spark_cases.available():
    CASES["spark"] = Kind(spark_cases.spark, {"events"})


def check_room(names: list[str], data: Data, users: int) -> None:
    """Raises Failure if the disk is too small for the data of these cases."""
    kinds = [CASES[name] for name in names]
    besides = users * year.ROOM if any(kind.year for kind in kinds) else 0
    data.check_room(set().union(*(kind.needs for kind in kinds)), besides)


def make(name: str, data: Data, users: int) -> Case:
    """The case, with all its data made. `users`: how many the year of history has."""
    kind = CASES[name]
    return kind.make(data, users) if kind.year else kind.make(data)
