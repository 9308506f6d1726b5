"""What the chat programs must answer, written slowly and plainly, to hold them against.

Only the standard library, and nothing of headcount: sort by time, replay.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

YEAR_1, YEAR_9999 = -62_135_596_800, 253_370_764_800


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
        found = json.loads(line.decode(), parse_constant=no_constant, parse_float=Decimal)
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
    if number != int(number) or not YEAR_1 <= number < YEAR_9999:
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
    by_id: dict[str, Said] = {}
    for found in filter(None, map(said, lines)):
        by_id[found.id] = min(found, by_id.get(found.id, found))
    sites = defaultdict(list)
    for found in by_id.values():
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
