"""make-data: the same every time, like the real thing, and right about its own answer."""

import gzip
import itertools
import json
import re
import signal
import subprocess
from collections import Counter, defaultdict
from datetime import datetime
from pathlib import Path

import pytest

from reference import active_users as reference

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / "bin"
SAMPLE = ROOT / "data" / "sample"

# Events of each name in a thousand real ones.
REAL_MIX = {"push_received": 798, "user_engagement": 75, "screen_view": 48, "session_start": 20}


def run(program, *arguments, status=0, stdin=b""):
    done = subprocess.run([BIN / program, *map(str, arguments)], input=stdin, capture_output=True)
    assert done.returncode == status, (done.returncode, done.stderr)
    return done


def make(*arguments):
    return run("make-data", "engagement", *arguments).stdout


def strict(line):
    """The JSON object on a line; ValueError for what the strict reading of JSON forbids."""

    def no_constant(name):
        raise ValueError(name)

    found = json.loads(line.decode(), parse_constant=no_constant)
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


def parameters(event):
    return {p["key"]: next(iter(p["value"].values())) for p in event["event_params"]}


def active(event):
    found = parameters(event)
    return (
        event["event_name"] == "user_engagement"
        and int(found.get("engagement_time_msec", 0)) >= 3000
        and int(found.get("engaged_session_event", 0)) >= 1
    )


@pytest.fixture(scope="module")
def events():
    """Enough events to see shares of a percent."""
    return [strict(line) for line in make("--events", 20_000).splitlines()]


def test_same_options_same_bytes():
    options = ["--events", 2000, "--broken", 0.1, "--escapes", 0.1, "--late", 0.1]
    once = make(*options, "--seed", 5)
    assert once == make(*options, "--seed", 5)
    assert once != make(*options, "--seed", 6)


@pytest.mark.parametrize("escapes", [0, 1])
def test_every_line_is_an_event_of_the_real_length(escapes):
    lines = make("--events", 5000, "--escapes", escapes).splitlines(keepends=True)
    assert len(lines) == 5000
    for line in lines:
        event = strict(line)
        assert event["event_timestamp"].isdigit() and event["event_name"]
        assert re.fullmatch(r"[0-9a-f]{32}", event["user_pseudo_id"])
    assert 2200 < sum(map(len, lines)) / len(lines) < 2600


def test_keys_come_in_the_order_of_the_export(events):
    assert {tuple(event) for event in events} == {
        (
            "event_date",
            "event_timestamp",
            "event_name",
            "event_params",
            "event_server_timestamp_offset",
            "user_pseudo_id",
            "user_properties",
            "user_first_touch_timestamp",
            "mobile_os_hardware_model",
            "language",
            "time_zone_offset_seconds",
            "version",
        )
    }


def test_mix_of_events_is_the_real_one(events):
    names = Counter(event["event_name"] for event in events)
    assert len(names) == 12
    for name, of_thousand in REAL_MIX.items():
        assert 0.8 < names[name] / len(events) * 1000 / of_thousand < 1.2, name


def test_size_ends_with_the_line_that_reaches_it():
    made = make("--size", "1.5MB")
    assert made.endswith(b"\n")
    assert 1_500_000 <= len(made) < 1_500_000 + 4096


def test_engagements_of_every_sort(events):
    engagements = [parameters(e) for e in events if e["event_name"] == "user_engagement"]
    msec = [int(found["engagement_time_msec"]) for found in engagements]
    assert {2999, 3000} <= set(msec)
    assert 0.1 < sum(value < 3000 for value in msec) / len(msec) < 0.5
    engaged = Counter(found.get("engaged_session_event") for found in engagements)
    assert engaged.keys() == {"1", "0", None} and min(engaged.values()) > 20
    # and others that look like one in all but the name
    assert any(
        "engagement_time_msec" in parameters(e) for e in events if e["event_name"] == "screen_view"
    )


def test_device_offsets_follow_the_clock_change(events):
    chicago = {-21600, -18000}
    offsets = defaultdict(set)
    for event in events:
        offsets[event["user_pseudo_id"]].add(int(event["time_zone_offset_seconds"]))
    assert any(seen == chicago for seen in offsets.values())
    assert len(set.union(*offsets.values())) > 5
    assert all(len(seen) <= 2 for seen in offsets.values())


def lateness(*options):
    """Of each line, how many seconds it is behind the latest event before it."""
    latest, behind = 0.0, []
    for line in make("--events", 5000, *options).splitlines():
        second = int(strict(line)["event_timestamp"]) / 1e6
        latest = max(latest, second)
        behind.append(latest - second)
    return behind


def test_late_events_come_up_to_three_days_after_their_time():
    usual = lateness("--late", 0, "--duplicates", 0)
    assert 10 < max(usual) < 3600
    late = lateness("--late", 0.2, "--duplicates", 0)
    assert 0.15 < sum(seconds > 3600 for seconds in late) / len(late) < 0.2
    assert 2 * 86_400 < max(late) < 3.1 * 86_400


def test_duplicates_repeat_whole_lines():
    assert len(set(make("--events", 3000, "--duplicates", 0).splitlines())) == 3000
    lines = make("--events", 3000, "--duplicates", 0.2).splitlines()
    assert 0.17 < 1 - len(set(lines)) / len(lines) < 0.23


def test_escapes_spell_names_too():
    plain = make("--events", 3000)
    assert b"\\" not in plain
    lines = make("--events", 3000, "--escapes", 0.3).splitlines()
    escaped = [line for line in lines if b"\\" in line]
    assert 0.24 < len(escaped) / len(lines) < 0.36
    hidden = [
        line
        for line in escaped
        if strict(line)["event_name"] == "user_engagement" and b'"user_engagement"' not in line
    ]
    assert len(hidden) > 10
    for spelling in (rb"\"", rb"\/", rb"\u00e9"):
        assert any(spelling in line for line in escaped)


ANSWERS = {
    "default": [],
    "seed": ["--seed", 77, "--users", 400],
    "broken": ["--broken", 0.2, "--users", 800],
    "escapes": ["--escapes", 0.5, "--users", 800],
    "repeated and late": ["--duplicates", 0.4, "--late", 0.4],
    "device": ["--tz", "device", "--users", 1500],
    "Lord Howe": ["--tz", "Australia/Lord_Howe", "--start", "2024-04-05", "--users", 1500],
    "changes at 00:01": ["--tz", "America/St_Johns", "--start", "2010-11-05", "--users", 9000],
    "a day left out": ["--tz", "Pacific/Apia", "--start", "2011-12-28", "--users", 3000],
    "all": ["--broken", 0.1, "--escapes", 0.3, "--duplicates", 0.2, "--late", 0.2, "--seed", 3],
}


@pytest.mark.parametrize("options", ANSWERS.values(), ids=ANSWERS)
def test_truth_is_what_count_active_users_finds(options, tmp_path):
    truth = tmp_path / "truth"
    made = make("--events", 12_000, "--engagements", 0.4, "--truth", truth, *options)
    zone = options[options.index("--tz") + 1] if "--tz" in options else "America/Chicago"
    status = 65 if "--broken" in options else 0
    found = run("count-active-users", "--tz", zone, stdin=made, status=status).stdout
    assert found == truth.read_bytes()
    assert len(found.splitlines()) >= 4


def test_counting_events_or_other_days_gives_other_numbers(tmp_path):
    truth = tmp_path / "truth"
    made = make("--events", 20_000, "--truth", truth)
    zone = reference.zone("America/Chicago")
    counted, by_property, by_utc = Counter(), defaultdict(set), defaultdict(set)
    users = defaultdict(set)
    for event in filter(active, map(strict, made.splitlines())):
        second = int(event["event_timestamp"]) // 1_000_000
        day = datetime.fromtimestamp(second, zone).date().isoformat()
        counted[day] += 1
        users[day].add(event["user_pseudo_id"])
        by_property[event["event_date"]].add(event["user_pseudo_id"])
        by_utc[second // 86_400].add(event["user_pseudo_id"])
    told = dict(line.split("\t") for line in truth.read_text().splitlines())
    told = {day: int(count) for day, count in told.items()}
    assert told == {day: len(found) for day, found in users.items()}
    assert all(counted[day] > 1.4 * count for day, count in told.items())
    for wrong in (by_property, by_utc):
        assert [len(wrong[day]) for day in sorted(wrong)] != [told[day] for day in sorted(told)]


def test_broken_lines_are_rejected_every_one(tmp_path):
    made = make("--events", 4000, "--broken", 0.3)
    broken = 0
    for line in made.splitlines():
        try:
            event = strict(line)
            assert isinstance(event["event_name"], str)
            assert isinstance(event["user_pseudo_id"], str)
            assert event["event_timestamp"].isdigit()
        except (ValueError, KeyError, AssertionError):
            broken += 1
    assert 0.26 < broken / 4000 < 0.34
    rejects = tmp_path / "rejects"
    run("count-active-users", "--validate", "--rejects", rejects, stdin=made, status=65)
    reasons = [json.loads(line)["reason"] for line in rejects.read_text().splitlines()]
    assert len(reasons) == broken
    assert len({reason.partition(":")[0] for reason in reasons}) >= 7


def test_usage_errors():
    for wrong in (
        ["--events", "5", "--size", "1MB"],
        ["--size", "big"],
        ["--broken", "1.5"],
        ["--late", "nan"],
        ["--start", "soon"],
        ["--users", "0"],
        ["--days", "9999999"],
        ["--tz", "America/Chicaco"],
    ):
        done = run("make-data", "engagement", *wrong, status=2)
        assert done.stderr.startswith(b"make-data engagement: ") and not done.stdout
    assert b"name a kind: " in run("make-data", status=2).stderr
    assert b"engagement" in run("make-data", "tea", status=2).stderr


def test_a_closed_pipe_is_quiet_and_a_full_disk_is_not(tmp_path):
    pipe = 'set -o pipefail; "$1" engagement --size 50MB | head -1'
    done = subprocess.run(["bash", "-c", pipe, "_", BIN / "make-data"], capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"") and done.stdout.count(b"\n") == 1
    for redirection in (">/dev/full", "--truth /dev/full", f"--truth {tmp_path}/none/truth"):
        command = f'"$1" engagement {redirection}'
        done = subprocess.run(["bash", "-c", command, "_", BIN / "make-data"], capture_output=True)
        assert done.returncode == 74 and done.stderr.startswith(b"make-data: cannot write")


def test_interrupt_stops_it_after_a_whole_line(tmp_path):
    with (tmp_path / "made").open("wb") as made:
        maker = subprocess.Popen(
            [BIN / "make-data", "engagement", "--size", "2GB"],
            stdout=made,
            stderr=subprocess.PIPE,
        )
        while not (tmp_path / "made").stat().st_size:
            assert maker.poll() is None
        maker.send_signal(signal.SIGINT)
        assert maker.communicate() == (None, b"")
    assert maker.returncode == 130
    strict((tmp_path / "made").read_bytes().splitlines()[-1])


def test_sample_is_what_its_readme_makes(tmp_path):
    (tmp_path / "bin").symlink_to(BIN)
    (tmp_path / "data" / "sample").mkdir(parents=True)
    readme = (SAMPLE / "README.md").read_text()
    command = re.search(r"^    (bin/make-data .*)$", readme, re.M).group(1)
    subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=tmp_path, check=True)
    remade = tmp_path / "data" / "sample"
    packed = (SAMPLE / "events.jsonl.gz").read_bytes()
    assert 1_000_000 < len(packed) < 2_000_000
    assert gzip.decompress((remade / "events.jsonl.gz").read_bytes()) == gzip.decompress(packed)
    assert (remade / "truth.tsv").read_bytes() == (SAMPLE / "truth.tsv").read_bytes()


def test_sample_has_its_truth():
    found = run("count-active-users", SAMPLE / "events.jsonl.gz").stdout
    assert found == (SAMPLE / "truth.tsv").read_bytes()
    counts = [int(line.split(b"\t")[1]) for line in found.splitlines()]
    assert len(counts) == 10 and min(counts) >= 50 and max(counts) <= 200


@pytest.mark.parametrize("size", [300, 700, 1100, 1600, 8000])
def test_other_shapes(size, tmp_path):
    """Short lines, long ones, and days in no order: the answer is right all the same."""
    truth = tmp_path / "truth"
    options = ("--events", 4000, "--line-bytes", size, "--mixed", 1, "--truth", truth)
    lines = make(*options).splitlines()
    assert 0.7 * size < sum(map(len, lines)) / len(lines) < 1.3 * size
    days = [strict(line)["event_date"] for line in lines]
    assert sum(one != other for one, other in itertools.pairwise(days)) > 2000
    content = b"\n".join(lines)
    assert run("count-active-users", "--validate", stdin=content).stdout == truth.read_bytes()


def test_lines_that_are_too_short():
    done = run("make-data", "engagement", "--line-bytes", 299, status=2)
    assert b"300 or more" in done.stderr and not done.stdout


def test_users_have_the_same_dimensions_in_all_their_events():
    """Few values have most of the users; without these fields the events are the same."""
    plain = make("--events", 5_000, "--users", 1_500).splitlines()
    lines = make("--events", 5_000, "--users", 1_500, "--with-dimensions").splitlines()
    of_users, names = {}, ("platform", "geo", "app_info")
    for line, other in zip(lines, plain, strict=True):
        event = json.loads(line)
        found = {name: event.pop(name) for name in names}
        assert event == json.loads(other)
        assert of_users.setdefault(event["user_pseudo_id"], found) == found
    versions = Counter(found["app_info"]["version"] for found in of_users.values())
    cities = Counter(found["geo"]["city"] for found in of_users.values())
    countries = {(found["geo"]["city"], found["geo"]["country"]) for found in of_users.values()}
    assert len(versions) == 10 and versions.most_common(1)[0][1] > len(of_users) / 4
    assert len(countries) == len(cities) > 300 and len({country for _, country in countries}) == 50
    assert cities.most_common(1)[0][1] > len(of_users) / 20
