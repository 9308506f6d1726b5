"""What a Firebase/GA4 event looks like, as far as we read it: one typed record for each part.

Source of the columns: "[GA4] BigQuery Export schema", https://support.google.com/analytics/answer/7029846
"""

import msgspec

from headcount.values import numbers


class Event(msgspec.Struct, gc=False):
    """One line of the export; the parser adds the fields that are to be the user.

    What is not always needed, or may be any kind of number, stays raw.
    """

    event_name: str | None = None
    event_timestamp: str | int | float | None = None  # microseconds since 1970-01-01T00:00:00Z
    event_params: msgspec.Raw = numbers.NULL


class Clock(msgspec.Struct, gc=False):
    """The fields that tell an event's time, as they are written."""

    event_timestamp: msgspec.Raw = numbers.NULL
    time_zone_offset_seconds: msgspec.Raw = numbers.NULL
    device: msgspec.Raw = numbers.NULL  # the offset's other place, in newer exports


class Value(msgspec.Struct, gc=False):
    """A parameter's value; a text is never a number here."""

    int_value: msgspec.Raw = numbers.NULL
    double_value: msgspec.Raw = numbers.NULL
    float_value: msgspec.Raw = numbers.NULL


class Param(msgspec.Struct, gc=False):
    """One entry of event_params."""

    key: str
    value: Value | None = None


class Device(msgspec.Struct, gc=False):
    """The device record of newer exports."""

    time_zone_offset_seconds: msgspec.Raw = numbers.NULL
