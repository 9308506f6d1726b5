"""What `make test` leaves to `make faults`: most cases of tests that take long."""

import os
import zlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable

import pytest

IN_FULL = (
    os.environ.get("FAULTS") == "all"
)  # as `make faults` says; otherwise a few of each, for CI

long = pytest.mark.skipif(not IN_FULL, reason="takes long: FAULTS=all runs it")


def sampled(items: Iterable[pytest.Item], group: Callable[[pytest.Item], Hashable]) -> set:
    """The cases that a mark `sample(n)` leaves out: all but one in n of each group.

    They are spread over all parameters, and the same in every run.
    """
    groups = defaultdict(list)
    for item in items:
        if item.get_closest_marker("sample"):
            groups[group(item)].append(item)
    left = set()
    for cases in groups.values():
        kept = -(-len(cases) // cases[0].get_closest_marker("sample").args[0])
        left.update(sorted(cases, key=lambda item: zlib.crc32(item.name.encode()))[kept:])
    return left


def test_of(item: pytest.Item) -> tuple[str, str]:
    """The test whose case an item is."""
    return item.parent.nodeid, getattr(item, "originalname", item.name)


def leave(left: set, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take items from those that are run, and have pytest say so."""
    if left:
        config.hook.pytest_deselected(items=list(left))
        items[:] = [item for item in items if item not in left]
