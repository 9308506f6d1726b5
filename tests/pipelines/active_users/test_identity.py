"""People who log in: --identity stitched."""

import json

import pytest

from helpers.events import NOON, event
from helpers.programs import run
from helpers.sessions import query
from pipelines.active_users.test_definitions import DAY

GIVEN = ["--identity", "stitched"]


def on(device, person=None, day=0, name="user_engagement"):
    more = {"user_id": person} if person else {}
    return event(name, device, NOON + day * DAY, **more)


def imported(db, *arguments, check=0, stdin=b""):
    return run("import-active-users", "--db", db, *GIVEN, *arguments, check=check, stdin=stdin)


def counts(db):
    return dict(query(db, "SELECT * FROM active_user_table"))


def test_devices_of_a_person_are_one_user_also_before(tmp_path):
    db = tmp_path / "my.db"
    assert imported(db, stdin=on("phone") + on("tablet") + on("other")).stdout.endswith(b"0\t3\n")
    login = tmp_path / "events_20200101.jsonl"
    login.write_bytes(on("phone", "ann", 1, "login") + on("tablet", "ann", 1))
    assert imported(db, login).stdout == b"2019-12-31\t3\t2\n2020-01-01\t0\t1\n"
    history = "SELECT date, active_user_count, reason FROM active_user_history ORDER BY 2 DESC"
    first = ("2019-12-31", 3, None)
    assert query(db, history) == [first, ("2019-12-31", 2, "login"), ("2020-01-01", 1, None)]
    known = json.loads(run("why-day", "--db", db, "--json", "2019-12-31", check=0).stdout)
    assert known["people"] == {"people": 1, "devices": 2, "shared devices": 0}
    assert [change["reason"] for change in known["changes"]] == [None, "login"]
    assert b"2 devices" in run("why-day", "--db", db, "2019-12-31", check=0).stdout
    # all of it can be taken back
    login.write_bytes(on("tablet", "ann", 1))
    assert imported(db, login).stdout == b"2019-12-31\t2\t3\n"


def test_a_device_of_several_people_is_a_user_of_its_own(tmp_path):
    db = tmp_path / "my.db"
    family = on("sofa", "ann") + on("phone", "ann") + on("sofa", "bob", 1, "login")
    done = imported(db, stdin=family)
    assert b"1 devices were seen with several logins" in done.stderr
    assert counts(db) == {"2019-12-31": 2}
    text = run("count-active-users", *GIVEN, stdin=family, check=0).stdout
    assert text == b"2019-12-31\t2\n"


@pytest.mark.parametrize("mode", [[], ["--pipe"]], ids=str)
def test_reports_count_people(mode, tmp_path):
    db = tmp_path / "my.db"
    lines = on("phone") + on("tablet", None, 1) + on("tablet", "ann", 2) + on("phone", "ann", 2)
    imported(db, *mode, "--definition", "engaged-valuable,google-n-day", stdin=lines)
    report = ["show-report", "--db", db, "active_users", "--format", "json", "--param", "window=7"]
    rows = json.loads(run(*report, check=0).stdout)
    assert [row["users"] for row in rows] == [1, 1, 1]
    shown = run("compare-definitions", "--db", db, "2020-01-02", check=0).stdout
    assert b"engaged-valuable        1" in shown
    run("check-data", "--db", db, "user_sets", "integrity", check=0)


@pytest.mark.parametrize("who", ["ann-who-goes", "phone-of-ann"])
@pytest.mark.parametrize("mode", ["keep", "recount"])
def test_somebody_is_forgotten(mode, who, tmp_path):
    db = tmp_path / "my.db"
    imported(db, stdin=on("phone-of-ann", "ann-who-goes") + on("tablet-of-ann", "ann-who-goes"))
    imported(db, stdin=on("other"))
    run("forget-user", who, "--mode", mode, "--db", db, check=0)
    left = query(db, "SELECT key FROM user") + query(db, "SELECT key FROM person")
    assert (who,) not in left
    is_gone = mode == "recount" and who.startswith("ann")
    assert counts(db) == {"2019-12-31": 1 if is_gone else 2}
    assert (len(query(db, "SELECT * FROM login")) == 0) == is_gone


def test_people_have_pseudonyms_too(tmp_path):
    db, key = tmp_path / "my.db", tmp_path / "key"
    key.write_text("0123456789abcdef")
    lines = on("phone-of-ann", "ann-the-person") + on("tablet-of-ann", "ann-the-person")
    imported(db, "--pseudonym-key", key, stdin=lines)
    assert counts(db) == {"2019-12-31": 1}
    for path in tmp_path.glob("my.db*"):
        assert b"of-ann" not in path.read_bytes() and b"the-person" not in path.read_bytes()


@pytest.mark.parametrize(
    "more",
    [["--user", "a"], ["--source", "segment"], ["--sketch", "beside"], ["--field", "user=a"]],
    ids=" ".join,
)
def test_what_does_not_go_together(more, tmp_path):
    done = imported(tmp_path / "my.db", *more, check=2)
    assert b"--identity: " in done.stderr and list(tmp_path.iterdir()) == []


def test_a_database_has_one_identity(tmp_path):
    db = tmp_path / "my.db"
    imported(db, stdin=on("phone"))
    given = ["import-active-users", "--db", db, "--user", "user_pseudo_id,user_id"]
    assert b"--identity stitched" in run(*given, stdin=on("a"), check=78).stderr


def test_parts_carry_logins(tmp_path):
    parts = []
    for number, device in enumerate(("phone", "tablet")):
        part = tmp_path / f"{number}.part"
        run("count-active-users", *GIVEN, "--part", part, stdin=on(device, "ann"), check=0)
        parts.append(part)
    assert run("merge-parts", "--db", tmp_path / "my.db", *parts, check=0).stdout.endswith(b"\t1\n")


def test_parts_of_people_have_no_sketches(tmp_path):
    part = tmp_path / "one.part"
    run("count-active-users", *GIVEN, "--part", part, stdin=on("phone", "ann"), check=0)
    done = run("merge-parts", "--db", tmp_path / "my.db", "--sketch", "beside", part, check=2)
    assert b"--sketch" in done.stderr


def test_somebody_is_forgotten_who_shares_a_device(tmp_path):
    """The device goes on being of several; a day that changes twice is told once."""
    db = tmp_path / "my.db"
    lines = on("d1", "alice") + on("d2", "alice") + on("d2", "bob", 1) + on("d3", "bob", 1)
    definitions = ["--definition", "engaged-valuable,google-n-day"]
    imported(db, *definitions, stdin=lines)
    assert counts(db) == {"2019-12-31": 2, "2020-01-01": 2}
    done = run("forget-user", "alice", "--mode", "recount", "--db", db, check=0)
    assert done.stdout.count(b"2019-12-31") == 1
    assert counts(db) == {"2019-12-31": 1, "2020-01-01": 2}
    assert ("alice",) not in query(db, "SELECT key FROM person")
    run("check-data", "--db", db, "user_sets", "integrity", check=0)


def test_what_a_person_lacks_is_told_of_all_devices(tmp_path):
    db = tmp_path / "my.db"
    params = [{"key": "ga_session_id", "value": {"int_value": 5}}]
    lines = b"".join(
        event("scroll", device, NOON + n * 10**6, event_params=params, user_id="ann")
        for device, seconds in (("phone", 3), ("tablet", 4))
        for n in (0, seconds)
    )
    imported(db, "--definition", "any-event,engaged-session", stdin=lines)
    given = ["2019-12-31", "any-event", "engaged-session"]
    told = run("compare-definitions", "--db", db, *given, check=0).stdout
    assert b"the longest of 2 has 4 s" in told and b"(ann)" in told


def test_a_key_that_others_may_read_is_said(tmp_path):
    key = tmp_path / "key"
    key.write_text("0123456789abcdef")
    for mode, told in ((0o644, True), (0o600, False)):
        key.chmod(mode)
        db = tmp_path / f"{mode}.db"
        done = imported(db, "--pseudonym-key", key, stdin=on("phone"))
        assert (b"chmod 600" in done.stderr) == told
        assert done.stderr.count(b"chmod") <= 1
