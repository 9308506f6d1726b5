"""Whose events of other sources than GA4 count on which day, found slowly and plainly.

Only the standard library and dateutil, and nothing of headcount: one small function a source says
who, when and what of an event, from the documents of its maker.
"""

import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from importlib import resources

from dateutil import parser as dateutil_parser
from dateutil import tz as dateutil_tz

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class NoEvent(ValueError):
    """Why a line is rejected."""


def segment(call):
    user = present(call, "userId", "anonymousId")
    at = present(call, "timestamp", "originalTimestamp", "receivedAt")
    return user, at and of_text(at), present(call, "event", "type")


def amplitude(event):
    at = event.get("event_time")
    return event.get("amplitude_id"), at and of_text(at), event.get("event_type")


def mixpanel(event):
    properties = event.get("properties", {})
    at = properties.get("time")
    return properties.get("distinct_id"), at and of_number(at, 1), event.get("event")


def posthog(event):
    at = event.get("timestamp")
    return present(event, "person_id", "distinct_id"), at and of_text(at), event.get("event")


def present(event, *names):
    """The first value that is there, and not an empty text."""
    return next((event[name] for name in names if event.get(name) not in (None, "")), None)


def of_text(text):
    try:
        at = dateutil_parser.isoparse(text)
    except ValueError:
        raise NoEvent("bad time") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def of_number(value, units_a_second):
    if isinstance(value, str):
        raise NoEvent("bad time")
    micros = Fraction(str(value)) * 1_000_000 / units_a_second
    return EPOCH + timedelta(microseconds=int(micros // 1))


def decoded(line):
    """The object on a line, by the letter of RFC 8259. Raises NoEvent."""

    def no_constant(name):
        raise NoEvent(name)

    try:
        event = json.loads(line.decode().removeprefix("\ufeff"), parse_constant=no_constant)
    except (ValueError, RecursionError):
        raise NoEvent("not JSON") from None
    if not isinstance(event, dict):
        raise NoEvent("wrong type")
    return event


def zone(name):
    file = resources.files("tzdata").joinpath("zoneinfo", *name.split("/"))
    with file.open("rb") as opened:
        return dateutil_tz.tzfile(opened)


def active(lines, source, tz="America/Chicago", user=(), names=()):
    """The users of each local day, and how many lines were rejected.

    `source` is its function; `user` are top-level fields in place of its own; with `names` only
    those events count.
    """
    local, users, rejected = zone(tz), defaultdict(set), 0
    for line in lines:
        try:
            event = decoded(line)
            who, at, name = source(event)
            if user:
                who = present(event, *user)
            if who in (None, "") or at is None or name is None:
                raise NoEvent("something is missing")
        except NoEvent:
            rejected += 1
            continue
        if not names or name in names:
            users[at.astimezone(local).date().isoformat()].add(str(who))
    return users, rejected


def counts(users):
    """What count-active-users prints."""
    return "".join(f"{day}\t{len(users[day])}\n" for day in sorted(users)).encode()
