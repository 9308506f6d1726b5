"""Several properties in one database: each is as in a database of its own."""

import gzip
import json
import sqlite3
from collections import defaultdict
from contextlib import closing
from random import Random

import pytest
from pyroaring import BitMap

from headcount.db import properties
from headcount.reports import catalogue
from helpers.programs import run
from helpers.sessions import query

APPS = ["shop", "Shop", "app 2", "default", "", None, "ü\\t"]
ZONES = ["America/Chicago", "Europe/Berlin", "Asia/Tokyo"]
HOW = {
    "plain": [],
    "stitched": ["--identity=stitched", "--definition=engaged-valuable,engaged-session"],
    "several": ["--definition=ga4-active,summed,any-event,google-n-day"],
}


def events(seed, apps=APPS, count=600):
    """Events of some days, of several apps."""
    rng = Random(seed)
    made = run("make-data", "engagement", "--events", count, "--users", 40, "--seed", seed, check=0)
    lines = []
    for line in made.stdout.splitlines():
        record = json.loads(line)
        app = rng.choice(apps)
        record["app_info"] = {"id": app} if app is not None else rng.choice([None, {}])
        if rng.random() < 0.3:
            record["user_id"] = f"p{rng.randrange(9)}"
        lines.append(json.dumps(record).encode() + b"\n")
    return lines


def name_of(line):
    """The property that an event names."""
    app = (json.loads(line)["app_info"] or {}).get("id")
    return "(none)" if app is None else "\\default" if app == "default" else app


def imported(db, *words, check=0, stdin=None):
    return run("import-active-users", "--quiet", "--db", db, *words, check=check, stdin=stdin)


def prefix(db, name):
    """How the names of a property's tables begin."""
    numbers = dict(query(db, "SELECT name, id FROM property"))
    return properties.prefix_of(numbers[name]) if name in numbers else ""


def content(db, name=properties.DEFAULT):
    """All that a database knows of a property, users by their keys."""
    of, keys = prefix(db, name), dict(query(db, "SELECT id, key FROM user"))

    def named(users):
        return frozenset(keys[user] for user in BitMap.deserialize(users))

    found = {
        table: query(db, f"SELECT * FROM {of}{table} ORDER BY 1, 2")
        for table in properties.TABLES
        if table in ("active_user_table", "local_day") or table.startswith("active_users_by")
        if not table.endswith("_history")
    }
    for table in ("active_day", "active_day_by"):
        rows = query(db, f"SELECT * FROM {of}{table}")
        found[table] = {tuple(row[:-1]): named(row[-1]) for row in rows}
    settings = query(db, f"SELECT name, value FROM {of}setting ORDER BY 1")
    found["setting"] = [row for row in settings if row[0] != "rules.since-run"]
    pending = f"SELECT date, user_id, event, msec FROM {of}pending_engagement"
    found["pending"] = {(day, keys[user], *rest) for day, user, *rest in query(db, pending)}
    logins = f"SELECT device_id, key FROM {of}login JOIN person ON person.id = person_id"
    found["login"] = {(keys[device], person) for device, person in query(db, logins)}
    return found


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("seed", range(2))
def test_each_is_as_in_a_database_of_its_own(seed, how, tmp_path):
    rng, db = Random(seed), tmp_path / "all.db"
    own = {}
    for number in range(7):
        name = rng.choice(["shop", "Shop", "default"])
        lines = events(rng.randrange(9))
        rng.shuffle(lines)
        file = tmp_path / f"{number}.jsonl"
        file.write_bytes(b"".join(lines[: rng.randrange(1, len(lines))]))
        words = [*HOW[how], f"--tz={ZONES[len(name) % 2 + (name == 'Shop')]}", file]
        if how == "plain":
            words += ["--by=platform,app_info.id"]
        of = [f"--property={name}"] if name != "default" else []
        printed = imported(db, *of, *words).stdout
        own.setdefault(name, tmp_path / f"{name} alone.db" if name != "Shop" else tmp_path / "S.db")
        assert imported(own[name], *words).stdout == printed
        assert own.keys() - {"default"} == set(properties_of(db))
    for name, alone in own.items():
        assert content(db, name) == content(alone)
        counts = query(alone, "SELECT * FROM active_user_table ORDER BY 1")
        rows = "SELECT date, active_user_count FROM active_users_by_property"
        assert query(db, f"{rows} WHERE property = '{name}' ORDER BY 1") == counts
    assert run("check-data", "--db", db, *CALM).stdout == b""
    for report in catalogue.names():
        if "active" in catalogue.load(report).sql:
            for name, alone in own.items():
                one = run("show-report", "--db", db, "--property", name, report, "--format=csv")
                other = run("show-report", "--db", alone, report, "--format=csv")
                assert without_times(one.stdout) == without_times(other.stdout)


CALM = ["user_sets", "value_sets", "ledger_sums", "integrity"]


def without_times(text):
    return [line for line in text.splitlines() if b"T" not in line]


def properties_of(db):
    return [name for (name,) in query(db, "SELECT name FROM property")]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("jobs", [1, 2])
def test_events_that_say_whose_they_are(jobs, how, tmp_path):
    db, rng, of = tmp_path / "all.db", Random(jobs), defaultdict(list)
    words = [*HOW[how], "--tz=Europe/Berlin"]
    if how == "plain":
        words.append("--by=platform")
    for number in range(3):
        lines = events(number)
        file = tmp_path / f"{number}.jsonl"
        file.write_bytes(b"".join(lines))
        done = imported(db, "--property-by=app_info.id", f"--jobs={jobs}", *words, file)
        assert {line.split(b"\t")[0] for line in done.stdout.splitlines()} <= {
            name.replace("\\", "\\\\").encode() for name in properties_of(db)
        }
        for line in rng.sample(lines, len(lines)):
            of[name_of(line)].append(line)
    assert of.keys() == set(properties_of(db))
    for number, (name, lines) in enumerate(of.items()):
        alone = tmp_path / f"alone{number}.db"
        imported(alone, *words, stdin=b"".join(lines))
        assert content(db, name) == content(alone), name
    assert query(db, "SELECT count(*) FROM active_user_table") == [(0,)]
    assert run("check-data", "--db", db, *CALM).stdout == b""
    # of the same files, nothing is new; as those of one property, they are
    assert imported(db, "--property-by=app_info.id", *words, file).stdout == b""
    assert imported(db, "--tz=Europe/Berlin", file).stdout != b""


def test_a_corrected_table_takes_back_what_a_property_lost(tmp_path):
    db = tmp_path / "all.db"
    folders = [tmp_path / "first" / "events_20240306", tmp_path / "second" / "events_20240306"]
    for folder, apps in zip(folders, (["a", "b"], ["a"]), strict=True):
        folder.parent.mkdir()
        folder.write_bytes(b"".join(events(3, apps)))
    imported(db, "--property-by=app_info.id", folders[0])
    assert query(db, "SELECT count(*) FROM p2_active_user_table") != [(0,)]
    done = imported(db, "--property-by=app_info.id", folders[1])
    assert all(line.endswith(b"\t0") for line in done.stdout.splitlines() if line.startswith(b"b"))
    assert query(db, "SELECT count(*) FROM p2_active_user_table") == [(0,)]
    assert query(db, "SELECT DISTINCT property FROM active_users_by_property") == [("a",)]
    imported(alone := tmp_path / "alone.db", folders[1])
    assert content(db, "a") == content(alone)


def test_a_pattern_brings_each_property(tmp_path):
    db, line = tmp_path / "all.db", ["--since=2024-03-06", "--until=2024-03-07"]
    imported(db, "--property=b [x]", "--tz=Asia/Tokyo", "--allow-empty", stdin=b"")
    for name, days in (("a", (6, 7)), ("b [x]", (6, 7)), ("c", (6,))):
        (tmp_path / name).mkdir()
        for day in days:
            lines = b"".join(events(len(name) + day))
            (tmp_path / name / f"2024-03-0{day}.jsonl.gz").write_bytes(gzip.compress(lines))
    pattern = f"--inputs={tmp_path}/{{property}}/{{date}}.jsonl.gz"
    done = imported(db, *line, pattern, check=65)
    assert b"property c: exit status 65" in done.stderr and b"1 day has no file" in done.stderr
    assert {row.split(b"\t")[0] for row in done.stdout.splitlines()} == {b"a", b"b [x]", b"c"}
    for name in ("a", "b [x]", "c"):
        zone = "Asia/Tokyo" if name.startswith("b") else "America/Chicago"
        files = sorted((tmp_path / name).iterdir())
        imported(alone := tmp_path / f"alone {name[0]}.db", f"--tz={zone}", *files)
        assert content(db, name) == content(alone)
    assert imported(db, *line, pattern, check=65).stdout == b""
    done = imported(db, "--tz=Asia/Tokyo", *line, pattern, check=78)
    assert b"property a: exit status 78" in done.stderr and b"property b" not in done.stderr
    done = imported(db, "--property=a", *line, pattern, check=2)
    assert b"{property} says whose files these are: leave out --property=a" in done.stderr
    other = tmp_path / "other.db"
    imported(other, "--property=b [x]", "--tz=Asia/Tokyo", "--allow-empty", stdin=b"")
    imported(other, f"{tmp_path}/{{property}}/*[67].jsonl.gz")
    assert [content(db, name) for name in "ac"] == [content(other, name) for name in "ac"]
    assert content(db, "b [x]") == content(other, "b [x]")
    file = tmp_path / "a" / "2024-03-06.jsonl.gz"
    before = file.read_bytes()
    for option in (["--rejects", f"{tmp_path}/{{property}}/*"], ["--db={property}.db"]):
        done = imported(db, *option, file, f"{tmp_path}/{{property}}/*[67].jsonl.gz", check=2)
        assert b"{property} is read in a FILE and in --inputs only" in done.stderr
    assert file.read_bytes() == before
    nothing = f"--inputs={tmp_path}/{{property}}/x{{date}}"
    assert b"no file" in imported(db, *line, nothing, check=66).stderr


def test_the_status_is_that_of_a_property_that_failed(tmp_path):
    db = tmp_path / "all.db"
    (tmp_path / "a.jsonl").write_bytes(b"neither events nor JSON\n" * 99)
    (tmp_path / "b.jsonl").write_bytes(b"".join(events(2)))
    done = imported(db, f"{tmp_path}/{{property}}.jsonl", check=66)
    assert b"property a: exit status 66" in done.stderr and b"property b" not in done.stderr
    assert done.stdout.startswith(b"b\t2024-")


SETTINGS = [
    ["--tz=Europe/Berlin", "--definition=summed,engaged-valuable", "--min-engagement=2.50"],
    ["--identity=stitched", "--valuable-events=purchase", "--key-events=a,b"],
    ["--valuable-param=x", "--sketch=beside"],
    ["--source=segment", "--user=anonymousId", "--skip-bots", "--valuable-events=Page Viewed"],
    ["--source=fields", "--field=user=who.id", "--field=time=at,ts", "--field=name=what"],
]


@pytest.mark.parametrize("typed", SETTINGS, ids=" ".join)
def test_settings_are_remembered(typed, tmp_path):
    db = tmp_path / "my.db"
    imported(db, "--property=a", *typed, "--allow-empty", stdin=b"")
    before = query(db, "SELECT * FROM p1_setting")
    imported(db, "--property=a", "--allow-empty", stdin=b"")
    assert query(db, "SELECT * FROM p1_setting") == before
    done = imported(db, "--property=a", "--tz=Asia/Tokyo", "--allow-empty", stdin=b"", check=78)
    assert b"property a was made with --tz" in done.stderr
    assert query(db, "SELECT name FROM setting") == []


def test_what_a_failed_run_names_is_not_there(tmp_path):
    db = tmp_path / "my.db"
    imported(db, stdin=b"".join(events(1)))
    imported(db, "--property=shpo", stdin=b"no event\n" * 50, check=66)
    done = run("show-report", "--db", db, "--property=shpo", "active_users", check=2)
    assert b"no property shpo in the database; there are: default" in done.stderr
    imported(db, "--property=shpo", "--tz=Asia/Tokyo", stdin=b"".join(events(1)))
    run("show-report", "--db", db, "--property=shpo", "active_users", check=0)


def test_what_to_do_is_said(tmp_path):
    db, file = tmp_path / "my.db", tmp_path / "events"
    file.write_bytes(b"".join(events(1)))
    run("import-active-users", "--db", db, "--property=a", file, check=0)
    done = run("show-report", "--db", db, "active_users", check=0)
    assert b"no rows of property default; there are: a" in done.stderr
    assert run("show-report", "--db", db, "--property=a", "active_users", check=0).stderr == b""
    done = run("import-active-users", "--db", db, "--property=a", "--by=platform", file, check=0)
    assert b"--backfill reads again what was imported without the fields" in done.stderr


def test_parts_of_a_property(tmp_path):
    db, parts = tmp_path / "my.db", [tmp_path / "0", tmp_path / "1"]
    for number, part in enumerate(parts):
        lines = b"".join(events(number))
        how = ["--tz=Asia/Tokyo", "--by=platform"]
        run("count-active-users", "--quiet", "--part", part, *how, stdin=lines, check=0)
    merge = ["merge-parts", "--quiet", "--db", db, "--property=a"]
    assert run(*merge, *parts, check=0).stdout != b"" == run(*merge, *parts, check=0).stdout
    imported(alone := tmp_path / "alone.db", *how, stdin=b"".join(events(0) + events(1)))
    assert content(db, "a") == content(alone)


def test_users_of_two_properties_are_one(tmp_path):
    db = tmp_path / "my.db"
    for name in "ab":
        imported(db, f"--property={name}", stdin=b"".join(events(1)))
    assert query(db, "SELECT * FROM p1_active_day") == query(db, "SELECT * FROM p2_active_day")


def test_the_erased_are_erased_in_all(tmp_path):
    db, lines = tmp_path / "my.db", events(1)
    for name in ("default", "a", "b"):
        imported(db, f"--property={name}", stdin=b"".join(lines))
    ids = sorted({json.loads(line)["user_pseudo_id"] for line in lines})
    counts = "SELECT * FROM active_users_by_property ORDER BY 1, 2"
    before = query(db, counts)
    done = run("forget-user", "--db", db, "--mode", "recount", ids[0], check=0)
    after = query(db, counts)
    assert after != before and b"active users of a\t2024-03-" in done.stdout
    assert query(db, f"SELECT * FROM user WHERE key = '{ids[0]}'") == []
    for name in ("default", "a", "b"):
        rest = [line for line in lines if json.loads(line)["user_pseudo_id"] != ids[0]]
        imported(alone := tmp_path / f"{name}.db", stdin=b"".join(rest))
        assert content(db, name)["active_day"] == content(alone)["active_day"]
        assert imported(db, f"--property={name}", stdin=b"".join(lines)).stdout == b""
    assert run("check-data", "--db", db, *CALM).stdout == b""


def test_a_device_of_two_persons_stays_so_where_one_is_erased(tmp_path):
    db, line = tmp_path / "my.db", json.loads(events(1)[0]) | {"user_pseudo_id": "device-1"}
    lines = [json.dumps(line | {"user_id": f"person-{n}"}).encode() for n in (1, 2)]
    imported(db, "--property=a", "--identity=stitched", stdin=b"\n".join(lines))
    run("forget-user", "--quiet", "--db", db, "--mode", "recount", "person-1")
    names = query(db, "SELECT key FROM person JOIN p1_login ON person.id = person_id ORDER BY 1")
    assert [name.partition("-")[0] for (name,) in names] == ["forgotten", "person"]


def test_a_wrong_number_is_told_of_its_property(tmp_path):
    db = tmp_path / "my.db"
    for name in ("default", "a", "b"):
        imported(db, f"--property={name}", stdin=b"".join(events(1)))
    with closing(sqlite3.connect(db)) as connection, connection:
        connection.execute("UPDATE p2_active_user_table SET active_user_count = 70")
        connection.execute("UPDATE run SET rejected = 1, lines = lines + 1 WHERE id = 1")
    done = run("check-data", "--db", db, "ledger_sums", "user_sets", check=65)
    heads = [line for line in done.stdout.splitlines() if b"_s" in line and b":" in line]
    assert [head.partition(b":")[0] for head in heads] == [
        b"ledger_sums", b"ledger_sums (property b)", b"user_sets (property b)"
    ]  # fmt: skip
    assert run("check-data", "--db", db, "--property=a", "user_sets", check=0).stdout == b""
    for program, *words in (["show-report", "active_users"], ["why-day", "2024-03-09"]):
        done = run(program, "--db", db, "--property=c", *words, check=2)
        assert b"no property c in the database; there are: default, a, b" in done.stderr


def test_each_has_its_measures(tmp_path):
    db = tmp_path / "my.db"
    imported(db, stdin=b"".join(events(1)))
    imported(db, '--property=a"b', "--by=platform", stdin=b"".join(events(2)))
    text = run("export-metrics", "--db", db, check=0).stdout.decode()
    last = "SELECT active_user_count FROM {}active_user_table ORDER BY date DESC LIMIT 1"
    for name, of in (("default", ""), ('a\\"b', "p1_")):
        (count,) = query(db, last.format(of))[0]
        assert f'headcount_active_users{{property="{name}"}} {count}.0\n' in text
        assert f'headcount_property_newest_day_age_seconds{{property="{name}"}} ' in text
    assert 'headcount_active_users_by{dimension="platform",property="a\\"b",value=' in text


def test_backfill_is_of_the_same_property(tmp_path):
    db, files = tmp_path / "my.db", []
    for number in range(4):
        files.append(tmp_path / f"{number}.jsonl")
        files[-1].write_bytes(b"".join(events(number)))
    imported(db, files[0])
    imported(db, "--property=a", files[1])
    imported(db, "--property-by=app_info.id", files[2])
    imported(db, "--property=(none)", "--by=platform", "--backfill", check=66)
    for name, file in (("default", files[0]), ("a", files[1])):
        imported(db, f"--property={name}", "--by=platform", "--backfill")
        imported(alone := tmp_path / f"{name}.db", "--by=platform", file)
        assert content(db, name) == content(alone)
    imported(db, "--property-by=app_info.id", "--by=platform", "--backfill")
    shop = [line for line in events(2) if name_of(line) == "shop"]
    imported(alone := tmp_path / "shop.db", "--by=platform", stdin=b"".join(shop))
    assert content(db, "shop") == content(alone)


def test_what_cannot_be_is_refused(tmp_path):
    db, file = tmp_path / "my.db", tmp_path / "events"
    file.write_bytes(b"".join(events(1)))
    for words in (
        ["--property="],
        ["--property=a", "--property-by=app_info.id"],
        ["--property-by=app_info.id", "--pipe"],
        ["--property-by=a..b"],
    ):
        assert b"property" in imported(db, *words, file, check=2).stderr
    assert not db.exists()
    many = [json.loads(line) | {"n": n} for n, line in enumerate(events(1, count=6000))]
    lines = "".join(json.dumps(record) + "\n" for record in many).encode()
    done = imported(db, "--property-by=n", stdin=lines, check=65)
    assert b"values: name a field that tells apps apart" in done.stderr
    assert properties_of(db) == []
    imported(db, file)
    key = tmp_path / "key"
    key.write_bytes(b"k" * 32)
    key.chmod(0o600)
    for other in (f"--pseudonym-key={key}", "--sketch=beside"):
        done = imported(db, "--property=a", other, file, check=78)
        assert b"has to be the same for all of a database" in done.stderr
    assert query(db, "SELECT count(*) FROM run_property") == [(0,)]


def test_an_older_database_takes_a_property(tmp_path):
    """Each table of the default one is also in the list of those that a property has."""
    db = tmp_path / "my.db"
    imported(db, "--property=a", stdin=b"".join(events(1)))
    tables = {name for (name,) in query(db, "SELECT name FROM sqlite_schema")}
    assert {f"p1_{name}" for name in properties.TABLES} <= tables
    refers = query(db, "SELECT name, sql FROM sqlite_schema WHERE name LIKE 'p1%' AND sql > ''")
    for name, text in refers:
        for table in properties.TABLES:
            assert f" {table} " not in text.partition("(")[0], name
