"""What the chat programs must answer, written slowly and plainly, to hold them against.

Nothing of headcount: sort by time, replay.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from dateutil import tz

YEAR_2, YEAR_9999 = -62_104_060_800, 253_370_764_800


class Said(NamedTuple):
    """A line that counts. Of several with one id, the smallest of the rest counts."""

    id: str
    seconds: int
    site: str
    sender: str
    status: str  # "" for a message


def no_constant(name: str):
    raise ValueError(name)


def said(line: bytes) -> Said | None:
    """What a line says; None if it is a reject. (A blank one is none either, but no reject.)"""
    try:
        found = json.loads(
            line.decode().removeprefix("\ufeff"), parse_constant=no_constant, parse_float=Decimal
        )
        json.dumps(found, ensure_ascii=False, default=str).encode()  # no lone surrogates
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    texts = [found.get(name) for name in ("id", "site_id", "from", "type")]
    if not all(isinstance(text, str) and text for text in texts):
        return None
    number = found.get("timestamp")
    if isinstance(number, str):
        try:
            number = Decimal(json.loads(number, parse_float=Decimal, parse_constant=no_constant))
        except (ValueError, TypeError, ArithmeticError):
            return None
    if isinstance(number, bool) or not isinstance(number, int | Decimal):
        return None
    if number != int(number) or not YEAR_2 <= number < YEAR_9999:
        return None
    status = ""
    if found["type"] == "status":
        data = found.get("data")
        status = data.get("status") if isinstance(data, dict) else None
        if status not in ("online", "offline"):
            return None
    elif found["type"] != "message":
        return None
    return Said(found["id"], int(number), found["site_id"], found["from"], status)


def report(lines: Iterable[bytes]) -> str:
    """The lines that count-site-activity prints."""
    sites = defaultdict(list)
    for found in distinct(lines):
        sites[found.site].append(found)
    return "".join(f"{site},{counts(sites[site])}\n" for site in sorted(sites))


def counts(of_site: list[Said]) -> str:
    online, messages, emails = set(), 0, 0
    # within a second: offline, online, then the messages, which both count for
    order = {"offline": 0, "online": 1, "": 2}
    for found in sorted(of_site, key=lambda found: (found.seconds, order[found.status])):
        if found.status == "online":
            online.add(found.sender)
        elif found.status == "offline":
            online.discard(found.sender)
        elif online:
            messages += 1
        else:
            emails += 1
    operators = {found.sender for found in of_site if found.status}
    visitors = {found.sender for found in of_site if not found.status}
    return (
        f"messages={messages},emails={emails},operators={len(operators)},visitors={len(visitors)}"
    )


def distinct(lines: Iterable[bytes]) -> list[Said]:
    """The lines that count, one of each id."""
    by_id: dict[str, Said] = {}
    for found in filter(None, map(said, lines)):
        by_id[found.id] = min(found, by_id.get(found.id, found))
    return list(by_id.values())


def intervals(lines: Iterable[bytes]) -> list[tuple[str, int, int | None]]:
    """From when until before when each site is online, sorted."""
    sites = defaultdict(list)
    for found in distinct(lines):
        if found.status:
            sites[found.site].append(found)
    spans = []
    for site, of_site in sites.items():
        online, since = set(), None
        for second in sorted({found.seconds for found in of_site}):
            of_second = [found for found in of_site if found.seconds == second]
            for found in sorted(of_second, key=lambda found: found.status):  # offline, online
                (online.add if found.status == "online" else online.discard)(found.sender)
            if online and since is None:
                since = second
            if not online and since is not None:
                spans.append((site, since, second))
                since = None
        if since is not None:
            spans.append((site, since, None))
    return sorted(spans)


def by_day(lines: Iterable[bytes], zone: str) -> list[tuple[str, str, int, int, int, int]]:
    """Site, local date, messages, e-mails, operators and visitors, sorted."""
    lines = list(lines)
    spans = intervals(lines)
    clock = tz.gettz(zone)
    days = defaultdict(lambda: [0, 0, set(), set()])
    for found in distinct(lines):
        instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=found.seconds)
        day = days[found.site, instant.astimezone(clock).date().isoformat()]
        if found.status:
            day[2].add(found.sender)
            continue
        online = any(
            site == found.site and since <= found.seconds and (end is None or found.seconds < end)
            for site, since, end in spans
        )
        day[0 if online else 1] += 1
        day[3].add(found.sender)
    return sorted(
        (*key, chats, emails, len(operators), len(visitors))
        for key, (chats, emails, operators, visitors) in days.items()
    )
