"""What a Firebase/GA4 event looks like, and which events make a user active.

Source of the columns: "[GA4] BigQuery Export schema", https://support.google.com/analytics/answer/7029846
"""

import msgspec

from headcount import numbers, tsv
from headcount.rejects import UNIDENTIFIED, Reject
from headcount.zones import DAY_SECONDS, LAST_MICROS

ENGAGEMENT = "user_engagement"
ENGAGED = "engaged"
VALUABLE = "valuable"
BOTH = f"{ENGAGED},{VALUABLE}"


class Event(msgspec.Struct, gc=False):
    """One line of the export; the parser adds the fields that are to be the user.

    What is not always needed, or comes as text or number, stays raw.
    """

    event_name: str | None = None
    event_timestamp: msgspec.Raw = numbers.NULL  # microseconds since 1970-01-01T00:00:00Z
    event_params: msgspec.Raw = numbers.NULL
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


_params = msgspec.json.Decoder(list[Param] | None)
_device = msgspec.json.Decoder(Device | None)


class Definition(msgspec.Struct, frozen=True):
    """When a user is active on a local day: engaged, and valuable.

    engaged: a `user_engagement` whose `engagement_time_msec` is at least `min_msec`; with
    `summed`, any one, and the sink adds them up. valuable: that same event has the parameter
    `valuable_param` >= 1; or, where `valuable_events` are named, one of those events that day.
    """

    min_msec: object = 3000  # int or Decimal
    valuable_param: str = "engaged_session_event"
    valuable_events: frozenset[str] = frozenset()
    summed: bool = False
    user_fields: tuple[str, ...] = ("user_pseudo_id",)
    with_offset: bool = False


class Parser:
    """Parses event lines by a definition."""

    def __init__(self, definition: Definition):
        self.definition = definition
        # any key of the export may be the user, also one that is no identifier
        fields = {f"user_{i}": key for i, key in enumerate(dict.fromkeys(definition.user_fields))}
        record = msgspec.defstruct(
            "UserEvent",
            [(name, str | None, None) for name in fields],
            bases=(Event,),
            rename=fields,
            gc=False,
        )
        self._users = tuple(fields)
        self._decode = msgspec.json.Decoder(record).decode

    def __call__(self, line: bytes) -> bytes | Reject | None:
        """A row for an event that counts, None for another event, a Reject for a bad line.

        Columns: event_timestamp, [time_zone_offset_seconds,] user, signals, and where sums are
        wanted engagement_seconds and event_timestamp again (which tells copies of an event).
        """
        try:
            event = self._decode(line)
            if not line.isascii():
                line.decode()
        except msgspec.ValidationError as error:
            return Reject("wrong type", str(error))
        except UnicodeDecodeError:
            return _not_utf8(line)
        except (msgspec.DecodeError, ValueError) as error:
            return Reject("not JSON", str(error).removeprefix("JSON is malformed: "))
        except RecursionError:
            return Reject("nested too deeply")
        try:
            return self._row(event)
        except _Bad as bad:
            return bad.reject

    def _row(self, event: Event) -> bytes | Reject | None:
        if not event.event_name:
            return Reject("event_name is missing")
        micros = _whole("event_timestamp", event.event_timestamp, 0, LAST_MICROS)
        if micros is None:
            return Reject("event_timestamp is missing")
        offset = self._offset(event) if self.definition.with_offset else None
        user = self._user(event)
        if user is None:
            return Reject(UNIDENTIFIED)
        signals, msec = self._signals(event)
        if signals is None:
            return None
        place = f"{micros}\t{offset}" if offset is not None else f"{micros}"
        row = f"{place}\t{tsv.escape(user)}\t{signals}"
        if self.definition.summed:
            row += f"\t{numbers.shifted(msec, -3)}\t{micros}"
        return (row + "\n").encode()

    def _user(self, event: Event) -> str | None:
        for name in self._users:
            if user := getattr(event, name):
                return user
        return None

    def _offset(self, event: Event) -> int:
        raw = event.time_zone_offset_seconds
        if bytes(raw) == b"null":
            device = _decode("device", _device, event.device)
            raw = device.time_zone_offset_seconds if device else raw
        offset = _whole("time_zone_offset_seconds", raw, -DAY_SECONDS, DAY_SECONDS)
        if offset is None:
            raise _Bad(Reject("time_zone_offset_seconds is missing"))
        return offset

    def _signals(self, event: Event) -> tuple[str | None, object]:
        """What the event says of its user's day, and for how many milliseconds he was engaged."""
        wanted = self.definition
        listed = event.event_name in wanted.valuable_events
        if event.event_name != ENGAGEMENT:
            return (VALUABLE if listed else None), 0
        values = {}
        for param in _decode("event_params", _params, event.event_params) or ():
            values.setdefault(param.key, param.value)
        msec = _value("engagement_time_msec", values)
        if wanted.summed:
            engaged = msec is not None
        else:
            engaged = msec is not None and msec >= wanted.min_msec
        if wanted.valuable_events:
            valuable = listed
        else:
            value = _value(wanted.valuable_param, values)
            valuable = engaged and value is not None and value >= 1
            if not wanted.summed:
                engaged = valuable  # both in one event, or nothing
        if engaged and valuable:
            return BOTH, msec
        return (ENGAGED if engaged else VALUABLE if valuable else None), msec or 0


def _not_utf8(line: bytes) -> Reject:
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return Reject("not UTF-8", f"byte {error.start + 1} of the line")
    raise AssertionError("the parser was stricter than Python")


class _Bad(Exception):
    """A field that cannot be used; carries its Reject."""

    def __init__(self, reject: Reject):
        self.reject = reject


def _decode(name: str, decoder: msgspec.json.Decoder, raw: msgspec.Raw):
    try:
        return decoder.decode(raw)
    except (msgspec.ValidationError, RecursionError) as error:
        raise _Bad(Reject("wrong type", f"{name}: {error}")) from None


def _whole(name: str, raw: msgspec.Raw, lowest: int, highest: int) -> int | None:
    try:
        return numbers.whole_number(raw, lowest, highest)
    except ValueError as error:
        raise _Bad(Reject(f"bad {name}", str(error))) from None


def _value(name: str, values: dict[str, Value | None]):
    """A parameter's number; None where the parameter, or its value, is absent."""
    value = values.get(name)
    if value is None:
        return None
    for raw in (value.int_value, value.double_value, value.float_value):
        try:
            found = numbers.number(raw)
        except ValueError as error:
            raise _Bad(Reject("bad event parameter", f"{name}: {error}")) from None
        if found is not None:
            return found
    return None
