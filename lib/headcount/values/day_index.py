"""Local days of many times at once, found by bisection among the days that there have been."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Protocol

_SAMPLED = 16  # times, to see whether most are of one day
_FEW = 8  # one of so many times, at the most, is of another day


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

    def of_days(self, times: Sequence, values: list) -> dict[str, list]:
        """The values by the local day of their times: a list for each day that there is."""
        first, last = min(times), max(times)
        place = self._place(first)
        if bisect_right(self._bounds, last) == place:
            return {self.days[place]: values}
        sample = sorted(times[:: len(times) // _SAMPLED + 1])
        place = self._place(sample[len(sample) // 2])
        since, until = self._bounds[place - 1 : place + 1]
        # Few come late, or early, where most are of one day: the others go without a look-up.
        if sum(since <= time < until for time in sample) * _FEW >= len(sample) * (_FEW - 1):
            strays = [i for i, time in enumerate(times) if not since <= time < until]
            if len(strays) * _FEW <= len(times):
                of_days = {self.days[place]: _without(values, strays)}
                self._add(of_days, [times[i] for i in strays], [values[i] for i in strays])
                return of_days
        of_days = {}
        self._add(of_days, times, values)
        return of_days

    def _add(self, of_days: dict[str, list], times: Sequence, values: list) -> None:
        """Look each time up, and append its value to the list of its day."""
        places = self.places(times)
        of_places = {place: of_days.setdefault(self.days[place], []) for place in set(places)}
        deque(map(list.append, map(of_places.__getitem__, places), values), maxlen=0)

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


def _without(values: list, places: list[int]) -> list:
    """All values but those at some places, which are sorted."""
    kept, begin = [], 0
    for place in places:
        kept += values[begin:place]
        begin = place + 1
    return kept + values[begin:]
