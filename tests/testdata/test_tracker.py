"""make-data of trackers: the same every time, of the size it says, with what it promises in it."""

import json
from collections import defaultdict
from itertools import pairwise

import pytest

from headcount.testdata.kinds import amplitude, mixpanel, posthog, segment
from helpers.programs import run

TRACKERS = {
    "segment": segment._TRACKER,
    "amplitude": amplitude._TRACKER,
    "mixpanel": mixpanel._TRACKER,
    "posthog": posthog._TRACKER,
}
every_tracker = pytest.mark.parametrize("name", TRACKERS)


def make(name, *arguments):
    return run("make-data", name, *arguments, check=0).stdout


@every_tracker
def test_same_options_same_bytes(name):
    options = ("--events", 500, "--broken", 0.1, "--unusual", 0.1, "--late", 0.1)
    once = make(name, *options, "--seed", 5)
    assert once == make(name, *options, "--seed", 5)
    assert once != make(name, *options, "--seed", 6)


@every_tracker
def test_lines_have_the_length_that_users_are_reckoned_by(name):
    lines = make(name, "--events", 1000).splitlines(keepends=True)
    mean = sum(map(len, lines)) / len(lines)
    assert 0.75 < mean / TRACKERS[name].line < 1.25


def test_visitors_log_in_and_some_have_two_devices():
    calls = [json.loads(line) for line in make("segment", "--events", 3000).splitlines()]
    users, devices = defaultdict(set), defaultdict(set)
    for call in calls:
        users[call["anonymousId"]].add(str(call["userId"] or ""))
        if call["userId"]:
            devices[str(call["userId"])].add(call["anonymousId"])
    assert all(len(seen - {""}) <= 1 for seen in users.values())  # one account a device
    assert sum(len(seen) == 2 for seen in users.values()) > 3  # before a login and behind it
    assert sum(len(seen) == 2 for seen in devices.values()) > 3


def test_events_come_late_and_twice():
    lines = make(
        "posthog", "--events", 2000, "--duplicates", 0.1, "--late", 0.1, "--unusual", 0
    ).splitlines()
    assert 100 < len(lines) - len(set(lines)) < 300
    times = [json.loads(line)["timestamp"] for line in dict.fromkeys(lines)]
    assert sum(one > other for one, other in pairwise(times)) > 100


def test_days_are_those_of_a_zone():
    done = run("make-data", "segment", "--tz", "device", check=2)
    assert b"--tz: expected the name of a zone, got device" in done.stderr
