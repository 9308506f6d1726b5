"""The parser of events: which make a user active."""

import operator
from collections.abc import Callable

import msgspec

from headcount.filters.rejects import UNIDENTIFIED, Reject
from headcount.formats import jsonl
from headcount.io.blocks import All, Some
from headcount.pipelines.active_users.definitions import BOTH, ENGAGED, VALUABLE
from headcount.pipelines.active_users.ga4 import Clock, Device, Event, Param, Value
from headcount.pipelines.active_users.qualify import ENGAGEMENT, MSEC, Evidence
from headcount.values import decimals, numbers, tsv
from headcount.values.zones import DAY_SECONDS, LAST_MICROS

_params = msgspec.json.Decoder(list[Param] | None)
_clock = msgspec.json.Decoder(Clock).decode
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
    named: frozenset[str] = (
        frozenset()
    )  # where others are asked for as well: headcount.pipelines.active_users.qualify
    key_events: frozenset[str] = frozenset()
    user_fields: tuple[str, ...] = ("user_pseudo_id",)
    with_offset: bool = False


class Parser:
    """Parses event lines by a definition: one by one, or, which is faster, many at once."""

    def __init__(self, definition: Definition):
        self.definition = definition
        # any key of the export may be the user, also one that is no identifier
        fields = {f"user_{i}": key for i, key in enumerate(dict.fromkeys(definition.user_fields))}
        users = [(name, str | None, None) for name in fields]
        if definition.named:
            users.append(("platform", msgspec.Raw, numbers.NULL))
        self._more = Evidence(definition) if definition.named else None
        record = msgspec.defstruct("UserEvent", users, bases=(Event,), rename=fields, gc=False)
        self._user, *self._other_users = map(operator.attrgetter, fields)
        self._decode = msgspec.json.Decoder(record).decode
        if definition.named or not definition.valuable_events:
            # All parameters that are here are looked at: in one go it is faster.
            users.append(("event_params", list[Param] | None, None))
            record = msgspec.defstruct("UserEvent", users, bases=(Event,), rename=fields, gc=False)
        self._decode_lines = msgspec.json.Decoder(record).decode_lines

    def parse(self, line: bytes) -> tuple[int, int | None, str, str] | Reject | None:
        """An event that counts, None for another event, a Reject for a bad line.

        As event_timestamp, time_zone_offset_seconds if it is wanted, user, and signals as a row has
        them: where sums are wanted with engagement_seconds and event_timestamp again (which tells
        copies of an event).
        """
        event = jsonl.record(self._decode, line)
        if type(event) is Reject:
            return event
        return self._judge([event], line)[0]

    def parse_all(self, lines: All | Some) -> list[tuple | Reject | None]:
        """Likewise, of many lines: of all at once, where none is unusual."""
        events = jsonl.records(self._decode_lines, lines)
        if events is None:
            return [self.parse(line) for line in lines]
        judged = self._judge(events)
        if UNCLEAR in judged:
            judged = [self.parse(lines[i]) if it is UNCLEAR else it for i, it in enumerate(judged)]
        return judged

    def _judge(self, events: list[Event], line: bytes | None = None) -> list:
        """What `parse` is to say of each event; UNCLEAR where it would have to look at the line."""
        judged = []
        user_of, others = self._user, self._other_users
        valuable, more = self.definition.valuable_events, self._more
        with_offset, summed = self.definition.with_offset, self.definition.summed
        offset = None
        for event in events:
            try:
                name = event.event_name
                if not name:
                    judged.append(Reject("event_name is missing"))
                    continue
                micros = event.event_timestamp
                if type(micros) is str and micros.isdigit() and len(micros) <= 18:
                    micros = int(micros) if micros.isascii() else None
                if type(micros) is not int or not 0 <= micros <= LAST_MICROS:
                    micros = _micros(line)  # any other spelling of a number, or none
                if with_offset:
                    offset = _offset(line)
                user = user_of(event)
                if not user and not (
                    user := next(filter(None, (of(event) for of in others)), None)
                ):
                    judged.append(Reject(UNIDENTIFIED))
                    continue
                if name == ENGAGEMENT:
                    signals = self._signals(event.event_params, micros)
                elif name in valuable:
                    signals = VALUABLE if not summed else _with_amount(VALUABLE, 0, micros)
                else:
                    signals = None
                if more:
                    signals = more(signals, event, name, micros)
                judged.append(signals and (micros, offset, user, signals))
            except _Unclear as unclear:
                judged.append(unclear.reject)
        return judged

    def _signals(self, params: list[Param] | msgspec.Raw | None, micros: int) -> str | None:
        """What an engagement says of its user's day; with sums, also how long it was, and when."""
        wanted = self.definition
        if type(params) is msgspec.Raw:
            params = _decode("event_params", _params, params)
        valuable_param = wanted.valuable_param
        msec = value = _ABSENT
        for param in params or ():
            key = param.key
            if key == MSEC and msec is _ABSENT:  # of repeated parameters the first counts
                msec = param.value
            if key == valuable_param and value is _ABSENT:
                value = param.value
        msec = _number(MSEC, msec)
        engaged = msec is not None and (wanted.summed or msec >= wanted.min_msec)
        if wanted.valuable_events:
            valuable = ENGAGEMENT in wanted.valuable_events
        else:
            value = _number(wanted.valuable_param, value)
            valuable = engaged and value is not None and value >= 1
            if not wanted.summed:
                engaged = valuable  # both in one event, or nothing
        if not (engaged or valuable):
            return None
        signals = BOTH if engaged and valuable else ENGAGED if engaged else VALUABLE
        return _with_amount(signals, msec or 0, micros) if wanted.summed else signals


def row(event: tuple[int, int | None, str, str], name: Callable[[str], str] = tsv.escape) -> bytes:
    """What `Parser` says of an event, as a row; `name` is what it calls the user."""
    micros, offset, user, signals = event
    time = micros if offset is None else f"{micros}\t{offset}"
    return f"{time}\t{name(user)}\t{signals}\n".encode()


def _with_amount(signals: str, msec, micros: int) -> str:
    """What sums need besides; the time tells the copies of an event."""
    return f"{signals}\t{decimals.shifted(msec, -3)}\t{micros}"


_ABSENT = Value()


def _clock_of(line: bytes | None) -> Clock:
    if line is None:
        raise _Unclear
    return _clock(line)


def _micros(line: bytes | None) -> int:
    micros = _whole("event_timestamp", _clock_of(line).event_timestamp, 0, LAST_MICROS)
    if micros is None:
        raise _Unclear(Reject("event_timestamp is missing"))
    return micros


def _offset(line: bytes | None) -> int:
    clock = _clock_of(line)
    raw = clock.time_zone_offset_seconds
    if bytes(raw) == b"null":
        device = _decode("device", _device, clock.device)
        raw = device.time_zone_offset_seconds if device else raw
    offset = _whole("time_zone_offset_seconds", raw, -DAY_SECONDS, DAY_SECONDS)
    if offset is None:
        raise _Unclear(Reject("time_zone_offset_seconds is missing"))
    return offset


UNCLEAR = Reject("unclear")


class _Unclear(Exception):
    """A field that cannot be used, with the Reject that says so; or not without the line."""

    def __init__(self, reject: Reject = UNCLEAR):
        self.reject = reject


def _decode(name: str, decoder: msgspec.json.Decoder, raw: msgspec.Raw):
    try:
        return decoder.decode(raw)
    except (msgspec.ValidationError, RecursionError) as error:
        raise _Unclear(Reject("wrong type", f"{name}: {error}")) from None


def _whole(name: str, raw: msgspec.Raw, lowest: int, highest: int) -> int | None:
    try:
        return numbers.whole_number(raw, lowest, highest)
    except ValueError as error:
        raise _Unclear(Reject(f"bad {name}", str(error))) from None


def _number(name: str, value: Value | None):
    """A parameter's number; None where the parameter, or its value, is absent."""
    if value is None:
        return None
    try:
        if (number := numbers.number(value.int_value)) is not None:
            return number
        if (number := numbers.number(value.double_value)) is not None:
            return number
        return numbers.number(value.float_value)
    except ValueError as error:
        raise _Unclear(Reject("bad event parameter", f"{name}: {error}")) from None
