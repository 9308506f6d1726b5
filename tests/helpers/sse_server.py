"""A server of server-sent events on the loopback, which answers each request by a script."""

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Answer:
    """What one request gets: a status, headers, pieces of a body, and what to do behind them.

    In place of pieces there may be one function that makes them from the path and the headers.
    """

    def __init__(self, *pieces, status=200, headers=None, hang=False):
        self.pieces = pieces[0] if pieces and callable(pieces[0]) else lambda *_: pieces
        self.status, self.hang = status, hang
        self.headers = {"Content-Type": "text/event-stream"} | (headers or {})


@contextlib.contextmanager
def serving(*answers):
    """Gives the URL and the list of requests (path and headers); the last answer repeats."""
    requests, over = [], threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            answer = answers[min(len(requests), len(answers) - 1)]
            requests.append((self.path, dict(self.headers)))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):
                for piece in answer.pieces(self.path, self.headers):
                    self.wfile.write(piece)
                    self.wfile.flush()
            if answer.hang:
                over.wait(30)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/stream", requests
    finally:
        over.set()
        server.shutdown()
        server.server_close()
