"""--inputs: the files of a range of days, found by their names alone."""

import pytest

from helpers.events import event
from helpers.programs import run
from helpers.sessions import query


@pytest.fixture
def exports(tmp_path):
    """One user a day, for some days of a month; ann on the 1st, ben on the 2nd …"""

    def write(pattern, *days):
        for day in days:
            path = tmp_path / pattern.format(f"2024-02-{day:02}", f"202402{day:02}")
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(event(user=f"user {day}"))

    return write


def imported(tmp_path, *options, check=0):
    db = tmp_path / "my.db"
    done = run("import-active-users", "--db", db, *options, check=check, cwd=tmp_path)
    users = sorted(key for (key,) in query(db, "SELECT key FROM user")) if db.exists() else []
    return done.stderr.decode(), [int(user.removeprefix("user ")) for user in users]


def test_a_range(exports, tmp_path):
    exports("events/{0}.jsonl", 1, 2, 3, 28, 29)
    pattern = ["--inputs", "events/{date}.jsonl"]
    said, users = imported(
        tmp_path, "--since", "2024-02-28", "--until", "2024-03-01", *pattern, check=65
    )
    assert users == [28, 29] and said == "import-active-users: 1 day has no file: 2024-03-01\n"
    said, users = imported(
        tmp_path, "--since", "2024-02-02", "--until", "2024-02-03", *pattern, check=0
    )
    assert sorted(users) == [2, 3, 28, 29]
    assert said == ""


def test_without_an_end_it_is_the_newest_file_whatever_the_clock_says(exports, tmp_path):
    exports("events/{0}.jsonl", 1, 3)
    (tmp_path / "events" / "2034-12-31.jsonl").write_bytes(event(user="user 31"))
    (tmp_path / "events" / "2034-99-31.jsonl").touch()
    (tmp_path / "events" / "latest.jsonl").touch()
    options = ["--since", "2024-02-03", "--inputs", "events/{date}.jsonl"]
    said, users = imported(tmp_path, *options, check=65)
    assert sorted(users) == [3, 31] and "3983 days have no file: 2024-02-04, " in said


def test_shards_of_a_day_and_other_files(exports, tmp_path):
    exports("ga/events_{1}_a.jsonl", 1, 2)
    exports("ga/events_{1}_b.jsonl", 2)
    exports("other.jsonl", 9)
    options = ["--since", "2024-02-02", "--inputs", "ga/events_{yyyymmdd}_*.jsonl", "other.jsonl"]
    said, _ = imported(tmp_path, *options)
    paths = query(tmp_path / "my.db", "SELECT path FROM run_input ORDER BY path")
    assert [path for (path,) in paths] == [
        "ga/events_20240202_a.jsonl",
        "ga/events_20240202_b.jsonl",
        "other.jsonl",
    ]
    assert said == ""


def test_the_ledger_knows_what_is_due(exports, tmp_path):
    exports("{0}.jsonl", 1, 2)
    options = ["--since", "2024-02-01", "--inputs", "{date}.jsonl"]
    imported(tmp_path, *options)
    exports("{0}.jsonl", 2, 3)  # the 2nd comes again, as another file of the same name
    said, _ = imported(tmp_path, *options)
    assert "1 file was imported before" in said
    statuses = query(tmp_path / "my.db", "SELECT path, status FROM run_input WHERE run_id = 2")
    assert sorted(statuses) == [
        ("2024-02-01.jsonl", "skipped"),
        ("2024-02-02.jsonl", "read"),
        ("2024-02-03.jsonl", "read"),
    ]


WRONG = {
    "alone": (["--since", "2024-02-01"], 2, "--inputs and --since go together"),
    "no start": (["--inputs", "{date}"], 2, "--inputs and --since go together"),
    "no place": (["--since", "2024-02-01", "--inputs", "a"], 2, "put {date} or {yyyymmdd}"),
    "no day": (
        ["--since", "yesterday", "--inputs", "{date}"],
        2,
        "--since: expected a date as YYYY-MM-DD, got 'yesterday'",
    ),
    "backwards": (
        ["--since", "2024-02-02", "--until", "2024-02-01", "--inputs", "{date}"],
        2,
        "--since 2024-02-02 is after --until 2024-02-01",
    ),
    "nothing": (["--since", "2024-02-01", "--inputs", "{date}"], 66, "no file {date}"),
}


@pytest.mark.parametrize("how", WRONG)
def test_wrong_words(how, tmp_path):
    options, status, text = WRONG[how]
    said, _ = imported(tmp_path, *options, check=status)
    assert text in said and not (tmp_path / "my.db").exists()
