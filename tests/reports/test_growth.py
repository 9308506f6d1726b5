"""The reports that follow from the sets of users, against brute force over Python's own sets."""

import csv
import io
import json
from datetime import date, timedelta
from random import Random

import pytest

from headcount.reports import catalogue, charts
from helpers.events import event
from helpers.programs import run
from helpers.sessions import query
from reference import active_users as reference
from reference.active_users import Options

DAY = 86_400 * 10**6
START = date(2024, 2, 20)  # clocks change, and a leap day is among the days
DAYS, USERS = 60, 5_000
EVENTS = ("purchase", "level_up")

ZONES = {  # where local days are cut; with each what makes a user valuable
    "America/Chicago": (),
    "UTC": EVENTS,
    "America/St_Johns": (),
    "Africa/Monrovia": (),
    "Australia/Lord_Howe": EVENTS,
    "Asia/Kathmandu": (),
    "device": (),
}


@pytest.fixture(scope="module")
def lines():
    """Users who come often, seldom, no more, or again after weeks; some days without anybody."""
    rng = Random(20240220)
    midnight = (START - date(1970, 1, 1)).days * DAY
    made = []
    for user in range(USERS):
        first = rng.randrange(DAYS)
        last = rng.randrange(first, DAYS) if rng.random() < 0.4 else DAYS
        pause = range(rng.randrange(DAYS), DAYS) if rng.random() < 0.3 else range(0)
        share = rng.choice([0.03, 0.1, 0.5])
        for day in range(first, last):
            if rng.random() > share or day in pause[:30] or day in (17, 40, 41):
                continue
            micros = midnight + day * DAY + rng.randrange(DAY)
            who = {"user": f"u{user}", "offset": rng.choice([-21_600, 0, 20_700])}
            engaged = {"msec": rng.choice([900, 3000]), "engaged": rng.randrange(4)}
            made.append(event(micros=micros, **who, **engaged))
            if rng.random() < 0.7:
                made.append(event(rng.choice(EVENTS), micros=micros + 1, msec=None, **who))
    rng.shuffle(made)
    return made


class Truth:
    """The users of each local day, and what follows from them, by definition."""

    def __init__(self, days):
        self.days = {date.fromisoformat(day): users for day, users in days.items() if users}
        self.first, self.last = min(self.days), max(self.days)
        self.first_day = {}
        for day in sorted(self.days):
            for user in self.days[day]:
                self.first_day.setdefault(user, day)

    def between(self, since, until):
        return set().union(*(users for day, users in self.days.items() if since <= day <= until))

    def calendar(self):
        return [self.first + timedelta(n) for n in range((self.last - self.first).days + 1)]

    def rolling(self, window):
        found = {day: self.between(back(day, window - 1), day) for day in self.calendar()}
        return [(str(day), len(users)) for day, users in found.items() if users]

    def stickiness(self, window):
        for day in sorted(self.days):
            daily = len(self.days[day])
            month = len(self.between(back(day, window - 1), day))
            yield str(day), daily, month, round(100 * daily / month, 2)

    def retention(self, days, last):
        start = (lambda day: day) if days == 1 else (lambda day: back(day, day.weekday()))
        cohorts = {}
        for user, day in self.first_day.items():
            cohorts.setdefault(start(day), set()).add(user)
        for cohort in sorted(cohorts):
            for later in range(last + 1):
                since = cohort + timedelta(later * days)
                until = since + timedelta(days - 1)
                if until <= self.last:
                    users = len(cohorts[cohort] & self.between(since, until))
                    yield str(cohort), len(cohorts[cohort]), later, users

    def kinds(self, away):
        for day in sorted(self.days):
            users = self.days[day]
            new = {user for user in users if self.first_day[user] == day}
            lately = self.between(back(day, away), back(day, 1))
            yield str(day), len(users), len(new), len(users & lately), len(users - new - lately)

    def weekdays(self):
        names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
        for number, name in enumerate(names):
            some = [users for day, users in self.days.items() if day.weekday() == number]
            sizes = [len(users) for users in some]
            mean = round(sum(sizes) / len(sizes), 1)
            yield name, len(sizes), mean, min(sizes), max(sizes), len(set().union(*some))

    def compare(self, since, until, before):
        length = (until - since).days + 1
        sides = []
        for start in (since, before):
            end = start + timedelta(length - 1)
            users = self.between(start, end)
            sizes = [len(some) for day, some in self.days.items() if start <= day <= end]
            new = {user for user in users if start <= self.first_day[user] <= end}
            sides.append((users, sum(sizes) / length, len(new), len(sizes)))
        (here, daily, new, days), (there, *others) = sides
        stayed = len(here & there)
        return {
            "users": (len(here), len(there)),
            "users a day": (daily, others[0]),
            "new users": (new, others[1]),
            "in both": (stayed, stayed),
            "not in the other": (len(here - there), len(there - here)),
            "days with users": (days, others[2]),
        }


def back(day, days):
    return day - timedelta(days)


@pytest.fixture(scope="module", params=ZONES)
def world(request, lines, tmp_path_factory):
    """A database, and the truth about it."""
    options = Options(tz=request.param, valuable_events=ZONES[request.param])
    answer = reference.answer(lines, options)
    truth = Truth({day: reference.active_users(e, options) for day, e in answer.events.items()})
    db = tmp_path_factory.mktemp("world") / "my.db"
    names = ",".join(options.valuable_events)
    more = ["--valuable-events", names] if names else []
    given = ["--db", db, "--quiet", "--tz", options.tz, *more]
    run("import-active-users", *given, stdin=b"".join(lines), check=0)
    return db, truth


def rows(db, name, *columns, **params):
    given = [word for pair in params.items() for word in ("--param", "=".join(map(str, pair)))]
    text = run("show-report", "--db", db, name, "--format", "json", *given, check=0).stdout
    return [tuple(row[column] for column in columns) for row in json.loads(text)]


@pytest.mark.sample(30)
@pytest.mark.parametrize("window", [1, 7, 28, 30])
def test_rolling_active_users(world, window):
    db, truth = world
    found = rows(db, "active_users", "date", "users", window=window)
    assert found == truth.rolling(window) and len(found) > 55
    for day, status in rows(db, "active_users", "date", "status", window=window):
        known = date.fromisoformat(day) - truth.first >= timedelta(window - 1)
        assert status == ("final" if known else "partial")
    if window == 1:
        assert found == query(db, "SELECT date, active_user_count FROM active_user_table")
    part = rows(db, "active_users", "date", "users", window=window, since="2024-03-15")
    assert part == [row for row in found if row[0] >= "2024-03-15"]


@pytest.mark.sample(5)
def test_stickiness(world):
    db, truth = world
    for window in (28, 7):
        columns = ("date", "daily", "in_window", "percent")
        found = rows(db, "stickiness", *columns, window=window)
        assert found == [pytest.approx(row) for row in truth.stickiness(window)]
        status = [row[0] for row in rows(db, "stickiness", "status", window=window)]
        assert status[0] == status[window - 4] == "partial" and status[window] == "final"


@pytest.mark.sample(3)
def test_retention(world):
    db, truth = world
    for by, days, last in (("week", 7, 12), ("day", 1, 60), ("day", 1, 3)):
        columns = ("cohort", "size", "later", "users", "percent")
        found = rows(db, "retention", *columns, by=by, last=last)
        assert [row[:4] for row in found] == list(truth.retention(days, last))
        for _, size, later, users, percent in found:
            assert percent == pytest.approx(100 * users / size, abs=0.006)
            assert later or users == size
    assert any(row[3] == 0 for row in truth.retention(1, 60)) and len(found) > 200


@pytest.mark.sample(2)
def test_new_returning_and_resurrected(world):
    db, truth = world
    for away in (28, 7):
        columns = ("date", "users", "new", "returning", "resurrected")
        found = rows(db, "new_returning_resurrected", *columns, away=away)
        assert found == list(truth.kinds(away))
        states = rows(db, "new_returning_resurrected", "date", "status", away=away)
        whole = str(truth.first + timedelta(away))
        assert states == [(row[0], "final" if row[0] >= whole else "partial") for row in found]
        assert {state for _, state in states} == {"partial", "final"}
        assert all(sum(row[2:]) == row[1] for row in found) and any(row[4] for row in found)


def test_by_weekday(world):
    db, truth = world
    columns = ("weekday", "days", "mean", "least", "most", "users")
    found = rows(db, "active_users_by_weekday", *columns)
    assert found == [pytest.approx(row) for row in truth.weekdays()]


@pytest.mark.sample(6)
def test_compare(world):
    db, truth = world
    week = back(truth.last, 6)
    given = {"since": "2024-03-20", "until": "2024-04-08"}
    for params, since, until, before in (
        ({}, week, truth.last, back(week, 7)),
        (given, *dates("2024-03-20 2024-04-08 2024-02-29")),
        ({"with": "2024-02-22"}, week, truth.last, date(2024, 2, 22)),
        ({"with": "year"}, week, truth.last, back(week, 364)),
    ):
        expected = truth.compare(since, until, before)
        found = rows(db, "compare", "measure", "period", "before", **params)
        assert [row[0] for row in found] == list(expected)
        for measure, *sides in found:  # the mean is rounded
            assert sides == pytest.approx(expected[measure], abs=0.051), measure
        columns = ("period", "before", "change", "percent", "days", "days_before")
        end = before + (until - since)
        for here, there, change, percent, *days in rows(db, "compare", *columns, **params):
            assert days == [f"{since}/{until}", f"{before}/{end}"]
            assert change == pytest.approx(here - there, abs=0.01)
            assert percent == (pytest.approx(100 * change / there, abs=0.01) if there else None)


def dates(text):
    return map(date.fromisoformat, text.split())


# ---- how they look, and what is odd


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    """Two users in a week, one of them far away from it; nobody valuable on the 2nd."""
    path = tmp_path_factory.mktemp("odd") / "my.db"
    monday = (date(2024, 1, 1) - date(1970, 1, 1)).days * DAY + DAY // 2
    made = [event(user="ann", micros=monday + day * DAY) for day in (0, 2, 3, 7, 8)]
    made += [event(user="bob", micros=monday + DAY, engaged=0), event(user="bob", micros=monday)]
    made += [event(user="eve", micros=5), event(user="eve", micros=250_000_000_000_000_000)]
    given = ["--db", path, "--quiet", "--earliest=1970-01-01", "--latest=9998-12-31"]
    run("import-active-users", *given, stdin=b"".join(made), check=0)
    return path


GROWTH = ["active_users", "stickiness", "new_returning_resurrected", "active_users_by_weekday"]
GROWTH += ["retention", "compare"]


def test_clocks_of_centuries_ago_and_ahead_do_not_fill_the_years_between(db):
    assert rows(db, "active_users", "date", "users", window=7)[:8] == [
        *((f"{day}", 1) for day in ("1969-12-31", *(f"1970-01-0{n}" for n in range(1, 7)))),
        ("2024-01-01", 2),
    ]
    for name in GROWTH:
        assert run("show-report", "--db", db, name, check=0).stdout.count(b"\n") < 300


@pytest.mark.sample(6)
@pytest.mark.parametrize("name", GROWTH)
def test_every_format_and_nobody_at_all(name, db, tmp_path):
    run("import-active-users", "--db", tmp_path / "empty.db", "--quiet", check=0)
    for form in ("table", "tsv", "csv", "json", "markdown", "chart"):
        text = run("show-report", "--db", db, name, "--format", form, check=0).stdout.decode()
        assert text.count("\n") > 2
        run("show-report", "--db", tmp_path / "empty.db", name, "--format", form, check=0)
    text = run("show-report", "--db", db, name, "--format", "csv", check=0).stdout.decode()
    head, *cells = csv.reader(io.StringIO(text))
    assert set(catalogue.load(name).chart.values) < set(head) and len(cells[0]) == len(head)


@pytest.mark.parametrize("name", GROWTH)
@pytest.mark.parametrize("value", ["0", "-3", "many", "", "1e9", "99999999"])
def test_odd_numbers_of_days_are_bounded_or_told(db, name, value):
    is_number = value.isdecimal() or value == ""
    for param in {"window", "last", "away"} & set(catalogue.load(name).params):
        done = run("show-report", "--db", db, name, "--param", f"{param}={value}")
        assert done.returncode == (0 if is_number else 2) and done.stdout.count(b"\n") < 15_000
        assert is_number or f"{param}={value}: expected a number".encode() in done.stderr


def test_a_definition_that_is_not_kept_is_said(db):
    for name in GROWTH:
        done = run("show-report", "--db", db, name, "--param", "definition=summed", check=2)
        assert b"does not keep 'summed', but: engaged-valuable" in done.stderr
        own = ["--param", "definition=engaged-valuable", "--format", "csv"]
        found = run("show-report", "--db", db, name, *own, check=0).stdout
        default = run("show-report", "--db", db, name, "--format", "csv", check=0).stdout
        users = [row[1] for row in csv.reader(io.StringIO(found.decode()))]
        assert users == [row[1] for row in csv.reader(io.StringIO(default.decode()))] != []


def test_cohorts_are_weeks_or_days(db):
    done = run("show-report", "--db", db, "retention", "--param", "by=month", check=2)
    assert b"by=month: not one of week, day" in done.stderr


def test_a_matrix_has_its_numbers_in_their_places(monkeypatch):
    chart = catalogue.Chart.of("cohort later percent", "How many came again")
    found = [("a", 0, 100.0), ("a", 1, 12.6), ("b", 0, 100.0)]
    monkeypatch.setenv("COLUMNS", "80")
    text = charts.text(chart, ["cohort", "later", "percent"], found, colour=False)
    assert [line.split() for line in text.splitlines()[2:]] == [
        ["cohort", "0", "1"],
        ["--------", "---", "---"],
        ["a", "100", "13"],
        ["b", "100"],
    ]
    monkeypatch.setenv("COLUMNS", "20")
    wide = [("a", n, 50.0) for n in range(30)]
    text = charts.text(chart, ["cohort", "later", "percent"], wide, colour=False)
    assert "the first 2 of 30" in text and max(map(len, text.splitlines()[1:])) <= 20


def test_bars_beside_each_other_and_parts_of_a_whole(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    columns, found = ["name", "a_b", "c"], [("x", 3, 2), ("y", 0, 4)]
    for spec, top in (("name a_b+c", 5), ("name a_b,c", 4)):
        chart = catalogue.Chart.of(spec, "Title")
        plain = charts.text(chart, columns, found, colour=False)
        assert "█ a b" in plain and "▒ c" in plain
        assert f"{top}┤" in plain and f"{top + 1}┤" not in plain
        stacked = any("▒" in line and "█" not in line for line in plain.splitlines()[1:])
        assert stacked and "\x1b[" in charts.text(chart, columns, found, colour=True)
