"""Who was erased: keyed hashes, which imports consult, so that nobody comes back by themselves.

The hashes (HMAC-SHA-256, RFC 2104) are in the database, the key in a file beside it: with one alone
nobody can find out who it was, not even by trying names. Another file beside it, `erasures`,
holds the hashes once more: a backup that is restored knows only who was erased before it was made.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from headcount.db import address
from headcount.errors import OTHER_SETTINGS, WRITE_FAILED, Failure
from headcount.io import output
from headcount.values import clock
from headcount.values.pseudonyms import LEAST, Pseudonyms, key_id

if TYPE_CHECKING:  # slow to import, and few databases have tombstones
    from headcount.values.spellings import Fields, Spellings

KEEP, RECOUNT = "keep", "recount"

# What a hash is of: an id as it is, the name of an editor, a name in any spelling, its first word.
KEY, EDITOR, MENTION, _FIRST = "key", "editor", "mention", "first word"

ERASED = "erased person"  # how the ledger calls lines that are left out for that

_TOKEN = re.compile(r"\w+|[^\w\s]")
_LONGEST = 255  # letters of a name in a text: MediaWiki's are at most so many bytes
_WORDS = 100_000  # of texts, that are known to begin a name or not
# What no escape has within: texts are cut there as they came, for most of it comes again and again.
_MARKS = '"/:,()[]{}|=<>.!?*-'
_BACKSLASH = "\\"
_PIECE = re.compile(rf"[^\s_{re.escape(_MARKS)}]+")

_ERASURE = ("name", "mode", "key_id", "erased_at", "lifted_at", "reason")
_TOMBSTONE = ("hash", "kind", "name")
_ENTER = (
    "INSERT INTO tombstone (erasure, kind, hash, name) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (erasure, kind, hash) DO UPDATE SET name = excluded.name"
)


class Erased(NamedTuple):
    """What has taken the place of an id: a random name, or None where nothing counts any more."""

    erasure: str  # its name
    name: str | None


class Tombstones:
    """Those of a database that are not lifted."""

    def __init__(self, rows: Iterable[tuple[str, str, str, str | None]], key: bytes):
        """`rows`: hash, kind, the name of the erasure, the name in the place of the id."""
        self._hash = Pseudonyms(key)
        self._known: dict[str, dict[str, Erased]] = {KEY: {}, EDITOR: {}, MENTION: {}, _FIRST: {}}
        for digest, kind, erasure, name in rows:
            self._known[kind][digest] = Erased(erasure, name)
        self._begins: dict[str, bool] = {}  # whether a word does
        self._others: set[str] = set()  # pieces of texts in which no name begins
        self._begins_with_mark = any(self.find(_FIRST, mark) for mark in _MARKS)
        self._spellings: dict[str, Spellings] = {}
        self.has_learnt = False  # more ids than the mirror beside the database has

    def find(self, kind: str, text: str) -> Erased | None:
        """What has taken the place of an id, if it was erased."""
        known = self._known[kind]
        return known.get(self._hash(_hashed(kind, text))) if known else None

    def find_all(self, kind: str, texts: Iterable[str]) -> dict[str, Erased]:
        """Those of these that were erased."""
        found = ((text, self.find(kind, text)) for text in texts) if self._known[kind] else ()
        return {text: erased for text, erased in found if erased}

    def learn(self, db: sqlite3.Connection, ids: dict[str, str]) -> None:
        """Within a transaction: more ids, each of an erasure, that do not count from now on."""
        for text, erasure in ids.items():
            digest = self._hash(_hashed(KEY, text))
            self._known[KEY][digest] = Erased(erasure, None)
            db.execute(_ENTER, [erasure, KEY, digest, None])
            self.has_learnt = True

    def mentions(self, text: str) -> dict[str, Erased]:
        """The names in a text that were erased, as `canonical` spells them."""
        if not self._known[MENTION]:
            return {}
        from headcount.values.spellings import canonical

        plain, found = canonical(text), {}
        tokens = [token.span() for token in _TOKEN.finditer(plain)]
        for i, (start, end) in enumerate(tokens):
            if not self._may_begin(plain[start:end]):
                continue
            for _, last in tokens[i : i + _LONGEST]:
                if last - start > _LONGEST:
                    break
                name = plain[start:last]
                for form in {name, name.replace("+", " ")}:
                    if erased := self.find(MENTION, form):
                        found[form] = erased
        return found

    def without(self, text: str, *, is_json: bool = False, fields: Fields | None = None) -> str:
        """A text, or JSON with such fields, in which erased names give way to random ones."""
        if not self._may_name(text):
            return text
        from headcount.values.spellings import FREE, Spellings, strings

        for name, erased in self.mentions(strings(text) if is_json else text).items():
            if name not in self._spellings:
                self._spellings[name] = Spellings(name, FREE)
            spellings = self._spellings[name]
            if is_json:
                text = spellings.replaced_in_json(text, erased.erasure, fields)
            else:
                text = spellings.replaced(text, erased.erasure)
        return text

    def _may_name(self, text: str) -> bool:
        """Whether a name may begin in a text, or in JSON: most do without one, and fast."""
        if self._begins_with_mark:
            return True
        if len(self._others) >= _WORDS:
            self._others.clear()
        for piece in set(_PIECE.findall(text)) - self._others:
            is_plain = piece.isascii() and piece.isalnum()
            if self._may_begin(piece.lower()) if is_plain else self._may_hide(piece):
                return True
            self._others.add(piece)
        return False

    def _may_hide(self, piece: str) -> bool:
        """Whether one may begin in a piece with escapes, perhaps, or other letters."""
        from headcount.values.spellings import canonical

        forms = [piece]
        if "\\" in piece:  # of JSON, or as it is
            try:
                forms.append(json.loads(f'"{piece.removesuffix(_BACKSLASH)}"'))
            except ValueError:
                return True  # that is for those to see who know the whole text
        return any(map(self._may_begin, _TOKEN.findall(canonical("\n".join(forms)))))

    def _may_begin(self, word: str) -> bool:
        if word not in self._begins:
            if len(self._begins) >= _WORDS:
                self._begins.clear()
            self._begins[word] = self.find(_FIRST, word) is not None
        return self._begins[word]


def _hashed(kind: str, text: str) -> str:
    """What is hashed, so that the same text of another kind has another hash."""
    return f"{kind}\0{text}".encode(errors="replace").decode()


def editor(name: str) -> str:
    """The name of an editor as MediaWiki has it: with blanks, the first letter a capital.

    https://www.mediawiki.org/wiki/Manual:$wgCapitalLinks
    """
    plain = unicodedata.normalize("NFC", name).replace("_", " ").strip()
    return plain[:1].upper() + plain[1:]


def new_name() -> str:
    """One that was never anybody's."""
    import secrets

    return f"forgotten-{secrets.token_hex(8)}"


# ---- in the database


def enter(
    db: sqlite3.Connection, path: str, mode: str, name: str, keys: dict[str, str | None], text: str
) -> None:
    """Within a transaction: remember that somebody was erased, under a `name` for mentions.

    `keys` are the ids of theirs, each with what has taken its place, if anything; `text` the name
    that was asked for. Raises Failure 74 if the key cannot be written.
    """
    from headcount.values.spellings import canonical

    key = read_key(path) or _make_key(path)
    digest = Pseudonyms(key)
    now = clock.now()
    db.execute(
        "INSERT INTO erasure (name, mode, key_id, erased_at) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (name) DO UPDATE SET mode = excluded.mode, erased_at = excluded.erased_at",
        [name, mode, key_id(key), now],
    )
    plain = canonical(text)
    first = _TOKEN.search(plain)
    rows = [(KEY, each, other) for each, other in keys.items()]
    rows.append((EDITOR, editor(text), name if mode == KEEP else None))
    if first and plain == plain.strip():  # else it would be another name in texts
        rows += [(MENTION, plain, name), (_FIRST, first[0], name)]
    db.executemany(
        _ENTER,
        [(name, kind, digest(_hashed(kind, each)), other) for kind, each, other in rows],
    )


def lift(db: sqlite3.Connection, erasures: Iterable[str], reason: str) -> None:
    """Within a transaction: imports take them in again."""
    now = clock.now()
    for name in erasures:
        db.execute(
            "UPDATE erasure SET lifted_at = ?, reason = ? WHERE name = ?", [now, reason, name]
        )
        db.execute("DELETE FROM tombstone WHERE erasure = ?", [name])


def all_of(db: sqlite3.Connection) -> list[dict[str, str | None]]:
    """Every erasure, with its mode and when it was made, or lifted, and why; the oldest first."""
    query = f"SELECT {', '.join(_ERASURE)} FROM erasure ORDER BY erased_at, name"
    return [dict(zip(_ERASURE, row, strict=True)) for row in db.execute(query).fetchall()]


def check(db: sqlite3.Connection, path: str) -> None:
    """Within a transaction, at the start of an import. Raises Failure as `load` does.

    (A database that has just been made takes over what stands beside it.)
    """
    if not db.execute("SELECT 1 FROM run LIMIT 1").fetchone():
        take_over(db, missing_from(db, path))
    load(db, path)


def load(db: sqlite3.Connection, path: str) -> Tombstones | None:
    """The tombstones of a database, `path`; None if it has none.

    Raises Failure 78 if their key is not there, or the database lacks some that were made.
    """
    erasures = [each for each in all_of(db) if not each["lifted_at"]]
    if missing_from(db, path):
        raise Failure(
            f"{address.shown(path)} holds people who were erased: it was restored from an older "
            "backup, say. Erase them anew: forget-user --again",
            OTHER_SETTINGS,
        )
    if not erasures:
        return None
    key = read_key(path)
    if key is None or any(key_id(key) != each["key_id"] for each in erasures):
        what = "is not there" if key is None else "is another one"
        raise Failure(
            f"{len(erasures)} people were erased, and the key that tells who comes back, "
            f"{_key_file(path)}, {what}: put it there (from the host that erased them, say); if it "
            "is lost, forget-user --lift '*' lets everybody come back",
            OTHER_SETTINGS,
        )
    rows = db.execute("SELECT hash, kind, erasure, name FROM tombstone").fetchall()
    return Tombstones(rows, key)


def clear(
    db: sqlite3.Connection,
    runs: Iterable[str],
    key: str,
    column: str,
    without: Callable[[str], str],
) -> None:
    """Let no row that is staged in attached runs name anybody who was erased."""
    db = getattr(db, "staging", db)
    for run in runs:
        query = f"SELECT {key}, {column} FROM {run} WHERE {column} IS NOT NULL"
        rows = [(ident, text, without(text)) for ident, text in db.execute(query)]
        changed = [(new, ident) for ident, text, new in rows if new != text]
        db.executemany(f"UPDATE {run} SET {column} = ? WHERE {key} = ?", changed)


# ---- beside the database


def _key_file(path: str) -> str:
    return f"{address.kept(path)}.erasure-key"


def _mirror(path: str) -> str:
    return f"{address.kept(path)}.erasures"


def read_key(path: str) -> bytes | None:
    """The key of a database; None if there is none, or an empty file, as a kill may leave it.

    Raises Failure 74 if it cannot be read, 78 if it is too short to be one.
    """
    with _reading(_key_file(path)) as file:
        key = file.read().strip() if file else b""
    if 0 < len(key) < LEAST:
        raise Failure(f"{_key_file(path)} is no key: put it back from a copy", OTHER_SETTINGS)
    return key or None


def _make_key(path: str) -> bytes:
    import secrets

    key = secrets.token_hex(32).encode()
    address.make_room(_key_file(path))
    fd = output.open_private(_key_file(path), 0)
    try:
        output.write(fd, key + b"\n", _key_file(path))
        os.fsync(fd)
    finally:
        os.close(fd)
    return key


def write_mirror(db: sqlite3.Connection, path: str) -> None:
    """Write what the database knows of erasures beside it: before it commits one.

    Raises Failure 74.
    """
    erasures = all_of(db)
    for erasure in erasures:
        query = f"SELECT {', '.join(_TOMBSTONE)} FROM tombstone WHERE erasure = ?"
        erasure["tombstones"] = db.execute(query, [erasure["name"]]).fetchall()
    lines = [json.dumps(erasure) + "\n" for erasure in erasures]
    if not os.path.exists(_mirror(path)):
        address.make_room(_mirror(path))
        os.close(output.open_private(_mirror(path), 0))
    output.replace_file(_mirror(path), "".join(lines))


def missing_from(db: sqlite3.Connection, path: str) -> list[dict]:
    """The erasures beside a database that it does not know of, or not that they were lifted."""
    with _reading(_mirror(path)) as file:
        lines = file.read().splitlines() if file else []
    try:
        beside = [json.loads(line) for line in lines]
        if not all({*_ERASURE, "tombstones"} <= each.keys() for each in beside):
            raise ValueError
    except (ValueError, AttributeError):
        raise Failure(
            f"{_mirror(path)} is damaged: put it back from a copy; if there is none, delete it "
            "(then an older copy of the database would bring back who was erased since)",
            OTHER_SETTINGS,
        ) from None
    known = {each["name"]: each for each in all_of(db)}
    return [each for each in beside if _is_news(db, each, known.get(each["name"]))]


def _is_news(db: sqlite3.Connection, beside: dict, known: dict | None) -> bool:
    """Whether an erasure has to be made (again). One that was lifted since an older copy was made
    goes on there: what was kept has the random names in it."""
    if known is None or beside["lifted_at"] or known["lifted_at"]:
        return known is None
    query = f"SELECT {', '.join(_TOMBSTONE)} FROM tombstone WHERE erasure = ?"
    rows = {tuple(row) for row in db.execute(query, [beside["name"]]).fetchall()}
    return known["mode"] != beside["mode"] or rows != set(map(tuple, beside["tombstones"]))


def take_over(db: sqlite3.Connection, erasures: Iterable[dict]) -> None:
    """Within a transaction: enter erasures from beside the database."""
    for erasure in erasures:
        db.execute("DELETE FROM tombstone WHERE erasure = ?", [erasure["name"]])
        db.execute("DELETE FROM erasure WHERE name = ?", [erasure["name"]])
        places = ", ".join("?" * len(_ERASURE))
        values = [erasure[name] for name in _ERASURE]
        db.execute(f"INSERT INTO erasure ({', '.join(_ERASURE)}) VALUES ({places})", values)
        db.executemany(
            f"INSERT INTO tombstone (erasure, {', '.join(_TOMBSTONE)}) VALUES (?, ?, ?, ?)",
            [(erasure["name"], *row) for row in erasure["tombstones"]],
        )


@contextlib.contextmanager
def _reading(path: str) -> Iterator:
    try:
        file = open(path, "rb")  # noqa: SIM115 -- it is closed below
    except FileNotFoundError:
        yield None
        return
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}", WRITE_FAILED) from None
    with file:
        yield file
