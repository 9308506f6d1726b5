"""GA4 events as columns: names, times, users, each taken from all events of a block at once.

Events that are valuable by their name alone need no more than that. Of engagements the parameters
decide, one by one; and whatever is unusual is judged as a line of its own.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from itertools import compress, repeat

from headcount.pipelines.active_users.definitions import VALUABLE
from headcount.pipelines.active_users.events.plain import Column, Digits, Numbers, Plain
from headcount.pipelines.active_users.events.qualify import ENGAGEMENT, Unclear
from headcount.pipelines.active_users.events.source import Fields

_name_of, _time_of = operator.attrgetter("event_name"), operator.attrgetter("event_timestamp")
_ABSENT = (None, "")


def of_events(
    events: list,
    users: list[Callable],
    definition,
    signals_of: Callable[[object], str | None],
    judge: Callable[[list[int]], list],
) -> Plain:
    """The columns of events by a record.Definition.

    `users` get the fields of an event of which the first that is present is the user. `signals_of`
    an engagement may raise Unclear. `judge` says of events that are unusual, by their places, what
    record.Parser.parse_all says.
    """
    fields, by_name = definition.fields, definition.valuable_events - {ENGAGEMENT}
    names = list(map(_name_of, events))
    times = list(map(_time_of, events))
    who = _users(events, users)
    scale = Numbers("us") if type(times[0]) is int else Digits()
    kinds = set(names)
    odd: list[int] = []  # the places of what is unusual
    if not _are_times(times, scale, fields) or not _are_texts(who) or None in kinds or "" in kinds:
        odd = [
            i
            for i, (name, time, user) in enumerate(zip(names, times, who, strict=True))
            if name in _ABSENT or not _are_times([time], scale, fields) or not _are_texts([user])
        ]
        for i in odd:
            names[i] = None
    columns = []
    if kinds & by_name:
        is_valuable = list(map(by_name.__contains__, names))
        of_all = times, who, range(len(names))
        when, whose, places = (list(compress(some, is_valuable)) for some in of_all)
        if when:
            columns.append(Column(VALUABLE, when, whose, places))
    if ENGAGEMENT in kinds:
        engaged: dict[str, Column] = {}
        is_engagement = map(operator.eq, names, repeat(ENGAGEMENT))
        for i in list(compress(range(len(names)), is_engagement)):
            try:
                signals = signals_of(events[i])
            except Unclear:
                odd.append(i)
                continue
            if signals:
                column = engaged.get(signals) or engaged.setdefault(
                    signals, Column(signals, [], [], [])
                )
                column.times.append(times[i])
                column.users.append(who[i])
                column.places.append(i)
        columns += engaged.values()
    odd.sort()
    others = [(i, it) for i, it in zip(odd, judge(odd), strict=True) if it is not None]
    return Plain(columns, scale, others)


def _users(events: list, getters: list[Callable]) -> list:
    """Of each event the first user that is present; a number is the same as its digits."""
    first, *others = getters
    users = list(map(first, events))
    for getter in others:
        if None not in users and "" not in users:
            break
        users = [getter(e) if u in _ABSENT else u for u, e in zip(users, events, strict=True)]
    if int in set(map(type, users)):
        users = [str(user) if type(user) is int else user for user in users]
    return users


def _are_texts(users: list) -> bool:
    return set(map(type, users)) == {str} and "" not in users


def _are_times(times: list, scale: Digits | Numbers, fields: Fields) -> bool:
    """Whether all are of this scale, and plausible."""
    return scale.holds(times) and (
        scale.bound(fields.earliest) <= min(times) and max(times) < scale.bound(fields.latest + 1)
    )
