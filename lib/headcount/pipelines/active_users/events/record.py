"""The parser of events: which make a user active."""

import functools
import operator
from collections.abc import Callable, Sequence

import msgspec

from headcount.filters.rejects import UNIDENTIFIED, Reject
from headcount.formats import jsonl
from headcount.io.blocks import BOM, All, Some
from headcount.pipelines.active_users.definitions import (
    BOTH,
    ENGAGED,
    ENGAGED_SESSION,
    LOGIN,
    PERSON,
    VALUABLE,
    needed,
)
from headcount.pipelines.active_users.events import ga4, ga4_columns, plain
from headcount.pipelines.active_users.events.ga4 import Clock, Device, Event, Param
from headcount.pipelines.active_users.events.qualify import (
    ENGAGEMENT,
    FLAG,
    MSEC,
    SESSION_ID,
    Evidence,
    Unclear,
    has_amount,
    identity,
    number,
)
from headcount.pipelines.active_users.events.source import (
    IMPLAUSIBLE,
    Fields,
    ImplausibleTimeError,
)
from headcount.values import decimals, instants, numbers, tsv
from headcount.values.zones import DAY_SECONDS, LAST_MICROS

DEVICE_ID = "user_pseudo_id"
SESSION_COLUMN = 3  # behind signals, what tells an event from others and its amount
UNCLEAR = Reject("unclear")  # without its line
_clock = msgspec.json.Decoder(Clock).decode
_device = msgspec.json.Decoder(Device | None)


class Definition(msgspec.Struct, frozen=True):
    """When a user is active on a local day: engaged, and valuable.

    engaged: a `user_engagement` whose `engagement_time_msec` is at least `min_msec`; with
    `summed`, any one, and the sink adds them up. valuable: that same event has the parameter
    first of `valuable_params` that is there >= 1; or, where `valuable_events` are named, one of
    those events that day.
    """

    min_msec: object = 3000  # int or Decimal
    valuable_params: tuple[str, ...] = ("engaged_session_event", "session_engaged")  # one or two
    valuable_events: frozenset[str] = frozenset()
    summed: bool = False
    named: frozenset[str] = frozenset()  # where others are asked for as well: qualify.py
    key_events: frozenset[str] = frozenset()
    fields: Fields = Fields()
    with_offset: bool = False
    stitched: bool = False  # whether it matters who is logged in


class Parser:
    """Parses event lines by a definition: one by one, or, which is faster, many at once."""

    def __init__(self, definition: Definition):
        self.definition = wanted = definition
        of_more = wanted.named or wanted.summed or wanted.stitched or wanted.with_offset
        self._is_plain = not of_more and wanted.fields.unit == "us"
        # any key of the export may be the user, also one that is no identifier
        keys = dict.fromkeys(definition.fields.user)
        renamed = {f"user_{i}": key for i, key in enumerate(keys)}
        self._user, *self._other_users = map(operator.attrgetter, renamed)
        self._person = None
        if definition.stitched:
            self._person = operator.attrgetter(f"user_{list(keys).index(PERSON)}")
        in_sessions = ENGAGED_SESSION in needed(definition.named)
        if in_sessions and DEVICE_ID not in keys:
            renamed["device_id"] = DEVICE_ID
        self._device = None  # where it may be another than the user
        if in_sessions and list(keys) != [DEVICE_ID]:
            (attribute,) = [attribute for attribute, key in renamed.items() if key == DEVICE_ID]
            self._device = operator.attrgetter(attribute)
        fields = [(name, str | int | None, None) for name in renamed]
        # the parameters that are looked at in every engagement
        names = dict.fromkeys((MSEC, *definition.valuable_params))
        self._places = {name: place for place, name in enumerate(names)}
        self._absent = [ga4.ABSENT] * len(names)
        # so may a parameter be, where the export has been flattened
        names = dict.fromkeys((MSEC, SESSION_ID, *definition.valuable_params))
        taken = {*keys, *Event.__struct_fields__}
        columns = (name for name in names if name not in taken and not _is_odd(name))
        flat = {f"flat_{i}": name for i, name in enumerate(columns)}
        fields += [(attribute, msgspec.Raw, numbers.NULL) for attribute in flat]
        renamed |= flat
        self._flat = {name: attribute for attribute, name in flat.items()}
        also = {}  # fields that are the user, and looked at besides
        if definition.named or definition.summed:
            more = ("platform", FLAG, *ga4.Batch.__struct_fields__)
            fields += [(name, msgspec.Raw, numbers.NULL) for name in more if name not in keys]
            also = {name: _raw_of(user) for user, name in renamed.items() if name in more}
        self._more = Evidence(definition) if definition.named else None
        how = {"bases": (Event,), "rename": renamed, "gc": False, "namespace": also}
        record = msgspec.defstruct("UserEvent", fields, **how)
        self._decode = msgspec.json.Decoder(record).decode
        if definition.named or not definition.valuable_events:
            # All parameters that are here are looked at: in one go it is faster.
            fields.append(("event_params", ga4.Params, None))
            record = msgspec.defstruct("UserEvent", fields, **how)
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

    def time_of(self, line: bytes) -> str | int | float | None:
        """The time of an event as it is written; None if it has none, or is not an event."""
        event = jsonl.record(self._decode, line)
        return None if type(event) is Reject else event.event_timestamp

    def when(self, line: bytes) -> tuple[int, int | None, bool] | None:
        """The instant of an event without a user, its offset if that is wanted, and whether consent
        was refused; None if it would not count with a user either."""
        event = jsonl.record(self._decode, line)
        event.user_0 = "somebody"
        (judged,) = self._judge([event], line)
        if type(judged) is not tuple:
            return None
        return *judged[:2], ga4.is_refused(line.removeprefix(BOM))

    def columns(self) -> tuple[str, ...]:
        """The fields of an event that may be looked at."""
        return (
            *Event.__struct_fields__,
            *Clock.__struct_fields__,
            *self.definition.fields.user,
            *self._flat,
            "platform",
            FLAG,
            "privacy_info",
        )

    def parse_all(self, lines: All | Some) -> list[tuple | Reject | None]:
        """Many lines in one batch; `parse` takes over where one of them is unusual."""
        events = jsonl.records(self._decode_lines, lines)
        if events is None:
            return [self.parse(lines[i]) for i in range(lines.count)]
        return self._judge_some(events, lines, range(len(events)))

    def parse_plain(self, lines: All | Some) -> plain.Plain | list[tuple | Reject | None]:
        """As `parse_all`, but in columns where the definition asks for no more than they hold."""
        events = jsonl.records(self._decode_lines, lines) if self._is_plain else None
        if not events:
            return self.parse_all(lines)
        users = [self._user, *self._other_users]
        judge = functools.partial(self._judge_some, events, lines)
        return ga4_columns.of_events(events, users, self.definition, self._signals, judge)

    def _judge_some(self, events: list[Event], lines: All | Some, places: Sequence[int]) -> list:
        judged = self._judge([events[i] for i in places])
        pairs = zip(places, judged, strict=True)
        return [self.parse(lines[i]) if it is UNCLEAR else it for i, it in pairs]

    def _judge(self, events: list[Event], line: bytes | None = None) -> list:
        """What `parse` is to say of each event; UNCLEAR where it would have to look at the line."""
        judged = []
        user_of, others = self._user, self._other_users
        valuable, more = self.definition.valuable_events, self._more
        with_offset, summed = self.definition.with_offset, self.definition.summed
        # of a number in another unit more has to be known
        fields = self.definition.fields
        earliest, latest = (fields.earliest, fields.latest) if fields.unit == "us" else (1, 0)
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
                if type(micros) is not int or not earliest <= micros <= latest:
                    micros = _micros(micros, fields, line)  # any other spelling, or none
                if with_offset:
                    offset = _offset(line)
                user = user_of(event)
                if type(user) is not str or not user:
                    user = _user(event, user_of, *others)
                    if user is None:
                        judged.append(Reject(UNIDENTIFIED, fields.no_user))
                        continue
                if name == ENGAGEMENT:
                    signals = self._signals(event, micros)
                elif summed:
                    signals = self._amount(event, name, micros)
                elif name in valuable:
                    signals = VALUABLE
                else:
                    signals = None
                if more:
                    signals = more(signals, event, name, micros, self._params)
                    if signals and self._device:
                        signals = _with_device(signals, user, self._device(event))
                    if self._person and (person := self._person(event)) not in (None, ""):
                        signals = _with_person(signals, str(person))
                judged.append(signals and (micros, offset, user, signals))
            except Unclear as unclear:
                judged.append(unclear.reject)
        return judged

    def _signals(self, event: Event, micros: int = 0) -> str | None:
        """What an engagement says of its user's day; with sums, also how long it was, and when."""
        wanted = self.definition
        params = self._params(event)
        places, found = self._places, self._absent.copy()
        for param in params:
            key = param.key
            if (
                key in places and found[places[key]] is ga4.ABSENT
            ):  # of repeated ones the first counts
                found[places[key]] = param.value
        msec = number(MSEC, found[0])
        engaged = msec is not None and (wanted.summed or msec >= wanted.min_msec)
        if wanted.valuable_events:
            valuable = ENGAGEMENT in wanted.valuable_events
        else:
            value = None
            for name in wanted.valuable_params:
                value = number(name, found[places[name]])
                if value is not None:
                    break
            valuable = engaged and value is not None and value >= 1
            if not wanted.summed:
                engaged = valuable  # both in one event, or nothing
        if not (engaged or valuable):
            return None
        signals = BOTH if engaged and valuable else ENGAGED if engaged else VALUABLE
        return _with_amount(signals, msec, event, micros) if wanted.summed else signals

    def _amount(self, event: Event, name: str, micros: int) -> str | None:
        """Where sums are wanted: what another event than an engagement says."""
        msec = None
        if has_amount(name, event.platform):
            params = {param.key: param.value for param in reversed(self._params(event))}
            msec = number(MSEC, params.get(MSEC))
        if name in self.definition.valuable_events:
            signals = VALUABLE if msec is None else BOTH
        elif msec is None:
            return None
        else:
            signals = ENGAGED
        return _with_amount(signals, msec, event, micros)

    def _params(self, event: Event) -> list[Param]:
        params = event.event_params
        if type(params) is list and params:
            return params
        try:
            return ga4.params_of(event, self._flat)
        except (msgspec.ValidationError, RecursionError) as error:
            raise Unclear(Reject("wrong type", f"event_params: {error}")) from None
        except msgspec.DecodeError as error:  # in a text of JSON
            raise Unclear(Reject("bad event_params", str(error))) from None


def row(event: tuple[int, int | None, str, str], name: Callable[[str], str] = tsv.escape) -> bytes:
    """What `Parser` says of an event, as a row; `name` is what it calls the user."""
    micros, offset, user, signals = event
    time = micros if offset is None else f"{micros}\t{offset}"
    if "\t" in signals:
        signals = with_names(signals, name)
    return f"{time}\t{name(user)}\t{signals}\n".encode()


def _with_device(signals: str, user: str, device: str | int | None) -> str:
    """Behind a session's number, whose it is; nothing if the device is not known, or the user."""
    if signals.count("\t") < SESSION_COLUMN or signals.endswith("\t"):
        return signals
    device = "" if device is None else str(device)
    return signals if device in ("", user) else f"{signals}\t{tsv.escape(device)}"


def _with_person(signals: str | None, person: str) -> str:
    """Last of all, whose the device is."""
    names, *details = signals.split("\t") if signals else [""]
    if len(details) == SESSION_COLUMN:
        details.append("")  # the device is the user
    names = f"{names},{LOGIN}" if names else LOGIN
    return "\t".join([names, *details, tsv.escape(person)])


def with_names(signals: str, name: Callable[[str], str]) -> str:
    """Signals of an event, the device behind its session and the person, if they are there, called
    by a name."""
    signals, *details = signals.split("\t")
    for place in (0,) if len(details) == 1 else range(SESSION_COLUMN, len(details)):
        if details[place]:
            details[place] = name(tsv.unescape(details[place]))
    return "\t".join([signals, *details])


def _raw_of(attribute: str) -> property:
    """What a decoded field of an event was in JSON."""
    return property(lambda event: msgspec.Raw(msgspec.json.encode(getattr(event, attribute))))


def _is_odd(name: str) -> bool:
    """Whether no name of a typed record can be so."""
    return '"' in name or "\\" in name or min(name, default=" ") < " "


def _with_amount(signals: str, msec, event: Event, micros: int) -> str:
    """What sums need besides; the last part tells the copies of an event."""
    if msec is None:
        return f"{signals}\t0\t{micros}"
    return f"{signals}\t{decimals.shifted(msec, -3)}\t{identity(event, micros)}"


def _clock_of(line: bytes | None) -> Clock:
    if line is None:
        raise Unclear(UNCLEAR)
    return _clock(line.removeprefix(BOM))


def _micros(value: str | int | float | None, fields: Fields, line: bytes | None) -> int:
    """The instant of an event whose time is not a plain number of microseconds."""
    name = "event_timestamp"
    try:
        if type(value) is str and not value.isdigit() and _is_no_number(value):
            return fields.plausible(instants.of_text(value))
        found = value if type(value) is int else numbers.number(_clock_of(line).event_timestamp)
        if found is None:
            raise Unclear(Reject(f"{name} is missing"))
        at = instants.of_number(found, fields.unit)
        if not 0 <= at <= LAST_MICROS or (fields.unit == "us" and at != found):
            raise Unclear(Reject(f"bad {name}", "not a whole number within bounds"))
        return fields.plausible(at)
    except ImplausibleTimeError as error:
        raise Unclear(Reject(IMPLAUSIBLE, f"{name}: {error}")) from None
    except ValueError as error:
        raise Unclear(Reject(f"bad {name}", str(error))) from None


def _is_no_number(text: str) -> bool:
    try:
        decimals.exact(text)
    except ValueError:
        return True
    return False


def _user(event: Event, *getters: Callable[[Event], str | int | None]) -> str | None:
    """The first user that is present; a number is the same as its digits."""
    for getter in getters:
        user = getter(event)
        if user is not None and user != "":
            return str(user)
    return None


def _offset(line: bytes | None) -> int:
    clock = _clock_of(line)
    raw = clock.time_zone_offset_seconds
    if bytes(raw) == b"null":
        device = _decode("device", _device, clock.device)
        raw = device.time_zone_offset_seconds if device else raw
    offset = _whole("time_zone_offset_seconds", raw, -DAY_SECONDS, DAY_SECONDS)
    if offset is None:
        raise Unclear(Reject("time_zone_offset_seconds is missing"))
    return offset


def _decode(name: str, decoder: msgspec.json.Decoder, raw: msgspec.Raw):
    try:
        return decoder.decode(raw)
    except (msgspec.ValidationError, RecursionError) as error:
        raise Unclear(Reject("wrong type", f"{name}: {error}")) from None


def _whole(name: str, raw: msgspec.Raw, lowest: int, highest: int) -> int | None:
    try:
        return numbers.whole_number(raw, lowest, highest)
    except ValueError as error:
        raise Unclear(Reject(f"bad {name}", str(error))) from None
