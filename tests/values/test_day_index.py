"""Values by the local day of their times: as if each time were looked up alone."""

from random import Random

import pytest

from headcount.values import zones
from headcount.values.day_index import DayIndex

HOUR = 3_600_000_000
BEGIN = 1_710_000_000_000_000  # 2024-03-09T16:00:00Z, the day before clocks change in Chicago


class Micros:
    """Times that are microseconds."""

    def micros(self, time):
        return time

    bound = micros


@pytest.mark.parametrize("strays", [0, 0.01, 0.2, 1])
def test_each_value_has_its_day(strays):
    span = zones.LocalDays(zones.find("America/Chicago")).span
    index = DayIndex(span, Micros())
    for seed in range(300):
        random = Random(seed)
        now = BEGIN + random.randrange(72) * HOUR
        number = random.choice([1, 2, 15, 16, 17, 200])
        hours = [96 if random.random() < strays else 1 for _ in range(number)]
        times = [now + random.randrange(-most * HOUR, most * HOUR) for most in hours]
        values = list(range(len(times)))
        of_days = index.of_days(times, values)
        expected = {}
        for time, value in zip(times, values, strict=True):
            expected.setdefault(span(time)[2], []).append(value)
        assert {day: sorted(of_day) for day, of_day in of_days.items()} == expected
        assert values == list(range(len(times)))
