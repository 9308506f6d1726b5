"""The definitions of an active user, by what is known of a user on a local day."""

import operator
from collections.abc import Callable, Iterable
from functools import reduce
from typing import NamedTuple

# one event is enough for these; the first two also come as one, of the same event
ENGAGED = "engaged"
VALUABLE = "valuable"
BOTH = f"{ENGAGED},{VALUABLE}"
GA4_EVENT = "ga4-event"
TIMED = "google-n-day"
ANY_EVENT = "any-event"
# Google's own word on the user's day: is_active_user is true, or false
GA4_FLAG, GA4_NOT_ACTIVE = "ga4-flag", "ga4-not-active"

# and for these there may have to be several events: these are pending until they are enough
SUMMED = "summed"
ENGAGED_SESSION = "engaged-session"
ENGAGED_BEFORE = "engaged-before"  # the same, of a version that did not keep the sessions

# What rows have beside signals: of a sum, a summand; an event of a session, which may be a view, or
# make the session an engaged one.
AMOUNT, SESSION, VIEW, KEY = "amount", "session", "view", "key"
PENDING = {AMOUNT, SESSION, VIEW, KEY}
STITCHED, PERSON = "stitched", "user_id"  # how users are told, and the field that tells a login
LOGIN = "login"  # an event that says whose the device is, which comes last

OWN = "engaged-valuable"  # the definition of a database that says nothing else


class Rule(NamedTuple):
    """Who is active: a user with one of each group of `needs`, without the signal `unless`; or with
    the signal `always`."""

    needs: tuple[tuple[str, ...], ...]
    unless: str = ""
    always: str = ""

    def signals(self) -> set[str]:
        """All that it asks for."""
        return {signal for one_of in (*self.needs, self[1:]) for signal in one_of if signal}

    def active(self, users_of: Callable):
        """Who is active, by the users of each signal: sets, or bitmaps."""
        either = (reduce(operator.or_, map(users_of, one_of)) for one_of in self.needs)
        users = reduce(operator.and_, either)
        if self.unless:
            users = users - users_of(self.unless)
        return users | users_of(self.always) if self.always else users


# (Where the signals come from, and the sources: events/record.py and events/qualify.py.)
DEFINITIONS = {
    OWN: Rule(((ENGAGED, BOTH), (VALUABLE, BOTH))),
    "ga4-active": Rule(((GA4_EVENT, ENGAGED_SESSION),), unless=GA4_NOT_ACTIVE, always=GA4_FLAG),
    "ga4-flag": Rule(((GA4_FLAG,),)),
    "engaged-session": Rule(((ENGAGED_SESSION,),)),
    "google-n-day": Rule(((TIMED,),)),
    "summed": Rule(((SUMMED,), (VALUABLE, BOTH))),
    ANY_EVENT: Rule(((ANY_EVENT,),)),
}

KEY_EVENTS = (
    "app_store_subscription_convert",
    "app_store_subscription_renew",
    "first_open",
    "in_app_purchase",
    "purchase",
)


def listed(text: str) -> tuple[str, ...]:
    """The definitions of a comma-separated list: the first, then the others, sorted.

    Raises ValueError for one that there is not.
    """
    names = [name for name in text.split(",") if name]
    for name in names:
        if name not in DEFINITIONS:
            raise ValueError(f"expected some of {', '.join(DEFINITIONS)}, got {name!r}")
    if not names:
        raise ValueError(f"expected one or more of {', '.join(DEFINITIONS)}, got {text!r}")
    return (names[0], *sorted(set(names[1:]) - {names[0]}))


def needed(definitions: Iterable[str]) -> frozenset[str]:
    """The signals that these definitions ask for."""
    return frozenset(signal for name in definitions for signal in DEFINITIONS[name].signals())
