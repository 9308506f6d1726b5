"""Sources of logs and services: each form, against the slow reference and the generator's truth."""

import re
from pathlib import Path

import pytest

from headcount.io.blocks import All, Block
from headcount.pipelines.active_users.events import bots, by_columns, by_fields, record, source
from headcount.pipelines.active_users.sources import access_log, snowplow
from helpers.programs import REAL, run
from helpers.sessions import query
from reference import logs as reference

SHAPES = REAL.parent / "cases" / "shapes"
FORMS = [
    *[("snowplow", form) for form in ("tsv", "json")],
    ("cloudevents", None),
    *[("access-log", form) for form in ("combined", "common", "vhost", "nginx", "caddy")],
    ("fields", None),
]
SEEDS = range(3)
OTHER_USERS = {
    "snowplow": "user_id,domain_userid",
    "cloudevents": "subject",
    "access-log": "remote_addr",
    "fields": "who.device",
}
VALUABLE = {
    "snowplow": ("login", "transaction"),
    "cloudevents": ("com.example.shop.log_in", "com.example.shop.buy"),
    "access-log": ("/login", "/checkout"),
    "fields": ("log-in", "buy"),
}
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:123.0) Gecko/20100101 Firefox/123.0"
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def options_of(kind):
    """How count-active-users is to read a kind."""
    if kind != "fields":
        return ["--source", kind]
    found = ["user=who.id,who.device", "time=when.at", "name=what.kind", "agent=how.agent"]
    return ["--source", kind, "--time-unit", "ms", *(f"--field={text}" for text in found)]


def make(folder, kind, form, seed, *more):
    """A file of events, its lines, and the truth."""
    folder.mkdir(exist_ok=True)
    given = ["--seed", seed, "--events", 3000, "--truth", folder / "truth", *more]
    made = run("make-data", kind, *given, *(["--format", form] if form else []), check=0).stdout
    (folder / "events").write_bytes(made)
    return (
        folder / "events",
        made.splitlines(keepends=True),
        counts((folder / "truth").read_bytes()),
    )


def counts(text):
    return {day: int(n) for day, n in (row.split("\t") for row in text.decode().splitlines())}


def count(kind, path, *more):
    """What count-active-users prints, and how many lines it rejected."""
    rejects = path.with_name("rejects")
    rejects.unlink(missing_ok=True)
    given = [*options_of(kind), "--quiet", "--rejects", rejects, *more]
    if any(word.startswith("--field=user=") for word in map(str, more)):
        given.remove("--field=user=who.id,who.device")
    found = run("count-active-users", *given, path)
    assert found.returncode in (0, 65), found.stderr
    return counts(found.stdout), len(rejects.read_bytes().splitlines())


@pytest.mark.sample(2)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("kind", "form"), FORMS)
def test_counts(kind, form, seed, tmp_path):
    path, lines, truth = make(tmp_path, kind, form, seed, "--broken", "0.05", "--unusual", "0.1")
    assert len(truth) == 5 and min(truth.values()) > 10
    expected, rejects = reference.answer(lines, kind)
    assert expected == truth
    assert rejects > 30
    assert count(kind, path, "--jobs", "2") == (expected, rejects)


def key_for(kind, folder):
    """The options without which an import keeps no addresses."""
    if kind != "access-log":
        return []
    (folder / "key").write_text("0123456789abcdef" * 4)
    return ["--pseudonym-key", folder / "key"]


@pytest.mark.sample(3)
@pytest.mark.parametrize(("kind", "form"), FORMS)
def test_pipe_and_import_count_the_same(kind, form, tmp_path):
    path, lines, truth = make(tmp_path, kind, form, 7, "--broken", "0.02", "--tz", "Asia/Kathmandu")
    zone = ["--tz", "Asia/Kathmandu"]
    expected = reference.answer(lines, kind, tz="Asia/Kathmandu")
    assert expected[0] == truth
    assert count(kind, path, *zone, "--pipe") == expected
    db = tmp_path / "my.db"
    given = ["--db", db, *options_of(kind), *zone, "--quiet", "--max-rejects", "9%"]
    given += key_for(kind, tmp_path)
    half = len(lines) // 2
    for number, part in enumerate((lines[:half], lines[half // 2 :], lines[: half // 3])):
        (tmp_path / f"{number}").write_bytes(b"".join(part))
        done = run("import-active-users", *given, tmp_path / f"{number}")
        assert done.returncode in (0, 65), done.stderr
    assert dict(query(db, "SELECT * FROM active_user_table")) == truth


@pytest.mark.sample(2)
@pytest.mark.parametrize(("kind", "form"), FORMS)
def test_options(kind, form, tmp_path):
    """Other users, events that count, bots, a zone: alone and together."""
    path, lines, _ = make(tmp_path, kind, form, 5, "--unusual", "0.1")
    user, valuable = OTHER_USERS[kind], VALUABLE[kind]
    of_user = ["--user", user]
    if kind == "fields":  # which is told by --field already
        of_user = [f"--field=user={user}"]
    if form == "caddy":
        of_user = ["--user", "request.remote_ip"]
    named = ["--valuable-events", ",".join(valuable)]
    assert count(kind, path, *of_user) == reference.answer(lines, kind, user=user)
    expected = reference.answer(lines, kind, valuable=valuable)
    assert count(kind, path, *named)[0] == expected[0]
    assert 0 < sum(expected[0].values()) < sum(reference.answer(lines, kind)[0].values())
    assert count(
        kind, path, *named, "--pipe", "--validate", "--tz", "Pacific/Auckland", *of_user
    ) == (reference.answer(lines, kind, user=user, valuable=valuable, tz="Pacific/Auckland"))


@pytest.mark.parametrize("form", ["combined", "nginx", "caddy"])
def test_bots_are_left_out(form, tmp_path):
    path, lines, truth = make(tmp_path, "access-log", form, 4, "--bots", "0.3", "--skip-bots")

    def is_bot(agent):
        return bool(re.search("Googlebot|bingbot|GPTBot|^curl", agent))

    with_bots, _ = reference.answer(lines, "access-log")
    assert sum(with_bots.values()) > 1.2 * sum(truth.values())
    assert reference.answer(lines, "access-log", is_bot=is_bot) == (truth, 0)
    assert count("access-log", path) == (with_bots, 0)
    assert count("access-log", path, "--skip-bots") == (truth, 0)
    assert count("access-log", path, "--skip-bots", "--pipe") == (truth, 0)


def test_bots_of_other_sources(tmp_path):
    path = tmp_path / "events"
    common = '{"specversion":"1.0","type":"t","source":"s","time":"2026-01-10T16:00:00Z","data":'
    path.write_text(
        "".join(
            f'{common}{{"userId":"{user}","agent":{agent}}}}}\n'
            for user, agent in (("a", f'"{BOT}"'), ("b", f'"{BROWSER}"'), ("c", "5"), ("d", "null"))
        )
    )
    given = ["--skip-bots", "--field", "agent=data.agent"]
    assert count("cloudevents", path, *given) == ({"2026-01-10": 3}, 0)
    assert count("cloudevents", path, "--field", "agent=data.agent") == ({"2026-01-10": 4}, 0)
    done = run("count-active-users", *options_of("cloudevents"), "--skip-bots", path, check=2)
    assert done.stdout == b""
    assert b"--skip-bots: cloudevents" in done.stderr and b"--field agent=" in done.stderr
    assert b"--skip-bots: ga4" in run("count-active-users", "--skip-bots", check=2).stderr
    segment = tmp_path / "segment"
    segment.write_text(
        "".join(
            f'{{"type":"track","event":"x","userId":"{user}","messageId":"m","timestamp":'
            f'"2026-01-10T16:00:00Z","context":{{"userAgent":"{agent}"}}}}\n'
            for user, agent in (("a", BOT), ("b", BROWSER))
        )
    )
    assert count("segment", segment, "--skip-bots") == ({"2026-01-10": 1}, 0)


def test_whether_bots_count_is_a_setting(tmp_path):
    path, _, _ = make(tmp_path, "access-log", "combined", 1)
    common = [*options_of("access-log"), *key_for("access-log", tmp_path), "--quiet", path]
    run("import-active-users", "--db", tmp_path / "without.db", "--skip-bots", *common, check=0)
    run("import-active-users", "--db", tmp_path / "with.db", *common, check=0)
    settings = "SELECT value FROM setting WHERE name LIKE '%skip-bots'"
    assert query(tmp_path / "without.db", settings) == [(bots.NAME,)]
    assert query(tmp_path / "with.db", settings) == [("",)]
    done = run("import-active-users", "--db", tmp_path / "without.db", *common, check=78)
    assert b"--skip-bots" in done.stderr
    run("import-active-users", "--db", tmp_path / "with.db", "--skip-bots", *common, check=78)
    ga4 = Path(__file__).parents[3] / "data" / "sample" / "events.jsonl.gz"
    run("import-active-users", "--db", tmp_path / "ga4.db", "--quiet", ga4, check=0)
    assert query(tmp_path / "ga4.db", settings) == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("24-snowplow.jsonl", "snowplow"),
        ("25-cloudevents.jsonl", "cloudevents"),
        ("26-access.log", "access-log"),
    ],
)
def test_shared_cases(name, kind):
    if not SHAPES.exists():
        pytest.skip(f"no {SHAPES}")
    common = ["count-active-users", "--tz", "UTC", "--quiet"]
    assert run(*common, "--source", kind, SHAPES / name, check=0).stdout == b"2026-01-10\t3\n"
    refused = run(*common, SHAPES / name, check=66)
    assert refused.stdout == b"" and f"--source {kind}".encode() in refused.stderr


# ---- lines that are hard to read


def parser(kind, **changes):
    known = source.find(kind)
    fields = source.Fields(kind, known.user, known.time, known.name, known.unit)
    return by_fields.Parser(record.Definition(fields=fields, **changes))


def judged(kind, *lines, **changes):
    """What each line is: its user, None if it does not count, or the reason of its reject."""
    found = parser(kind, **changes)
    one_by_one = [found.parse(line) for line in lines]
    assert found.parse_all(All(Block(b"\n".join(lines)))) == one_by_one
    assert found.parse_all(All(Block(b"\r\n".join([*lines, b""])))) == one_by_one
    return [it and (it[2] if len(it) == 4 else it.reason) for it in one_by_one]


TIME = "[10/Jan/2026:16:00:00 +0000]"
BAD = "not a line of an access log"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f'::1 - - {TIME} "GET / HTTP/1.1" 200 1 "-" "A"', "::1 A"),
        (f'2001:db8::a - - {TIME} "GET / HTTP/1.1" 200 1 "-" "A"', "2001:db8::a A"),
        (f'h.example - - {TIME} "GET / HTTP/1.1" 200 1 "-" "A"', "h.example A"),
        (f'10.0.0.1 - - {TIME} "GET / HTTP/1.1" 200 1', "10.0.0.1 "),
        (f'10.0.0.1 - - {TIME} "GET / HTTP/1.1" 200 - 0.03', "10.0.0.1 "),
        (f'10.0.0.1 - - {TIME} "GET / HTTP/1.1" 200 1 "-" "A" "10.9.9.9"', "10.0.0.1 A"),
        (f'www.x.org:80 10.0.0.1 - - {TIME} "GET / HTTP/1.1" 200 1 "-" "A"', "10.0.0.1 A"),
        (f'www.x.org:80 h.example - - {TIME} "GET / HTTP/1.1" 200 1 "-" "A"', "h.example A"),
        (f'[::1]:80 ::1 - - {TIME} "GET / HTTP/1.1" 200 1 "-" "A"', "::1 A"),
        (f'www.x.org ::1 - - {TIME} "GET / HTTP/1.1" 200 1 "-" "A"', "::1 A"),
        (f'10.0.0.1 - - {TIME} "GET / HTTP/1.1" 200 1 "-" "-"', "10.0.0.1 "),
        (f'10.0.0.1 - - {TIME} "GET / HTTP/1.1" 200 1 "-" ""', "10.0.0.1 "),
        (f'10.0.0.1 - - {TIME} "GET / HTTP/1.1" 200 1 "" "-x"', "10.0.0.1 -x"),
        (f'10.0.0.1 - j. r. [doe] {TIME} "GET / HTTP/1.1" 200 1 "-" "A"', "10.0.0.1 A"),
        (rf'10.0.0.1 - x {TIME} \" {TIME} "GET / HTTP/1.1" 200 1 "-" "A"', "10.0.0.1 A"),
        (
            rf'10.0.0.1 - - {TIME} "GET / HTTP/1.1" 200 1 "-" "A \"B\" \\"',
            r'10.0.0.1 A "B" \ '[:-1],
        ),
        (rf'10.0.0.1 - - {TIME} "GET / HTTP/1.1" 200 1 "-" "A \x22B\x22"', '10.0.0.1 A "B"'),
        (rf'10.0.0.1 - - {TIME} "GET / HTTP/1.1" 200 1 "-" "A\xc3\n\t"', "10.0.0.1 A\\xc3\n\t"),
        (f'10.0.0.1 - - {TIME} "GET /é HTTP/1.1" 200 1 "-" "é"', "10.0.0.1 é"),
        (rf'10.0.0.1 - - {TIME} "\x16\x03\x01" 400 1 "-" "-"', "10.0.0.1 "),
        (f'10.0.0.1 - - {TIME} "-" 408 - "-" "-"', None),
        (f'10.0.0.1 - - {TIME} "" 400 0 "-" "-"', None),
        (f'- - - {TIME} "GET / HTTP/1.1" 200 1 "-" "A"', "unidentified"),
        (f'10.0.0.1 - - {TIME} "GET / HTTP/1.1" 200 1 "-" "cut', BAD),
        (f'10.0.0.1 - - {TIME} "GET / HTTP/1.1" 200 12 "-', BAD),
        (f'10.0.0.1 - - {TIME} "GET / HTTP/1.1" 2', BAD),
        (f'10.0.0.1 - - {TIME[:-1]} "GET / HTTP/1.1" 200 1 "-" "A"', BAD),
        ('10.0.0.1 - - [32/Jan/2026:16:00:00 +0000] "GET / HTTP/1.1" 200 1', "bad time"),
        ('10.0.0.1 - - [10/Foo/2026:16:00:00 +0000] "GET / HTTP/1.1" 200 1', "bad time"),
        ('10.0.0.1 - - [10/Jan/1999:16:00:00 +0000] "GET / HTTP/1.1" 200 1', "implausible time"),
        ("#Version: 1.0", BAD),
        ("", BAD),
    ],
)
def test_lines_of_access_logs(line, expected):
    sound = f'10.1.1.1 - - {TIME} "GET / HTTP/1.1" 200 1 "-" "B"'.encode()
    found = judged("access-log", sound, line.encode(), sound)
    assert found == ["10.1.1.1 B", expected, "10.1.1.1 B"]


def test_bytes_that_are_not_utf8_and_lines_that_are_long():
    start, end = f"10.0.0.1 - - {TIME}".encode() + b' "GET /', b' HTTP/1.1" 200 1 "-" "A\xff"'
    found = judged("access-log", start + b"caf\xe9" + end, start + b"x" * 3_000_000 + end)
    assert found == ["10.0.0.1 A\\xff"] * 2
    escaped = start + b"x" + end.replace(b"\xff", rb"\xff")
    assert judged("access-log", escaped) == ["10.0.0.1 A\\xff"]


def test_times_of_access_logs():
    line = b'10.0.0.1 - - [09/Mar/2026:23:30:00 -0600] "GET / HTTP/1.1" 200 1 "-" "A"'
    at = reference.at("2026-03-10T05:30:00+00:00")
    assert parser("access-log").parse(line)[0] == at.timestamp() * 1_000_000
    apache = (
        b'{"time":"[09/Mar/2026:23:30:00 -0600]","remoteIP":"::1","request":"/","userAgent":"A"}'
    )
    assert parser("access-log").parse(apache)[::2] == (at.timestamp() * 1_000_000, "::1 A")


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        ("GET / HTTP/1.1", "/"),
        ("GET /a/b?c=d HTTP/1.1", "/a/b"),
        ("GET /a b?c d HTTP/2.0", "/a b"),
        ("GET /a", "/a"),
        ("POST http://x.org/a?b HTTP/1.1", "/a"),
        ("GET http://x.org HTTP/1.1", "/"),
        ("GET ?a HTTP/1.1", "/"),
        ("GET //a://b HTTP/1.1", "//a://b"),
        ("/a?b", "/a"),
        ("OPTIONS * HTTP/1.0", "*"),
        ("", ""),
        ("-", ""),
    ],
)
def test_paths(request_line, expected):
    assert access_log.path(request_line) == expected


def tsv(**values):
    return "\t".join(values.get(name, "") for name in snowplow.COLUMNS).encode()


SESSION = (
    '{"data":[{"schema":"iglu:com.snowplowanalytics.snowplow/client_session/jsonschema/1-0-2",'
)
SOUND = {"derived_tstamp": "2026-01-10 16:00:00.1", "event_name": "a", "domain_userid": "u"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (SOUND, "u"),
        (SOUND | {"event_name": "", "event": "page_ping"}, "u"),
        (SOUND | {"derived_tstamp": "", "collector_tstamp": "2026-01-10 16:00:00"}, "u"),
        (SOUND | {"contexts": SESSION + '"data":{"userId":"s"}}]}'}, "u"),
        (SOUND | {"domain_userid": "", "contexts": SESSION + '"data":{"userId":"s"}}]}'}, "s"),
        (SOUND | {"domain_userid": "", "contexts": SESSION + '"data":{}}]}'}, "unidentified"),
        (SOUND | {"domain_userid": "", "contexts": SESSION}, "unidentified"),
        (SOUND | {"domain_userid": ""}, "unidentified"),
        (SOUND | {"event_name": ""}, "event_name or event is missing"),
        (SOUND | {"derived_tstamp": ""}, "derived_tstamp or collector_tstamp is missing"),
        (SOUND | {"derived_tstamp": "2026-13-10 16:00:00"}, "bad time"),
        (SOUND | {"true_tstamp": "x\tmore\tcolumns"}, "u"),
        ({name: name for name in snowplow.COLUMNS}, None),  # a header
    ],
)
def test_lines_of_snowplow(values, expected):
    assert judged("snowplow", tsv(**SOUND), tsv(**values)) == ["u", expected]


def test_broken_lines_of_snowplow():
    line = tsv(**SOUND)
    assert judged("snowplow", line[:-1], line, line.replace(b"\tu\t", b"\t\xff\t")) == [
        "not an enriched event",
        "u",
        "not UTF-8",
    ]


def test_the_order_of_columns_is_that_of_the_documentation():
    places = {"app_id": 0, "user_id": 12, "contexts": 52, "unstruct_event": 58, "useragent": 77}
    places |= {"derived_contexts": 122, "derived_tstamp": 124, "true_tstamp": 130}
    assert {name: snowplow.COLUMNS.index(name) for name in places} == places
    assert len(set(snowplow.COLUMNS)) == 131


@pytest.mark.parametrize("names", [("app_id",), ("true_tstamp",), ("app_id", "true_tstamp")])
def test_any_columns_of_snowplow(names):
    values = {name: f"<{name}>" for name in snowplow.COLUMNS}
    rows = snowplow.table(names)(tsv(**values) + b"\n\t\t\n")
    assert rows == [tuple(f"<{name}>" for name in names), ("",) * len(names)]


@pytest.mark.parametrize(
    ("kind", "form"), [pair for pair in FORMS if pair[1] in ("tsv", "combined", "common", "vhost")]
)
def test_many_lines_at_once_are_what_each_is(kind, form, tmp_path):
    """Most are parsed at once, and each line is what it is alone."""
    _, lines, _ = make(tmp_path, kind, form, 6, "--broken", "0.1", "--unusual", "0.2")
    found = parser(kind, valuable_events=frozenset(VALUABLE[kind]))
    block = All(Block(b"".join(lines)))
    alone = [found.parse(line.rstrip(b"\n")) for line in lines]
    assert found.parse_all(block) == alone
    at_once = by_columns.Columns(found.definition, source.find(kind))(block)
    assert at_once.count(by_columns.UNUSUAL) < len(lines) / 4
    for one, other in zip(at_once, alone, strict=True):
        assert one is by_columns.UNUSUAL or one == other


def test_a_name_that_is_an_object_elsewhere():
    """nginx has a text at `request`, Caddy an object; each source's forms may come in one block."""
    nginx = b'{"remote_addr":"::1","http_user_agent":"A","msec":"1768060800.1","request":"GET / X"}'
    caddy = (
        b'{"ts":1768060800.1,"request":{"client_ip":"::1","uri":"/",'
        b'"headers":{"User-Agent":["A"]}}}'
    )
    other = b'{"ts":1768060800.1,"remote_addr":"::1","request":["GET"]}'
    assert judged("access-log", nginx, caddy, nginx) == ["::1 A"] * 3
    assert judged("access-log", nginx, other)[1] == "::1 "


def test_addresses_are_kept_as_keyed_hashes_only(tmp_path):
    path, _, truth = make(tmp_path, "access-log", "combined", 3, "--broken", "0")
    given = ["--source", "access-log", "--quiet"]
    db = tmp_path / "my.db"
    for program in (["import-active-users", "--db", db], ["count-active-users", "--part", "p"]):
        done = run(*program, *given, path, check=2, cwd=tmp_path)
        assert b"--pseudonym-key" in done.stderr
    key = key_for("access-log", tmp_path)
    for by in ("--by=remote_addr", "--by=status,status*remote_addr", "--property-by=remote_addr"):
        done = run("import-active-users", "--db", db, *given, *key, by, path, check=2)
        assert b"does not say who the user is" in done.stderr and not db.exists()
    part = ["--part", tmp_path / "p", "--by=remote_addr"]
    run("count-active-users", *part, *given, *key, path, check=2)
    run("import-active-users", "--db", db, *given, *key, "--by=status", path, check=0)
    users = query(db, "SELECT key FROM user")
    assert users and all(re.fullmatch("[0-9a-f]{32}", user) for (user,) in users)
    counts = dict(query(db, "SELECT date, active_user_count FROM active_user_table"))
    assert counts == truth
    merged = tmp_path / "merged.db"
    run("count-active-users", "--part", tmp_path / "part", *given, *key, path, check=0)
    run("merge-parts", "--quiet", "--db", merged, tmp_path / "part", check=0)
    assert sorted(query(merged, "SELECT key FROM user")) == sorted(users)
    daily = tmp_path / "daily.db"
    done = run(
        "import-active-users", "--db", daily, *given, *key, "--pseudonyms=day", path, check=0
    )
    assert dict(query(daily, "SELECT date, active_user_count FROM active_user_table")) == truth
    assert query(daily, "SELECT count(*) FROM user") == [(sum(truth.values()),)]
    run("import-active-users", "--db", daily, *given, *key, path, check=78)
    done = run("show-report", "--db", daily, "active_users", "--param", "window=7", check=0)
    assert b"new pseudonyms each day" in done.stderr
    for wrong in (["--pseudonyms", "day"], ["--pseudonyms", "day", *key, "--pipe"]):
        run("import-active-users", "--db", tmp_path / "x.db", *given, *wrong, path, check=2)
        assert not (tmp_path / "x.db").exists()


def test_bots_of_no_agent_are_refused(tmp_path):
    """To leave nobody out would be a plausible number."""
    path, _, _ = make(tmp_path, "access-log", "common", 4)
    for how in ([], ["--pipe"]):
        done = run("count-active-users", "--source=access-log", "--skip-bots", *how, path, check=66)
        assert done.stdout == b"" and b"without http_user_agent" in done.stderr
