"""The forgotten stay forgotten: whatever is imported, merged, replayed or restored after that."""

import html
import json
import re
import shutil
import unicodedata
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from helpers.events import event
from helpers.programs import run
from helpers.sessions import query

NAMES = ["Zed Quux", "Kölnfan77", "O'Brien-Šćepan", 'a"b\\c<d>&e', "Ünïcode Näme 😀"]
NAMES += ["Straße der Σάσας", "İlker ſ"]


def days(db):
    return dict(query(db, "SELECT * FROM active_user_table"))


def events(*users, day="2024-03-10"):
    noon = int(datetime.fromisoformat(f"{day}T18:00Z").timestamp())
    return b"".join(event(user=user, micros=(noon + i) * 10**6) for i, user in enumerate(users))


def imported(db, content, *options, check=0, program="import-active-users"):
    return run(program, "--quiet", "--db", db, *options, stdin=content, check=check)


def forget(db, mode, who, *options, check=0):
    return run("forget-user", "--db", db, "--mode", mode, who, *options, check=check)


@pytest.fixture
def db(tmp_path):
    return tmp_path / "my.db"


# ---- every spelling


def spelled(name):
    """A name as sources may write it."""
    title = name.replace(" ", "_")
    nfd = unicodedata.normalize("NFD", name)
    yield from (name, title, nfd, name.lower(), title.lower(), name.upper())
    for text in (name, title, nfd):
        yield from (quote(text), quote(text).lower(), quote(quote(text)))
        yield from (html.escape(text), html.escape(text, quote=False))
        yield "".join(f"&#{ord(letter)};" for letter in text)
        yield "".join(f"&#x{ord(letter):X};" for letter in text)
    yield name.replace(" ", "+")
    yield (name + name).casefold()[: len(name.casefold())]
    yield json.dumps(name)[1:-1]
    yield "".join(f"\\u{unit}" for unit in re.findall("....", name.encode("utf-16-be").hex()))


def change(ident, **fields):
    made = {
        "meta": {"id": ident, "uri": "https://en.wikipedia.org/wiki/X", "domain": "x.org"},
        "wiki": "enwiki",
        "type": "edit",
        "bot": False,
        "timestamp": 1710072000,
        "title": "X",
        "comment": "",
        "user": "Somebody Else",
    }
    return made | fields


@pytest.mark.parametrize("escape", [True, False], ids=["escaped", "plain"])
@pytest.mark.parametrize("name", NAMES)
def test_no_spelling_of_an_editor_is_left(name, escape, db, tmp_path):
    title = name.replace(" ", "_")
    uri = f"https://en.wikipedia.org/wiki/User_talk:{quote(title)}"
    changes = [change("own", user=name, meta={"id": "own", "uri": uri}, title=f"User:{name}")]
    for i, text in enumerate(spelled(name)):
        changes.append(change(f"c{i}", comment=f"see [[User:{text}|x]] ({text})", parsed=[text]))
    changes.append(change("far", comment="unrelated"))
    content = b"".join(json.dumps(c, ensure_ascii=escape).encode() + b"\n" for c in changes)
    imported(db, content, program="import-recent-changes")
    assert query(db, "SELECT count(*) FROM recent_change_raw") == [(len(changes),)]
    run("run-job", "--db", db, "night", "--", "sh", "-c", 'echo "$0" >&2; exit 1', name, check=1)
    done = forget(db, "keep", name, "--format", "json")
    certificate = json.loads(done.stdout)
    assert certificate["left"] == [] and certificate["left_in_files"] == []
    assert certificate["removed"]["mention in changes"] == len(changes) - 1
    rows = query(db, "SELECT id, user, event FROM recent_change_raw ORDER BY pk")
    for (ident, user, text), before in zip(rows, changes, strict=True):
        now = json.loads(text)  # it is still JSON, and nothing else of it has changed
        plain = html.unescape(text)
        assert (name not in plain and "forgotten-" in text) or ident == "far"
        assert now.keys() == before.keys() and now["meta"]["id"] == before["meta"]["id"] == ident
        assert user.startswith("forgotten-") == (ident == "own")
        if ident not in ("own", "far"):
            assert re.fullmatch(r"see \[\[User:(forgotten-\w{16})\|x]] \(\1\)", now["comment"]), (
                now["comment"]
            )
    word = re.search(r"\w+", name)[0]
    found = "SELECT count(*) FROM recent_change_search WHERE recent_change_search MATCH ?"
    if len(word) > 1:
        assert query(db, found.replace("?", f"'\"{word}\"'")) == [(0,)]
    for path in tmp_path.rglob("*"):  # by another search than ours
        if path.is_file():
            content = path.read_bytes().lower()
            for text in spelled(name):
                for form in (text, json.dumps(text)[1:-1]):
                    assert form.lower().encode() not in content, (path, form)


def test_what_is_no_name_stays(db):
    """The words of the source, sites, longer words, names of fields."""
    changes = [
        change("a", user="Edit", comment="edit by Edit; wikipedia", extra={"edit": "edited"}),
        change("b", user="Wikipedia", title="Xedit"),
    ]
    content = b"".join(json.dumps(c).encode() + b"\n" for c in changes)
    imported(db, content, program="import-recent-changes")
    forget(db, "keep", "Edit")
    events = [json.loads(t) for (t,) in query(db, "SELECT event FROM recent_change_raw")]
    name = events[0]["user"]
    assert name.startswith("forgotten-")
    assert events[0]["comment"] == f"{name} by {name}; wikipedia"
    assert events[0]["extra"] == {"edit": "edited"} and events[0]["type"] == "edit"
    assert events[1] == changes[1]
    done = forget(db, "keep", "Wikipedia", check=65)  # it is told where the word stays
    told = done.stderr.decode()
    assert "recent_change_raw.event still has it, in rows 1, 2" in told and f"sqlite3 {db}" in told
    events = [json.loads(t) for (t,) in query(db, "SELECT event FROM recent_change_raw")]
    assert events[1]["meta"] == changes[1]["meta"]


def test_other_editors_whose_names_have_the_word(db):
    """Their names are theirs; what others say of a name may be either."""
    other = change("b", user="Ann Marie", title="User:Ann", comment="Ann_Marie")
    content = json.dumps(change("a", user="Ann")) + "\n" + json.dumps(other) + "\n"
    imported(db, content.encode(), program="import-recent-changes")
    forget(db, "keep", "Ann", check=65)  # "Ann Marie" is told
    again = json.dumps(other | {"meta": other["meta"] | {"id": "c"}}).encode()
    imported(db, again, program="import-recent-changes")
    rows = query(db, "SELECT user, event FROM recent_change_raw ORDER BY pk")
    for user, text in rows[1:]:
        now = json.loads(text)
        assert user == now["user"] == "Ann Marie"
        assert now["title"].startswith("User:forgotten-") and "Ann" not in now["comment"]


# ---- they stay forgotten


@pytest.mark.parametrize("options", [(), ("--pipe",), ("--jobs", "2")], ids=" ".join)
def test_an_app_user_is_counted_as_the_mode_says(options, db, tmp_path):
    for mode, expected in (("keep", 3), ("recount", 2)):
        db = tmp_path / f"{mode}.db"
        imported(db, events("ann", "ben", "eve"), *options)
        forget(db, mode, "ann")
        assert days(db) == {"2024-03-10": expected}
        again = tmp_path / f"{mode}.jsonl"
        again.write_bytes(events("ann", "ben", "eve"))
        run("import-active-users", "--db", db, *options, again, check=0)
        assert days(db) == {"2024-03-10": expected}
        imported(db, events("ann", "ben", day="2024-03-11"), *options)
        assert days(db) == {"2024-03-10": expected, "2024-03-11": expected - 1}
        assert query(db, "SELECT count(*) FROM user WHERE key = 'ann'") == [(0,)]
        run("count-active-users", "--part", tmp_path / f"part.{mode}", again, check=0)
        run("merge-parts", "--db", db, tmp_path / f"part.{mode}", check=0)
        assert days(db)["2024-03-10"] == expected
        bad = again.read_bytes() + events("ann", day="2024-03-12")[:-2] + b"\n"
        rejects = tmp_path / f"rejects.{mode}"
        imported(db, bad, "--rejects", rejects, "--validate", "--max-rejects", 1, check=65)
        assert days(db)["2024-03-10"] == expected


def test_keep_and_then_recount(db):
    """What was kept under a random name is known by the tombstone."""
    imported(db, events("ann", "ben"))
    forget(db, "keep", "ann")
    assert forget(db, "keep", "ann", check=66).stdout == b""
    assert forget(db, "recount", "ann").stdout == b"active_user_table\t2024-03-10\t2\t1\n"
    imported(db, events("ann", "ben", "ann"))
    assert days(db) == {"2024-03-10": 1}
    assert len(run("forget-user", "--db", db, "--list", check=0).stdout.splitlines()) == 2


def test_logins_and_sessions(db):
    """A person is all their devices; one that comes later with their login does not count."""
    stitched = ("--identity", "stitched", "--definition", "engaged-valuable,engaged-session")

    def visit(device, login=None):
        return event(user=device, **({"user_id": login} if login else {}))

    content = visit("phone", "ann") + visit("laptop", "ann") + visit("other")
    imported(db, content, *stitched)
    assert list(days(db).values()) == [2]
    forget(db, "recount", "ann")
    assert list(days(db).values()) == [1]
    imported(db, content + visit("tablet", "ann") + visit("phone"), *stitched)
    assert list(days(db).values()) == [1]
    keys = {key for (key,) in query(db, "SELECT key FROM user UNION SELECT key FROM person")}
    assert keys.isdisjoint({"ann", "phone", "laptop", "tablet"})


def test_a_device_that_is_found_to_be_theirs(db):
    """It counted before the login told whose it is; from then on it does not, on any day."""
    stitched = ("--identity", "stitched")
    ours = event(user="phone", user_id="ann") + event(user="other")
    imported(db, ours, *stitched)
    forget(db, "recount", "ann")
    shared = event(user="shared", user_id="ben")
    imported(db, event(user="tablet") + events("tablet", day="2024-03-11") + shared, *stitched)
    assert list(days(db).values()) == [3, 1]
    news = event(user="tablet", user_id="ann") + event(user="shared", user_id="ann")
    told = imported(db, news, *stitched).stdout.decode()
    assert [line.split("\t")[1:] for line in told.splitlines()] == [["3", "2"], ["1", "0"]]
    assert list(days(db).values()) == [2]
    imported(db, event(user="tablet") + events("tablet", day="2024-03-11"), *stitched)
    assert list(days(db).values()) == [2]
    assert ("tablet",) not in query(db, "SELECT key FROM user")
    beside = json.loads(Path(f"{db}.erasures").read_text())
    kept = query(db, "SELECT hash FROM tombstone")
    assert {row[0] for row in beside["tombstones"]} == {row[0] for row in kept}


@pytest.mark.parametrize("mode", ["keep", "recount"])
def test_chats(mode, db):
    lines = run("make-data", "chat", "--lines", 2000, "--sites", 3, check=0).stdout
    senders = [json.loads(line)["from"] for line in lines.splitlines()]
    who = max(sorted(set(senders)), key=senders.count)
    imported(db, lines, program="import-site-activity")
    forget(db, mode, who)
    tables = ("site_activity", "site_activity_by_day")
    before = [query(db, f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]
    count = query(db, "SELECT sum(lines) FROM chat_lines")
    for content in (lines, b"\n".join(reversed(lines.splitlines())) + b"\n"):
        imported(db, content, program="import-site-activity")
    assert [query(db, f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables] == before
    assert query(db, "SELECT sum(lines) FROM chat_lines") == count
    assert query(db, f"SELECT count(*) FROM chat_name WHERE key = '{who}'") == [(0,)]
    run("check-data", "--db", db, "ledger_sums", "integrity", check=0)
    if mode == "recount":
        told = query(db, "SELECT lines FROM run_filter WHERE reason = 'erased person'")
        assert told == [(senders.count(who),)] * 2


@pytest.mark.parametrize("mode", ["keep", "recount"])
def test_changes_comments_and_metrics(mode, db, tmp_path):
    mention = change("m", comment="thanks User:zed_quux, and \u00c9mile")
    own = change("own", user="Zed Quux")
    first = b"".join(json.dumps(c).encode() + b"\n" for c in (mention, own))
    imported(db, first, program="import-recent-changes")
    text = tmp_path / "texts.tsv"
    text.write_text("h_id\tmessage\nc1\tby zed quux\nc2\tnothing\n")
    info = tmp_path / "info"
    info.write_text("")
    run("import-comments", "--db", db, "--allow-empty", "--info", info, "--text", text, check=0)
    forget(db, mode, "Zed Quux")
    later = [change("m2", comment="by Zed%20Quux"), change("own2", user="Zed_Quux")]
    imported(
        db,
        first + b"".join(json.dumps(c).encode() + b"\n" for c in later),
        program="import-recent-changes",
    )
    run("import-comments", "--db", db, "--allow-empty", "--info", info, "--text", text, check=0)
    users = query(db, "SELECT id, user FROM recent_change_raw ORDER BY id")
    kept = {"m", "m2"} | ({"own", "own2"} if mode == "keep" else set())
    assert {ident for ident, _ in users} == kept
    texts = str(query(db, "SELECT user, event FROM recent_change_raw"))
    texts += str(query(db, "SELECT message FROM waiting_text"))
    assert not re.search("zed.{1,3}quux", texts, re.IGNORECASE) and "mile" in texts
    (name,) = set(re.findall("forgotten-[0-9a-f]{16}", texts))
    assert texts.count(name) >= 3
    run("check-data", "--db", db, "ledger_sums", "integrity", check=0)


# ---- the key, backups, ways back


def test_the_tombstone_is_no_id(db, tmp_path):
    """Nor can it be tried out with the database alone."""
    imported(db, events("ann-of-the-hill", "ben"))
    forget(db, "keep", "ann-of-the-hill")
    key = tmp_path / "my.db.erasure-key"
    assert key.stat().st_mode & 0o077 == 0 and len(key.read_text().strip()) == 64
    for path in tmp_path.iterdir():
        assert b"ann-of-the-hill" not in path.read_bytes()
        assert path == key or key.read_bytes().strip() not in path.read_bytes()
    listed = run("forget-user", "--db", db, "--list", check=0).stdout.decode()
    assert "keep" in listed and "ann" not in listed
    key.rename(tmp_path / "elsewhere")
    done = imported(db, events("ann-of-the-hill"), check=78)
    assert b"erasure-key" in done.stderr and days(db) == {"2024-03-10": 2}
    key.write_text("0" * 64)
    imported(db, events("ann-of-the-hill"), check=78)
    (tmp_path / "elsewhere").rename(key)
    imported(db, events("ann-of-the-hill"))
    assert days(db) == {"2024-03-10": 2}


@pytest.mark.parametrize("mode", ["keep", "recount"])
def test_a_restored_backup_forgets_again(mode, db, tmp_path):
    imported(db, events("ann-of-the-hill", "ben"))
    run("backup-db", "--db", db, check=0)
    done = forget(db, mode, "ann-of-the-hill", check=65)
    assert b"delete it" in done.stderr
    after = days(db)
    old = tmp_path / "old"
    old.mkdir()
    for end in ("", "-wal", "-shm"):
        if (tmp_path / f"my.db{end}").exists():
            shutil.move(tmp_path / f"my.db{end}", old)
    (backup,) = (tmp_path / "backups").iterdir()
    done = run("backup-db", "--db", db, "--restore", backup, check=0)
    assert b"erased" in done.stderr
    assert days(db) == after and b"ann-of-the-hill" not in db.read_bytes()
    imported(db, events("ann-of-the-hill", "ben"))
    assert days(db) == after


def test_a_backup_restored_by_hand_is_refused_until_it_is_done(db, tmp_path):
    imported(db, events("ann-of-the-hill", "ben"))
    shutil.copy(db, tmp_path / "copy")
    forget(db, "recount", "ann-of-the-hill")
    shutil.copy(tmp_path / "copy", db)
    (tmp_path / "my.db-wal").unlink(missing_ok=True)
    done = imported(db, events("ben"), check=78)
    assert b"forget-user --again" in done.stderr
    run("forget-user", "--db", db, "--again", check=0)
    assert days(db) == {"2024-03-10": 1} and b"ann-of-the-hill" not in db.read_bytes()
    imported(db, events("ann-of-the-hill"))
    assert days(db) == {"2024-03-10": 1}


def test_a_new_database_of_the_same_name_knows_them(db, tmp_path):
    imported(db, events("ann", "ben"))
    forget(db, "recount", "ann")
    for path in (db, tmp_path / "my.db-wal", tmp_path / "my.db-shm"):
        path.unlink(missing_ok=True)
    imported(db, events("ann", "ben"))
    assert days(db) == {"2024-03-10": 1}


@pytest.mark.parametrize("mode", ["keep", "recount"])
def test_lifting(mode, db):
    imported(db, events("ann", "ben", "Ann"))
    forget(db, mode, "ann")
    run("forget-user", "--db", db, "--lift", "ann", check=2)
    run("forget-user", "--db", db, "--lift", "Ann", "--reason", "?", check=66)
    run("forget-user", "--db", db, "--lift", "ann", "--reason", "asked to come back", check=0)
    imported(db, events("ann", "ben"))
    assert days(db) == {"2024-03-10": 3}  # once
    listed = run("forget-user", "--db", db, "--list", "--format", "json", check=0).stdout
    (erasure,) = json.loads(listed)
    assert erasure["reason"] == "asked to come back" and erasure["lifted_at"]
    run("forget-user", "--db", db, "--lift", "ann", "--reason", "again", check=66)


def test_all_can_be_lifted_without_the_key(db, tmp_path):
    imported(db, events("ann", "ben"))
    forget(db, "recount", "ann")
    (tmp_path / "my.db.erasure-key").unlink()
    imported(db, events("ann"), check=78)
    run("forget-user", "--db", db, "--lift", "*", "--reason", "the key is lost", check=0)
    imported(db, events("ann"))
    assert days(db) == {"2024-03-10": 2}


def test_pseudonyms(db, tmp_path):
    key = tmp_path / "key"
    key.write_text("k" * 32)
    key.chmod(0o600)
    options = ("--pseudonym-key", key)
    imported(db, events("ann", "ben"), *options)
    forget(db, "recount", "ann", *options)
    imported(db, events("ann", "ben"), *options)
    assert days(db) == {"2024-03-10": 1}
    lift = ["forget-user", "--db", db, "--lift", "ann", "--reason", "r"]
    run(*lift, check=78)
    run(*lift, *options, check=0)
    imported(db, events("ann", "ben"), *options)
    assert days(db) == {"2024-03-10": 2}


def test_pseudonyms_of_a_day(db, tmp_path):
    """Of each day another one: days that come later, and earlier ones, have their tombstones."""
    key = tmp_path / "key"
    key.write_text("k" * 32)
    key.chmod(0o600)
    options = ("--pseudonym-key", key)
    daily = (*options, "--pseudonyms", "day", "--latest", "2032-01-01")
    imported(db, events("ann", "ben"), *daily)
    forget(db, "recount", "ann", *options)
    for day in ("2024-03-10", "2024-03-11", "2023-03-12", "2031-01-01"):
        imported(db, events("ann", "ben", day=day), *daily)
    assert set(days(db).values()) == {1} and len(days(db)) == 4
    run("forget-user", "--db", db, "--lift", "ann", "--reason", "r", *options, check=0)
    imported(db, events("ann", day="2024-03-11"), *daily)
    assert days(db)["2024-03-11"] == 2


def test_sketches_alone(db, tmp_path):
    """Nobody can be taken out of them: that is told, and there is a way."""
    day, options = tmp_path / "day.jsonl", ("--sketch", "instead")
    day.write_bytes(events("ann", "ben"))
    run("import-active-users", "--db", db, *options, day, check=0)
    told = forget(db, "recount", "ann", check=65).stderr.decode()
    assert "nobody can be told apart" in told and "--replace" in told
    assert days(db) == {"2024-03-10": 2}
    imported(db, events("ann", "ben", day="2024-03-11"), *options)
    assert days(db)["2024-03-11"] == 1
    run("import-active-users", "--db", db, *options, "--replace", day, check=0)
    assert days(db)["2024-03-10"] == 1
    certificate = json.loads(forget(db, "keep", "zed", "--format", "json", check=66).stdout)
    assert any("sketches" in text for text in certificate["out_of_reach"])


def test_an_id_that_looks_like_an_option(db):
    imported(db, events("-name-", "ben"))
    run("forget-user", "--db", db, "--mode", "recount", "--", "-name-", check=0)
    assert days(db) == {"2024-03-10": 1}


def test_the_certificate(db, tmp_path):
    imported(db, events("ann-of-the-hill", "ben"))
    bad = tmp_path / "bad"
    bad.write_text('{"prog": "x", "raw": "ann-of-the-hill"}\n{"raw": "ben"}\n')
    done = forget(db, "keep", "ann-of-the-hill", bad, "--format", "json")
    made = json.loads(done.stdout)
    files = {file["file"]: file for file in made["searched"]["files"]}
    assert made["removed"] == {"user": 1, "line": 1} and made["mode"] == "keep"
    assert files[str(bad)]["sha256_before"] != files[str(bad)]["sha256_after"]
    assert files[str(bad)]["bytes"] == bad.stat().st_size
    tables = {table["table"]: table for table in made["searched"]["tables"]}
    assert tables["user"] == {"table": "user", "columns": ["key"], "rows": 2}
    assert made["out_of_reach"] and "ann" not in done.stdout.decode().replace("mention", "")


# ---- what went wrong once


def test_a_copy_from_between_keep_and_recount_is_refused(db, tmp_path):
    imported(db, events("ann", "ben"))
    forget(db, "keep", "ann")
    shutil.copy(db, tmp_path / "copy")
    forget(db, "recount", "ann")
    shutil.copy(tmp_path / "copy", db)
    (tmp_path / "my.db-wal").unlink(missing_ok=True)
    assert b"--again" in imported(db, events("ann"), check=78).stderr
    run("forget-user", "--db", db, "--again", check=0)
    imported(db, events("ann", "ben"))
    assert days(db) == {"2024-03-10": 1}


def test_a_copy_from_before_lifting_counts_once(db, tmp_path):
    imported(db, events("ann", "ben"))
    forget(db, "keep", "ann")
    shutil.copy(db, tmp_path / "copy")
    run("forget-user", "--db", db, "--lift", "ann", "--reason", "r", check=0)
    shutil.copy(tmp_path / "copy", db)
    (tmp_path / "my.db-wal").unlink(missing_ok=True)
    imported(db, events("ann", "ben"))
    assert days(db) == {"2024-03-10": 2}


def test_normal_forms_are_ids_of_their_own(db):
    """Kept, lifted and kept again, each counts as it did."""
    nfc, nfd = "caf\u00e9", "cafe\u0301"
    imported(db, events(nfc, "ben"))
    forget(db, "keep", nfc)
    imported(db, events(nfc, "ben"))
    assert days(db) == {"2024-03-10": 2}
    imported(db, events(nfc, nfd, "ben"))
    assert days(db) == {"2024-03-10": 3}
    run("run-job", "--db", db, "n", "--", "true", nfc, check=0)
    forget(db, "keep", nfc)
    imported(db, events(nfd, nfc, "ben", "ben"))
    assert days(db) == {"2024-03-10": 3}
    run("forget-user", "--db", db, "--lift", nfc, "--reason", "r", check=0)
    imported(db, events("ben", nfd, nfc))
    assert days(db) == {"2024-03-10": 3}


def test_a_shared_device_is_not_theirs_alone(db):
    stitched = ("--identity", "stitched")
    content = event(user="shared", user_id="ann") + event(user="shared", user_id="ben")
    imported(db, content + event(user="other"), *stitched)
    forget(db, "recount", "ann")
    before = days(db)
    imported(db, content + event(user="other") + event(user="other"), *stitched)
    assert list(before.values()) == [2] and days(db) == before


def test_a_recount_is_remembered_whatever_was_found(db, tmp_path):
    bad = tmp_path / "bad"
    bad.write_text('{"prog": "p", "raw": "annx"}\n')
    imported(db, events("ben"))
    forget(db, "recount", "annx", bad)
    imported(db, events("annx", "ben"))
    assert days(db) == {"2024-03-10": 1}


def test_valid_rejects_stay(db, tmp_path):
    """The words of their frame are nobody's."""
    bad = tmp_path / "bad"
    lines = ['{"prog": "prog-x", "file": "f", "line": 1, "reason": "r", "raw": "ben"}\n'] * 2
    bad.write_text("".join([*lines, '{"prog": "p", "line": 2, "raw": "user 1"}\n']))
    imported(db, events("1", "prog-x", "reason"))
    for who in ("1", "prog-x", "reason"):
        # (a version of ours has a 1 as well, which is told)
        assert run("forget-user", "--db", db, "--mode", "keep", who, bad).returncode in (0, 65)
    assert bad.read_text() == "".join(lines)
    run("forget-user", "--db", db, "--mode", "keep", "ben", db, check=2)


@pytest.mark.parametrize("text", ["{", "[]", "{}", "null", "\n"])
def test_a_damaged_list_beside_the_database_is_told(text, db, tmp_path):
    imported(db, events("ann", "ben"))
    forget(db, "keep", "ann")
    (tmp_path / "my.db.erasures").write_text(text)
    done = imported(db, events("ben"), check=78)
    assert b"is damaged" in done.stderr and b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    "name, text", [("Q&A", "Q&amp;A"), ("Rate 100%", "Rate_100%25"), ("tab\tname", "tab\tname")]
)
def test_signs_that_begin_escapes(name, text, db):
    content = json.dumps(change("a", user=name, comment=f"by {text}.")).encode() + b"\n"
    imported(db, content, program="import-recent-changes")
    forget(db, "keep", name)
    ((kept,),) = query(db, "SELECT event FROM recent_change_raw")
    assert json.loads(kept)["comment"].startswith("by forgotten-"), kept


def test_a_mark_is_a_part_of_its_word(db):
    content = json.dumps(change("a", comment="हिन्दी")).encode() + b"\n"
    imported(db, content, program="import-recent-changes")
    imported(db, events("हिन्द"))
    forget(db, "keep", "हिन्द", check=65)
    ((kept,),) = query(db, "SELECT event FROM recent_change_raw")
    assert json.loads(kept)["comment"] == "हिन्दी"


def test_a_file_whose_path_has_the_word_can_be_replaced(db, tmp_path):
    folder = tmp_path / "ann"
    folder.mkdir()
    file = folder / "x.jsonl"
    file.write_bytes(events("ann", "ben"))
    run("import-active-users", "--db", db, file, check=0)
    assert b"origin.name" in forget(db, "keep", "ann", check=65).stderr  # told: it is a key
    file.write_bytes(events("ben"))
    run("import-active-users", "--db", db, "--replace", file, check=0)
    assert days(db) == {"2024-03-10": 1}


def test_a_key_that_a_kill_has_left_empty_is_made_again(db, tmp_path):
    key = tmp_path / "my.db.erasure-key"
    imported(db, events("ann", "ben"))
    key.touch(0o600)
    forget(db, "recount", "ann")
    imported(db, events("ann", "ben", "ben"))
    assert days(db) == {"2024-03-10": 1} and len(key.read_text().strip()) == 64
    key.write_text("zz")
    assert b"is no key" in imported(db, events("ben"), check=78).stderr


@pytest.mark.parametrize("name", [*NAMES, "(Zed)", "C:\\Zed", "Zed.Quux", "ab " * 80 + "z"])
def test_imports_know_every_spelling(name, db):
    """In JSON with escapes and without; a text that looks like an escape ends no import."""
    imported(db, json.dumps(change("own", user=name)).encode(), program="import-recent-changes")
    forget(db, "keep", name)
    texts = list(spelled(name))
    later = [change(f"c{i}", comment=f"a {text}, \\d C:\\x\\") for i, text in enumerate(texts)]
    content = b"".join(
        json.dumps(each, ensure_ascii=i % 2 == 0).encode() + b"\n" for i, each in enumerate(later)
    )
    imported(db, content, program="import-recent-changes")
    kept = query(db, "SELECT event FROM recent_change_raw WHERE id LIKE 'c%' ORDER BY pk")
    assert len(kept) == len(texts)
    for (event_text,), text in zip(kept, texts, strict=True):
        comment = json.loads(event_text)["comment"]
        assert re.fullmatch(r"a forgotten-\w{16}, \\d C:\\x\\", comment), (text, comment)
