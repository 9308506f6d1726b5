"""Events with metrics: parsed and imported, against a slow reference, with all that is odd."""

import contextlib
import csv
import io
import json
import random
import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headcount.filters.rejects import Reject
from headcount.formats import tables
from headcount.pipelines.event_metrics import files, record
from headcount.values import tsv
from helpers.programs import run
from helpers.sessions import query
from reference import event_metrics as reference

NAMES = [*reference.KNOWN, "metric_4", "", 'q"uote', "back\\slash", "a\tb", "nul\0", "é", "日本"]
NAMES += ["Metric_One", "id", "\u2028", "x" * 300, "'; DROP TABLE event; --", "{", "},\n{", "null"]
VALUES = ["1", "-3", "0", "-0", "5.0", "1.5", "1e2", '"7"', '"x"', "null", "true", "[1,{}]"]
VALUES += ['{"a":"b"}', "9223372036854775807", "9223372036854775808", "-9223372036854775808"]
VALUES += ["1e400", "9007199254740993.0", '"a\\nb"', '"\\u0041"', '""', "1" * 40, '"},\\n{"', "01"]
TEXTS = ["", "null", "{}", "\\N", '{"metrics":null}', '{"metrics": null}', '{"other":1}', "[]", "{"]
TEXTS += ['{"metrics":[]}', "nul", '{"metrics":{}} x', '{"metrics":{"a":1},"metrics":{"b":2}}', "7"]
TEXTS += ["{},{}", '{"x":[{}', "{}]}", '{"metrics":{"metric_one":1', '"metric_two":2}}', " {} "]
TEXTS += ['{"metrics":{"a":"}', '{"}}', '{"metrics":{"metric_one":1,"metric_one":2}}', '{"a":NaN}']
TEXTS += [
    '{"metrics":{"metric_one":1},"x":"},{"}',
    '{"metrics":{"\\u006detric_one":3}}',
    "\ufeff{}",
]
IDS = ["1", "-5", "007", "+3", "5.0", "", "x", "1,2", "9223372036854775808", " 5", "１", "1e3"]
IDS += ["\\N", "-", "--5", "5-", "-9223372036854775808", "9" * 50, "0x1", "1_000"]
TIMES = [
    "2024-03-05 10:11:12",
    "2024-03-05T10:11:12",
    "2024-03-05 10:11:12.500",
    "2024-02-30 00:00:00",
]
TIMES += [
    "2024-03-05",
    "2024-03-05 24:00:00",
    "2024-03-05 23:59:60",
    "",
    "\\N",
    "0001-01-01 00:00:00",
]
TIMES += ["2024-03-05 10:11:12Z", "2024-03-05 10:11:12.", "20240305 10:11:12", "2024-W01-1 10:11:1"]
TIMES += ["2024-03-05_10:11:12", "٢٠٢٤-03-05 10:11:12", "9999-12-31 23:59:59", "2024-03-05 1:11:12"]


def names(odd):
    return st.sampled_from(NAMES) | st.text(max_size=6) if odd else st.sampled_from(NAMES[:4])


def metrics_text(odd):
    value = st.sampled_from(VALUES) if odd else st.integers(-9, 10**6).map(str) | st.just("null")
    spaces = st.sampled_from([("", ""), (" ", ""), (" ", " ")])

    def text(items, spaces, is_ascii):
        before, behind = spaces
        return (
            '{"metrics":' + behind + "{"
            + f"{before},{behind}".join(
                f"{json.dumps(name, ensure_ascii=is_ascii)}{before}:{behind}{value}"
                for name, value in items
            )
            + "}" + before + "}"
        )  # fmt: skip

    made = st.builds(
        text, st.lists(st.tuples(names(odd), value), max_size=5), spaces, st.booleans()
    )
    return made | st.sampled_from(TEXTS if odd else TEXTS[:5])


def rows(odd):
    ident = st.integers(0, 10**6).map(str)
    time = st.datetimes().map(lambda at: at.isoformat(" ")[:19])
    if odd:
        ident, time = ident | st.sampled_from(IDS), time | st.sampled_from(TIMES)
    row = st.tuples(ident, ident, ident, time, time, metrics_text(odd))
    return st.lists(row, min_size=1, max_size=12)


@pytest.mark.sample(4)
@pytest.mark.parametrize("known", [reference.KNOWN, (), ('q"uote', "a\tb"), ("metric_4",)])
@given(
    rows(False) | rows(True) | st.tuples(rows(False), rows(True)).map(lambda two: two[0] + two[1])
)
@settings(max_examples=600, deadline=None)
def test_rows_are_what_the_reference_says(known, rows):
    reader = record.Reader(known)
    found = reader(list(zip(*rows, strict=True)))
    unknown = set()
    for row, got in zip(rows, found, strict=True):
        try:
            expected = reference.event(dict(zip(reference.COLUMNS, row, strict=True)), known)
        except reference.Bad:
            assert type(got) is Reject, (row, got)
            continue
        *values, others = got
        assert tuple(values) == expected[:-1], row
        assert others == reference.as_json(expected[-1]), row
        unknown.update(name for name, _ in expected[-1])
    assert reader.unknown >= unknown


def test_plain_rows_are_decoded_together_and_others_are_not():
    """The fast way is taken, so that the test above is one of both."""
    plain = record._AllAtOnce(reference.KNOWN)
    assert plain(['{"metrics":{"metric_n":1,"metric_one":null}}', "{}", ""]) == (
        [[None, None, None], [None, None, None], [1, None, None]],
        [],
    )
    columns, rest = plain(['{"metrics":{"metric_one":1}}', '{"metrics":{"x":1,"metric_two":2}}'])
    assert rest == [1] and columns[0] == [1, None]
    for texts in (["{},{}", '{"x":[{}', "{}]}"], ['{"metrics":{"a":1', '"b":2}}', "{},{}"]):
        assert plain(texts) is None


def written(rng, rows):
    """A file of rows: columns in any order, perhaps more of them; delimiter, quotes, line ends."""
    delimiter = rng.choice("\t\t,;|")
    columns = rng.sample(reference.COLUMNS, 6)
    if rng.random() < 0.4:
        columns.insert(rng.randrange(7), "comment")
    end = rng.choice(["\n", "\n", "\r\n"])
    text = io.StringIO()
    fields = [field for row in rows for field in row.values()]
    bare = delimiter == "\t" and rng.random() < 0.8
    bare = bare and not any(field.startswith('"') or "\t" in field for field in fields)
    quoting = rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting)
    for row in [dict.fromkeys(columns) | {name: name for name in columns}, *rows]:
        fields = [row.get(name, "more") for name in columns]
        if rng.random() < 0.02 and row is not rows[0]:
            fields.append("too many")
        if bare:
            text.write(delimiter.join(fields) + end)
        else:
            writer.writerow(fields)
    text = text.getvalue()
    return (text if rng.random() < 0.7 else text.removesuffix(end)), delimiter


def some_event(rng, ids):
    at = f"2024-03-{rng.randrange(1, 29):02} {rng.randrange(24):02}:{rng.randrange(60):02}:00"
    if rng.random() < 0.2:
        at = at.replace(" ", "T") + rng.choice(["", ".25", ".500"])
    items = [
        (rng.choice(reference.KNOWN if rng.random() < 0.7 else NAMES), str(rng.randrange(100)))
        for _ in range(rng.randrange(5))
    ]
    if rng.random() < 0.3:
        items.append((rng.choice(NAMES), rng.choice(VALUES)))
    text = ",".join(f"{json.dumps(name)}:{value}" for name, value in items)
    metrics = f'{{"metrics":{{{text}}}}}'
    if rng.random() < 0.1:
        metrics = rng.choice(TEXTS)
    event = {
        "id": str(rng.choice(ids)),
        "first_dimension_id": str(rng.randrange(12)),
        "second_dimension_id": str(rng.randrange(5)),
        "recorded_date": at,
        "created_date": f"2024-04-0{rng.randrange(1, 4)} 00:00:00",
        "event_metrics": metrics,
    }
    if rng.random() < 0.03:
        name = rng.choice(reference.COLUMNS[:5])
        event[name] = rng.choice(IDS if name.endswith("id") else TIMES).replace("\\N", "")
    return event


def content(db):
    with contextlib.closing(sqlite3.connect(db)) as connection:
        columns = ", ".join(
            '"' + row[1].replace('"', '""') + '"'
            for row in connection.execute("PRAGMA table_xinfo(event)")
            if row[1] not in ("run_id", "other_metrics")
        )
        tables = {
            "event": f"SELECT {columns}, other_metrics FROM event ORDER BY id",
            "first_dimension": "SELECT * FROM first_dimension ORDER BY id",
            "second_dimension": "SELECT * FROM second_dimension ORDER BY id",
            "metric": "SELECT * FROM metric ORDER BY name, type",
        }
        return {name: connection.execute(query).fetchall() for name, query in tables.items()}


def imported(db, *arguments, **options):
    options = {"check": 0} | options
    return run("import-event-metrics", "--db", db, "--max-rejects", "100%", *arguments, **options)


def shown(db, name, *options):
    done = run("show-report", name, "--db", db, "--format", "tsv", *options, check=0)
    return [
        tuple(map(tsv.unescape, line.split("\t")))
        for line in done.stdout.decode().split("\n")[1:-1]
    ]


@pytest.mark.sample(8)
@pytest.mark.parametrize("seed", range(8))
def test_files_of_every_kind_in_any_order(seed, tmp_path):
    rng = random.Random(seed)
    ids, expected, files = range(-40, 200), reference.Events(), []
    for number in range(4):
        events = [some_event(rng, ids) for _ in range(rng.choice([30, 200]))]
        text, delimiter = written(rng, events)
        expected.read(text, delimiter)
        files.append(tmp_path / f"events-{number}")
        files[-1].write_text(text, newline="")
    dimensions = {ident: rng.choice(["a", "b", "=1+1", "ü"]) for ident in range(10)}
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("name\tid\n" + "".join(f"{name}\t{i}\n" for i, name in dimensions.items()))
    second.write_text("id,name\n0,zero\n1,one\n1,uno\n")
    tables = ["--first-dimensions", first, "--second-dimensions", second]
    dbs = [tmp_path / f"{name}.db" for name in ("one", "two", "three", "pieces")]
    for jobs, db in zip((1, 2, 4), dbs, strict=False):
        done = imported(db, "--jobs", jobs, *files, *tables, check=65)
    assert done.stderr.count(b": unknown metric ") == min(20, len(expected.unknown))
    for file in rng.sample(files, 4):
        imported(dbs[3], file, "--read-batch", 7, "--write-batch", 11, *tables, check=None)
    assert content(dbs[0]) == content(dbs[1]) == content(dbs[2]) == content(dbs[3])
    found = content(dbs[0])
    rows = [(*row[:-1], reference.as_json(row[-1])) for _, row in sorted(expected.rows.items())]
    assert found["event"] == rows
    assert found["metric"] == expected.registry()
    assert found["first_dimension"] == list(dimensions.items())
    assert found["second_dimension"] == [(0, "zero"), (1, "uno")]
    for name, rows in expected.reports(dimensions).items():
        assert shown(dbs[0], name) == [tuple(map(str, row)) for row in rows], name
    for metric in (None, *reference.KNOWN):
        given = ["--param", f"metric={metric}"] if metric else []
        rows = expected.by_dimension(dimensions, metric or min(reference.KNOWN))
        found = shown(dbs[0], "metric_by_first_dimension", *given)
        assert found == [tuple(map(str, row)) for row in rows] != []
    orphans = sum(row[1] not in dimensions for row in expected.rows.values())
    told = [int(row[2]) for row in shown(dbs[0], "orphan_dimensions") if row[0] == "first"]
    assert sum(told) == orphans
    with contextlib.closing(sqlite3.connect(dbs[0])) as db:
        assert db.execute("SELECT rejected FROM run").fetchone() == (expected.rejects,)
    before = content(dbs[0])
    again = imported(dbs[0], "-", stdin=files[0].read_bytes(), check=None)
    assert again.stdout == b"" and content(dbs[0]) == before


def test_a_later_copy_wins_whatever_the_order_and_replace_lets_what_comes_win(tmp_path):
    def line(created, metric):
        metrics = f'{{"metrics":{{"metric_one":{metric}}}}}'
        return f"1\t1\t1\t2024-03-01 00:00:00\t{created} 00:00:00\t{metrics}\n"

    header = "\t".join(reference.COLUMNS) + "\n"
    early, late = header + line("2024-04-01", 5), header + line("2024-04-02", 4)
    db = tmp_path / "my.db"
    for text in (early, late, early, late):
        imported(db, stdin=text.encode())
    assert content(db)["event"][0][5] == 4
    imported(db, "--replace", stdin=early.encode())
    assert content(db)["event"][0][5] == 5
    with contextlib.closing(sqlite3.connect(db)) as connection:
        runs = connection.execute("SELECT kept, duplicate FROM run ORDER BY id").fetchall()
    assert runs == [(1, 0), (1, 0), (0, 1), (0, 1), (1, 0)]


@pytest.mark.parametrize("quoting", ["bare", "quoted"])
def test_a_file_cut_into_pieces_has_the_same_rows_and_line_numbers(quoting, tmp_path, monkeypatch):
    rng = random.Random(7)
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(reference.COLUMNS)
    for _ in range(900):
        event = some_event(rng, range(10**6))
        fields = [
            event[name].replace('"', "") if quoting == "bare" else event[name] for name in event
        ]
        if quoting == "bare":
            text.write("\t".join(fields) + "\n")
        else:
            writer.writerow([*fields[:5], fields[5].replace("}", "\n}")])
    path = tmp_path / "events"
    path.write_text(text.getvalue())
    found = {}
    for size, jobs in ((1 << 30, 1), (3000, 3)):
        monkeypatch.setattr(files, "_SPLIT", size)

        def rows(some, _path):
            return "".join(f"{row}\n" for row in some).encode()

        how = tables.How(kind=tables.CSV, delimiter=None)
        work = files.Work(how, record.Reader(reference.KNOWN), rows, 50)
        results = list(files.results([str(path)], work, jobs, lambda size: None))
        found[jobs] = (
            b"".join(result.rows for _, _, result in results),
            [reject[1:] for _, _, result in results for reject in result.rejects],
            sum(lines for _, lines, _ in results),
            sum(result.records for *_, result in results),
        )
    assert found[1] == found[3]
    numbers = [number for _, number, _ in found[1][1]]
    lines = path.read_bytes().splitlines()
    assert len(numbers) > 20 and numbers == sorted(numbers)
    if quoting == "bare":
        assert [lines[number - 1] for number in numbers] == [raw for *_, raw in found[1][1]]


def test_the_registry_follows_events_that_change(tmp_path):
    """An event that loses its other metrics, and one that gets others."""
    rng = random.Random(5)
    db, expected = tmp_path / "my.db", reference.Events()
    for _ in range(4):
        events = [some_event(rng, range(30)) for _ in range(40)]
        text, delimiter = written(rng, events)
        expected.read(text, delimiter)
        imported(db, stdin=text.encode(), check=None)
        assert content(db)["metric"] == expected.registry()


def test_an_unknown_metric_beyond_floats_is_kept_as_it_is_written(tmp_path):
    db, rest = tmp_path / "my.db", ("2024-03-05 10:11:12", "2024-03-06 00:00:00")

    def rows(*metrics):
        text = [f"{n}\t1\t2\t{rest[0]}\t{rest[1]}\t{value}\n" for n, value in enumerate(metrics)]
        return ("\t".join(reference.COLUMNS) + "\n" + "".join(text)).encode()

    good = ('{"metrics":{"u":1e400,"metric_one":7}}', '{"metrics":{"v":{"a":[-1E+999]}}}')
    imported(db, stdin=rows(*good))
    found = query(db, "SELECT metric_one, other_metrics FROM event ORDER BY id")
    assert found == [(7, '{"u":1e400}'), (None, '{"v":{"a":[-1E+999]}}')]
    done = run("parse-metrics", stdin=rows('{"metrics":{"metric_one":1e400}}', *good), check=65)
    assert b"a known metric is no integer: metric_one" in done.stderr
    assert done.stdout.count(b"\n") == 2
    done = run("promote-metric", "--db", db, "u", check=1)
    assert b"is no integer in event 0" in done.stderr
