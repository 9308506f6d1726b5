"""Events that only repeat what is known: none that says anything new is ever taken for one."""

import json
import random

import pytest
from stringzilla import Str

from headcount.pipelines.active_users.events.repeats import Repeats, Written
from headcount.pipelines.active_users.events.source import Fields
from headcount.values import zones
from headcount.values.day_index import DayIndex
from reference import active_users as reference

SINCE, UNTIL = 1_709_877_600_000_000, 1_709_964_000_000_000  # 2024-03-08 in Chicago
NOW = SINCE + 1
USERS = {"ann", "bob", "zoë", "x" * 40}
NAMES = ("open", "push_received")
OPTIONS = reference.Options(valuable_events=NAMES)


def line(name="open", user="ann", micros=NOW, date="20240308", more="", params="[]", end="\n"):
    """As the export writes it; `more` stands before the user."""
    return (
        f'{{"event_date":"{date}","event_timestamp":"{micros}","event_name":"{name}",'
        f'"event_params":{params},{more}"user_pseudo_id":"{user}","language":"en-us"}}{end}'
    ).encode()


def others_of(text, count, users=USERS, names=NAMES, field="user_pseudo_id", **fields):
    """What Repeats says of a text."""
    index = DayIndex(zones.LocalDays(zones.find("America/Chicago")).span, Written())
    repeats = Repeats(names, {*names, "user_engagement"}, Fields(user=(field,), **fields))
    return repeats.others(Str(text), count, index, {"2024-03-08": users})


def told(*lines, **more):
    """What is said of lines: a letter for each (repeated, other, or a look is needed), or None."""
    text = b"".join(lines)
    others = others_of(text, text.count(b"\n") + (not text.endswith(b"\n")), **more)
    if others is None:
        return None
    starts = {start for start, _ in others.spans}
    assert all(text[end - 1 :][:1] == b"\n" or end == len(text) for _, end in others.spans)
    found, at = "", 0
    for one in lines:
        found += "l" if at in starts else "-"
        at += len(one)
    assert set(others.repeated) <= {"2024-03-08"}
    repeated = others.repeated.total()
    assert found.count("-") - repeated == sum(b'"boring' in one for one in lines)
    return found


def test_what_is_told():
    assert told(line()) == "-"
    assert told(line(), line("push_received", "bob"), line(user="new"), line(user="zoë")) == "--l-"
    assert told(line("user_engagement"), line("boring"), line("boring_open")) == "l--"
    assert told(line(micros=SINCE), line(micros=UNTIL - 1)) == "--"
    assert told(line(micros=SINCE - 1), line(micros=UNTIL)) == "ll"
    assert told(line(user="an"), line(user="anna"), line(user=""), line(end="")) == "lll-"
    assert told(line(end="\r\n"), line(more='"user_id":"new",')) == "--"
    assert told(line(), users={"bob"}) == "l"
    assert told(line(user="new").replace(b'_id":"', b'_id" : "'), users={" "}) == "l"


@pytest.mark.parametrize(
    "odd",
    [
        # members of records within, before or behind the event's own
        line(user="new", more='"a":{"user_pseudo_id":"ann"},'),
        line(more='"a":{"user_pseudo_id":"new"},'),
        line(user="ann", more='"user_pseudo_id":"new",'),
        line(user="ann").replace(b"}\n", b',"user_pseudo_id" : "new"}\n'),
        line(user="new", more='"user_pseudo_id" :"ann",'),
        line(more='"user_pseudo_id":null,'),
        # the event's own key has an escape, and another record's is plain
        line(more='"a":{"user_pseudo_id":"ann"},').replace(
            b'o_id":"ann","l', rb'o_i\u0064":"new","l'
        ),
        line(user=r"\u0061nn"),
        line(micros="1709877600000a01"),
        line(micros='170987760","x":"'),
        line(micros=170987760),
        line(micros=17_098_776_000_000_010),
        line().replace(b'"ann"', b'"\xff"'),
        line().replace(b'"ann"', b"7"),
        line("x").replace(b'"x"', b"7"),
        line(user="ann", more='"user_pseudo_id" : "new","a":{').replace(b"}\n", b"}}\n"),
        line(name=r"op\u0065n"),
        line().replace(b'_name":', b'_name" :'),
    ],
    ids=range(18),
)
def test_a_line_that_is_not_as_usual_is_looked_at(odd):
    assert told(odd) in ("l", None)
    assert told(line(), odd) in ("-l", None)
    assert told(odd, line()) in ("l-", None)


@pytest.mark.parametrize(
    "odd",
    [
        line(more='"event_name":"user_engagement",'),
        line(more='"event_timestamp":"1",'),
        line(more='"a":{"event_name":"user_engagement"},'),
        line(date="2024030"),
        line(date="2024-3-8"),
        line(date='","a":"b'),
        b" " + line(),
        b"\n",
        b"{}\n",
        b"cut\n",
        line().replace(b'"event_date":"20240308",', b""),
    ],
    ids=range(11),
)
def test_a_text_with_a_line_of_another_shape_is_looked_at_in_full(odd):
    assert told(line(), odd, line()) is None


def test_times_that_cannot_be_compared_as_texts_or_are_not_plausible_are_looked_at():
    assert told(line(micros=5), line()) is None
    assert told(line(micros=SINCE), line(), earliest=NOW) is None
    assert told(line(micros=SINCE), line(), earliest=SINCE, latest=NOW) == "--"
    assert told(line(), line(micros=NOW + 1), latest=NOW) is None


def test_users_of_all_lengths():
    users = {"a" * length for length in range(1, 65)}
    in_turn = sorted(users, key=lambda user: (len(user) % 7, user))
    lines = [line(user=user) for user in in_turn]
    too_long = ["l" if len(user) == 64 else "-" for user in in_turn]
    assert told(*lines, users=users) == "".join(too_long)
    assert told(*lines[:9], users=set(in_turn[:1])) == "-llllllll"


PIECES = [
    *["{", "}", "[", "]", ",", ":", '"', "\\", " ", "\\u0061", "ann", "new", "open", "boring"],
    *['"user_pseudo_id":"', '"user_pseudo_id"', '"event_name":"', '"event_timestamp":"', '","'],
    *['"a":{', "},", '"event_name":"user_engagement",', '"user_pseudo_id":"new",', str(NOW), "7"],
    *['"user_pseudo_id" : "new","a":{', ',"a":{"user_pseudo_id":"ann"}', '"user_pseudo_id" :'],
    *['{"event_date":"20240308","event_timestamp":"', "user_engagement", "null", '":{"', "\xff"],
]


def mutated(rng, one):
    """The line with something cut out, put in or put elsewhere, mostly where it can hurt."""
    text = one.decode()[:-1]
    for _ in range(rng.randrange(1, 3)):
        quotes = [i for i, char in enumerate(text) if char in '",:{}']
        at = rng.choice(quotes) + rng.randrange(2) if quotes else 0
        until = at if rng.random() < 0.7 else at + rng.randrange(12)
        text = text[:at] + rng.choice(PIECES) + text[until:]
    return text.encode(rng.choice(["utf-8", "latin-1"])) + b"\n"


@pytest.mark.parametrize("seed", range(4))
def test_nothing_that_is_new_is_left_out(seed):
    """By the slow reference: a line left out is no event, of no interest, or a repetition."""
    rng = random.Random(seed)
    left_out = odd = 0
    for _ in range(6_000):
        lines = [
            line(
                rng.choice([*NAMES, "boring", "user_engagement"]),
                rng.choice([*USERS, "new", "an"]),
                rng.choice([SINCE, NOW, UNTIL - 1, UNTIL]),
                more=rng.choice(["", "", '"a":{"b":"c"},', '"t":"user_pseudo_id",']),
            )
            for _ in range(rng.randrange(1, 4))
        ]
        at = rng.randrange(len(lines))
        lines[at] = mutated(rng, lines[at])
        if b"\n" in lines[at][:-1]:
            continue
        for verdict, one in zip(told_of(lines) or (), lines, strict=False):
            if verdict == "l":
                continue
            left_out += 1
            odd += one is lines[at]
            what, *event = reference.classify(one[:-1], OPTIONS)
            if what == "event":
                (found,) = event
                assert found.valuable and not found.engaged, one
                assert found.user in USERS and SINCE <= found.micros < UNTIL, one
    assert left_out > 1_000 and odd > 100


def told_of(lines):
    """As `told`, without its own checks."""
    text = b"".join(lines)
    others = others_of(text, len(lines))
    if others is None:
        return None
    starts = {start for start, _ in others.spans}
    found, at = "", 0
    for one in lines:
        found += "l" if at in starts else "-"
        at += len(one)
    return found


def test_a_user_field_of_any_name():
    field = 'my "user"'
    event = line().replace(b'"user_pseudo_id"', json.dumps(field).encode())
    assert others_of(event, 1, field=field).spans == [(0, len(event))]
    event = line("prêt").replace(b'"user_pseudo_id"', '"für"'.encode())
    assert others_of(event, 1, names=("prêt",), field="für") == ([], {"2024-03-08": 1})
