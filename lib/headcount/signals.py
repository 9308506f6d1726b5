"""What is known of a user on a local day, and which of it makes one active, by which definition."""

from collections.abc import Iterable

# one event is enough for these; the first two also come as one, of the same event
ENGAGED = "engaged"
VALUABLE = "valuable"
BOTH = f"{ENGAGED},{VALUABLE}"
GA4_EVENT = "ga4-event"
TIMED = "google-n-day"

# and for these there may have to be several events: these are pending until they are enough
SUMMED = "summed"
ENGAGED_SESSION = "engaged-session"

# What rows have beside signals: of a sum, a summand; an event of a session, which may be a view, or
# make the session an engaged one.
AMOUNT, SESSION, VIEW, KEY = "amount", "session", "view", "key"
PENDING = {AMOUNT, SESSION, VIEW, KEY}

OWN = "engaged-valuable"  # the definition of a database that says nothing else

# Each definition: one of these signals, and one of those. (Where they come from, and the sources:
# headcount.engagement and headcount.evidence.)
DEFINITIONS = {
    OWN: ((ENGAGED, BOTH), (VALUABLE, BOTH)),
    "ga4-active": ((GA4_EVENT, ENGAGED_SESSION),),
    "engaged-session": ((ENGAGED_SESSION,),),
    "google-n-day": ((TIMED,),),
    "summed": ((SUMMED,), (VALUABLE, BOTH)),
}


def listed(text: str) -> tuple[str, ...]:
    """The definitions of a comma-separated list: the first, then the others, sorted.

    Raises ValueError for one that there is not.
    """
    found = [name for name in text.split(",") if name]
    for name in found:
        if name not in DEFINITIONS:
            raise ValueError(f"no list of definitions; there are: {', '.join(DEFINITIONS)}")
    if not found:
        raise ValueError("no list of definitions: name at least one")
    return (found[0], *sorted(set(found[1:]) - {found[0]}))


def needed(definitions: Iterable[str]) -> frozenset[str]:
    """The signals that these definitions ask for."""
    return frozenset(
        signal for name in definitions for some in DEFINITIONS[name] for signal in some
    )
