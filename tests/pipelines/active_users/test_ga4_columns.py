"""GA4 events in columns: as if each were judged alone, on data of every shape."""

import json
from random import Random

import pytest

from headcount.filters.rejects import Reject
from headcount.io.blocks import All, Block
from headcount.pipelines.active_users.events import plain
from headcount.pipelines.active_users.events.record import Definition, Parser
from headcount.pipelines.active_users.events.source import Fields
from headcount.values import zones
from headcount.values.day_index import DayIndex
from helpers.programs import run

SPAN = zones.LocalDays(zones.find("America/Chicago")).span
TEXTS = ["1709877599999999", "1709877600000000", "1710050399999999", "1710050400000000"]
WHOLE = [1709877599999999, 1709877600000000, 1710054000000000]
ODD_TIMES = [
    "",
    None,
    "5",
    5,
    "17098776000000a1",
    "١٧٠٩٨٧٧٦٠٠٠٠٠٠٠٠",
    1709877600000000.5,
    "2024-03-08",
]
ODD_TIMES += ["2024-03-08T06:00:00Z", 10**18, "999999999999999", "01709877600000000", -1, True, []]
NAMES = ["user_engagement", "open", "push", "boring"]
ODD_NAMES = ["", None, 7, "öpen"]
USERS = ["ann", "bob", "tab\there", 'quo"te', "zoë"]
ODD_USERS = ["", None, 7, 1.5, {"a": "b"}, True]
VALUES = ["3000", 3000, "2999", 2999.9, 3000.0, None, "soon", True, "1"]
WANTED = {
    "default": Definition(),
    "events": Definition(valuable_events=frozenset(("open", "push"))),
    "engagements, too": Definition(valuable_events=frozenset(("open", "user_engagement"))),
    "users": Definition(fields=Fields(user=("user_id", "user_pseudo_id"))),
    "from now on": Definition(
        valuable_events=frozenset(("open",)), fields=Fields(earliest=1709877600000000)
    ),
}


def param(rng, name):
    kind = rng.choice(["int_value", "int_value", "double_value", "string_value"])
    return {
        "key": name,
        "value": rng.choice(
            [{kind: rng.choice(VALUES if rng.random() < 0.3 else ["1", "3000"])}, None, {}]
        ),
    }


def made(rng, odd):
    """An event; with the chance `odd` something about it is unusual."""
    is_odd = lambda: rng.random() < odd  # noqa: E731
    event = {
        "event_name": rng.choice(ODD_NAMES if is_odd() else NAMES),
        "event_timestamp": rng.choice(ODD_TIMES if is_odd() else made.times),
        "user_pseudo_id": rng.choice(ODD_USERS if is_odd() else USERS),
    }
    if rng.random() < 0.3:
        event["user_id"] = rng.choice([*ODD_USERS, "carl"])
    if event["event_name"] == "user_engagement" or is_odd():
        names = ["engagement_time_msec", "engaged_session_event", "session_engaged", "x"]
        event["event_params"] = [param(rng, rng.choice(names)) for _ in range(rng.randrange(5))]
    for name in list(event) if is_odd() else ():
        if rng.random() < 0.2:
            del event[name]
    return json.dumps(event, ensure_ascii=rng.random() < 0.5).encode()


def in_words(i, event):
    """What a line is, as rows and rejects have it: the day, the user, the signals."""
    if type(event) is Reject:
        return i, event
    micros, _, user, signals = event
    return SPAN(micros)[2], user, signals


@pytest.mark.parametrize("wanted", WANTED)
@pytest.mark.parametrize("odd", [0, 0.02, 0.1])
def test_as_one_by_one(odd, wanted):
    in_columns = rejected = 0
    parser = Parser(WANTED[wanted])
    for seed in range(400):
        rng = Random(f"{seed} {odd} {wanted}")
        made.times = rng.choice([TEXTS, TEXTS[1:2], WHOLE, TEXTS + WHOLE])
        lines = [made(rng, odd) for _ in range(rng.randrange(1, 30))]
        alone = [parser.parse(line) for line in lines]
        found = parser.parse_plain(All(Block(b"\n".join(lines) + b"\n")))
        expected = [in_words(i, it) for i, it in enumerate(alone) if it is not None]
        if type(found) is not plain.Plain:
            pairs, rows = enumerate(found), []
        else:
            pairs, rows = found.others, []
            assert [i for i, _ in pairs] == sorted(i for i, _ in pairs)
            for signals, times, users, places in found.columns:
                assert [(it[2], it[3]) for it in map(alone.__getitem__, places)] == [
                    (user, signals) for user in users
                ]
                index = DayIndex(SPAN, found.scale)
                days = [index.days[place] for place in index.places(times)]
                rows += [(day, user, signals) for day, user in zip(days, users, strict=True)]
            in_columns += len(rows)
        rows += [in_words(i, it) for i, it in pairs if it is not None]
        assert sorted(rows, key=repr) == sorted(expected, key=repr)
        rejected += sum(type(it) is Reject for it in alone)
    assert in_columns > (500 if wanted == "events" and odd < 0.1 else 0)
    assert rejected > 300 or not odd


SHAPES = {
    "usual": [],
    "mixed": ["--users", 3000, "--days", 7, "--mixed", 1],
    "short": ["--line-bytes", 300, "--users", 20],
    "long": ["--line-bytes", 8000],
    "few users": ["--users", 3],
    "a year": ["--days", 365],
    "odd": ["--broken", 0.1, "--escapes", 0.2, "--mixed", 0.5, "--late", 0.3],
}
ANY = ["--max-rejects", "100%"]
ASKED = {
    "selective": [],
    "every line": ["--valuable-events=push_received,screen_view,session_start"],
}


@pytest.mark.sample(4)
@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("shape", SHAPES)
def test_all_ways_agree_on_every_shape(shape, asked, tmp_path):
    """One process, several, the pipe, parts, imports: the same numbers, and rejects."""
    events, truth = tmp_path / "events", tmp_path / "truth"
    size = ["--size", "12MB" if shape != "long" else "20MB", "--truth", truth]
    events.write_bytes(run("make-data", "engagement", *size, *SHAPES[shape]).stdout)
    found = {}
    for way in (["--jobs", 1], ["--jobs", 3], ["--pipe"], ["--validate", "--jobs", 2]):
        counted = run("count-active-users", *ASKED[asked], *way, events, check=None)
        assert counted.returncode in (0, 65), counted.stderr
        found[" ".join(map(str, way))] = counted.stdout
    run("count-active-users", *ASKED[asked], "--part", tmp_path / "part", events, check=None)
    run("merge-parts", "--db", tmp_path / "parts.db", *ANY, tmp_path / "part", check=None)
    run("import-active-users", "--db", tmp_path / "i.db", *ANY, *ASKED[asked], events, check=None)
    for name in ("parts.db", "i.db"):
        report = run("show-report", "--db", tmp_path / name, "active_users", "--format", "tsv")
        rows = [line.split("\t")[:2] for line in report.stdout.decode().splitlines()[1:]]
        found[name] = "".join(f"{day}\t{users}\n" for day, users in rows).encode()
    assert len(set(found.values())) == 1, {way: text[:100] for way, text in found.items()}
    assert found["--pipe"] == truth.read_bytes() if asked == "selective" else found["--pipe"]
