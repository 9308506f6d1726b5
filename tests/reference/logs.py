"""Events of logs and services, slowly and plainly: line by line, by json and datetime."""

import ipaddress
import json
import re
from collections import defaultdict
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
SESSION = "contexts_com_snowplowanalytics_snowplow_client_session_1"


class Rejected(Exception):
    """A line that cannot be used."""


class LeftOut(Exception):
    """A line that is no event."""


class Event(NamedTuple):
    at: datetime
    users: dict  # by name of the option --user: what it makes of the event; "" for nobody
    name: str
    agent: str


def strict(line):
    def no_constant(name):
        raise ValueError(name)

    try:
        found = json.loads(line.decode().removeprefix("\ufeff"), parse_constant=no_constant)
        json.dumps(found, ensure_ascii=False).encode()
    except ValueError:
        raise Rejected from None
    if not isinstance(found, dict):
        raise Rejected
    return found


def at(value, divisor=None):
    """An instant of a text in ISO 8601, or of a number of which so many are a second."""
    try:
        if divisor:
            seconds, rest = divmod(int(value), divisor)
            return datetime.fromtimestamp(seconds, UTC).replace(
                microsecond=rest * 1_000_000 // divisor
            )
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise Rejected from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def first(*values):
    return next((str(value) for value in values if value not in (None, "")), "")


# ---- Snowplow: the places of the columns in the documentation's table, from 0


def snowplow(line):
    if line.startswith(b"{"):
        told = strict(line)
        session = (told.get(SESSION) or [{}])[0].get("userId")
    else:
        try:
            columns = line.decode().split("\t")
        except UnicodeDecodeError:
            raise Rejected from None
        if len(columns) < 131:
            raise Rejected
        places = {"collector_tstamp": 3, "event": 5, "user_id": 12, "domain_userid": 15}
        places |= {"contexts": 52, "useragent": 77, "derived_tstamp": 124, "event_name": 126}
        told = {name: columns[place] for name, place in places.items()}
        session = None
        for entity in json.loads(told["contexts"] or '{"data":[]}')["data"]:
            if "/client_session/" in entity["schema"]:
                session = entity["data"]["userId"]
    time = first(told.get("derived_tstamp"), told.get("collector_tstamp"))
    name = first(told.get("event_name"), told.get("event"))
    if not name or not time:
        raise Rejected
    domain, account = told.get("domain_userid"), told.get("user_id")
    users = {"": first(domain, session), "user_id,domain_userid": first(account, domain)}
    return Event(at(time), users, name, told.get("useragent") or "")


# ---- CloudEvents


def cloudevents(line):
    told = strict(line)
    data = told.get("data")
    data = data if isinstance(data, dict) else {}
    inner = data.get("user")
    inner = inner.get("id") if isinstance(inner, dict) else None
    if not told.get("type") or "time" not in told:
        raise Rejected
    users = {"": first(data.get("userId"), data.get("user_id"), inner)}
    users["subject"] = first(told.get("subject"))
    return Event(at(told["time"]), users, told["type"], "")


# ---- access logs


def unescaped(text):
    """A quoted text without its quotes; and what stands behind it."""
    value, i = "", 0
    while text[i : i + 1] != '"':
        if i >= len(text):
            raise Rejected
        if text[i] == "\\" and text[i + 1 : i + 2] == "x" and int(text[i + 2 : i + 4], 16) < 128:
            value += chr(int(text[i + 2 : i + 4], 16))
            i += 4
        elif text[i] == "\\" and text[i + 1 : i + 2] != "x":
            value += {"n": "\n", "t": "\t"}.get(text[i + 1], text[i + 1])
            i += 2
        else:
            value += text[i]
            i += 1
    return "" if value == "-" else value, text[i + 1 :]


def is_address(text):
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def logged_time(text):
    found = re.fullmatch(r"(\d\d)/(\w{3})/(\d{4}):(\d\d):(\d\d):(\d\d) (.\d{4})", text)
    if not found or found[2] not in MONTHS:
        raise Rejected
    month = MONTHS.index(found[2]) + 1
    return at(f"{found[3]}-{month:02}-{found[1]}T{found[4]}:{found[5]}:{found[6]}{found[7]}")


def text_log(line):
    line = line.decode(errors="backslashreplace")
    found = re.search(r' \[([^\]]*)\] "', line)
    if not found:
        raise Rejected
    before, behind = line[: found.start()].split(" "), line[found.end() :]
    if len(before) > 1 and (is_address(before[1]) or re.fullmatch(r"[^:]+:\d+", before[0])):
        del before[0]
    request, behind = unescaped(behind)
    behind, agent = behind.split(" ", 3), ""
    if len(behind) == 4 and behind[3].startswith('"'):
        _, rest = unescaped(behind[3][1:])
        agent, _ = unescaped(rest.removeprefix(' "'))
    return "" if before[0] == "-" else before[0], logged_time(found[1]), request, agent


def json_log(told):
    request = told.get("request")
    if isinstance(request, dict):  # Caddy's
        address = first(request.get("client_ip"), request.get("remote_ip"))
        agent = first(*request["headers"].get("User-Agent", []))
        time, request = told.get("ts"), request.get("uri")
    else:
        address, agent = told.get("remote_addr"), told.get("http_user_agent")
        time = first(told.get("time_iso8601"), told.get("time_local"), told.get("msec"))
    if request is None or time in (None, ""):
        raise Rejected
    if isinstance(time, float) or re.fullmatch(r"\d+\.\d+", str(time)):
        time = at(round(float(time) * 1_000_000), 1_000_000)
    else:
        time = logged_time(time) if "/" in time else at(time)
    return address, time, request, agent


def access_log(line):
    found = json_log(strict(line)) if line.startswith(b"{") else text_log(line)
    address, time, request, agent = found
    if not request:
        raise LeftOut
    words = request.split(" ")
    name = (words[1] if len(words) > 1 else words[0]).split("?")[0]
    users = {"": f"{address} {agent}" if address else "", "remote_addr": first(address)}
    return Event(time, users, name, agent)


# ---- fields


def fields(line):
    told = strict(line)
    who, what, when = told.get("who", {}), told.get("what", {}), told.get("when", {})
    if "kind" not in what or "at" not in when:
        raise Rejected
    users = {"": first(who.get("id"), who.get("device")), "who.device": first(who.get("device"))}
    return Event(at(when["at"], 1000), users, what["kind"], told["how"]["agent"])


SOURCES = {
    "snowplow": snowplow,
    "cloudevents": cloudevents,
    "access-log": access_log,
    "fields": fields,
}


def answer(
    lines, source, *, tz="America/Chicago", user="", valuable=(), is_bot=lambda agent: False
):
    """The number of users of each day, and how many lines are rejected."""
    days, rejects = defaultdict(set), 0
    for line in lines:
        try:
            event = SOURCES[source](line.rstrip(b"\r\n"))
            if not event.users[user]:
                raise Rejected
        except LeftOut:
            continue
        except Rejected:
            rejects += 1
            continue
        if is_bot(event.agent) or (valuable and event.name not in valuable):
            continue
        day = event.at.astimezone(ZoneInfo(tz)).date().isoformat()
        days[day].add(event.users[user])
    return {day: len(users) for day, users in sorted(days.items())}, rejects
