"""Events of other sources: counted as a slow reference counts them, and as their maker knows."""

import json
import sqlite3
from collections import defaultdict

import pytest
from pyroaring import BitMap

from headcount.pipelines.active_users.events import source
from helpers.programs import REAL, ROOT, run
from reference import sources as reference

SHAPES = REAL.parent / "cases" / "shapes"
KINDS = ROOT / "lib" / "headcount" / "testdata" / "kinds"
# Whose events can be made: what has a generator is tested here.
MADE = [
    name
    for name in source.names()
    if source.find(name).user
    and name != source.GA4
    and (KINDS / f"{name.replace('-', '_')}.py").exists()
]
# Those that the reference knows: their function, another user that is in each event or absent, and
# events to count by name.
KNOWN = {
    "segment": (reference.segment, ("anonymousId",), ("Order Completed", "page")),
    "amplitude": (reference.amplitude, ("user_id", "device_id"), ("purchase", "login")),
    "mixpanel": (reference.mixpanel, (), ("Purchase", "$mp_web_page_view")),
    "posthog": (reference.posthog, ("distinct_id",), ("$pageview",)),
}
HARD = ("--broken", "0.03", "--unusual", "0.1", "--late", "0.1", "--duplicates", "0.05")
TZS = ["America/Chicago", "Asia/Kathmandu", "Australia/Lord_Howe"]
every_known = pytest.mark.parametrize("name", KNOWN)


def made(name, path, *options, events=1500):
    """A file of made-up events, and its truth."""
    truth = path.with_suffix(".truth")
    done = run("make-data", name, "--events", events, "--truth", truth, *options, check=0)
    path.write_bytes(done.stdout)
    return path, truth.read_bytes()


@pytest.fixture(scope="module")
def hard(tmp_path_factory):
    """A file of each source with everything that makes events hard to count; made once."""
    files = {}

    def of(name):
        if name not in files:
            path = tmp_path_factory.mktemp(name) / "events.jsonl"
            files[name] = made(name, path, *HARD, "--seed", "5")[0]
        return files[name]

    return of


def lines_of(path):
    return path.read_bytes().removesuffix(b"\n").split(b"\n")


def expected(name, path, **options):
    function, _, _ = KNOWN[name]
    return reference.active(lines_of(path), function, **options)


def count(name, *arguments, check=65):
    return run("count-active-users", "--quiet", "--source", name, *arguments, check=check)


def test_every_tracker_is_here():
    assert set(KNOWN) <= set(MADE)


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_truth(name, seed, tmp_path):
    """As the generator knows it, around a change of the clock."""
    options = ("--start", "2024-11-01") if seed == 3 else ()
    path, truth = made(name, tmp_path / "events", *options, "--seed", seed)
    assert truth.count(b"\n") >= 5
    assert count(name, path, check=0).stdout == truth


@pytest.mark.parametrize("name", MADE)
def test_nothing_is_said_of_what_is_as_expected(name, tmp_path):
    """The last columns of a TSV are empty in all of these lines."""
    path, truth = made(name, tmp_path / "events", "--unusual", "0")
    done = run("count-active-users", "--source", name, path, check=0)
    assert (done.stdout, done.stderr) == (truth, b"")


@every_known
@pytest.mark.parametrize("tz", TZS)
def test_counts(name, tz, hard):
    users, rejected = expected(name, hard(name), tz=tz)
    assert rejected > 10
    done = count(name, "--tz", tz, hard(name))
    assert done.stdout == reference.counts(users)


@every_known
def test_truth_of_hard_events(name, tmp_path):
    """Broken lines count for nobody, unusual ones as any other."""
    path, truth = made(name, tmp_path / "events", *HARD, "--seed", "8")
    assert count(name, path).stdout == truth == reference.counts(expected(name, path)[0])


@every_known
def test_rejects(name, hard, tmp_path):
    count(name, "--rejects", tmp_path / "rejects", hard(name))
    rejects = [json.loads(line) for line in (tmp_path / "rejects").read_text().splitlines()]
    assert len(rejects) == expected(name, hard(name))[1]
    lines = lines_of(hard(name))
    for reject in rejects:
        if "raw" in reject:
            assert reject["raw"].encode() == lines[reject["line"] - 1]
    assert {"not JSON", "wrong type", "unidentified", "bad time"} <= {
        reject["reason"].partition(":")[0] for reject in rejects
    }


@every_known
@pytest.mark.parametrize("more", [("--pipe",), ("--jobs", "1"), ("--jobs", "3"), ("--validate",)])
def test_ways_to_count(name, more, hard):
    assert count(name, *more, hard(name)).stdout == count(name, hard(name)).stdout != b""


@every_known
@pytest.mark.parametrize("more", [(), ("--pipe",)], ids=["fused", "pipe"])
def test_valuable_events(name, more, hard):
    _, _, names = KNOWN[name]
    users, _ = expected(name, hard(name), names=names)
    assert users != expected(name, hard(name))[0]
    done = count(name, "--valuable-events", ",".join(names), *more, hard(name))
    assert done.stdout == reference.counts(users)


@every_known
def test_user(name, hard):
    _, user, _ = KNOWN[name]
    if not user:
        pytest.skip("its users are within properties")
    users, _ = expected(name, hard(name), user=user)
    assert users != expected(name, hard(name))[0]
    done = count(name, "--user", ",".join(user), hard(name))
    assert done.stdout == reference.counts(users)


@every_known
def test_import(name, hard, tmp_path):
    """The store has the very users, whatever order their files come in, and however often."""
    lines = hard(name).read_bytes().splitlines(keepends=True)
    half, db = tmp_path / "half.jsonl", tmp_path / "a.db"
    half.write_bytes(b"".join(lines[len(lines) // 2 :]))
    for path in (half, hard(name)):
        options = ("--db", db, "--source", name, "--quiet", "--max-rejects", "10%")
        run("import-active-users", *options, path, check=65)
    with sqlite3.connect(db) as store:
        keys = dict(store.execute("SELECT id, key FROM user"))
        found = defaultdict(set)
        for day, users in store.execute("SELECT date, users FROM active_day"):
            found[day] |= {keys[i] for i in BitMap.deserialize(users)}
    assert found == expected(name, hard(name))[0]


# ---- whose events these are


@pytest.mark.parametrize("name", MADE)
def test_made_events_are_told_as_their_own(name, tmp_path):
    if name == source.FIELDS:
        pytest.skip("anybody's")
    path, _ = made(name, tmp_path / "events", "--unusual", "0.2", events=200)
    told = set()
    for line in lines_of(path):
        event = json.loads(line) if line.startswith(b"{") else None
        told.add(name if event is None else source.told(event))
    assert told == {name}


SAMPLES = sorted(SHAPES.glob("2[0-6]-*")) or [None]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name if path else "none")
def test_shared_samples(sample, tmp_path):
    """Three users by their own source; by any other a refusal that names it."""
    if sample is None:
        pytest.skip(f"no samples at {SHAPES}")
    name = {"cloudevents": "cloudevents", "access": "access-log"}.get(
        sample.stem[3:], sample.stem[3:]
    )
    if name not in source.names():
        pytest.skip(f"no source {name} yet")
    if name == "cloudevents":
        pytest.skip("the user is wherever one says")
    assert count(name, "--tz", "UTC", sample, check=0).stdout == b"2026-01-10\t3\n"
    for other in (*KNOWN, source.GA4):
        if other != name:
            done = count(other, sample, check=66)
            assert not done.stdout
            assert f"{sample}: expected".encode() in done.stderr
            assert f"use --source {name}; ".encode() in done.stderr


def test_a_key_within_an_object_tells():
    event = {"event": "a", "properties": {"time": 1, "distinct_id": "b"}}
    assert source.told(event) == "mixpanel"
    assert source.told(event | {"properties": {}}) is None


def test_milliseconds_of_mixpanel_are_refused_or_read(tmp_path):
    """An export with time_in_ms=true."""
    path = tmp_path / "events.jsonl"
    event = {"event": "a", "properties": {"time": 1768060800000, "distinct_id": "u"}}
    path.write_text(json.dumps(event))
    done = count("mixpanel", "--tz", "UTC", path, check=66)
    assert b"use --time-unit ms" in done.stderr
    done = count("mixpanel", "--tz", "UTC", "--time-unit", "ms", path, check=0)
    assert done.stdout == b"2026-01-10\t1\n"


def test_amplitude_events_as_they_are_sent(tmp_path):
    """The HTTP API's have milliseconds, and no amplitude_id."""
    path = tmp_path / "events.jsonl"
    event = {"event_type": "a", "user_id": "u", "device_id": "d", "time": 1768060800000}
    path.write_text(json.dumps(event))
    done = count("amplitude", "--tz", "UTC", path, check=66)
    assert b"without amplitude_id; name the field of the user with --user" in done.stderr
    options = ("--tz", "UTC", "--user", "user_id,device_id")
    assert count("amplitude", *options, path, check=0).stdout == b"2026-01-10\t1\n"


@pytest.mark.parametrize("time", [True, ["2026-01-10"], {"at": 1}, 1e300, "", "soon", -(10**40)])
def test_a_time_of_any_kind_is_a_reject(time, tmp_path):
    path = tmp_path / "events.jsonl"
    good = {"event": "a", "properties": {"time": 1768060800, "distinct_id": "u"}}
    bad = {"event": "a", "properties": {"time": time, "distinct_id": "v"}}
    path.write_text(f"{json.dumps(good)}\n{json.dumps(bad)}\n")
    done = count("mixpanel", "--tz", "UTC", path)
    assert done.stdout == b"2026-01-10\t1\n"
    assert b"Traceback" not in done.stderr


def test_a_number_beyond_floats_in_another_field_costs_nothing():
    """Neither where a field that is read has an unusual type: then any JSON is decoded."""
    at, digits = '"time": "2024-03-10T18:00:00Z"', "9" * 5000
    good = [
        f'{{{at}, "a": "text", "c": "u1", "x": 1e400}}',
        f'{{{at}, "a": {{"b": "u2"}}, "x": [-1e99999999999999999999]}}',
        f'{{{at}, "a": ["q"], "c": "u3", "x": {digits}}}',
        f'{{{at}, "a": "t", "c": "u4", "x": "{{\\"y\\": 1e400}}"}}',
    ]
    bad = [
        '{"time": 1e400, "a": [1], "c": "u5"}',
        f'{{"time": {digits}, "a": [1], "c": "u5"}}',
        f'{{{at}, "a": [1], "c": {digits}}}',
        f'{{{at}, "a": [1], "c": 1e400}}',
        f'{{{at}, "a": [1], "c": "u5", "x": 1e4z}}',
    ]
    lines = "".join(line + "\n" for pair in zip(good, bad, strict=False) for line in pair)
    fields = ("--source", "fields", "--field", "user=a.b,c", "--field", "time=time")
    for content, status in ((lines, 65), ("\n".join(good), 0)):
        done = run("count-active-users", *fields, stdin=content.encode(), check=status)
        assert b"Traceback" not in done.stderr
        assert done.stdout == b"2024-03-10\t4\n"
