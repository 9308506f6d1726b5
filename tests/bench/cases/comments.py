"""The cases of comments: the reports straight from files, and by way of the database."""

import shlex

from bench import BIN, PEERS, PEERS_PYTHON
from bench.case import Case
from bench.contenders import OURS, Contender, ours, remove_database
from bench.data import Data
from bench.targets import AtMost, Faster

_REPORTS = ("comments_by_day", "comments_by_post_type", "most_replied_comments")


def comments(data: Data) -> Case:
    crawls, posts = data.comments()
    return Case(
        "comments",
        [
            ours("count-comments", "--info", crawls, "--posts", posts, answer=str.strip),
            *_peers(data),
        ],
        [Faster(1.3)],
        data.truth(crawls).strip(),
    )


def comments_import(data: Data) -> Case:
    """The import into a new database, and then the reports; DuckDB writes the same tables."""
    crawls, posts = data.comments()
    db = data.work / "comments.db"
    kinds = ["--info", crawls, "--posts", posts]
    script = [_quoted(BIN / "import-comments", "--quiet", "--db", db, *kinds) + " >/dev/null"]
    for name in _REPORTS:
        shown = _quoted(BIN / "show-report", name, "--db", db, "--format", "tsv")
        script.append(f"{shown} | sed '1d; s/^/{name}\\t/'")
    together = Contender(
        OURS,
        ["bash", "-o", "pipefail", "-c", " && ".join(script)],
        role="ours",
        ready=lambda: remove_database(db),
        answer=str.strip,
    )
    stored = data.work / "duckdb-comments.db"
    duckdb = _peer("DuckDB", data, "--db", stored, ready=lambda: remove_database(stored))
    return Case(
        "comments, import and reports",
        [together, duckdb],
        [AtMost(1, "DuckDB")],
        data.truth(crawls).strip(),
    )


def _quoted(*words) -> str:
    return shlex.join(map(str, words))


def _peers(data: Data) -> list[Contender]:
    return [_peer(name, data) for name in ("DuckDB", "chDB", "Polars")]


def _peer(name: str, data: Data, *arguments, **options) -> Contender:
    crawls, posts = data.comments()
    script = PEERS / f"{name.lower()}_comments.py"
    words = [PEERS_PYTHON, "-I", script, *arguments, "--posts", posts, "--info", crawls]
    return Contender(name, list(map(str, words)), answer=str.strip, **options)
