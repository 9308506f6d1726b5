"""Instants of any spelling: one meaning, or a refusal."""

import datetime as dt

import pytest
from dateutil import parser as dateutil_parser
from hypothesis import given
from hypothesis import strategies as st

from headcount.values import instants

NOON = 1_768_060_800_000_000  # 2026-01-10T16:00:00Z


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("2026-01-10T16:00:00Z", NOON),
        ("2026-01-10 16:00:00 UTC", NOON),
        ("2026-01-10 16:00:00", NOON),  # UTC, as it does not say otherwise
        ("2026-01-10 16:00:00.123456 UTC", NOON + 123_456),
        ("2026-01-10T16:00:00.123456789Z", NOON + 123_456),
        ("2026-01-10T21:30:00+05:30", NOON),
        ("20260110T160000Z", NOON),
        ("2026-01-10 16:00:00 GMT", NOON),  # year, month, day, though the day could be a month
        ("2026/01/10 16:00:00", NOON),
        ("2026-01-10 4:00:00 PM", NOON),
        ("2026-01-10T16:00:00z", NOON),
        ("Sat, 10 Jan 2026 18:00:00 +0200", NOON),
        ("Jan 10 2026 4:00 PM GMT", NOON),
    ],
)
def test_a_text_means_one_instant(text, micros):
    assert instants.of_text(text) == micros == instants.micros(text, "s")


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-10",  # of which zone?
        "16:00",
        "10/01/2026 16:00:00",
        "13-01-2026 16:00",  # one of a file of DD-MM, of which others could be MM-DD
        "26-01-10 16:00:00",
        "25-12-24T10:00:00Z",
        "2026-01-10 16:00:00 EST",
        "2026-01-10T24:61:00Z",
        "Jan 10 2026 4 PM",
        "yesterday",
        "",
        "x" * 1000,
    ],
)
def test_a_text_that_could_mean_another_is_refused(text):
    with pytest.raises(ValueError):
        instants.of_text(text)


@given(st.datetimes(dt.datetime(1970, 1, 2), dt.datetime(9990, 1, 1)), st.integers(-719, 719))
def test_iso_texts_are_those_of_dateutil(at, minutes):
    zoned = at.replace(tzinfo=dt.timezone(dt.timedelta(minutes=minutes)))
    for text in (zoned.isoformat(), zoned.isoformat(" ")):
        other = dateutil_parser.isoparse(text.replace(" ", "T")) - instants._EPOCH
        assert instants.of_text(text) == other // dt.timedelta(microseconds=1)


@pytest.mark.parametrize("unit", instants.UNITS)
def test_a_number_of_any_unit(unit):
    value = NOON * 1000 if unit == "ns" else NOON // 10 ** instants.UNITS[unit]
    assert instants.micros(value, unit) == instants.micros(str(value), unit) == NOON
    fitting = [instants.fitting_units([value], u, instants.EARLIEST, 2 * NOON) for u in ("us", "s")]
    assert fitting == [[] if unit == "us" else [unit], [] if unit == "s" else [unit]]
    with pytest.raises(ValueError, match="--time-unit"):
        instants.micros(value, instants.ISO)


def test_fractions_are_rounded_down():
    assert instants.micros(1768060800.999999, "s") == NOON + 999_999
    assert instants.micros("1768060800.0000019", "s") == NOON + 1
    assert instants.micros(-0.5, "us") == -1
