"""Time zones by IANA name: the local day of an instant.

Zones come from the tzdata package pinned in the lock file, so that every machine cuts its days by
the same rules. Python's own zoneinfo reads them: dateutil reads the same of every file, as the
tests say, but takes 27 ms to load, and an import would load it three times.
"""

import functools
import os
import re
from datetime import date, datetime, timedelta, tzinfo

DEVICE = "device"  # each event's own offset in place of a zone

DAY_SECONDS = 86_400
LAST_MICROS = 253_370_764_800_000_000 - 1  # before 9999-01-01T00:00:00Z
_HOUR_SECONDS = 3_600
_MICROS = 1_000_000
_EPOCH = datetime(1970, 1, 1)
_EPOCH_DAY = date(1970, 1, 1)
_NAME = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")


def find(name: str) -> tzinfo:
    """The zone of an IANA name. Raises ValueError, with the nearest names, for any other text."""
    import zoneinfo

    if _NAME.fullmatch(name):
        try:
            with open(rules(name), "rb") as file:
                return zoneinfo.ZoneInfo.from_file(file, key=name)
        except (OSError, ValueError):  # no such file; a directory; not a zone
            pass
    raise ValueError(f"no time zone {name!r}{_suggestion(name)}")


def rules(name: str) -> str:
    """The file with the rules of a zone, if there is such a zone."""
    import tzdata

    return os.path.join(os.path.dirname(tzdata.__file__), "zoneinfo", name)


def rules_version() -> str:
    """Which release of the IANA time zone database the zones come from, as 2026f."""
    import tzdata

    return tzdata.IANA_VERSION


def _suggestion(name: str) -> str:
    import difflib
    import zoneinfo

    names = {zone.casefold(): zone for zone in zoneinfo.available_timezones()}
    ends = {folded.rpartition("/")[2]: zone for folded, zone in names.items()}
    wanted = name.casefold().replace(" ", "_")
    near = difflib.get_close_matches(wanted, [*names, *ends], 1)
    if not near:
        return "; names are like America/Chicago"
    return f"; did you mean {names.get(near[0]) or ends[near[0]]}?"


class LocalDays:
    """Local dates of instants in one zone.

    Of each UTC day that occurs it keeps the pieces over which the local date is constant, to the
    second: they end at local midnights and at changes of the offset. (Newfoundland once changed
    its clocks at 00:01, so a day can come twice: D, D-1, D.) The zone is asked 25 times a UTC
    day, not once an event; two changes within one hour would be missed, and no zone has them.
    """

    def __init__(self, zone: tzinfo):
        self._zone = zone
        self._pieces: dict[int, list[tuple[int, int, str]]] = {}  # of a UTC day, last first

    def date(self, micros: int) -> bytes:
        """The ISO local date of an instant in microseconds since 1970, UTC."""
        return self.span(micros)[2].encode()

    def span(self, micros: int, _offset: int | None = None) -> tuple[int, int, str]:
        """From when until before when around an instant there is one local date, and that date."""
        day = micros // (DAY_SECONDS * _MICROS)
        pieces = self._pieces.get(day)
        if pieces is None:
            pieces = self._pieces[day] = self._cut(day)
        for piece in pieces:
            if micros >= piece[0]:
                return piece
        raise AssertionError("the last piece starts with its day")

    def pieces(self, day: int) -> list[tuple[int, date]]:
        """From which second since 1970 on there is which local date, on a UTC day since then."""
        pieces = reversed(self._pieces.get(day) or self._cut(day))
        return [(start // _MICROS, date.fromisoformat(text)) for start, _, text in pieces]

    def last_until(self, day: date) -> int | None:
        """Before when the local date is this one, or an earlier one, for the last time."""
        number, text = (day - _EPOCH_DAY).days, day.isoformat()
        for utc_day in range(number + 2, number - 3, -1):  # Samoa once skipped a day
            self.span(utc_day * DAY_SECONDS * _MICROS)
            for _, until, local_date in self._pieces[utc_day]:
                if local_date <= text:
                    return until
        return None

    def _cut(self, day: int) -> list[tuple[int, int, str]]:
        begin, end = day * DAY_SECONDS, (day + 1) * DAY_SECONDS
        hours = range(begin, end + 1, _HOUR_SECONDS)
        offsets = [self._offset(hour) for hour in hours]
        cuts = [begin]
        for hour, before, after in zip(hours, offsets, offsets[1:], strict=False):
            if before != after:
                cuts.append(self._change(hour, hour + _HOUR_SECONDS))
        pieces = []
        for start, stop in zip(cuts, [*cuts[1:], end], strict=True):
            offset = self._offset(start)
            while start < stop:
                local_day = (start + offset) // DAY_SECONDS
                local_date = (_EPOCH_DAY + timedelta(local_day)).isoformat()
                until = min(stop, (local_day + 1) * DAY_SECONDS - offset)
                pieces.append((start * _MICROS, until * _MICROS, local_date))
                start = until
        return pieces[::-1]

    def _change(self, low: int, high: int) -> int:
        """The second in (low, high] at which the offset changes, by bisection."""
        while high - low > 1:
            middle = (low + high) // 2
            if self._offset(middle) == self._offset(low):
                low = middle
            else:
                high = middle
        return high

    def _offset(self, second: int) -> int:
        """Seconds east of UTC at an instant. (Never ask a local time: it may be ambiguous.)"""
        local = datetime.fromtimestamp(second, self._zone).replace(tzinfo=None)
        return round((local - _EPOCH).total_seconds()) - second


class DeviceDays:
    """Local dates by each event's own offset."""

    def __init__(self):
        self._dates: dict[int, str] = {}

    def date(self, micros: int, offset: int) -> bytes:
        """The ISO date of an instant (microseconds since 1970, UTC) `offset` seconds east."""
        return self.span(micros, offset)[2].encode()

    def span(self, micros: int, offset: int) -> tuple[int, int, str]:
        """As LocalDays.span; no time at all, for the next event may have another offset."""
        day = (micros // _MICROS + offset) // DAY_SECONDS
        if day not in self._dates:
            self._dates[day] = (_EPOCH_DAY + timedelta(day)).isoformat()
        return 0, 0, self._dates[day]


def end_of_day(name: str, day: date) -> datetime:
    """The UTC instant (naive) at which a local day is over; by DEVICE, over everywhere.

    That is the first instant from which the local date is later for good. Raises ValueError for a
    name that is not a zone's.
    """
    midnight = datetime(day.year, day.month, day.day) + timedelta(days=1)
    if name == DEVICE:
        return midnight + timedelta(hours=12)  # the westernmost clock
    until = _days_of(name).last_until(day)
    return midnight if until is None else _EPOCH + timedelta(microseconds=until)


@functools.cache
def _days_of(name: str) -> LocalDays:
    return LocalDays(find(name))
