"""make-data recent-changes: the same every time, like the real stream, right about its answer."""

import json
from collections import Counter, defaultdict
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from headcount.formats.sse import Event, Parser, Rejected
from helpers.examples import examples
from helpers.programs import REAL, run

TYPES = {"edit", "new", "categorize", "log"}
EQIAD, CODFW = "eqiad.mediawiki.recentchange", "codfw.mediawiki.recentchange"
COMMON = ["$schema", "meta", "id", "type", "namespace", "title", "comment", "timestamp", "user"]
SERVER = ["server_url", "server_name", "server_script_path", "wiki", "parsedcomment"]
META = ["uri", "request_id", "id", "dt", "domain", "stream", "topic", "partition", "offset"]
ONE_TO_ONE = ["--duplicates", 0, "--canaries", 0]


def make(*options):
    return run("make-data", "recent-changes", *options, check=0).stdout


def events(*options):
    return [json.loads(line) for line in make(*options).split(b"\n")[:-1]]


def readable(line):
    """The event of a line, or None if it is a reject; and its meta, if that can be read."""
    try:
        event = json.loads(line.decode())
        json.dumps(event, ensure_ascii=False).encode()  # half a character is no JSON to us
    except ValueError:
        return None, None
    meta = event.get("meta")
    sound = (
        isinstance(meta, dict)
        and isinstance(event.get("wiki"), str)
        and isinstance(event.get("type"), str)
        and isinstance(event.get("bot"), bool)
        and type(event.get("timestamp")) is int
    )
    return (event if sound else None), meta


def counted(lines):
    """The truth of these lines, by another way than the maker's: all of them, at the end."""
    totals = Counter(events=len(lines), changes=0, canaries=0, duplicates=0, rejects=0)
    windows, offsets, seen = Counter(), defaultdict(set), set()
    for line in lines:
        event, meta = readable(line)
        if meta is not None:
            offsets[meta["topic"]].add(meta["offset"])
        if event is None:
            totals["rejects"] += 1
        elif meta["domain"] == "canary":
            totals["canaries"] += 1
        elif meta["id"] in seen:
            totals["duplicates"] += 1
        else:
            totals["changes"] += 1
            seen.add(meta["id"])
            start = datetime.fromtimestamp(event["timestamp"], UTC)
            start = start.replace(minute=start.minute // 15 * 15, second=0)
            key = (f"{start:%Y-%m-%dT%H:%M:%SZ}", event["wiki"], event["type"], int(event["bot"]))
            windows[key] += 1
    holes = []
    for topic, found in sorted(offsets.items()):
        missing = sorted(set(range(min(found), max(found))) - found)
        for offset in missing:
            if holes and holes[-1][0] == topic and holes[-1][3] == offset - 1:
                holes[-1][3] = offset
            else:
                holes.append([topic, 0, offset, offset])
    rows = [[*key, changes] for key, changes in sorted(windows.items())]
    return {"windows": rows, "totals": dict(totals), "holes": holes}


def test_same_options_same_bytes(tmp_path):
    options = ["--events", 2000, "--broken", 0.1, "--hostile", 0.1, "--holes", 9, "--sse"]
    once = make(*options, "--seed", 5, "--truth", tmp_path / "once")
    assert once == make(*options, "--seed", 5, "--truth", tmp_path / "twice")
    assert (tmp_path / "once").read_bytes() == (tmp_path / "twice").read_bytes()
    assert once != make(*options, "--seed", 6)


def test_size_ends_with_the_event_that_reaches_it():
    made = make("--size", "1.5MB")
    assert made.endswith(b"\n") and 1_500_000 <= len(made) < 1_504_096
    lines = made.split(b"\n")
    assert 1250 < len(made) / len(lines) < 1500
    sent = make("--size", "1.5MB", "--sse")
    assert sent.endswith(b"}\n\n") and 1_500_000 <= len(sent) < 1_504_096
    assert make("--events", 0) == b"" and make("--events", 0, "--sse") == b":ok\n\n"


def test_keys_come_in_the_order_of_the_stream():
    more = {
        "edit": ["minor", "patrolled", "length", "revision"],
        "new": ["minor", "patrolled", "length", "revision"],
        "categorize": [],
        "log": ["log_id", "log_type", "log_action", "log_params", "log_action_comment"],
    }
    seen = set()
    for event in events("--events", 2000):
        assert list(event) == [*COMMON, "bot", *more[event["type"]], *SERVER]
        assert list(event["meta"]) == META
        seen.add(event["type"])
    assert seen == TYPES


def test_real_edits_have_the_same_keys():
    path = REAL / "recent_changes" / "example.events"
    if not path.exists():
        pytest.skip(f"no real data at {path}")
    made = next(event for event in events() if event["type"] == "edit")
    for line in path.read_text().splitlines():
        if line.startswith("data: "):
            real = json.loads(line.removeprefix("data: "))
            assert list(real) == list(made) and list(real["meta"]) == list(made["meta"])
            assert {key: type(value) for key, value in real.items()} == {
                key: type(value) for key, value in made.items()
            }


def test_lines_are_compact_and_not_escaped():
    for line in make("--events", 500).decode().split("\n")[:-1]:
        event = json.loads(line)
        assert line == json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def test_time_goes_on_at_the_rate():
    found = events("--events", 4000, "--rate", 20, "--start", "2024-03-10T12:34:56+01:00")
    first = datetime(2024, 3, 10, 11, 34, 56, tzinfo=UTC).timestamp()
    times = [datetime.fromisoformat(event["meta"]["dt"]).timestamp() for event in found]
    assert times[0] == first == found[0]["timestamp"]
    assert 180 < max(times) - first < 220
    lags = {int(time) - event["timestamp"] for time, event in zip(times, found, strict=True)}
    assert lags == {0, 1, 2, 3}
    once = list(dict.fromkeys(times))  # without the repeats
    assert once == sorted(once)


def test_wikis_are_unequal_and_as_many_as_asked():
    found = Counter(event["wiki"] for event in events("--events", 20_000))
    assert len(found) == 40 and {"commonswiki", "enwiki", "made0wiki"} <= set(found)
    assert found["commonswiki"] > 5000 and min(found.values()) < 100
    assert {event["wiki"] for event in events("--wikis", 2)} == {"commonswiki", "wikidatawiki"}
    servers = {(event["wiki"], event["server_name"]) for event in events("--wikis", 200)}
    assert len(servers) == len(dict(servers)) == len({name for _, name in servers}) > 40


def test_users_are_unequal_and_some_are_bots():
    found = events("--events", 20_000)
    users = Counter(event["user"] for event in found)
    bots = {(event["user"], event["bot"]) for event in found}
    assert len(bots) == len(users) > 3000 and max(users.values()) > 500
    assert 0.15 < sum(event["bot"] for event in found) / len(found) < 0.5
    assert len({event["user"] for event in events("--users", 3)}) == 3


def test_ids_are_distinct_but_for_repeats_of_the_last_50():
    lines = make("--events", 5000, "--duplicates", 0).split(b"\n")[:-1]
    assert len({json.loads(line)["meta"]["id"] for line in lines}) == 5000
    lines = make("--events", 5000, "--duplicates", 0.2).split(b"\n")[:-1]
    made, repeats = [], 0
    for line in lines:
        if line in made[-50:]:
            repeats += 1
        else:
            made.append(line)
    assert 850 < repeats < 1150
    assert len({json.loads(line)["meta"]["id"] for line in made}) == len(made) == len(set(lines))


def test_offsets_are_consecutive_in_each_topic():
    offsets = defaultdict(list)
    for event in events("--events", 5000, "--duplicates", 0, "--canaries", 0.02):
        offsets[event["meta"]["topic"]].append(event["meta"]["offset"])
    assert set(offsets) == {EQIAD, CODFW} and 20 < len(offsets[CODFW]) < 250
    for found in offsets.values():
        assert found == list(range(found[0], found[0] + len(found)))


@pytest.mark.parametrize("holes", [1, 30, 300])
def test_holes_are_as_many_as_asked_and_spread(holes, tmp_path):
    lines = make("--events", 6000, "--holes", holes, "--truth", tmp_path / "t").split(b"\n")[:-1]
    truth = json.loads((tmp_path / "t").read_bytes())
    assert len(truth["holes"]) == holes and len(lines) == 6000
    sizes = [last - first + 1 for _, _, first, last in truth["holes"]]
    assert min(sizes) >= 1 and max(sizes) <= 20
    if holes == 300:
        assert {hole[0] for hole in truth["holes"]} == {EQIAD, CODFW}
        assert len(set(sizes)) == 20
        found = [first for topic, _, first, _ in truth["holes"] if topic == EQIAD]
        assert max(b - a for a, b in pairwise(found)) < 400


@pytest.mark.parametrize("seed", range(8))
def test_no_hole_is_before_the_first_event_of_a_topic_or_after_its_last(seed, tmp_path):
    made = make("--events", 800, "--holes", 60, "--seed", seed, "--truth", tmp_path / "t")
    truth = json.loads((tmp_path / "t").read_bytes())
    assert len(truth["holes"]) == 60 and truth == counted(made.split(b"\n")[:-1])


TRUTHS = {
    "default": [],
    "quarters of an hour": ["--rate", 0.5, "--wikis", 5],
    "before a quarter": ["--start", "2024-03-08T00:14:58Z", "--rate", 500],
    "repeats and canaries": ["--duplicates", 0.5, "--canaries", 0.2],
    "holes": ["--holes", 200],
    "holes and broken": ["--holes", 200, "--broken", 0.3, "--seed", 3],
    "hostile": ["--hostile", 0.2],
    "all": ["--holes", 20, "--broken", 0.1, "--hostile", 0.1, "--duplicates", 0.1, "--rate", 2],
    "all canaries": ["--canaries", 1, "--broken", 1],
    "all broken": ["--broken", 1, "--duplicates", 0.2],
    "all the same": ["--duplicates", 1],
}


@pytest.mark.parametrize("options", TRUTHS.values(), ids=TRUTHS)
def test_truth_is_what_a_reader_finds(options, tmp_path):
    for seed in ["--seed", 11], ["--seed", 12]:
        truth = tmp_path / "truth"
        lines = make("--events", 4000, *seed, *options, "--truth", truth).split(b"\n")[:-1]
        assert json.loads(truth.read_bytes()) == counted(lines)
        totals = json.loads(truth.read_bytes())["totals"]
        assert totals["events"] == 4000 == sum(totals.values()) / 2


def test_broken_part_is_rejected_and_may_be_a_hole(tmp_path):
    lines = make("--events", 4000, "--broken", 0.3, *ONE_TO_ONE).split(b"\n")[:-1]
    rejects = [line for line in lines if readable(line)[0] is None]
    assert 0.26 < len(rejects) / 4000 < 0.34
    hidden = [line for line in rejects if readable(line)[1] is None]
    assert 0.2 < len(hidden) / len(rejects) < 0.6
    assert any(b"\\ud800" in line for line in hidden) and any(b'"was"' in line for line in hidden)
    every = make("--events", 3000, "--broken", 1, *ONE_TO_ONE).split(b"\n")[:-1]
    assert all(readable(line)[0] is None for line in every)
    for key in b"wiki", b"type", b"bot", b"timestamp", b"meta":
        assert any(b'"%b":' % key not in line and line.endswith(b"}") for line in every)


def test_canaries_are_in_both_topics():
    found = events("--events", 4000, "--canaries", 0.1, "--duplicates", 0)
    topics = Counter(e["meta"]["topic"] for e in found if e["meta"]["domain"] == "canary")
    assert 320 < sum(topics.values()) < 480 and min(topics[EQIAD], topics[CODFW]) > 120
    assert not any(e["meta"]["domain"] == "canary" for e in events("--canaries", 0))


def test_hostile_part_is_json_all_the_same(tmp_path):
    plain = make("--events", 3000)
    assert b"<script" not in plain and "\u202e".encode() not in plain
    found = events("--events", 3000, "--hostile", 0.3, *ONE_TO_ONE)
    signs = ("<script>alert(1)</script>", "onerror=", "<svg", "javascript:", "\u202e", "\0", '"')
    for key in "title", "comment", "user", "parsedcomment":
        for sign in signs:
            assert any(sign in event[key] for event in found), (key, sign)
        assert max(len(event[key]) for event in found) > 9000
    usual = {event["user"] for event in events("--events", 20_000)}
    assert 0.25 < sum(event["user"] not in usual for event in found) / 3000 < 0.55


@pytest.mark.parametrize("options", [[], ["--broken", 0.2, "--hostile", 0.2, "--holes", 5]])
def test_server_sent_events_are_the_same_events(options):
    lines = make("--events", 2000, *options).split(b"\n")[:-1]
    sent = make("--events", 2000, *options, "--sse")
    assert sent.startswith(b":ok\n\nevent: message\nid: [{")
    found = list(Parser().feed(sent))
    assert len(found) == len(lines)
    for line, event in zip(lines, found, strict=True):
        if isinstance(event, Rejected):
            assert event.reject.reason == "not UTF-8" and b"\xff" in line
            continue
        assert isinstance(event, Event) and event.type == "message"
        assert event.data == line
        eqiad, codfw = json.loads(event.id)
        assert codfw == {"topic": CODFW, "partition": 0, "offset": -1}
        assert {**eqiad, "timestamp": 0} == {"topic": EQIAD, "partition": 0, "timestamp": 0}
        if meta := readable(line)[1]:
            made = datetime.fromisoformat(meta["dt"])
            assert round(made.timestamp() * 1000) == eqiad["timestamp"]


def test_help_and_its_example():
    text = run("make-data", "recent-changes", "--help", check=0).stdout.decode()
    assert max(map(len, text.splitlines())) <= 80
    (example,) = examples(text)
    assert example.command.startswith("make-data recent-changes --events 20 --seed 7 | grep -c")
    lines = make("--events", 20, "--seed", 7).splitlines()
    assert int(example.output) == sum(b'"meta"' in line for line in lines)


def test_usage_errors():
    for wrong in (
        ["--rate", "0"],
        ["--rate", "nan"],
        ["--rate", "soon"],
        ["--start", "soon"],
        ["--start", "1969-01-01T00:00:00Z"],
        ["--start", "9998-12-31T23:00:00Z", "--events", "1000000"],
        ["--wikis", "0"],
        ["--users", "0"],
        ["--holes", "-1"],
        ["--hostile", "2"],
    ):
        done = run("make-data", "recent-changes", *wrong, check=2)
        assert done.stderr.startswith(b"make-data recent-changes: ") and not done.stdout
