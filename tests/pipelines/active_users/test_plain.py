"""Events judged by columns: as if each were judged alone."""

import json
from random import Random

import pytest

from headcount.filters.rejects import Reject
from headcount.io.blocks import All, Block
from headcount.pipelines.active_users.events import by_fields, plain
from headcount.pipelines.active_users.events.record import Definition
from headcount.pipelines.active_users.events.source import Fields
from headcount.values import zones
from headcount.values.day_index import DayIndex

ISO = [
    "2024-03-10T05:59:59.999Z",
    "2024-03-10T06:00:00Z",
    "2024-03-10 05:59:59.999999",
    "2024-03-10T11:30:00.5+05:30",
    "20240310T060000Z",
    "2024-03-10T07:59:59.9999999Z",
]
ODD_ISO = [
    *("2024-03-10", "2024-03-10T25:00:00Z", "1999-12-31T23:59:59Z", "2999-01-01T00:00:00Z", ""),
    *("2024030800600", "2024-03-10T06:00:00 UTC", "soon", None, 1710050400, 0, False, ["a"]),
]
NUMBERS = {
    "s": [1710050399, 1710050400, 1710050399.999999, 1710050400.5],
    "ms": [1710050399999, 1710050400000.25, "2024-03-10 06:00:00.123", "2024030800600"],
    "us": [1710050399999999, 1710050400000000, 1710050399999999.5],
    "ns": [1710050399999999999, 1710050400000000000],
}
ODD_NUMBERS = ["1710050400000", "1.5e9", 5, 1e300, None, True, "2024-03-10", -1]
USERS = ["u", "v", 7, "7", "Zoë"]
ODD_USERS = ["", None, 0, 1.5, True, {"a": 1}]
NAMES = ["a", "b", 5, ""]


def parser(unit, user, wanted=(), latest=4_000_000_000_000_000):
    fields = Fields("segment", user, ("at", "then"), ("name", "type"), unit, latest=latest)
    named = frozenset(("any-event",))
    return by_fields.Parser(
        Definition(valuable_events=frozenset(wanted), named=named, fields=fields)
    )


def days_of(events, span):
    """Local days and users of events judged one by one, one for each event."""
    return [(span(event[0])[2], event[2]) for event in events if type(event) is tuple]


def lines_with(random, times, users):
    is_mixed = random.random() < 0.5
    for _ in range(random.randrange(1, 30)):
        event = {"at": random.choice(times), "user": random.choice(users)}
        event["name"] = random.choice(NAMES)
        if is_mixed and random.random() < 0.3:
            event |= {"then": event.pop("at"), "id": event.pop("user")}
            if random.random() < 0.5:
                event |= {"at": "", "user": ""}
        if is_mixed and random.random() < 0.1:
            event["type"] = event.pop("name")
        yield json.dumps(event).encode()


@pytest.mark.parametrize("wanted", [(), ("a", "5")], ids=["any", "named"])
@pytest.mark.parametrize("unit", ["iso", *NUMBERS])
@pytest.mark.parametrize("odd", [False, True])
def test_as_one_by_one(unit, odd, wanted):
    span = zones.LocalDays(zones.find("America/Chicago")).span
    of_columns = 0
    for seed in range(600):
        random = Random(seed)
        usual, unusual = (ISO, ODD_ISO) if unit == "iso" else (NUMBERS[unit], ODD_NUMBERS)
        times = [random.choice(usual) for _ in range(random.choice([1, 3, 9]))]
        users = [random.choice(USERS) for _ in range(4)]
        if odd and random.random() < 0.3:
            times.append(random.choice(unusual))
        if odd and random.random() < 0.3:
            users.append(random.choice(ODD_USERS))
        judge = parser(unit, ("user", "id") if seed % 3 else ("user",), wanted)
        block = Block(b"\n".join(lines_with(random, times, users)) + b"\n")
        alone = [judge.parse(line) for line in bytes(block.text).splitlines()]
        found = judge.parse_plain(All(block))
        if type(found) is not plain.Plain:
            assert found == alone
            continue
        of_columns += 1
        assert not any(type(event) is Reject for event in alone)
        assert not found.others
        pairs = []
        for _, times, users, places in found.columns:
            assert users == [alone[i][2] for i in places]
            of_days = DayIndex(span, found.scale).of_days(times, users) if times else {}
            pairs += [(day, user) for day, of_day in of_days.items() for user in of_day]
        assert sorted(pairs) == sorted(days_of(alone, span))
    assert of_columns >= 20  # or nothing was tested


def test_a_latest_beyond_the_calendar():
    judge = parser("s", ("user",), latest=(1 << 63) - 1)
    found = judge.parse_plain(All(Block(b'{"at":1710050400,"user":"u","name":"a"}\n')))
    assert [column.users for column in found.columns] == [["u"]]
    judge = parser("iso", ("user",), latest=(1 << 63) - 1)
    found = judge.parse_plain(All(Block(b'{"at":"2024-03-10T06:00:00Z","user":"u","name":"a"}\n')))
    assert found == [(1710050400000000, None, "u", "any-event")]
