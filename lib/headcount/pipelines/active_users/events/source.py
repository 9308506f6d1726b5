"""Sources of events by name: whose they are, which of their fields say who, when, what.

A source is a module of the package `sources`, found by its name: access_log makes access-log. It
has one name of its own, SOURCE.
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from headcount.values import instants, zones

if TYPE_CHECKING:
    from headcount.filters.rejects import Reject

GA4 = "ga4"
FIELDS = "fields"
_SOURCES = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "sources")

# What a line that is not JSON says, by the names that it would have as JSON; None for a line that
# is not an event (a comment, a header).
TextParser = Callable[[bytes], "dict[str, str | None] | Reject | None"]
# For some of these names, in the order of `columns`: what gets their values from many lines of text
# at once, a tuple for each line. A value that is absent is "", and so are all of an unusual line.
TableParser = Callable[[tuple[str, ...]], Callable[[bytes], list[tuple[str, ...]]]]


class Source(NamedTuple):
    """What the events of one maker look like, and which of their fields count.

    A field is a dotted path into the event: `data.user.id`; a number is the place in a list, and
    a backslash stands before a dot, or a plus, within a name. Of several the first present one
    counts. A user may be made of several fields, joined by `+`: the first must be present.
    """

    title: str  # for people: the product
    user: tuple[str, ...]
    time: tuple[str, ...]
    name: tuple[str, ...]  # of the event
    unit: str = instants.ISO  # of a time that is a number: one of instants.UNITS; or there is none
    # Keys that tell this maker's events from others': all of one of these sets are there. A key of
    # an object within the event has its path, as properties.time.
    signs: tuple[frozenset[str], ...] = ()
    text: TextParser | None = None  # for lines that are not JSON
    columns: tuple[str, ...] = ()  # all names that `text` can give
    table: TableParser | None = None  # the same as `text`, faster
    # Makes an event's name of what `name` finds; "" if it says that this is not an event.
    named: Callable[[str], str] | None = None
    agent: tuple[str, ...] = ()  # the user agent, by which bots are known
    usual: tuple[str, ...] = ()  # fields by whose values one usually breaks down
    is_personal: bool = False  # whether the user is made of what may not be kept as it is


@functools.cache
def names() -> tuple[str, ...]:
    """The names of all sources, sorted."""
    found = (name.removesuffix(".py") for name in os.listdir(_SOURCES) if name.endswith(".py"))
    return tuple(sorted(name.replace("_", "-") for name in found if not name.startswith("_")))


def check(name: str) -> None:
    """Raises ValueError, with the nearest name, for a text that is no source's."""
    known = names()
    if name not in known:
        import difflib  # slow to import

        near = difflib.get_close_matches(name, known, 1)
        did = f" (did you mean {near[0]}?)" if near else ""
        raise ValueError(f"expected one of {', '.join(known)}, got {name!r}{did}")


def find(name: str) -> Source:
    """The source of a name. Raises ValueError, with the nearest name, for any other text."""
    check(name)
    package = __name__.rpartition(".events.")[0]
    return importlib.import_module(f"{package}.sources.{name.replace('-', '_')}").SOURCE


def told(event: Mapping | Iterable[str], but: str = "") -> str | None:
    """The name of the source whose events look like one, or have these keys; None if no one's do.

    Of several, the one that is told by the most keys. `but` is one that it is not.
    """
    keys = set(event)
    if isinstance(event, Mapping):
        keys.update(
            f"{name}.{key}" for name in event if type(event[name]) is dict for key in event[name]
        )
    fitting = [
        (len(sign), name)
        for name in names()
        if name != but
        for sign in find(name).signs
        if sign and sign <= keys
    ]
    return max(fitting)[1] if fitting else None


class Fields(NamedTuple):
    """Which field says what, as far as options may change it; which times there can be."""

    source: str = GA4
    user: tuple[str, ...] = ("user_pseudo_id",)
    time: tuple[str, ...] = ("event_timestamp",)
    name: tuple[str, ...] = ("event_name",)
    unit: str = "us"
    agent: tuple[str, ...] = ()  # if bots are to be left out
    earliest: int = instants.EARLIEST  # microseconds since 1970, UTC
    latest: int = zones.LAST_MICROS

    @property
    def no_user(self) -> str:
        """What is wrong with an event that names no user."""
        return f"no {' or '.join(self.user)}"

    def instant(self, value: str | int | float) -> int:
        """Microseconds of an event's time.

        Raises ValueError for what is none, ImplausibleTimeError for what cannot be.
        """
        return self.plausible(instants.micros(value, self.unit))

    def plausible(self, at: int) -> int:
        """The instant. Raises ImplausibleTimeError if it cannot be."""
        if at < self.earliest:
            earliest = instants.shown(self.earliest)
            raise ImplausibleTimeError(f"{instants.shown(at)} is before {earliest}; see --earliest")
        if at > self.latest:
            latest = instants.shown(self.latest)
            raise ImplausibleTimeError(f"{instants.shown(at)} is after {latest}; see --latest")
        return at


class ImplausibleTimeError(ValueError):
    """A time before the earliest, or after the latest, that there can be."""


IMPLAUSIBLE = "implausible time"  # the reason of a reject
