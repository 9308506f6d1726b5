"""What one event says of its user by the other definitions of "active" than engaged-valuable.

`ga4-active`: an engaged session; or `first_visit` or `first_open`; or `engagement_time_msec` (of
Android or the web), or `user_engagement` (of iOS; where there is no platform, either of them).
`engaged-session`: a session (`ga_session_id`; what of it is on one local day) of 10 seconds or more
from its first event to its last, or with a key event, or with two or more views (`page_view`,
`screen_view`). Source of both: Google Analytics help, "[GA4] Engagement metrics"; key events are
those that Google marks by itself ("[GA4] About key events"), unless others are named.
`google-n-day`: any event with an `engagement_time_msec` above 0; the N days are a report's window.
Source: Google, "Sample queries for audiences based on BigQuery data".
`summed`: engagements that add up to the least over the day, and a valuable event (of any length).
Source: users, for whom three visits of 2 s are a visit of 6 s.
`any-event`: any event at all; with valuable events named, any of those.
Source: what most trackers count, see each of sources/.

What an event says by engaged-valuable stays the same beside these: so a parameter that only these
look at, and that is no number, says nothing, and does not make the event a reject.
"""

from __future__ import annotations

import msgspec

from headcount.pipelines.active_users.definitions import (
    AMOUNT,
    ANY_EVENT,
    ENGAGED,
    ENGAGED_SESSION,
    GA4_EVENT,
    KEY,
    SESSION,
    SUMMED,
    TIMED,
    VALUABLE,
    VIEW,
    needed,
)
from headcount.pipelines.active_users.events import ga4, source

FIRST = frozenset(("first_visit", "first_open"))
VIEWS = frozenset(("page_view", "screen_view"))
ENGAGEMENT = "user_engagement"
MSEC = "engagement_time_msec"
SESSION_ID = "ga_session_id"

_LARGEST = (1 << 63) - 1


def names(wanted) -> list[str] | None:
    """The JSON strings one of which an event must hold to say anything; None: it need not."""
    known = source.find(wanted.fields.source)
    if known.text or known.named:  # then a name may be no JSON string
        return None
    signals = needed(wanted.named) or {ENGAGED}
    if ENGAGED_SESSION in signals or (ANY_EVENT in signals and not wanted.valuable_events):
        return None
    searched = [MSEC] if TIMED in signals else []
    if signals - {TIMED, ANY_EVENT}:
        searched.append(ENGAGEMENT)
    return searched + (list(wanted.valuable_events) if signals - {TIMED} else [])


def may_be_pending(wanted) -> bool:
    """Whether there are rows that differ from event to event, for one may not be enough."""
    return bool(needed(wanted.named) & {ENGAGED_SESSION, SUMMED})


class Evidence:
    """Adds to the signals of engaged-valuable what the other definitions want."""

    def __init__(self, wanted, flat: dict[str, str]):
        """`flat`: as `ga4.params_of` takes it."""
        self._wanted, self._flat = wanted, flat
        self._signals = needed(wanted.named)

    def __call__(self, signals: str | None, event, name: str, micros: int) -> str | None:
        """Signals of an event, and what may be enough together with others.

        With the latter, and tabs between, come event_timestamp, engagement_time_msec (at most the
        least that is wanted) and ga_session_id. None if it says nothing.
        """
        asked, wanted = self._signals, self._wanted
        params = self._params(event)
        msec = _number(params.get(MSEC))
        if signals and ENGAGED not in asked:
            signals = VALUABLE if VALUABLE in asked and signals != ENGAGED else None
        kinds = [signals] if signals else []
        amount = session = None
        if SUMMED in asked and name == ENGAGEMENT and msec is not None:
            amount = min(max(msec, 0), wanted.min_msec)
            kinds.append(AMOUNT)
            value = self._valuable(params)
            if not wanted.valuable_events and not signals and value is not None and value >= 1:
                kinds.append(VALUABLE)
        if ANY_EVENT in asked and (not wanted.valuable_events or name in wanted.valuable_events):
            kinds.append(ANY_EVENT)
        if TIMED in asked and msec is not None and msec > 0:
            kinds.append(TIMED)
        if GA4_EVENT in asked and _is_active(name, msec, event.platform):
            kinds.append(GA4_EVENT)
        if ENGAGED_SESSION in asked:
            session = _session(params.get(SESSION_ID))
            if session is not None:
                kinds.append(SESSION)
                if name in VIEWS:
                    kinds.append(VIEW)
                if name in wanted.key_events:
                    kinds.append(KEY)
        if not kinds:
            return None
        if amount is None and session is None:
            return ",".join(kinds)
        amount = "" if amount is None else str(amount)
        return f"{','.join(kinds)}\t{micros}\t{amount}\t{'' if session is None else session}"

    def _params(self, event) -> dict:
        """The parameters' values by name; of a repeated one the first."""
        try:
            params = ga4.params_of(event, self._flat)
        except (msgspec.DecodeError, RecursionError):
            params = []
        values = {}
        for param in params:
            values.setdefault(param.key, param.value)
        return values

    def _valuable(self, params: dict):
        numbers = (_number(params.get(name)) for name in self._wanted.valuable_params)
        return next((number for number in numbers if number is not None), None)


def _is_active(name: str, msec, platform: msgspec.Raw) -> bool:
    if name in FIRST or (name == ENGAGEMENT and msec is not None):
        return True
    if name != ENGAGEMENT and msec is None:
        return False
    written = bytes(platform)
    if written == b"null":
        return True
    ios = msgspec.json.decode(written) == "IOS"
    return ios if name == ENGAGEMENT else not ios


def _number(value):
    """A parameter's number; None where there is none."""
    try:
        return value and value.number()
    except ValueError:
        return None


def _session(value) -> int | None:
    number = _number(value)
    if number is None or not -_LARGEST <= number <= _LARGEST or number != int(number):
        return None
    return int(number)
