"""What is said of inputs that are not, or not all, what is expected: the way to the number."""

import csv
import io
import json

import pytest

from helpers.events import NOON, event
from helpers.programs import run
from helpers.sessions import query

FIELDS = ["user=userId", "time=timestamp", "name=event"]
TRACKED = [
    {
        "type": "track",
        "event": "Order Completed",
        "userId": f"u{i}",
        "anonymousId": "x",
        "messageId": str(i),
        "timestamp": "2026-01-10T10:00:00Z",
    }
    for i in range(3)
]
THREE = b"2026-01-10\t3\n"
GA4 = event(user="ann") + event(user="bob")
TWO = b"2019-12-31\t2\n"
PROGRAMS = pytest.mark.parametrize("mode", [[], ["--pipe"], ["--validate"]], ids=str)


def lines(events=TRACKED, end="\n"):
    return "".join(json.dumps(event) + end for event in events).encode()


def table(events=TRACKED):
    with io.StringIO(newline="") as file:
        writer = csv.DictWriter(file, events[0])
        writer.writeheader()
        writer.writerows(events)
        return file.getvalue().encode()


def fields(*given):
    options = [f"--field={one}" for one in given]
    return ["--source", "fields", *options]


def count(*arguments, data, tmp_path, status=0):
    path = tmp_path / "events"
    path.write_bytes(data)
    done = run("count-active-users", "--tz", "America/Chicago", *arguments, path)
    assert done.returncode == status, done.stderr
    return done


@PROGRAMS
@pytest.mark.parametrize("end", [",\n", " ,\r\n", ",\n\n"])
@pytest.mark.parametrize("last", ["with", "without"])
def test_commas_behind_the_events(mode, end, last, tmp_path):
    data = lines(end=end)
    if last == "without":
        data = data.rstrip(b",\r\n ")
    done = count("--source", "segment", *mode, data=data, tmp_path=tmp_path)
    assert done.stdout == THREE


@PROGRAMS
def test_joined_files_that_begin_with_a_byte_order_mark(mode, tmp_path):
    """An odd spelling of the time has to be read from the line itself."""
    mark = b"\xef\xbb\xbf"
    noon = str(NOON).encode()
    odd = event(user="cid").replace(noon, noon + b".0")
    data = mark + event(user="ann") + mark + event(user="bob") + mark + odd
    done = count(*mode, data=data, tmp_path=tmp_path)
    assert done.stdout == b"2019-12-31\t3\n"
    done = count("--source=segment", *mode, data=(mark + lines()) * 2, tmp_path=tmp_path)
    assert done.stdout == THREE


@PROGRAMS
@pytest.mark.parametrize(
    "order", ["ours first", "theirs first", "theirs behind", "theirs far behind"]
)
def test_events_of_others_among_these_are_told(mode, order, tmp_path):
    data = {
        "ours first": GA4 + lines(),
        "theirs first": lines() + GA4,
        "theirs behind": GA4 * 300 + lines() * 300,
        "theirs far behind": GA4 * 10_000 + lines() * 20_000,
    }[order]
    done = count(*mode, data=data, tmp_path=tmp_path, status=65 if "--validate" in mode else 0)
    assert done.stdout == TWO
    note = (
        f"{tmp_path}/events: not all are events of --source ga4: there are also events of Segment"
    )
    assert done.stderr.count(note.encode()) == 1
    assert b"use --source segment" in done.stderr


def test_one_kind_of_events_has_no_such_note(tmp_path):
    damaged = GA4 + b'{"event_name": "user_engagement"\n' + event("screen_view", user=None) + b"\n"
    done = count("--validate", data=damaged, tmp_path=tmp_path, status=65)
    assert b"not all" not in done.stderr


REFUSED = {
    "a table of another tracker": ([], table(), "events of Segment", "use --source segment"),
    "a batch of events": (
        ["--source", "segment"],
        json.dumps({"batch": TRACKED, "sentAt": "2026-01-10T10:00:00Z"}, indent=1).encode(),
        "JSON objects with the keys batch, sentAt",
        "jq -c '.batch[]' FILE prints what is in batch",
    ),
    "no such column": (
        fields("user=usrId", *FIELDS[1:]), table(), "CSV with the columns", "without usrId;",
    ),
    "no such column of times": (
        fields(FIELDS[0], "time=at", FIELDS[2]), table(), "CSV with the columns", "without at;",
    ),
    "no such keys": (
        fields(FIELDS[0], "time=at,when", "name=kind"),
        lines(),
        "JSON objects with the keys type, event, userId",
        "without at or when, kind;",
    ),
    "no such user": (
        fields("user=usrId", *FIELDS[1:]), lines(), "events without usrId", "--user FIELD",
    ),
    "no such user in other events": (
        ["--source", "segment", "--user", "traits.id"],
        lines(), "events without traits.id", "--user FIELD",
    ),
    "a line that breaks off": (
        [], GA4[:80], "broken JSON objects with the keys ", "(Input data was truncated)",
    ),
}  # fmt: skip


@PROGRAMS
@pytest.mark.parametrize("kind", REFUSED)
def test_refused_with_the_way_out(mode, kind, tmp_path):
    options, data, got, way = REFUSED[kind]
    done = count(*options, *mode, data=data, tmp_path=tmp_path, status=66)
    assert not done.stdout
    assert f"got {got}".encode() in done.stderr
    assert way.encode() in done.stderr


@PROGRAMS
def test_a_field_that_no_event_has_is_named(mode, tmp_path):
    done = count("--user", "usr_id,id", *mode, data=GA4, tmp_path=tmp_path, status=65)
    assert not done.stdout
    assert b"2 rejected as unidentified: no usr_id or id\n" in done.stderr


@PROGRAMS
def test_objects_that_are_text_of_json(mode, tmp_path):
    """As warehouses export them."""
    events = [
        {"event": "a", "properties": json.dumps({"time": 1768060800 + i, "distinct_id": f"u{i}"})}
        for i in range(3)
    ]
    done = count("--source", "mixpanel", *mode, data=lines(events), tmp_path=tmp_path)
    assert done.stdout == THREE
    done = count("--source", "mixpanel", *mode, data=table(events), tmp_path=tmp_path)
    assert done.stdout == THREE
    half = lines(events) + lines([{"event": "a", "properties": '{"time": 1768060800, "dist'}])
    done = count("--source", "mixpanel", *mode, data=half, tmp_path=tmp_path, status=65)
    assert done.stdout == THREE
    assert b":4: properties.time is missing" in done.stderr


# ---- spellings that would give another number


def events_of(users, **more):
    return lines([{"u": user, "t": "2026-01-10T10:00:00Z", **more} for user in users])


@PROGRAMS
@pytest.mark.parametrize("name", [5, 5.5, "5"])
def test_names_that_are_numbers(mode, name, tmp_path):
    given = fields("user=u", "time=t", "name=n")
    data = events_of(["a"], n=name) + events_of(["b"], n="other")
    done = count(*given, "--valuable-events", f"{name},x", *mode, data=data, tmp_path=tmp_path)
    assert done.stdout == b"2026-01-10\t1\n"


@PROGRAMS
@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_null_as_databases_write_it(mode, delimiter, tmp_path):
    rows = ["u,d,t", *(f"\\N,d{i},2026-01-10T10:00:00Z" for i in range(3))]
    data = "\n".join(rows).replace(",", delimiter).encode()
    done = count(*fields("user=u,d", "time=t"), *mode, data=data, tmp_path=tmp_path)
    assert done.stdout == THREE


@PROGRAMS
def test_a_bare_quote_in_tsv_is_told(mode, tmp_path):
    """What it begins may be one row or several."""
    rows = ["u\tt", *(f"{u}\t2026-01-10T10:00:00Z" for u in ["a", '"bob', "b", 'al"', "c"])]
    data = "\n".join(rows).encode()
    done = count(*fields("user=u", "time=t"), *mode, data=data, tmp_path=tmp_path, status=65)
    assert b":3: not one row" in done.stderr
    assert done.stdout == b"2026-01-10\t2\n"


@PROGRAMS
def test_users_of_several_fields_are_told_apart(mode, tmp_path):
    pairs = [("x", "1 2"), ("x 1", "2"), ("x\\ 1", "2"), ("x\\", "1 2"), ("x", ""), ("x ", "")]
    data = lines([{"a": a, "b": b, "t": "2026-01-10T10:00:00Z"} for a, b in pairs * 2])
    done = count(*fields("user=a+b", "time=t"), *mode, data=data, tmp_path=tmp_path)
    assert done.stdout == b"2026-01-10\t%d\n" % len(pairs)


@PROGRAMS
@pytest.mark.parametrize(
    "user", ["user,user.id", "user.id,user", "user.0,user,user.id", "t.at,user.id"]
)
def test_a_path_that_goes_on_where_another_ends(mode, user, tmp_path):
    data = (
        events_of(["x"], user={"id": "a"}) + events_of(["x"], user="b") + events_of(["x"], user={})
    )
    done = count(*fields(f"user={user}", "time=t"), *mode, data=data, tmp_path=tmp_path, status=65)
    assert done.stdout == b"2026-01-10\t%d\n" % (1 if user == "t.at,user.id" else 2)


@pytest.mark.parametrize("path", [".", "..", "+", "a..u", ".a", "a.", "a+", "a\\"])
@pytest.mark.parametrize("option", ["--field=user=", "--user="])
def test_what_is_no_path(path, option, tmp_path):
    given = ["--source", "fields", "--field=time=t", option + path]
    done = count(*given, data=events_of(["a"]), tmp_path=tmp_path, status=2)
    assert option[:6].rstrip("=").encode() in done.stderr


def test_each_field_is_said_once(tmp_path):
    for twice in (fields("user=u", "user=d", "time=t"), [*fields("user=u", "time=t"), "--user=d"]):
        done = count(*twice, data=events_of(["a"]), tmp_path=tmp_path, status=2)
        assert done.stderr.startswith(
            (b"count-active-users: --field: ", b"count-active-users: --user: ")
        )


@PROGRAMS
def test_blank_lines_are_no_events(mode, tmp_path):
    one, *others = lines().splitlines(keepends=True)
    data = one + b"\n \t\n" + b"".join(others) + b"\r\n"
    done = count("--source", "segment", *mode, data=data, tmp_path=tmp_path)
    assert done.stdout == THREE
    done = count(*mode, data=GA4 + b"\n  \n", tmp_path=tmp_path)
    assert done.stdout == TWO


# ---- what was named by hand, and is in no event

TYPOS = {
    "parameter": (
        ["--valuable-param", "engaged_session_evnt"], GA4,
        "no event had the parameter engaged_session_evnt; did you mean engaged_session_event?", b"",
    ),
    "event": (
        ["--valuable-events", "user_engagement,scren_view"],
        event("screen_view", user="cid") + GA4,
        "no event was named scren_view; did you mean screen_view?", TWO,
    ),
    "user": (
        ["--source", "segment", "--user", "anonymousid,userId"], lines(),
        "no event had the field anonymousid; did you mean anonymousId?", THREE,
    ),
    "time": (
        fields("user=who.id", "time=when.att,when.at"),
        lines([{"who": {"id": i}, "when": {"at": "2026-01-10T10:00:00Z"}} for i in range(3)]),
        "no event had the field when.att; did you mean when.at?", THREE,
    ),
    "column": (
        fields("user=userId+usrId", "time=timestamp"), table(),
        "no event had the field usrId; did you mean userId?", THREE,
    ),
}  # fmt: skip


@pytest.mark.parametrize("mode", [[], ["--pipe"], ["--validate"], ["--jobs", "2"]], ids=str)
@pytest.mark.parametrize("kind", TYPOS)
def test_a_name_that_no_event_has_is_said(mode, kind, tmp_path):
    options, data, sentence, answer = TYPOS[kind]
    done = count(*options, *mode, data=data, tmp_path=tmp_path)
    assert done.stdout == answer
    assert done.stderr.decode().count(f": {sentence}\n") == 1
    assert b"no event" not in count(*options, *mode, data=b"", tmp_path=tmp_path).stderr


@pytest.mark.parametrize("mode", [[], ["--pipe"], ["--jobs", "2"]], ids=str)
def test_an_import_with_a_name_that_no_event_has_is_not_whole(mode, tmp_path):
    path, db = tmp_path / "events", tmp_path / "my.db"
    path.write_bytes(GA4)
    common = ["import-active-users", "--quiet", "--db", db, *mode]
    # with nothing to count it is refused: a database keeps what it was made with
    done = run(*common, "--valuable-param", "engaged_session_evnt", path, check=65)
    assert b"did you mean engaged_session_event?: nothing counts" in done.stderr
    done = run(*common, "--valuable-events", "user_engagement,purchase", path, check=65)
    assert done.stdout == b"2019-12-31\t0\t2\n"
    again = event("purchase", user="ann") + GA4
    path.write_bytes(again)
    run(*common, "--valuable-events", "user_engagement,purchase", path, check=0)


def test_names_are_found_however_they_are_spelled_and_wherever(tmp_path):
    late = GA4 * 20_000 + event("purchase").replace(b'"purchase"', b'"purch\\u0061se"')
    options = ["--valuable-events", "purchase,user_engagement", "--jobs", "2"]
    done = count(*options, data=late, tmp_path=tmp_path)
    assert done.stdout == TWO and b"no event" not in done.stderr


def test_a_database_is_not_made_with_a_field_that_names_nobody(tmp_path):
    """Of one that there is already, a night without anybody's consent is as good as any other."""
    path, none, db = tmp_path / "events", tmp_path / "none", tmp_path / "my.db"
    path.write_bytes(GA4)
    none.write_bytes(event(user=None) + event(user=None, micros=NOON + 1))
    common = ["import-active-users", "--quiet", "--db", db]
    for _ in range(2):
        done = run(*common, "--user", "user_id", path, check=65)
        assert b"no event names a user; name the field that does with --user" in done.stderr
    assert run(*common, path, check=0).stdout == b"2019-12-31\t0\t2\n"
    short = tmp_path / "short"
    short.write_bytes(event(msec=5) + event(user=None))
    run("import-active-users", "--quiet", "--db", tmp_path / "other.db", short, check=65)
    assert query(tmp_path / "other.db", "SELECT status FROM run") == [("done",)]
    assert run(*common, none, check=65).stdout == b""
    assert b"nothing was imported" not in run(*common, none, check=0).stderr
