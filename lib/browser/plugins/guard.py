"""What guards the pages: who may ask, which scripts may run, what SQL may do.

Nothing but loopback names as Host (a page elsewhere cannot reach us by a name of its own), nothing
that another site asks for or frames but charts that it may embed, nothing without the token of a
port, no method that changes anything, no script but those of templates, no statement but reading
ones, of people's own few at once; no ids that are not asked for; and of CSV no cell that a
spreadsheet runs.
"""

import asyncio
import contextlib
import contextvars
import re
import secrets
import sqlite3

from datasette import hookimpl
from jinja2.ext import Extension

from headcount.reports import render
from headcount.reports.web import embedding, hidden
from headcount.reports.web.gate import Answer

# Scripts by nonce alone: our own CSV output, which anyone can shape, must not be one.
_POLICY = (
    "default-src 'none'; script-src 'nonce-{}'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors {}"
)
_HOST = re.compile(rb"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
_ELSEWHERE = b"Another site asked for this: open the address itself\n"
_OLD_KEY = (
    b"This address of a chart was made by another start of serve-db, or for another chart or other "
    b"filters: take a new one from the link Embed under the chart\n"
)
# databases of Datasette's own, and what tells where its code is
_FOREIGN = re.compile(r"/(_memory|_internal|-/threads)([/.;?].*)?")
_OWN_SQL = re.compile(rb"(^|&)(sql|_where)=")
_AT_ONCE = 2  # statements of people's own; of the threads of the settings some are left for reports
_nonce = contextvars.ContextVar("nonce", default="")


class Nonces(Extension):
    """Gives the scripts of templates, and of nothing else, the nonce of the page."""

    def preprocess(self, source, name, filename=None):
        return re.sub(r"<script(?=[\s>{])", '<script nonce="{{ nonce() }}"', source)


@hookimpl
def prepare_jinja2_environment(env):
    env.add_extension(Nonces)
    env.globals["nonce"] = _nonce.get


@hookimpl
def asgi_wrapper(datasette):
    return lambda app: _guarded(app, datasette)


def _is_foreign(headers):
    """Whether another site caused a request: https://www.w3.org/TR/fetch-metadata/."""
    if headers.get(b"sec-fetch-site") in (b"cross-site", b"same-site"):
        return True
    ours = b"http://" + headers[b"host"]
    return headers.get(b"origin", ours) != ours


def _stopped(datasette, scope, headers):
    """What is answered to who may not come in; None: let the request in."""
    embeds, gate, foreign = datasette.embedding, datasette.gate, _is_foreign(headers)
    if foreign and not (embeds and embeds.is_frame(scope, headers)):
        return Answer(403, _ELSEWHERE, [])
    if not gate or (embeds and embeds.has_key(scope)):
        return None
    if foreign:  # without asking the gate: a frame of a neighbour on this host has our cookie
        return Answer(403, _OLD_KEY, [])
    stopped = gate.answer(scope, headers[b"host"])
    is_open = stopped and stopped.status == 403 and embeds and embeds.is_open(scope)
    return None if is_open else stopped


def _framing(datasette, scope):
    """The sites that may frame what is answered."""
    is_chart = scope["raw_path"].startswith(embedding.PATH.encode())
    return datasette.embedding.origins if datasette.embedding and is_chart else "'none'"


def _neutral_csv(send):
    """Sends CSV as show-report has it: no text that a spreadsheet would run."""
    held = []

    async def send_csv(message):
        if message["type"] == "http.response.start":
            kept = [pair for pair in message["headers"] if pair[0].lower() != b"content-length"]
            await send(message | {"headers": kept})
        elif message["type"] != "http.response.body":
            await send(message)
        else:
            held.append(message.get("body", b""))
            if not message.get("more_body"):
                body = render.neutral_csv(b"".join(held).decode()).encode()
                await send({"type": "http.response.body", "body": body})

    return send_csv


def _guarded(app, datasette):
    own_sql = asyncio.Semaphore(_AT_ONCE)

    async def answer(scope, receive, send):
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        nonce = secrets.token_urlsafe(16)
        _nonce.set(nonce)
        policy = _POLICY.format(nonce, _framing(datasette, scope))
        more = [
            (b"content-security-policy", policy.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"same-origin"),
            (b"cross-origin-resource-policy", b"same-origin"),
            (b"cross-origin-opener-policy", b"same-origin"),
        ]

        async def say(status, kind, body, others=()):
            headers = [(b"content-type", kind + b"; charset=utf-8"), *others, *more]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})

        async def with_more(message):
            if message["type"] == "http.response.start":
                message = message | {"headers": [*message.get("headers", []), *more]}
            await send(message)

        headers = dict(scope["headers"])
        send_more = with_more
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
            await say(400, b"text/plain", b"Only 127.0.0.1, localhost and [::1] are served here\n")
        elif scope["method"] not in ("GET", "HEAD"):
            await say(405, b"text/plain", b"Nothing can be changed here\n")
        elif stopped := _stopped(datasette, scope, headers):
            await say(stopped.status, b"text/plain", stopped.body, stopped.headers)
        elif _FOREIGN.fullmatch(scope["path"]):
            await say(404, b"text/plain", b"Only the database of Headcount is served\n")
        else:
            if scope["path"].endswith(".csv"):
                send_more = _neutral_csv(send_more)
            is_own = _OWN_SQL.search(scope["query_string"])
            async with own_sql if is_own else contextlib.nullcontext():
                await app(scope, receive, send_more)

    return answer


_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE}
_PRAGMAS = {
    "data_version",
    "database_list",
    "foreign_key_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "table_info",
    "table_xinfo",
}
# printf can make a gigabyte of one character, and no time limit stops it.
_FORBIDDEN = {
    "edit",
    "format",
    "fts3_tokenizer",
    "load_extension",
    "printf",
    "readfile",
    "writefile",
}
# Tables that show the pages of the file as they are, and statements of others.
_INSIDES = {"sqlite_dbpage", "sqlite_stmt"}
_LONGEST = 20_000_000  # bytes of a value: more than the largest event of a stream


def _authorize(action, first, second, _database, _trigger):
    name = (first or "").lower()
    if action in _ALLOWED:
        allowed = action != sqlite3.SQLITE_READ or name not in _INSIDES
    elif action == sqlite3.SQLITE_FUNCTION:
        allowed = (second or "").lower() not in _FORBIDDEN
    elif action == sqlite3.SQLITE_PRAGMA:
        allowed = name in _PRAGMAS or (name == "schema_version" and second is None)
    else:
        # a search index asks for this when it is opened, and never does it
        allowed = action == sqlite3.SQLITE_UPDATE and name == "sqlite_master"
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def _authorize_hiding(action, first, second, database, trigger):
    if action == sqlite3.SQLITE_READ and hidden.is_hidden(first, second):
        return sqlite3.SQLITE_IGNORE  # reads as NULL
    return _authorize(action, first, second, database, trigger)


@hookimpl(trylast=True)
def prepare_connection(conn, database, datasette):
    if database in (None, "_internal", "_memory"):  # Datasette's own
        return
    conn.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
    conn.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, 100_000)
    conn.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    conn.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000)
    conn.setlimit(sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0)
    conn.set_authorizer(_authorize if datasette.show_ids else _authorize_hiding)
