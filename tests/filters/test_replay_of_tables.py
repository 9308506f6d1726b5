"""Rejects of tables carry how these are read, so that a replay needs no options."""

import json

import pytest

from filters.test_reject_files import HEADER, letters
from helpers.programs import run
from helpers.sessions import query

POSTS = "post_h_id,page_h_id,type,created_time,name_h_id"
# A table's name, its encoding and delimiter, its options and what rejects say of it.
LATIN = (
    "a.csv",
    "latin-1",
    ";",
    ["--delimiter", ";", "--encoding", "latin-1"],
    {"delimiter": ";", "encoding": "latin-1"},
)
TSV = ("a.tsv", "utf-8", "\t", [], {"delimiter": "\t", "encoding": "utf-8"})
METRICS = '{""metrics"":{""metric_é"":1}}'
EVENT = ["2024-03-01 00:00:00", "1", "7", METRICS, "2024-04-01 00:00:00", "1"]


def written(path, encoding, delimiter, names, rows, quoted=()):
    """A table, where the fields of the `quoted` places are in quotes."""
    lines = [delimiter.join(names.split(","))]
    for row in rows:
        fields = [f'"{field}"' if i in quoted else field for i, field in enumerate(row)]
        lines.append(delimiter.join(fields))
    path.write_bytes("".join(f"{line}\n" for line in lines).encode(encoding))


def contents(db, *tables):
    return [sorted(query(db, f"SELECT * FROM {table}"), key=str) for table in tables]


def replayed(tmp_path, command, status=65):
    left = tmp_path / "left"
    left.unlink(missing_ok=True)
    done = run("replay-rejects", "--rejects", left, tmp_path / "bad", "--", *command, check=status)
    return done, letters(left) if left.exists() else []


@pytest.mark.parametrize("name, encoding, delimiter, options, told", [LATIN, TSV])
def test_texts_again(name, encoding, delimiter, options, told, tmp_path):
    """They stay the very same rejects; once mended in the file of rejects, they are imported."""
    source, bad, db = tmp_path / name, tmp_path / "bad", tmp_path / "my.db"
    rows = [("1", "é"), ("", "ü"), ("2", "b", "ß"), ("3", "x")]
    written(source, encoding, delimiter, "h_id,message", rows)
    many = ["--max-rejects", "90%"]
    many += ["--rejects", bad]
    run("import-comments", "--db", db, *options, *many, "--text", source, check=65)
    first = letters(bad)
    told = {"header": ["h_id", "message"], **told} | ({"from": "tsv"} if name == "a.tsv" else {})
    assert sorted(entry["line"] for entry in first) == [3, 4]
    for entry in first:
        assert {key: entry.get(key) for key in told} == told and "escape" not in entry
    command = ["import-comments", "--quiet", "--db", db, "--text", "-"]
    done, left = replayed(tmp_path, command)
    assert left == first
    assert done.stderr.endswith(b"2 lines replayed, 2 of them rejected again\n")
    for entry in first:  # as a person mends them
        entry.pop("raw_base64", None)
        entry["raw"] = delimiter.join([f"m{entry['line']}", "mended"])
    bad.write_text("".join(json.dumps(entry) + "\n" for entry in first))
    done, left = replayed(tmp_path, command, status=0)
    assert done.stdout == b"waiting_text\t2\t4\n" and not left
    whole = tmp_path / "whole.db"
    mended = [rows[0], ("m3", "mended"), ("m4", "mended"), rows[3]]
    written(source, encoding, delimiter, "h_id,message", mended)
    run("import-comments", "--db", whole, *options, "--text", source, check=0)
    assert contents(db, "waiting_text") == contents(whole, "waiting_text")


@pytest.mark.parametrize("name, encoding, delimiter, options, told", [LATIN, TSV])
def test_posts_again(name, encoding, delimiter, options, told, tmp_path):
    """Of a table with more columns, a row is kept with those that are read."""
    source, bad, db = tmp_path / name, tmp_path / "bad", tmp_path / "my.db"
    rows = [("ä", "p1", "g", "photo", "2018-01-09 16:00:00", "n"),
            ("ö", "p2", "é", "photo", "soon", "n"), ("ß", "p3")]  # fmt: skip
    written(source, encoding, delimiter, f"more,{POSTS}", rows)
    many = ["--max-rejects", "90%"]
    many += ["--rejects", bad]
    run("import-comments", "--db", db, *options, *many, "--posts", source, check=65)
    first = letters(bad)
    assert {(entry["line"], tuple(entry["header"])) for entry in first} == {
        (3, tuple(POSTS.split(","))),
        (4, ("more", *POSTS.split(","))),
    }
    _, left = replayed(tmp_path, ["import-comments", "--db", db, "--posts", "-"])
    assert sorted(left, key=str) == sorted(first, key=str)


@pytest.mark.parametrize("name, encoding, delimiter, options, told", [LATIN, TSV])
@pytest.mark.parametrize("jobs", [1, 2])
def test_events_again(name, encoding, delimiter, options, told, jobs, tmp_path):
    source, bad, db = tmp_path / name, tmp_path / "bad", tmp_path / "my.db"
    good = [[*EVENT[:2], str(ident), *EVENT[3:]] for ident in range(40)]
    wrong = [["soon é", *EVENT[1:]], EVENT[:3], ["soon\\n", *EVENT[1:]]]
    written(source, encoding, delimiter, HEADER, [*good, *wrong], quoted=[3])
    many = ["--max-rejects", "90%", "--jobs", jobs]
    command = ["import-event-metrics", "--db", db]
    run(*command, *options, *many, "--rejects", bad, source, check=65)
    first = letters(bad)
    told = {"header": HEADER.split(","), **told}
    assert [entry["line"] for entry in first] == [42, 43, 44]
    assert all({key: entry.get(key) for key in told} == told for entry in first)
    before = contents(db, "event")
    done, left = replayed(tmp_path, command)
    assert left == first and contents(db, "event") == before
    # what is rejected no more
    for entry in first:
        if "soon" not in entry.get("raw", "soon"):
            continue
        entry.pop("raw_base64", None)
        fields = [*EVENT[:2], str(entry["line"]), f'"{EVENT[3]}"', *EVENT[4:]]
        line = delimiter.join(fields).replace("é", "e")
        entry["raw"] = line
    bad.write_text("".join(json.dumps(entry) + "\n" for entry in first))
    done, left = replayed(tmp_path, command)
    assert [entry["line"] for entry in left] == [43]
    assert done.stderr.endswith(b"3 lines replayed, 1 of them rejected again\n")
    assert len(contents(db, "event")[0]) == 42


def test_dimensions_again(tmp_path):
    source, events, bad = (tmp_path / name for name in ("a.csv", "events", "bad"))
    source.write_bytes("id;name\n1;é\nx;ü\n".encode("latin-1"))
    events.write_text(HEADER.replace(",", ";") + "\n")
    command = ["import-event-metrics", "--db", tmp_path / "my.db"]
    options = ["--delimiter", ";", "--encoding", "latin-1", "--max-rejects", "90%"]
    run(*command, *options, "--rejects", bad, events, "--first-dimensions", source, check=65)
    (first,) = letters(bad)
    assert first["header"] == ["id", "name"] and first["encoding"] == "latin-1"
    _, left = replayed(tmp_path, [*command, events, "--first-dimensions", "-"])
    assert left == [first]


@pytest.mark.parametrize("encodings", ["utf-8,cp1252", "utf-16"])
def test_several_encodings_and_those_in_which_a_byte_is_no_character(encodings, tmp_path):
    source, bad = tmp_path / "a.csv", tmp_path / "bad"
    if encodings == "utf-16":
        source.write_bytes("é,b\n1,2,ß\n".encode("utf-16"))
    else:
        source.write_bytes("é,b\n1,2,ß\n".encode() + "1,2,ß\n".encode("cp1252"))
    run("read-table", "--encoding", encodings, "--rejects", bad, source, check=65)
    encoding = "utf-8" if encodings == "utf-16" else encodings
    assert {entry["encoding"] for entry in letters(bad)} == {encoding}
    _, left = replayed(tmp_path, ["read-table"])
    assert left == letters(bad)


def test_escapes_and_names_of_several_lines(tmp_path):
    source, bad = tmp_path / "a.csv", tmp_path / "bad"
    source.write_bytes(b'"a\nb",c\\\\,"d""",e\n1,"\\"x,\\"",\n')
    run("read-table", "--escape", "\\", "--rejects", bad, source, check=65)
    (first,) = letters(bad)
    assert (first["escape"], first["header"]) == ("\\", ["a\nb", "c\\", 'd"', "e"])
    assert first["line"] == 3
    done, left = replayed(tmp_path, ["read-table"])
    assert left == [first]
    with bad.open("a") as file:
        file.write(json.dumps(first | {"raw": "1,2,3,4", "line": 9}) + "\n")
    done, left = replayed(tmp_path, ["read-table"])
    assert json.loads(done.stdout) == {"a\nb": "1", "c\\": "2", 'd"': "3", "e": "4"}
    assert left == [first]


def test_each_kind_of_table_has_its_header(tmp_path):
    """And what earlier versions have written comes without, as before."""
    bad = tmp_path / "bad"
    old = {"prog": "read-table", "file": "o", "line": 2, "reason": "x", "raw": "5,6"}
    comma = {"header": ["a", "b"], "delimiter": ",", "encoding": "utf-8"}
    semicolon = {"header": ["a", "b"], "delimiter": ";", "encoding": "utf-8"}
    entries = [
        old | comma | {"file": "c", "raw": "1,2"},
        old | semicolon | {"file": "s", "raw": "3;4"},
        old | comma | {"file": "c", "line": 3, "raw": "7,8"},
    ]
    bad.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    assert run("replay-rejects", bad, check=0).stdout == b"a,b\n1,2\n7,8\na;b\n3;4\n"
    done = run("replay-rejects", bad, "--", "read-table", "--format", "tsv", check=0)
    assert done.stdout == b"1\t2\n7\t8\n3\t4\n"
    assert done.stderr == b"replay-rejects: 3 lines replayed, 0 of them rejected again\n"
    # what is typed counts
    done = run("replay-rejects", bad, "--", "read-table", "--header", "x,y", check=0)
    assert done.stdout == b'{"x":"1","y":"2"}\n{"x":"7","y":"8"}\n{"x":"3","y":"4"}\n'
    bad.write_text(json.dumps(old) + "\n")
    assert run("replay-rejects", bad, check=0).stdout == b"5,6\n"
    done = run("replay-rejects", bad, "--", "read-table", "--header", "x,y", check=0)
    assert done.stdout == b'{"x":"5","y":"6"}\n'


@pytest.mark.parametrize(
    "keys",
    [
        {"header": "ab"},
        {"header": []},
        {"header": [1]},
        {"header": ["a"], "delimiter": 7},
        {"header": ["a"], "encoding": None},
        {"header": ["a"], "delimiter": "ab"},
        {"header": ["a"], "encoding": "klingon"},
    ],
)
def test_keys_that_say_nothing_make_no_rejected_line(keys, tmp_path):
    bad = tmp_path / "bad"
    entry = {"prog": "p", "file": "f", "line": 1, "reason": "r", "raw": "x"}
    bad.write_text(json.dumps(entry | {"delimiter": ",", "encoding": "utf-8"} | keys) + "\n")
    done = run("replay-rejects", bad, check=65)
    assert done.stderr == f"replay-rejects: {bad}:1: no rejected line\n".encode()


def test_a_row_of_parquet_has_no_text_to_read_again(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    source, bad = tmp_path / "a.parquet", tmp_path / "bad"
    pq.write_table(pa.table({"h_id": ["1", None], "message": ["a", "b"]}), source)
    command = ["import-comments", "--db", tmp_path / "my.db", "--max-rejects", "90%"]
    run(*command, "--rejects", bad, "--text", source, check=65)
    (entry,) = letters(bad)
    assert entry["raw"] == '{"h_id":null,"message":"b"}' and "header" not in entry


def test_events_in_csv_come_back_behind_their_header(tmp_path):
    source, bad, db = tmp_path / "a.csv", tmp_path / "bad", tmp_path / "my.db"
    names = "event_name,event_timestamp,user_pseudo_id"
    source.write_text(f"{names}\nuser_engagement,1577836800000000,ann\nx,1\n")
    command = ["import-active-users", "--db", db, "--tz", "UTC", "--definition", "any-event"]
    run(*command, "--max-rejects", "90%", "--rejects", bad, source, check=65)
    (first,) = letters(bad)
    assert first["header"] == names.split(",")
    _, left = replayed(tmp_path, command)
    assert left == [first]
    bad.write_text(json.dumps(first | {"raw": "user_engagement,1577836800000000,ben"}) + "\n")
    done, _ = replayed(tmp_path, command, status=0)
    assert done.stdout == b"2020-01-01\t1\t2\n"


def test_several_processes_hand_on_how_a_table_is_read(tmp_path):
    """A file of more than a split, whose lines are shared out."""
    source, bad, db = tmp_path / "a.csv", tmp_path / "bad", tmp_path / "my.db"
    names = HEADER.replace(",", ";")
    good = b"2024-03-01 00:00:00;1;7;{};2024-04-01 00:00:00;1\n"
    wrong = "é;1\n".encode("latin-1")
    source.write_bytes(f"{names}\n".encode() + good * 180_000 + wrong)
    command = ["import-event-metrics", "--db", db]
    options = ["--jobs", 2, "--encoding", "latin-1", "--rejects", bad]
    run(*command, *options, source, check=65)
    (first,) = letters(bad)
    assert (first["delimiter"], first["encoding"], first["line"]) == (";", "latin-1", 180_002)
    assert replayed(tmp_path, command)[1] == [first]


@pytest.mark.parametrize("kind", ["--posts", "--first-dimensions", "events"])
def test_rows_without_header_that_are_all_rejected_are_of_the_right_kind(kind, tmp_path):
    """Though not one line that is kept has as many fields as the table."""
    source, bad = tmp_path / "a.csv", tmp_path / "bad"
    source.write_text('"x,y",,p,photo,soon,n,m\n' * 2)
    names = "more,post_h_id,page_h_id,type,created_time,name_h_id,even_more"
    program = "import-comments"
    files = [kind, source]
    if kind != "--posts":
        program = "import-event-metrics"
        names = "more,id,name,a,b,c,d"
    if kind == "events":
        files, names = [source], f"{HEADER},more"
    elif kind == "--first-dimensions":
        events = tmp_path / "events.csv"
        events.write_text("")
        files = [events, *files]
    options = ["--header", names, "--max-rejects", "100%", "--rejects", bad]
    run(program, "--db", tmp_path / "my.db", *options, *files, check=65)
    assert [entry["line"] for entry in letters(bad)] == [1, 2]
