"""The ledger: what is read, what is skipped, and what it refuses to enter as done."""

import contextlib
import sqlite3
from collections import Counter

import pytest
from sqlite_utils import Database

from headcount.db import connection as database
from headcount.db import ledger
from headcount.errors import Failure
from headcount.filters.account import Account, total
from headcount.pipelines.active_users.options.engagement_options import SPELLINGS
from headcount.pipelines.session import spelled
from helpers.programs import BIN, run

SETTINGS = {"tz": "UTC"}


@pytest.fixture
def db(tmp_path):
    with database.for_import(str(tmp_path / "a.db"), 1) as db:
        yield db


@pytest.fixture
def path(tmp_path):
    (tmp_path / "events").write_text("{}\n")
    return str(tmp_path / "events")


def begin(db, path, pipeline="import-active-users", settings=SETTINGS, again=False):
    return ledger.begin(db, pipeline, settings, [path], again=again)


def account(prog="a", lines=1, kept=1, **others):
    made = Account(prog, Counter(others.pop("reasons", {})))
    made.lines, made.kept = lines, kept
    vars(made).update(others)
    return made


def test_a_file_is_skipped_once_a_finished_run_has_read_it(db, path):
    run, due = begin(db, path)
    assert due == [path]
    ledger.fail(db, run, "no luck")
    run, due = begin(db, path)
    assert due == [path], "the failed run has not read it"
    ledger.finish(db, run, SETTINGS, account())
    assert begin(db, path)[1] == []
    assert begin(db, path, again=True)[1] == [path]
    assert begin(db, path, pipeline="import-site-activity")[1] == [path]
    with open(path, "a") as file:
        file.write("{}\n")
    assert begin(db, path)[1] == [path]


def test_what_still_runs_when_another_holds_the_lock_was_killed(db, path):
    run, _ = begin(db, path)
    begin(db, path)
    assert Database(db)["run"].get(run)["status"] == "aborted"


def test_other_settings_are_refused_and_name_the_option(db, path):
    run, _ = begin(db, path)
    ledger.finish(db, run, SETTINGS, account())
    with pytest.raises(Failure, match="made with --tz UTC, not Asia/Tokyo") as caught:
        begin(db, path, settings={"tz": "Asia/Tokyo"})
    assert caught.value.status == 78


def test_a_database_is_made_with_what_there_was_no_option_for(db, path):
    """One that was made before its options say so, and so cannot be taken for another."""
    run, _ = begin(db, path)
    ledger.finish(db, run, SETTINGS, account())
    begin(db, path, settings=SETTINGS | {"source": "ga4", "pseudonyms": "ever"})
    for other in ({"source": "segment"}, {"pseudonyms": "day"}):
        with pytest.raises(Failure, match=r"made with --(source ga4|pseudonyms ever), not"):
            begin(db, path, settings=SETTINGS | other)


@pytest.mark.parametrize("field", ["kept", "filtered", "duplicate"])
def test_a_run_whose_lines_do_not_add_up_is_not_done(db, path, field):
    run, _ = begin(db, path)
    wrong = account()
    vars(wrong)[field] += 1
    with pytest.raises(Failure, match="1 lines in, but"):
        ledger.finish(db, run, SETTINGS, wrong)
    with pytest.raises(sqlite3.IntegrityError):  # nor by any other way
        Database(db)["run"].update(
            run,
            {"status": "done", "lines": 1, "kept": 0, "filtered": 0, "duplicate": 0, "rejected": 0},
        )


@pytest.mark.parametrize(
    "max_rejects, rejected, fits",
    [("1%", 10, True), ("1%", 11, False), ("0", 1, False), ("3", 3, True), ("0.5%", 5, True)],
)
def test_how_many_rejects_are_allowed(max_rejects, rejected, fits):
    if fits:
        ledger.refuse_rejects(rejected, 1000, max_rejects, "nothing")
    else:
        with pytest.raises(Failure, match=r"rejected, more than --max-rejects .*: nothing"):
            ledger.refuse_rejects(rejected, 1000, max_rejects, "nothing")


def test_the_accounts_of_a_pipe_must_meet():
    first = account("first", lines=10, kept=4, filtered=6)
    whole = total([first, account("second", lines=4, kept=3, duplicate=1)])
    assert (whole.lines, whole.kept, whole.filtered, whole.duplicate) == (10, 3, 6, 1)
    with pytest.raises(Failure, match="first kept 4 lines, but second read 3"):
        total([first, account("second", lines=3, kept=3)])


def test_one_spelling_for_one_meaning():
    typed = {"min-engagement": "3.0", "valuable-events": "b,a,b", "definition": "summed,summed"}
    kept = {"min-engagement": "3", "valuable-events": "a,b", "definition": "summed"}
    assert spelled(SPELLINGS, None, typed) == kept
    assert spelled(SPELLINGS, None, {"min-engagement": "2.50"}) == {"min-engagement": "2.5"}
    assert spelled(SPELLINGS, None, {"user": "b,a"}) == {"user": "b,a"}, "the order means something"


def test_a_database_of_an_older_version_is_read_as_far_as_it_goes(tmp_path):
    db = tmp_path / "my.db"
    run("import-active-users", "--db", db, BIN.parent / "data/sample/events.jsonl.gz", check=0)
    with contextlib.closing(sqlite3.connect(db)) as connection:
        connection.execute("DROP TABLE comment")  # which version 3 had not
        connection.execute("PRAGMA user_version = 3")
    run("show-report", "active_users", "--db", db, check=0)
    for command in (["show-report", "comments_by_day"], ["serve-db", "--check"]):
        done = run(*command, "--db", db, check=78)
        assert b"older Headcount" in done.stderr and done.stderr.count(b"\n") == 1
    run("import-site-activity", "--db", db, stdin=b"", check=0)
    assert run("show-report", "comments_by_day", "--db", db, check=0).stdout
