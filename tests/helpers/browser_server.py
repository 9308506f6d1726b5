"""A database with something of everything, and serve-db showing it."""

import contextlib
import http.server
import json
import random
import re
import subprocess
import tempfile
import threading
from pathlib import Path

from helpers.programs import BARE, BIN, run


def fill(db):
    """Active users, some of whose days are provisional; chats; recent changes; comments; metrics.

    Some texts of the last three are hostile.
    """
    sketched = ["--definition", "engaged-valuable,any-event", "--sketch", "beside", "--quiet"]
    sketched += ["--by", "platform,geo.country"]
    events = BIN.parent / "data/sample/events.jsonl.gz"
    run("import-active-users", "--db", db, *sketched, events, check=0)
    lines = run("make-data", "chat", "--lines", 3000, "--sites", 4, check=0).stdout
    run("import-site-activity", "--db", db, check=0, stdin=lines)
    options = ["--events", 9000, "--hostile", 0.05, "--holes", 2, "--rate", 2]
    lines = run("make-data", "recent-changes", *options, check=0).stdout
    run("import-recent-changes", "--db", db, check=0, stdin=lines)
    with tempfile.TemporaryDirectory() as folder:
        posts, texts = Path(folder, "posts.csv"), Path(folder, "text.csv")
        options = ["--comments", 2000, "--depth", 4, "--posts", posts, "--text", texts]
        lines = run("make-data", "comments", *options, check=0).stdout
        with open(texts, "ab") as file:  # the comment with the most replies is hostile, too
            parents = re.findall(rb'"parent":{"h_id":"([^"]*)"}', lines)
            first = max(sorted(set(parents)), key=parents.count)
            file.write(b'"~<img src=x onerror=alert(1)><script>alert(1)</script>",' + first)
        kinds = ["--info", "-", "--posts", posts, "--text", texts]
        run("import-comments", "--db", db, *kinds, check=0, stdin=lines)
        made = ["--count", 2000, "--odd", 0.05, "--folder", folder]
        run("make-data", "event-metrics", *made, check=0)
        first = Path(folder, "first_dimensions.tsv")
        with open(first, "a") as file:
            file.write("3\t<img src=x onerror=alert(1)><script>alert(1)</script>\n")
        events, tables = Path(folder, "events-1.tsv"), ["--first-dimensions", first]
        run("import-event-metrics", "--db", db, events, *tables, check=0)


class Address(str):
    """http://127.0.0.1:PORT, with the token that opens it."""

    token: str

    @classmethod
    def printed(cls, text):
        """The one in what serve-db printed."""
        url, token = re.search(r"(http://127\.0\.0\.1:\d+)/\S*\?token=(\S+)", text).groups()
        address = cls(url)
        address.token = token
        return address

    @property
    def headers(self):
        return {"Authorization": f"token {self.token}"}


@contextlib.contextmanager
def serve_db(db, *options):
    """serve-db on some free port; gives its Address."""
    command = [BIN / "serve-db", "--db", db, "--port", "0", *options]
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True, env=BARE)
    try:
        yield Address.printed(process.stderr.readline())
    finally:
        process.terminate()
        process.communicate(timeout=20)


@contextlib.contextmanager
def another_site(pages):
    """Serves these pages (HTML by path; more may come) on some free port of 127.0.0.1; gives it."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            found = pages.get(self.path)
            self.send_response(404 if found is None else 200)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write((found or "").encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


VALUES = [
    "IOS",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "x" * 2000,
    "",
    "שלום עולם",
    "\u202eevil",
    "line\nbreak",
    "';DROP TABLE user --",
    "]] :value [[",
    *(f"value {i:02}" for i in range(51)),
]


def fill_values(db):
    """Active users of 40 days by platform, of which there are VALUES, the first ones with the most
    users, and by country; on day 20 nobody has IOS; the last days, and some
    users, came without these fields."""
    chance = random.Random(28)
    param = {"key": "engagement_time_msec", "value": {"int_value": 3000}}
    session = {"key": "engaged_session_event", "value": {"int_value": 1}}
    event = {"event_name": "user_engagement", "event_params": [param, session]}
    weights = [1 / (1 + i) for i in range(len(VALUES))]
    lines = {True: [], False: []}
    for day in range(43):
        for user in range(150):
            for value in set(chance.choices(VALUES, weights, k=chance.choice([0, 0, 1, 1, 2]))):
                if value == "IOS" and day == 20:
                    continue
                at = 1577836800000000 + day * 86_400_000_000
                of = {"user_pseudo_id": f"u{user}", "event_timestamp": at}
                by = {"platform": value, "geo": {"country": chance.choice(["DE", "FR"])}}
                lines[day < 40 and user < 140].append(json.dumps(event | of | by))
    for has_fields, options in ((True, ["--by", "platform,geo.country"]), (False, [])):
        given = ["--quiet", "--tz", "UTC", *options]
        text = "\n".join(lines[has_fields]).encode()
        run("import-active-users", "--db", db, *given, stdin=text, check=0)
