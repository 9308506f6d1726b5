"""PostgreSQL in place of SQLite: the same rows, whatever is asked. When it fails: tests/faults."""

import fcntl
import json
import re
import threading
from pathlib import Path
from random import Random

import pytest

from faults.databases import content, problems, stored
from faults.pipelines import PIPELINES
from faults.pipelines import imported as imported_by
from headcount.db.postgres import server as postgres
from headcount.errors import Failure
from headcount.reports import catalogue
from headcount.reports import connection as reporting
from helpers import postgres_server as servers
from helpers.events import event
from helpers.programs import BARE, run
from helpers.thorough import IN_FULL
from operations.test_erasure import made as made_up
from operations.test_erasure import person, published
from pipelines.active_users import test_breakdowns as breakdowns
from pipelines.active_users import test_properties as apps
from pipelines.active_users.test_definitions import ALL, made, options_of
from pipelines.active_users.test_part_file import part_of
from pipelines.active_users.test_spark import WHOLE


@pytest.fixture
def db(server):
    return server.new()


def whole(db):
    """The content of a database of either kind, the numbers of users included."""
    with reporting.for_reading(str(db)) as connection:
        return [sorted(connection.execute(sql).fetchall(), key=repr) for sql in WHOLE]


def imported(db, *arguments, program="import-active-users", **options):
    done = run(program, "--quiet", "--max-rejects", "100%", "--db", db, *arguments, **options)
    assert done.returncode in (0, 65), done.stderr
    return done


def both(tmp_path, server):
    return tmp_path / "my.db", server.new()


def masked(text: bytes, *names) -> bytes:
    """Without times of day now, seconds and names of databases, which differ."""
    text = re.sub(rb"20(2[5-9]|[3-9]\d)-\d\d-\d\dT\d\d:\d\d:\d\dZ", b"NOW", text)
    for name in names:
        text = text.replace(str(name).encode(), b"DB")
    return text


@pytest.mark.sample(3)
@pytest.mark.parametrize("seed", range(8 if IN_FULL else 1))
@pytest.mark.parametrize("world", ["plain", "events", "device"])
def test_the_same_rows_as_sqlite(world, seed, server, tmp_path):
    """After files in any pieces, some twice, parts, and days replaced."""
    rng, lines, (_, _, given) = Random(seed), made(seed, 500), options_of(world)
    given = [*given, "--definition", rng.choice([ALL, "engaged-valuable", "summed"])]
    steps = []
    for number in range(4):
        path = tmp_path / f"{number}.jsonl"
        path.write_bytes(b"".join(rng.sample(lines, rng.randrange(150, 400))))
        steps.append((path, rng.choice([[], ["--replace"], ["--jobs", "1"]])))
    part = part_of(rng.sample(lines, 100), tmp_path / "one.part", *given)
    mine, theirs = both(tmp_path, server)
    printed = []
    for db in (mine, theirs):
        said = b""
        for path, more in [*steps, steps[0]]:
            said += imported(db, *given, *more, path).stdout
        said += imported(db, part, program="merge-parts").stdout
        printed.append(said)
    assert printed[0] == printed[1] and printed[0]
    assert whole(mine) == whole(theirs)


def test_breakdowns_are_the_same(server, tmp_path):
    lines = breakdowns.made(1)
    table = tmp_path / "events_20200101.jsonl"
    dbs = both(tmp_path, server)
    report = ["active_users", "--param", "by=platform", "--param", "window=2", "--format", "csv"]
    printed = []
    for db in dbs:
        imported(db, *breakdowns.BY, "--max-values", 3, stdin=b"".join(lines[:100]))
        for some in (lines[50:200], lines[150:]):
            table.write_bytes(b"".join(some))
            imported(db, *breakdowns.BY, table)
        imported(db, stdin=lines[0])
        run("check-data", "--db", db, "value_sets", "user_sets", check=0)
        printed.append(masked(run("show-report", *report, "--db", db, check=0).stdout))
    assert breakdowns.published(dbs[0]) == breakdowns.published(dbs[1])
    assert breakdowns.sets(dbs[0]) == breakdowns.sets(dbs[1])
    assert printed[0] == printed[1]


def test_properties_are_the_same(server, tmp_path):
    lines, table = apps.events(1), tmp_path / "events_20200101.jsonl"
    dbs, reports = both(tmp_path, server), []
    for db in dbs:
        imported(db, *apps.HOW["stitched"], stdin=b"".join(lines[:300]))
        imported(db, *apps.HOW["several"], "--property=a", "--tz=Asia/Tokyo", stdin=lines[0])
        imported(db, "--property=a", stdin=b"".join(lines[200:400]))
        for some in (lines[:200], lines[100:]):
            table.write_bytes(b"".join(some))
            imported(db, "--property-by=app_info.id", *apps.HOW["stitched"], table)
        user = json.loads(lines[7])["user_pseudo_id"]
        run("forget-user", "--db", db, "--mode", "recount", user, check=0)
        run("check-data", "--db", db, "value_sets", "user_sets", "ledger_sums", check=0)
        report = ["active_users", "--property=shop", "--param=window=7", "--format=csv"]
        reports.append(masked(run("show-report", *report, "--db", db, check=0).stdout))
    names = apps.properties_of(dbs[0])
    assert len(names) == len(apps.APPS) + 1 and names == apps.properties_of(dbs[1])
    for name in ("default", *names):
        assert apps.content(dbs[0], name) == apps.content(dbs[1], name)
    assert reports[0] == reports[1]


@pytest.fixture(scope="module")
def filled(server, tmp_path_factory):
    """A database of each kind with two months, several definitions, sketches, rejects."""
    folder = tmp_path_factory.mktemp("filled")
    common = ["--definition", f"engaged-valuable,{ALL.replace('engaged-valuable,', '')}"]
    if (servers.ROOT / ".venv" / "sketch").exists():
        common += ["--sketch", "beside"]
    paths = []
    for seed in (1, 2):
        path = folder / f"{seed}.jsonl"
        made_up = ["--events", "6000", "--days", "40", "--seed", seed, "--broken", "0.002"]
        path.write_bytes(run("make-data", "engagement", *made_up, check=0).stdout)
        paths.append(path)
    mine, theirs = both(folder, server)
    for db in (mine, theirs):
        for path in paths:
            imported(db, *common, "--validate", path)
    return mine, theirs


def test_every_report_is_the_same(filled):
    answers = 0
    with reporting.for_reading(str(filled[0])) as mine, reporting.for_reading(filled[1]) as theirs:
        for name in catalogue.names():
            report = catalogue.load(name)
            found = [db.execute(report.sql, report.params).fetchall() for db in (mine, theirs)]
            texts = [masked(repr(rows).encode()) for rows in found]
            assert texts[0] == texts[1], name
            answers += bool(found[0])
    assert answers > 8


@pytest.mark.parametrize(
    "command",
    [
        ["show-report", "active_users", "--param", "window=28"],
        ["show-report", "retention", "--param", "by=day", "--format", "chart"],
        ["check-data"],
        ["compare-definitions", "2024-03-12"],
        ["compare-definitions", "2024-03-12", "summed", "engaged-valuable"],
        ["why-day", "2024-03-12"],
        ["show-runs", "--json"],
        ["export-metrics"],
    ],
)
def test_every_reader_says_the_same(command, filled):
    mine, theirs = (run(*command, "--db", db) for db in filled)
    assert mine.returncode == theirs.returncode and mine.returncode in (0, 65), theirs.stderr
    passing = rb'("(seconds|started|ended)[^,}]*|^headcount_\S*(seconds|bytes|size|disk).*)'
    hidden = [
        re.sub(passing, b"", masked(done.stdout, *filled), flags=re.M) for done in (mine, theirs)
    ]
    assert hidden[0] == hidden[1]
    assert hidden[0] or command == ["check-data"]


def test_a_reader_fetches_only_the_tables_that_a_query_names(filled):
    with reporting.for_reading(filled[1]) as connection:
        before = connection.missing
        connection.execute("SELECT count(*) FROM active_users_by_definition").fetchall()
        fetched = before - connection.missing
    assert fetched == {"active_user_table", "setting", "definition_history"}
    assert {"user", "active_day", "run"} <= before


def test_all_tables_are_of_one_moment(db):
    imported(db, stdin=event(user="ann"))
    with reporting.for_reading(db) as connection:
        assert connection.execute("SELECT count(*) FROM run").fetchone() == (1,)
        imported(db, stdin=event(user="bob"))
        counts = connection.execute("SELECT active_user_count FROM active_user_table").fetchall()
    assert counts == [(1,)]
    assert whole(db)[0][0][1] == 2


def test_a_report_with_a_mistake_is_an_error(db):
    imported(db, stdin=event())
    with pytest.raises(Failure, match="no such table"), reporting.for_reading(db) as connection:
        connection.execute("SELECT * FROM nowhere")


def test_many_rows_go_by_a_staging_table(server, tmp_path):
    """A dictionary of many, whose keys need every escape of COPY."""
    keys = ["tab\t", "line\n", "back\\slash", "\\N", "ü", "'quoted\"", "%s?", *map(str, range(300))]
    lines = b"".join(event(user=key) for key in keys)
    mine, theirs = both(tmp_path, server)
    for db in (mine, theirs):
        imported(db, stdin=lines)
        imported(db, "--definition", "engaged-valuable", stdin=lines)
    assert whole(mine) == whole(theirs) and len(whole(theirs)[-2]) == len(keys)


def test_texts_that_postgresql_cannot_hold(server, tmp_path):
    """U+0000 within them; and what stands for it there is no other text's."""
    keys = ["a\0b", "a\u24000b", "\u2400", "\u2400\u2400", "\0", "0\u2400\0", "\u2400\u24000"]
    lines = b"".join(event(user=key) for key in keys)
    mine, theirs = both(tmp_path, server)
    for db in (mine, theirs):
        imported(db, stdin=lines)
        imported(db, stdin=lines)
    assert whole(mine) == whole(theirs)
    with reporting.for_reading(theirs) as connection:
        assert {key for (key,) in connection.execute("SELECT key FROM user")} == set(keys)
    changes = run("make-data", "recent-changes", "--events", 9, check=0).stdout
    chats = run("make-data", "chat", "--lines", 30, check=0).stdout
    for program, text in (("import-recent-changes", changes), ("import-site-activity", chats)):
        for name in (b'"user":"', b'"title":"', b'"from":"'):
            text = text.replace(name, name + b"\\u0000")
        for db in (mine, theirs):
            run(program, "--quiet", "--db", db, stdin=text, check=0)
    assert content(mine) == content(theirs) and content(mine)["recent_change_raw"]


# ---- all imports


@pytest.mark.sample(8)
@pytest.mark.parametrize("pipeline", PIPELINES, ids=lambda pipeline: pipeline.name)
def test_every_import_makes_the_same_rows(pipeline, db, tmp_path):
    """After files in any order, some twice; and every report says the same of them."""
    mine, files = tmp_path / "a.db", pipeline.inputs(tmp_path)
    some = [files[2], files[0], files[2], files[1]]
    printed = [[imported_by(pipeline, where, file).stdout for file in some] for where in (mine, db)]
    assert printed[0] == printed[1]
    assert content(mine) == content(db) and problems(mine) == problems(db) == []
    answers = 0
    with reporting.for_reading(str(mine)) as one, reporting.for_reading(db) as other:
        for name in catalogue.names():
            report = catalogue.load(name)
            found = [
                masked(repr(connection.execute(report.sql, report.params).fetchall()).encode())
                for connection in (one, other)
            ]
            assert found[0] == found[1], name
            answers += found[0] != b"[]"
        for words in ("comment_search", "recent_change_search"):
            query = f"SELECT rowid FROM {words} WHERE {words} MATCH 'a* OR e* OR o* OR 1*'"
            assert sorted(one.execute(query)) == sorted(other.execute(query))
    assert answers > 1
    checks = [run("check-data", "--db", where) for where in (mine, db)]
    assert checks[0].returncode == checks[1].returncode


# ---- turns


def test_a_turn_is_held_against_other_hosts(db, tmp_path):
    """The lock that a pipeline takes of the server, and that of each who writes."""
    files = [tmp_path / "0.jsonl", tmp_path / "1.jsonl"]
    for number, file in enumerate(files):
        file.write_bytes(event(user=f"u{number}"))
    imported(db, files[0])
    key = [postgres.LOCK, "import-active-users"]
    with postgres.connect(db) as other:
        other.execute("SELECT pg_advisory_lock(%s, hashtext(%s || current_schema()))", key)
        done = run("import-active-users", "--db", db, "--wait", "0.3", files[1], check=75)
        assert b"another import holds the lock" in done.stderr
    with postgres.connect(db) as other:
        other.execute("BEGIN")
        other.execute(
            "SELECT pg_advisory_xact_lock(%s, hashtext(current_schema()))", [postgres.WRITING]
        )
        done = run("import-active-users", "--db", db, "--wait", "0.3", files[1], check=75)
        assert b"stayed locked" in done.stderr
        release = threading.Timer(0.5, other.execute, ["ROLLBACK"])
        release.start()
        imported(db, files[1])
        release.join()


# ---- what a person does wrong


def test_no_server(tmp_path):
    if not (servers.ROOT / ".venv" / "postgres").exists():
        pytest.skip("no psycopg: make .venv/postgres")
    url = f"postgresql://me:secret@/x?host={tmp_path}"
    for command in (["import-active-users"], ["show-report", "active_users"]):
        done = run(*command, "--db", url, stdin=event(), check=75)
        assert b"secret" not in done.stderr and str(tmp_path).encode() in done.stderr
        assert b"Traceback" not in done.stderr


def test_a_database_of_another_program_or_version(server, db):
    schema = db.rpartition("%3D")[2]
    server.execute(f"CREATE TABLE {schema}.theirs (x int)")
    done = run("import-active-users", "--db", db, stdin=event(), check=78)
    assert b"another program" in done.stderr
    run("show-report", "--db", db, "active_users", check=78)
    server.execute(f"DROP TABLE {schema}.theirs")
    run("show-report", "--db", db, "active_users", check=66)
    imported(db, stdin=event())
    server.execute(f"COMMENT ON TABLE {schema}.active_user_table IS 'Headcount, schema 99'")
    for command in (["import-active-users"], ["show-report", "active_users"]):
        done = run(*command, "--db", db, stdin=event(), check=78)
        assert b"newer Headcount" in done.stderr


def test_a_database_of_the_version_before_is_brought_up_to_date(server, db):
    """The one before knew fewer signals, and a CHECK cannot be altered."""
    schema = db.rpartition("%3D")[2]
    imported(db, stdin=event())
    before = server.execute(f"SELECT date, users FROM {schema}.active_day")
    server.execute(
        f"ALTER TABLE {schema}.active_day DROP CONSTRAINT active_day_signal_check, "
        "ADD CONSTRAINT active_day_signal_check CHECK (signal IN ('engaged,valuable'))"
    )
    server.execute(f"COMMENT ON TABLE {schema}.active_user_table IS 'Headcount, schema 8'")
    imported(db, stdin=event(user="other"))
    assert len(before) == 1
    server.execute(f"INSERT INTO {schema}.active_day VALUES ('2020-01-01', 'any-event', '')")
    assert len(server.execute(f"SELECT * FROM {schema}.active_day")) == 2


def test_who_may_not_write(server, db):
    imported(db, stdin=event())
    schema = db.rpartition("%3D")[2]
    server.execute(f"CREATE ROLE reader_{schema} LOGIN")
    server.execute(f"GRANT USAGE ON SCHEMA {schema} TO reader_{schema}")
    server.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO reader_{schema}")
    reader = server.url(schema, user=f"reader_{schema}")
    done = run("import-active-users", "--db", reader, stdin=event(user="other"), check=74)
    assert b"permission denied" in done.stderr
    run("show-report", "--db", reader, "active_users", check=0)


def test_other_settings_and_too_many_rejects(db):
    imported(db, stdin=event())
    done = run("import-active-users", "--db", db, "--tz", "UTC", stdin=event(), check=78)
    assert b"was made with --tz America/Chicago" in done.stderr
    run("import-active-users", "--db", db, stdin=event(micros="never"), check=1)
    assert len(whole(db)[0]) == 1


@pytest.mark.parametrize(
    "command",
    [
        ["upsert-rows", "active_user_table"],
        ["serve-db"],
        ["backup-db"],
        ["promote-metric", "metric_4"],
        ["run-job", "name", "--", "true"],
    ],
)
def test_what_is_for_sqlite_alone_says_so(command, tmp_path):
    end = command.index("--") if "--" in command else len(command)
    command[end:end] = ["--db", "postgresql://nobody@nowhere.invalid/x"]
    done = run(*command, cwd=tmp_path, check=2)
    assert b"SQLite alone" in done.stderr and list(tmp_path.iterdir()) == []


def test_the_lock_of_a_pipeline_is_that_of_one_database(db, server, tmp_path):
    """Two databases of one server have imports at the same time."""
    other = server.new()
    env = {"PATH": BARE["PATH"], "HOME": str(tmp_path)}
    imported(db, stdin=event(), env=env)
    (lock,) = (tmp_path / ".cache" / "headcount").iterdir()
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        run("import-active-users", "--db", db, "--wait", "0.2", stdin=event(), env=env, check=75)
        imported(other, stdin=event(), env=env)


def test_doctor_looks_at_what_it_can(db):
    """Of a database without tables, of one with some, of a server that is gone."""
    for _ in range(2):
        said = run("doctor", "--db", db).stdout
        assert b"ok  time" in said and b"ok  schema" in said and b"permissions" not in said
        imported(db, stdin=event())
    done = run("doctor", "--quiet", "--db", db.replace("port=5432", "port=1"), check=65)
    assert done.stdout.count(b"connection is bad") == 2


# ---- a person


@pytest.mark.sample(2)
@pytest.mark.parametrize("mode", ["keep", "recount"])
def test_forget_user_does_what_it_does_in_sqlite(mode, server, tmp_path):
    """Numbers are the same, and no byte of the database's files has the name."""
    mine, theirs, bad = tmp_path / "my.db", server.database(), tmp_path / "bad"
    raw = {
        "import-active-users": made_up("engagement", "--events", 900),
        "import-site-activity": made_up("chat", "--lines", 900, "--sites", 3),
        "import-recent-changes": made_up("recent-changes", "--events", 600),
    }
    for program, lines in raw.items():
        name, _ = person(raw, program)
        lines = b"".join(lines)
        for db in (mine, theirs):
            run(program, "--quiet", "--db", db, stdin=lines, check=0)
        bad.write_text(f'{{"raw": "{name}"}}\n')
        assert name.encode() in stored(theirs)
        said = [run("forget-user", "--db", db, "--mode", mode, name, bad) for db in (mine, theirs)]
        assert [done.returncode for done in said] == [0, 0], said
        assert said[0].stdout == said[1].stdout
        counted = mode == "recount" and program != "import-recent-changes"
        assert bool(said[0].stdout) == counted
        notes = [masked(done.stderr).replace(b"1 line, ", b"").strip() for done in said]
        assert notes[0].replace(b", 1 line", b"") == notes[1] and b"erased: " in notes[1]
        assert published(mine) == published(theirs)
        assert name.encode() not in stored(theirs) and bad.read_bytes() == b""
        servers.query(theirs, "CHECKPOINT")
        (number,) = servers.query(theirs, "SELECT pg_relation_filepath('run')")[0]
        files = list(Path(server.folder, "data", number).parent.iterdir())
        assert len(files) > 50
        assert [path.name for path in files if name.encode() in path.read_bytes()] == []
        run("forget-user", "--db", theirs, "--mode", mode, name, check=66)
    run("check-data", "--db", theirs, "ledger_sums", check=0)


def test_who_keeps_forget_user_waiting(db):
    """An import, or a reader: then it says so, and a second time does the rest."""
    forget = ["forget-user", "--db", db, "--wait", "0.3", "--mode", "keep", "somebody"]
    run(*forget, check=66)
    imported(db, stdin=event(user="somebody"))
    with postgres.connect(db) as other:
        key = [postgres.LOCK, "import-comments"]
        other.execute("SELECT pg_advisory_lock(%s, hashtext(%s || current_schema()))", key)
        assert b"holds the lock of import-comments" in run(*forget, check=75).stderr
    with postgres.connect(db) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM run").fetchall()
        said = run(*forget, check=75).stderr
        assert b"erased, but not yet" in said and b"stayed locked" in said
    run(*forget, check=66)
    with reporting.for_reading(db) as connection:
        (name,) = connection.execute("SELECT key FROM user").fetchone()
    assert name.startswith("forgotten-")


def test_forget_user_tells_what_still_has_the_name(db):
    imported(db, stdin=event(user="somebody") + event(user="somebody-else"))
    done = run("forget-user", "--db", db, "--mode", "keep", "somebody", check=65)
    assert done.stderr.count(b" still has it") == 1 and b"user.key still has it" in done.stderr
