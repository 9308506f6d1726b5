"""What one event says of its user by the other definitions of "active" than engaged-valuable.

`ga4-active`: an engaged session; or `first_visit` or `first_open`; or `engagement_time_msec` (of
Android or the web), or `user_engagement` (of iOS; where there is no platform, either of them).
Google itself says of a user's day whether it was one: `is_active_user`, in daily tables (intraday
tables lack it). Where an event has it, it stands, and the rule is for users of whom no event that
day has it. `ga4-flag`: the flag alone. It is of the day in the property's own time zone. Source:
Google Analytics help, "[GA4] BigQuery Export schema".
`engaged-session`: a session (`user_pseudo_id` and `ga_session_id`) of 10 seconds or more from its
first event to its last, or with a key event, or with two or more views (`page_view`,
`screen_view`). It counts on the local day it began, and on a later one if what is of it there is so
by itself; for the last user in it who is not the device (days/sessions.py).
Source of both: Google Analytics help, "[GA4] Engagement metrics"; key events are
those that Google marks by itself ("[GA4] About key events"), unless others are named.
`google-n-day`: any event with an `engagement_time_msec` above 0; the N days are a report's window.
Source: Google, "Sample queries for audiences based on BigQuery data".
`summed`: engagement that adds up to the least over the day, and a valuable event (of any length).
Source: users, for whom three visits of 2 s are a visit of 6 s. An app says how long one was engaged
in its `user_engagement` events; the web says in any event how long one was engaged since the one
before: there the `engagement_time_msec` of all events is added up. Source: Google Analytics help,
"[GA4] User engagement", https://support.google.com/analytics/answer/11109416
`any-event`: any event at all; with valuable events named, any of those.
Source: what most trackers count, see each of sources/.

A parameter that one of the definitions looks at, and that is no number, makes the event a reject.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from headcount.filters.rejects import Reject
from headcount.pipelines.active_users.definitions import (
    AMOUNT,
    ANY_EVENT,
    ENGAGED,
    ENGAGED_SESSION,
    GA4_EVENT,
    GA4_FLAG,
    GA4_NOT_ACTIVE,
    KEY,
    SESSION,
    SUMMED,
    TIMED,
    VALUABLE,
    VIEW,
    needed,
)
from headcount.pipelines.active_users.events import ga4, source
from headcount.values import decimals, numbers

FIRST = frozenset(("first_visit", "first_open"))
VIEWS = frozenset(("page_view", "screen_view"))
ENGAGEMENT = "user_engagement"
MSEC = "engagement_time_msec"
SESSION_ID = "ga_session_id"
PARAMETERS = (MSEC, SESSION_ID)  # which may be in a text of JSON
FLAG = "is_active_user"

_LARGEST = (1 << 63) - 1
_IN_COOKIE = re.compile(rb'"s([0-9]{1,18})\$[^"\\]*"')


def names(wanted) -> list[str] | None:
    """The JSON strings one of which an event must hold to say anything; None: it need not."""
    known = source.find(wanted.fields.source)
    if known.text or known.named:  # then a name may be no JSON string
        return None
    signals = needed(wanted.named) or {ENGAGED}
    if wanted.stitched:
        return None
    if ANY_EVENT in signals and not wanted.valuable_events:
        return None
    if known.name != ("event_name",) and any(
        _may_be_number(name) for name in wanted.valuable_events
    ):
        return None
    searched = [MSEC] if signals & {TIMED, SUMMED, GA4_EVENT} or wanted.summed else []
    if GA4_FLAG in signals:
        searched.append(FLAG)
    if GA4_EVENT in signals:
        searched += sorted(FIRST)
    if ENGAGED_SESSION in signals:
        searched.append(SESSION_ID)
    if signals - {TIMED, ANY_EVENT, GA4_FLAG}:
        searched.append(ENGAGEMENT)
    return searched + (list(wanted.valuable_events) if signals - {TIMED, GA4_FLAG} else [])


def _may_be_number(name: str) -> bool:
    """Whether a name may stand without quotes in JSON."""
    try:
        decimals.exact(name)
    except ValueError:
        return False
    return True


def may_be_pending(wanted) -> bool:
    """Whether there are rows that differ from event to event, for one may not be enough."""
    return bool(needed(wanted.named) & {ENGAGED_SESSION, SUMMED})


class Evidence:
    """Adds to the signals of engaged-valuable what the other definitions want."""

    def __init__(self, wanted):
        self._wanted = wanted
        self._signals = signals = needed(wanted.named)
        self._times = bool(signals & {TIMED, GA4_EVENT})
        self._looks = self._times or ENGAGED_SESSION in signals

    def __call__(
        self,
        signals: str | None,
        event,
        name: str,
        micros: int,
        params_of: Callable[[ga4.Event], list[ga4.Param]],
    ) -> str | None:
        """Signals of an event, and what may be enough together with others.

        With the latter, and tabs between, come what tells it from other events (`identity`),
        engagement_time_msec (at most the least that is wanted) and ga_session_id. None if it says
        nothing. Raises Unclear.
        """
        asked, wanted = self._signals, self._wanted
        sums = SUMMED in asked and has_amount(name, event.platform)
        params, msec = {}, None
        if sums or self._looks:  # of repeated ones the first counts
            params = {param.key: param.value for param in reversed(params_of(event))}
        if sums or self._times:
            msec = number(MSEC, params.get(MSEC))
        if signals and ENGAGED not in asked:
            signals = VALUABLE if VALUABLE in asked and signals != ENGAGED else None
        kinds = [signals] if signals else []
        amount = session = None
        if sums and msec is not None:
            amount = min(max(msec, 0), wanted.min_msec)
            kinds.append(AMOUNT)
            is_engagement = name == ENGAGEMENT and not wanted.valuable_events
            value = self._valuable(params) if is_engagement and not signals else None
            if value is not None and value >= 1:
                kinds.append(VALUABLE)
        if ANY_EVENT in asked and (not wanted.valuable_events or name in wanted.valuable_events):
            kinds.append(ANY_EVENT)
        if GA4_FLAG in asked and (flag := _flag(event.is_active_user)) is not None:
            if flag:
                kinds.append(GA4_FLAG)
            elif GA4_NOT_ACTIVE in asked:
                kinds.append(GA4_NOT_ACTIVE)
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
        session = "" if session is None else session
        return f"{','.join(kinds)}\t{identity(event, micros)}\t{amount}\t{session}"

    def _valuable(self, params: dict):
        numbers = (number(name, params.get(name)) for name in self._wanted.valuable_params)
        return next((found for found in numbers if found is not None), None)


def has_amount(name: str, platform: msgspec.Raw) -> bool:
    """Whether an event's `engagement_time_msec` is one of those that `summed` adds up."""
    return name == ENGAGEMENT or ga4.platform(platform) == "WEB"


def _is_active(name: str, msec, platform: msgspec.Raw) -> bool:
    if name in FIRST or (name == ENGAGEMENT and msec is not None):
        return True
    if name != ENGAGEMENT and msec is None:
        return False
    found = ga4.platform(platform)
    return found is None or (found == "IOS") == (name == ENGAGEMENT)


_FLAGS = {
    **dict.fromkeys((b"true", b'"true"', b"1", b'"1"'), True),
    **dict.fromkeys((b"false", b'"false"', b"0", b'"0"'), False),
    **dict.fromkeys((b"null", b'""')),
}


def _flag(raw: msgspec.Raw) -> bool | None:
    """What a boolean says; None where it says nothing. Raises Unclear."""
    try:
        return _FLAGS[bytes(raw)]
    except KeyError:
        raise Unclear(Reject(f"bad {FLAG}", "expected true or false")) from None


class Unclear(Exception):
    """A field that cannot be used, with the Reject that says so; or not without the line."""

    def __init__(self, reject: Reject | None = None):
        self.reject = reject


def identity(event, micros: int) -> str:
    """What tells an event from others. Raises Unclear."""
    try:
        return ga4.identity(event, micros)
    except ValueError as error:
        raise Unclear(Reject("bad place in a batch", str(error))) from None


def number(name: str, value: ga4.Value | None):
    """A parameter's number; None where the parameter, or its value, is absent. Raises Unclear."""
    if value is None or value is ga4.ABSENT:
        return None
    try:
        found = numbers.number(value.int_value)
        return value.number() if found is None else found
    except ValueError as error:
        raise Unclear(Reject("bad event parameter", f"{name}: {error}")) from None


def _session(value: ga4.Value | None) -> int | None:
    """A session's number; None where there is none. On the web it may be within a text, behind
    an s and before a dollar sign, as in the cookie that it is from. Raises Unclear."""
    written = bytes(value.string_value) if value else b""
    if in_cookie := _IN_COOKIE.fullmatch(written):
        return int(in_cookie[1])
    found = number(SESSION_ID, value)
    if found is None:
        return None
    if not -_LARGEST <= found <= _LARGEST or found != int(found):
        error = "not a whole number within bounds"
        raise Unclear(Reject("bad event parameter", f"{SESSION_ID}: {error}"))
    return int(found)
