"""Recent changes as Wikimedia streams them, from wherever a client wants to go on.

With sse_server.py it makes a server on the loopback that misbehaves on order.
"""

import json
import re
import time
from bisect import bisect_left

from helpers.sse_server import Answer


class Stream:
    """A body of `make-data recent-changes --sse`, whose ids name instants: to resume at one sends
    the events of that millisecond again, as Wikimedia does."""

    def __init__(self, body):
        self.body = body
        self.starts = [found.start() for found in re.finditer(rb"^event: ", body, re.M)]
        ids = re.findall(rb"^id: (.*)$", body, re.M)
        self.times = [json.loads(ident)[0]["timestamp"] for ident in ids]
        self.starts.append(len(body))

    def begin(self, headers):
        """The number of the event to go on with."""
        last = {name.lower(): value for name, value in headers.items()}.get("last-event-id")
        return bisect_left(self.times, json.loads(last)[0]["timestamp"]) if last else 0

    def answer(self, events=None, *, cut=0, before=b"", piece=1 << 20, pause=0, **options):
        """So many events (or all), then so many bytes of the next one, in pieces."""

        def pieces(_path, headers):
            first = self.begin(headers)
            last = len(self.times) if events is None else min(first + events, len(self.times))
            end = min(self.starts[last] + cut, len(self.body))
            yield b":ok\n\n" + before
            for at in range(self.starts[first], end, piece):
                yield memoryview(self.body)[at : min(at + piece, end)]
                time.sleep(pause)

        return Answer(pieces, **options)
