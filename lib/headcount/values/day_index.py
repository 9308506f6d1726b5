"""Local days of many times at once, found by bisection among the days that there have been."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Protocol


class Scale(Protocol):
    """What times are: values that can be compared with each other."""

    def micros(self, time) -> int:
        """The instant of a time in microseconds since 1970, UTC."""

    def bound(self, micros: int):
        """An instant to compare times with; it is before a time if that is then, or later."""


class DayIndex:
    """The local days of times of one scale.

    `days` has the local day of each place; "" where there has been no time yet.
    """

    def __init__(self, span: Callable[[int], tuple[int, int, str]], scale: Scale):
        """`span` says from which whole second until before which there is one local day around an
        instant, and that day (zones.LocalDays.span)."""
        self._span, self._scale = span, scale
        # Between two bounds there is one local day, or a gap in which nothing was looked up yet.
        self._bounds: list = []
        self.days = [""]

    def only(self, times: Sequence) -> str | None:
        """The local day of all these times; None if there are several."""
        first, last = min(times), max(times)
        place = self._place(first)
        return self.days[place] if bisect_right(self._bounds, last) == place else None

    def places(self, times: Sequence) -> list[int]:
        """The place of each time's day in `days`; the next look-up may move it."""
        places = list(map(bisect_right, repeat(self._bounds), times))
        if all(map(self.days.__getitem__, set(places))):
            return places
        for place, time in zip(places, times, strict=True):
            if not self.days[place]:
                self._place(time)
        return list(map(bisect_right, repeat(self._bounds), times))

    def _place(self, time) -> int:
        place = bisect_right(self._bounds, time)
        if not self.days[place]:
            since, until, day = self._span(self._scale.micros(time))
            self._bounds[place:place] = map(self._scale.bound, (since, until))
            self.days[place + 1 : place + 1] = [day, ""]
            place += 1
        return place
