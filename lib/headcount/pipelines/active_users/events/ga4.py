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
    """A parameter's value, in one of these fields; on the web numbers may come as text."""

    int_value: msgspec.Raw = numbers.NULL
    double_value: msgspec.Raw = numbers.NULL
    float_value: msgspec.Raw = numbers.NULL
    string_value: msgspec.Raw = numbers.NULL

    def number(self):
        """Its number; None where there is none. Raises ValueError for a text that is no number."""
        for raw in (self.int_value, self.double_value, self.float_value):
            if (number := numbers.number(raw)) is not None:
                return number
        raw = self.string_value
        return None if raw is numbers.NULL or bytes(raw) == b'""' else numbers.number(raw)


ABSENT = Value()


class Param(msgspec.Struct, gc=False):
    """One entry of event_params."""

    key: str
    value: Value | None = None


# event_params: as the export has them; as an object, its values bare or as above; as Parquet
# readers print lists, {"list": [{"element": …}]}; any of these as a text of JSON.
Params = list[Param] | dict[str, msgspec.Raw] | str | None


class Batch(msgspec.Struct, gc=False):
    """What tells apart the events that an app or a page sent in one request, with one timestamp."""

    batch_ordering_id: msgspec.Raw = numbers.NULL
    batch_page_id: msgspec.Raw = numbers.NULL
    batch_event_index: msgspec.Raw = numbers.NULL


class Consent(msgspec.Struct, gc=False):
    """What a user has said to being measured."""

    analytics_storage: object = None  # Yes, No or Unset


class Private(msgspec.Struct, gc=False):
    """An event, as far as it tells that."""

    privacy_info: Consent | None = None


class Device(msgspec.Struct, gc=False):
    """The device record of newer exports."""

    time_zone_offset_seconds: msgspec.Raw = numbers.NULL


_LARGEST = (1 << 63) - 1
_private = msgspec.json.Decoder(Private).decode
_params = msgspec.json.Decoder(Params).decode
_elements = msgspec.json.Decoder(list[dict[str, Param]]).decode
_value = msgspec.json.Decoder(Value).decode
_BOOLEANS = {b"true": msgspec.Raw(b"1"), b"false": msgspec.Raw(b"0")}


def identity(event, micros: int) -> str:
    """What a user's event is told by from the others, and its copies are not: its timestamp, and
    within a batch its place there. `event` has the fields of a Batch. Raises ValueError.
    """
    fields = event.batch_ordering_id, event.batch_page_id, event.batch_event_index
    if all(raw is numbers.NULL for raw in fields):
        return str(micros)
    places = [numbers.whole_number(raw, -_LARGEST, _LARGEST) for raw in fields]
    if not any(place is not None for place in places):
        return str(micros)
    return ":".join([str(micros), *("" if place is None else str(place) for place in places)])


def is_refused(line: bytes) -> bool:
    """Whether an event says that consent to being measured was refused."""
    try:
        consent = _private(line).privacy_info
    except (msgspec.DecodeError, RecursionError):
        return False
    return consent is not None and str(consent.analytics_storage).lower() == "no"


def platform(raw: msgspec.Raw) -> object:
    """What an event's `platform` says: IOS, ANDROID, WEB; None where it says nothing."""
    return msgspec.json.decode(raw)


def params_of(event: Event, flat: dict[str, str]) -> list[Param]:
    """The parameters of an event, in whatever shape they come.

    Without any, those that are fields of the event itself: `flat` has the attribute for each name.
    Raises msgspec.ValidationError or RecursionError.
    """
    params = event.event_params
    while type(params) is not list:
        if type(params) is msgspec.Raw:
            params = _params(params)
        elif type(params) is str:
            params = _params(params) if params else None
        elif params is None:
            params = []
        elif params.keys() == {"list"}:
            # the name of an element differs from writer to writer: element, item, array
            params = [param for entry in _elements(params["list"]) for param in entry.values()]
        else:
            params = [Param(key, _of_raw(raw)) for key, raw in params.items()]
    if not params and flat:
        pairs = ((name, getattr(event, attribute)) for name, attribute in flat.items())
        return [Param(name, _of_raw(raw)) for name, raw in pairs if raw is not numbers.NULL]
    return params


def _of_raw(raw: msgspec.Raw) -> Value | None:
    """A value that is bare, or as the export has it."""
    written = bytes(raw)
    if written[:1] == b"{":
        return _value(written)
    if written == b"null" or written == b'""':
        return None
    return Value(int_value=_BOOLEANS.get(written, raw))
