"""The definitions of an active user, by what is known of a user on a local day."""

from collections.abc import Iterable

# one event is enough for these; the first two also come as one, of the same event
ENGAGED = "engaged"
VALUABLE = "valuable"
BOTH = f"{ENGAGED},{VALUABLE}"
GA4_EVENT = "ga4-event"
TIMED = "google-n-day"
ANY_EVENT = "any-event"

# and for these there may have to be several events: these are pending until they are enough
SUMMED = "summed"
ENGAGED_SESSION = "engaged-session"

# What rows have beside signals: of a sum, a summand; an event of a session, which may be a view, or
# make the session an engaged one.
AMOUNT, SESSION, VIEW, KEY = "amount", "session", "view", "key"
PENDING = {AMOUNT, SESSION, VIEW, KEY}

OWN = "engaged-valuable"  # the definition of a database that says nothing else

# Each definition: one of these signals, and one of those. (Where they come from, and the sources:
# events/record.py and events/qualify.py.)
DEFINITIONS = {
    OWN: ((ENGAGED, BOTH), (VALUABLE, BOTH)),
    "ga4-active": ((GA4_EVENT, ENGAGED_SESSION),),
    "engaged-session": ((ENGAGED_SESSION,),),
    "google-n-day": ((TIMED,),),
    "summed": ((SUMMED,), (VALUABLE, BOTH)),
    ANY_EVENT: ((ANY_EVENT,),),
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
    return frozenset(
        signal for name in definitions for signals in DEFINITIONS[name] for signal in signals
    )
