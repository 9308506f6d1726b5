"""streamed.py BODY DB PROGRAM… - how long a program takes to bring a stream into a database

Serves the body on the loopback for PROGRAM --db DB --url URL, until all its events are committed
in the table recent_change_raw. Prints how many rows there are, and on stderr the seconds from the
request to the commit of the last one.
"""

import multiprocessing
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
_PIECE = 64 << 10


def serve(listener: socket.socket, body: bytes, asked) -> None:
    """Answer one request, and leave the connection open."""
    connection, _ = listener.accept()
    connection.recv(_PIECE)
    asked.value = time.time()
    connection.sendall(_HEAD)
    for at in range(0, len(body), _PIECE):
        connection.sendall(body[at : at + _PIECE])
    time.sleep(600)


def committed(db: str) -> int:
    """Rows so far."""
    try:
        connection = sqlite3.connect(f"file:{db}?mode=ro", uri=True)
        try:
            return connection.execute("SELECT max(rowid) FROM recent_change_raw").fetchone()[0] or 0
        finally:
            connection.close()
    except sqlite3.Error:  # not made yet
        return 0


def main() -> int:
    path, db, *program = sys.argv[1:]
    body = Path(path).read_bytes()
    events = len(re.findall(rb"^data: ", body, re.M))
    listener = socket.create_server(("127.0.0.1", 0))
    asked = multiprocessing.Value("d")
    server = multiprocessing.get_context("fork").Process(target=serve, args=(listener, body, asked))
    server.start()
    del body
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    reader = subprocess.Popen(
        [*program, "--db", db, "--url", url], start_new_session=True, stderr=subprocess.DEVNULL
    )
    while (rows := committed(db)) < events and reader.poll() is None:
        time.sleep(0.01)
    seconds = time.time() - asked.value
    if reader.poll() is None:
        os.killpg(reader.pid, signal.SIGTERM)
    reader.wait()
    server.kill()
    print(rows)
    print(seconds, file=sys.stderr)
    return 0


sys.exit(main())
