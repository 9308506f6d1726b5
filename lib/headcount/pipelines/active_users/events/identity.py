"""Events without a user, as browsers send them without consent: when there were how many.

They make nobody active, and are rejected. But where the share of those that would count jumps,
fewer users are counted than there were. Source: Google Analytics help, "[GA4] BigQuery Export
schema", `privacy_info`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headcount.filters import runner
from headcount.filters.rejects import UNIDENTIFIED, Reject

if TYPE_CHECKING:
    from headcount.pipelines.active_users.events.parsers import Parser


def note(parser: Parser, line: bytes, reject: Reject) -> bytes:
    """What parse-engagement notes of a reject: that at an instant there was one more of them."""
    found = parser.when(line) if reject.reason == UNIDENTIFIED else None
    if not found:
        return b""
    micros, offset, is_refused = found
    time = micros if offset is None else f"{micros}\t{offset}"
    return runner.EVENTS + f"{time}\t0\t1\t{is_refused:d}\n".encode()


class Tally:
    """How many events of each local day have a user, beyond rows; or have none; or were refused."""

    def __init__(self, parser: Parser, span):
        """`span`: what makes a local day of an instant and an offset (zones.LocalDays.span)."""
        self._parser, self._span = parser, span
        self._days: dict[str, list[int]] = {}

    def add(self, day: str, events: int) -> None:
        """So many more have a user."""
        if events:
            self._days.setdefault(day, [0, 0, 0])[0] += events

    def add_rejects(self, rejects: list[tuple[Reject, str, int, bytes]]) -> None:
        """Of these, those that have none."""
        for reject, _, _, line in rejects:
            found = self._parser.when(line) if reject.reason == UNIDENTIFIED else None
            if found:
                micros, offset, is_refused = found
                numbers = self._days.setdefault(self._span(micros, offset)[2], [0, 0, 0])
                numbers[1] += 1
                numbers[2] += is_refused

    def take(self) -> bytes:
        """The notes of all, which it forgets."""
        notes = [
            runner.EVENTS + f"{day}\t{events}\t{without}\t{refused}\n".encode()
            for day, (events, without, refused) in self._days.items()
        ]
        self._days.clear()
        return b"".join(notes)
