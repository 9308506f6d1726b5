"""What the programs must answer, written slowly and plainly, to hold them against.

Only the standard library and dateutil, one small function per concept, every rule from its
definition, and nothing of headcount. Time zones are dateutil's, from the pinned tzdata package.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import cache
from importlib import resources
from typing import NamedTuple

from dateutil import parser as dateutil_parser
from dateutil import tz as dateutil_tz

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
YEAR_9999 = datetime(9999, 1, 1, tzinfo=UTC)
DAY_SECONDS = 24 * 60 * 60


class Options(NamedTuple):
    """The options of count-active-users, as they are typed."""

    tz: str = "America/Chicago"  # or device
    user: tuple[str, ...] = ("user_pseudo_id",)
    min_engagement: str = "3"
    valuable_param: str | None = None  # engaged_session_event, else session_engaged
    valuable_events: tuple[str, ...] = ()
    definition: str = "engaged-valuable"
    earliest: str = "1970-01-01"
    latest: str = "9998-12-31"


class Event(NamedTuple):
    """An event that matters."""

    micros: int
    offset: int | None  # seconds east of UTC, where the device's own clock counts
    user: str
    engaged: bool
    valuable: bool
    msec: Decimal | None  # of engagement
    identity: tuple = ()  # where it is added up


class Bad(Exception):
    """Why a line is a reject."""


class Whole(Decimal):
    """A JSON number without fraction or exponent."""


class OutOfBounds(str):
    """A JSON number with an exponent that no Decimal takes."""


# --- JSON ---------------------------------------------------------------------------------------


def number_of(text: str) -> Decimal | OutOfBounds:
    try:
        return Decimal(text)
    except InvalidOperation:
        return OutOfBounds(text)


def refuse_constant(text: str):
    raise ValueError(f"{text} is no JSON")


def refuse_lone_surrogates(value) -> None:
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, list):
        for item in value:
            refuse_lone_surrogates(item)


def object_of(pairs: list) -> dict:
    """Of a repeated key the last value; but none of them may be half a character."""
    for key, value in pairs:
        refuse_lone_surrogates(key)
        refuse_lone_surrogates(value)
    return dict(pairs)


def parse_json(line: bytes) -> dict:
    """The object on a line."""
    record = parse_value(line)
    if not isinstance(record, dict):
        raise Bad("no object")
    return record


def parse_value(line: bytes):
    """The value on a line, by RFC 8259, its numbers exact."""
    try:
        text = line.decode().removeprefix("\ufeff")
    except UnicodeDecodeError:
        raise Bad("not UTF-8") from None
    escaped_surrogate = re.search(r"\\u[dD][89a-fA-F]", text)  # looking for them is slow
    try:
        return json.loads(
            text,
            parse_constant=refuse_constant,
            parse_int=Whole,
            parse_float=number_of,
            object_pairs_hook=object_of if escaped_surrogate else None,
        )
    except ValueError:
        raise Bad("not JSON") from None
    except RecursionError:
        raise Bad("nested too deeply") from None


# --- the fields of an event ---------------------------------------------------------------------


def number(value, name: str) -> Decimal | None:
    """A number, or a text that spells one; None is none."""
    if value is None:
        return None
    if isinstance(value, str) and not isinstance(value, OutOfBounds):
        if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", value):
            raise Bad(f"{name}: no number")
        value = number_of(value)
    if not isinstance(value, Decimal):
        raise Bad(f"{name}: no number")
    return value


def whole(value, name: str, low: int, high: int) -> int:
    found = number(value, name)
    if found is None:
        raise Bad(f"{name} is missing")
    if not low <= found <= high or found != int(found):
        raise Bad(f"{name}: not a whole number within bounds")
    return int(found)


def name_of(record: dict) -> str:
    name = record.get("event_name")
    if not isinstance(name, str) or not name:
        raise Bad("event_name is missing")
    return name


def time_of(record: dict) -> int:
    last = (YEAR_9999 - EPOCH) // timedelta(microseconds=1) - 1
    value = record.get("event_timestamp")
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*", value, re.ASCII):
        at = dateutil_parser.isoparse(value.removesuffix(" UTC").replace(" ", "T"))
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        value = Decimal((at - EPOCH) // timedelta(microseconds=1))
    return whole(value, "event_timestamp", 0, last)


def offset_of(record: dict) -> int:
    """The device's own offset: a field of the event or, in newer exports, of its device."""
    offset = record.get("time_zone_offset_seconds")
    if offset is None:
        device = record.get("device")
        if device is not None:
            if not isinstance(device, dict):
                raise Bad("device is no object")
            offset = device.get("time_zone_offset_seconds")
    return whole(offset, "time_zone_offset_seconds", -DAY_SECONDS, DAY_SECONDS)


def user_of(record: dict, fields: Iterable[str]) -> str:
    """The first of the fields that is there and not empty."""
    values = [record.get(field) for field in fields]
    if any(not isinstance(value, str | Whole | None) for value in values):
        raise Bad("the user is no text")
    if any(isinstance(value, OutOfBounds) for value in values):
        raise Bad("the user is no text")
    for value in values:
        if value is not None and value != "":
            return value if isinstance(value, str) else str(int(value))
    raise Bad("unidentified")


def identity_of(record: dict, micros: int) -> tuple:
    """What copies of an event have in common, and no other event of the user's."""
    names = ("batch_ordering_id", "batch_page_id", "batch_event_index")
    places = [record.get(name) for name in names]
    return micros, *(p if p is None else whole(p, "batch", 1 - 2**63, 2**63 - 1) for p in places)


def params_of(record: dict) -> dict:
    """The parameters by name, each as the record of its values; of a repeated one the first.

    They come as the export has them, as an object, wrapped as Parquet readers print lists, any of
    these as a text; or, where there are none, as fields of the event.
    """
    params = listed(record.get("event_params"))
    if not params:
        return {name: bare(record[name]) for name in record if record[name] is not None}
    values = {}
    for param in params:
        if not isinstance(param, dict) or not is_text(param.get("key")):
            raise Bad("a parameter without a key")
        value = param.get("value")
        if not isinstance(value, dict | None):
            raise Bad("a parameter's value is no object")
        values.setdefault(param["key"], value or {})
    return values


def is_text(value) -> bool:
    return isinstance(value, str) and not isinstance(value, OutOfBounds)


def listed(params) -> list:
    """A list of {key, value}."""
    if params is None or (is_text(params) and not params):
        return []
    if is_text(params):
        try:
            return listed(parse_value(params.encode()))
        except RecursionError:
            raise Bad("nested too deeply") from None
    if isinstance(params, dict) and set(params) == {"list"}:
        if not isinstance(params["list"], list):
            raise Bad("a list that is none")
        if not all(isinstance(item, dict) for item in params["list"]):
            raise Bad("an element that is none")
        return [element for item in params["list"] for element in item.values()]
    if isinstance(params, dict):
        return [{"key": name, "value": bare(value)} for name, value in params.items()]
    if not isinstance(params, list):
        raise Bad("event_params is no array")
    return params


def bare(value) -> dict | None:
    """The record of a value that stands alone."""
    if isinstance(value, dict | None):
        return value
    if isinstance(value, bool):
        value = Decimal(value)
    return None if value == "" else {"int_value": value}


def param_value(params: dict, name: str) -> Decimal | None:
    value = params.get(name) or {}
    for kind in ("int_value", "double_value", "float_value"):
        if (found := number(value.get(kind), name)) is not None:
            return found
    return None if value.get("string_value") == "" else number(value.get("string_value"), name)


def valuable_value(params: dict, options: Options) -> Decimal | None:
    if options.valuable_param is not None:
        return param_value(params, options.valuable_param)
    value = param_value(params, "engaged_session_event")
    return param_value(params, "session_engaged") if value is None else value


# --- what a line says ---------------------------------------------------------------------------


def event_of(record: dict, options: Options) -> Event | None:
    name = name_of(record)
    micros = time_of(record)
    offset = offset_of(record) if options.tz == "device" else None
    user = user_of(record, options.user)
    listed = name in options.valuable_events
    adds_up = options.definition == "summed" and record.get("platform") == "WEB"
    if name != "user_engagement" and not adds_up:
        return Event(micros, offset, user, False, True, None) if listed else None
    params = params_of(record)
    msec = param_value(params, "engagement_time_msec")
    if options.valuable_events:
        valuable = listed
    elif name != "user_engagement":
        valuable = False
    else:
        value = valuable_value(params, options)
        valuable = msec is not None and value is not None and value >= 1
    if options.definition == "summed":
        engaged = msec is not None
    else:
        engaged = msec is not None and msec >= least_msec(options)
        if not options.valuable_events:  # both in one event, or nothing
            engaged = valuable = engaged and valuable
    if not engaged and not valuable:
        return None
    adds = engaged and options.definition == "summed"
    identity = identity_of(record, micros) if adds else ()
    return Event(micros, offset, user, engaged, valuable, msec, identity)


def least_msec(options: Options) -> Fraction:
    return Fraction(options.min_engagement) * 1000


def classify(line: bytes, options: Options) -> tuple:
    """("event", Event), ("filtered",) or ("rejected", why)."""
    if not line.strip(b" \t\r"):
        return ("filtered",)  # blank
    try:
        event = event_of(parse_json(line), options)
    except Bad as bad:
        return ("rejected", str(bad))
    return ("event", event) if event else ("filtered",)


# --- local days, and who was active ---------------------------------------------------------------


@cache
def zone(name: str) -> tzinfo:
    """Not the system's, which may be of another release."""
    return dateutil_tz.tzfile(str(resources.files("tzdata").joinpath("zoneinfo", name)))


def local_day(micros: int, tz: str, offset: int | None = None) -> str:
    instant = EPOCH + timedelta(microseconds=micros)
    if tz == "device":
        local: date = (instant + timedelta(seconds=offset)).date()
    else:
        local = instant.astimezone(zone(tz)).date()
    return local.isoformat()


def engaged_users(events: list[Event], options: Options) -> set[str]:
    """Those who were engaged for long enough, among the events of one local day."""
    if options.definition != "summed":
        return {event.user for event in events if event.engaged}
    least = least_msec(options)
    longest = {}  # copies of one event have its user and time; should they differ, the longest
    for event in events:
        if event.engaged:
            key = (event.user, event.identity)
            longest[key] = max(longest.get(key, 0), event.msec)
    sums = defaultdict(Fraction)
    for (user, _), msec in longest.items():
        sums[user] += Fraction(min(msec, least))  # by how much it is more does not matter
    return {user for user, msec in sums.items() if msec >= least}


def active_users(
    events: list[Event], options: Options, who: Callable[[str], object] = str
) -> set[object]:
    """Those who were engaged and valuable, among the events of one local day; `who` a user is."""
    engaged = {who(user) for user in engaged_users(events, options)}
    return engaged & {who(event.user) for event in events if event.valuable}


# --- the other definitions ----------------------------------------------------------------------


class Fact(NamedTuple):
    """What an event says that the other definitions ask for; None is nothing readable."""

    micros: int
    offset: int | None
    user: str
    name: str
    platform: object
    msec: Decimal | None
    session: int | None
    identity: tuple
    device: str  # whose sessions they are
    flag: bool | None  # Google's own word
    event: Event | None  # as `summed` sees it
    own: Event | None  # and engaged-valuable


def session_of(params: dict) -> int | None:
    """A number, or a text of the cookie: s, the number, a dollar sign and more."""
    cookie = (params.get("ga_session_id") or {}).get("string_value")
    if is_text(cookie) and (found := re.fullmatch(r's([0-9]{1,18})\$[^"\\]*', cookie)):
        return int(found[1])
    session = param_value(params, "ga_session_id")
    if session is None:
        return None
    return whole(session, "ga_session_id", 1 - 2**63, 2**63 - 1)


def fact_of(record: dict, options: Options, asked: Iterable[str]) -> Fact:
    """Raises Bad for what cannot be read, of what these definitions look at."""
    own = event_of(record, options)  # is it an event at all?
    name = name_of(record)
    asked, summed = set(asked), None
    if "summed" in asked:
        summed = event_of(record, options._replace(definition="summed"))
    timed = asked & {"google-n-day", "ga4-active"}
    in_sessions = asked & {"engaged-session", "ga4-active"}
    params = params_of(record) if timed or in_sessions else {}
    session = session_of(params) if in_sessions else None
    return Fact(
        time_of(record),
        offset_of(record) if options.tz == "device" else None,
        user_of(record, options.user),
        name,
        record.get("platform"),
        param_value(params, "engagement_time_msec") if timed else None,
        session,
        identity_of(record, time_of(record)) if session is not None else (),
        device_of(record, user_of(record, options.user)) if in_sessions else "",
        flag_of(record) if asked & {"ga4-active", "ga4-flag"} else None,
        summed,
        own,
    )


def device_of(record: dict, user: str) -> str:
    """A session is the device's, whoever is logged in; of one without a device, the user's."""
    try:
        return user_of(record, ["user_pseudo_id"])
    except Bad as bad:
        if str(bad) != "unidentified":
            raise
        return user


def flag_of(record: dict) -> bool | None:
    """What is_active_user says, if anything."""
    flag = record.get("is_active_user")
    if flag is None or flag == "":
        return None
    if flag is True or flag in ("true", "1") or (isinstance(flag, Whole) and str(flag) == "1"):
        return True
    if flag is False or flag in ("false", "0") or (isinstance(flag, Whole) and str(flag) == "0"):
        return False
    raise Bad("is_active_user is neither true nor false")


def ga4_by_itself(fact: Fact) -> bool:
    if fact.name in ("first_visit", "first_open"):
        return True
    ios = fact.name == "user_engagement" and fact.platform in ("IOS", None)
    return ios or (fact.platform != "IOS" and fact.msec is not None)


def is_engaged(events: list[Fact], key_events: Iterable[str]) -> bool:
    """Whether events of one session make it an engaged one."""
    times = [fact.micros for fact in events]
    views = {fact.identity for fact in events if fact.name in ("page_view", "screen_view")}
    long = max(times) - min(times) >= 10_000_000
    return long or len(views) >= 2 or any(fact.name in key_events for fact in events)


def in_engaged_sessions(
    days: dict[str, list[Fact]], day: str, key_events: Iterable[str]
) -> set[str]:
    """Whose engaged session began on that day; or went on there, and is engaged there by itself."""
    sessions = defaultdict(list)
    for date_, facts in days.items():
        for fact in facts:
            if fact.session is not None:
                sessions[fact.device, fact.session].append((date_, fact))
    active = set()
    for (device, _), dated in sessions.items():
        _, began = min((fact.micros, date_) for date_, fact in dated)
        whole = [fact for _, fact in dated]
        there = whole if began == day else [fact for date_, fact in dated if date_ == day]
        if there and is_engaged(there, key_events):
            logged_in = [
                (fact.micros, *(place or 0 for place in fact.identity[1:]), fact.user)
                for fact in whole
                if fact.user != device
            ]
            active.add(max(logged_in)[-1] if logged_in else device)
    return active


def people_of(lines: Iterable[bytes], options: Options, asked: Iterable[str]) -> dict[str, str]:
    """The person of each device that was seen with one login, of all lines."""
    seen = defaultdict(set)
    for line in lines:
        try:
            record = parse_json(line)
            fact_of(record, options, asked)
            person = user_of(record, ["user_id"])
        except Bad:
            continue
        seen[user_of(record, options.user)].add(person)
    return {device: people.pop() for device, people in seen.items() if len(people) == 1}


def users_by(
    definition: str,
    days: dict[str, list[Fact]],
    day: str,
    options: Options,
    key_events: Iterable[str],
    who: Callable[[str], object] = str,
) -> set[object]:
    """Those who are active by a definition on a local day, by the facts of all days.

    `who` a user is: a device, a person. (What is added up, and a session, is the user's.)
    """
    facts = days[day]
    if definition == "summed":
        summed = options._replace(definition="summed")
        return active_users([fact.event for fact in facts if fact.event], summed, who)
    if definition == "any-event":
        listed = options.valuable_events
        return {who(fact.user) for fact in facts if not listed or fact.name in listed}
    if definition == "google-n-day":
        return {who(fact.user) for fact in facts if fact.msec is not None and fact.msec > 0}
    if definition == "engaged-valuable":
        return active_users([fact.own for fact in facts if fact.own], options, who)
    said_so = {who(fact.user) for fact in facts if fact.flag is True}
    if definition == "ga4-flag":
        return said_so
    engaged = {who(user) for user in in_engaged_sessions(days, day, key_events)}
    if definition == "engaged-session":
        return engaged
    by_rule = engaged | {who(fact.user) for fact in facts if ga4_by_itself(fact)}
    return said_so | (by_rule - {who(fact.user) for fact in facts if fact.flag is False})


def days_of_facts(
    lines: Iterable[bytes], options: Options, asked: Iterable[str]
) -> dict[str, list[Fact]]:
    """What the lines say by these definitions, by local day; what is no event says nothing."""
    days = defaultdict(list)
    for line in lines:
        try:
            fact = fact_of(parse_json(line), options, asked)
        except Bad:
            continue
        days[local_day(fact.micros, options.tz, fact.offset)].append(fact)
    return days


class Answer(NamedTuple):
    """What the programs must find in some lines."""

    lines: int
    events: dict[str, list[Event]]  # that matter, by local day
    counts: dict[str, int]  # of active users by local day, sorted; no day without any
    rejected: dict[int, str]  # why, by line number from 1


def answer(lines: Iterable[bytes], options: Options) -> Answer:
    days, rejected, number = defaultdict(list), {}, 0
    for number, line in enumerate(lines, 1):
        verdict, *what = classify(line, options)
        if verdict == "rejected":
            rejected[number] = what[0]
        elif verdict == "event":
            event = what[0]
            days[local_day(event.micros, options.tz, event.offset)].append(event)
    counts = {day: len(active_users(days[day], options)) for day in sorted(days)}
    return Answer(number, days, {day: count for day, count in counts.items() if count}, rejected)
