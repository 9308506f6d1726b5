"""A polite client of server-sent events, which goes on where it was whenever it is cut off.

httpx does HTTP. Around it: resuming by Last-Event-ID, waiting longer and longer, Retry-After, a
limit to silence, no redirect to another host or to an insecure one.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from headcount import __version__
from headcount.cli import types
from headcount.cli.parser import Parser
from headcount.errors import FAILED, TRY_LATER, Failure
from headcount.formats import sse
from headcount.formats.sse import Event, Rejected

_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0  # seconds before another try, and after many
_CONNECT = 10.0  # seconds
_DRIP = 100  # bytes a second: an event that comes slower will never end
_REDIRECTS = 5


class Settings(NamedTuple):
    """How to behave."""

    user_agent: str
    silence: float = 60.0  # seconds without a byte, after which a connection is given up
    give_up: float = 300.0  # seconds without an event, after which all is
    since: str | None = None  # where to begin, if there is no id
    last_id: str = ""
    max_event: int = 16 << 20


class Unavailable(Exception):
    """Worth another try, in so many seconds if the server has said so."""

    def __init__(self, reason: str, seconds: float | None = None):
        super().__init__(reason)
        self.seconds = seconds


def events(
    url: str, settings: Settings, note: Callable[[str], None]
) -> Iterator[list[Event | Rejected]]:
    """What the stream brings, some events at a time, for ever; ends when the server says so (204).

    `note` is told why a connection ended. Raises Failure for what no further try can mend, and 75
    if nothing has come for too long.
    """
    import httpx  # slow to import: only for streams

    last_id, retry, tries = settings.last_id, None, 0
    heard = time.monotonic()
    timeout = httpx.Timeout(_CONNECT, read=settings.silence)
    with httpx.Client(timeout=timeout, follow_redirects=False) as client:
        while True:
            parser = sse.Parser(settings.max_event, last_id)
            asked = None
            drip = _Drip(settings.silence)
            try:
                for chunk in _body(client, url, settings, last_id):
                    batch = list(parser.feed(chunk))
                    last_id = parser.last_id
                    drip.check(len(chunk), bool(batch) or not parser.unfinished)
                    if batch:
                        heard, tries = time.monotonic(), 0
                        yield batch
                reason = "the server has closed the connection"
            except _Ended:
                return
            except Unavailable as error:
                reason, asked = str(error), error.seconds
            except httpx.ReadTimeout:
                reason = f"nothing has come for {settings.silence:g} s"
            except httpx.TransportError as error:
                reason = str(error) or type(error).__name__
            retry = parser.retry if parser.retry is not None else retry
            if time.monotonic() - heard + (asked or 0) > settings.give_up:
                text = f"{url}: {reason}; no event for {settings.give_up:g} s: run it again later"
                raise Failure(text, TRY_LATER)
            seconds = _wait(tries, retry, asked)
            tries += 1
            note(f"{url}: {reason}; once more in {seconds:.1f} s")
            time.sleep(seconds)


class _Drip:
    """Watches for an event that comes byte by byte: such a connection is not silent, but dead."""

    def __init__(self, silence: float):
        self._silence = silence
        self._since: float | None = None  # when the event that has not ended began
        self._bytes = 0

    def check(self, size: int, is_between: bool) -> None:
        """More bytes have come. Raises Unavailable if they are too few for too long."""
        now = time.monotonic()
        if is_between:
            self._since = None
        elif self._since is None:
            self._since, self._bytes = now, 0
        else:
            self._bytes += size
            seconds = now - self._since
            if seconds > self._silence and self._bytes < _DRIP * seconds:
                raise Unavailable(f"an event has not ended for {self._silence:g} s")


class _Ended(Exception):
    """The server wants no more of us."""


def _body(client, url: str, settings: Settings, last_id: str) -> Iterator[bytes]:
    import httpx

    headers = {
        "Accept": "text/event-stream",
        "Accept-Encoding": "identity",  # or a small answer could unpack to a huge one
        "Cache-Control": "no-store",
        "User-Agent": settings.user_agent,
    }
    if last_id:
        headers["Last-Event-ID"] = last_id.encode()
    if settings.since and not last_id:
        url = str(httpx.URL(url).copy_merge_params({"since": settings.since}))
    for _ in range(_REDIRECTS + 1):
        with client.stream("GET", url, headers=headers) as response:
            if response.is_redirect:
                url = _allowed(url, response)
                continue
            _check(url, response)
            yield from response.iter_raw()
            return
    raise Failure(f"{url}: more than {_REDIRECTS} redirects")


def _allowed(url: str, response) -> str:
    """Where a redirect leads. Raises Failure for another host, or from https to http."""
    target = str(response.url.join(response.headers.get("location", "")))
    old, new = urlsplit(url), urlsplit(target)
    if old.hostname != new.hostname or (old.scheme, new.scheme) == ("https", "http"):
        raise Failure(f"{url}: redirects to {target}: name that, if you trust it")
    return target


def _check(url: str, response) -> None:
    status = response.status_code
    if status == 204:
        raise _Ended
    if status in (408, 425, 429) or status >= 500:
        raise Unavailable(f"status {status}", _retry_after(response.headers.get("retry-after")))
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if status != 200:
        raise Failure(f"{url}: status {status} {response.reason_phrase}", FAILED)
    if kind != "text/event-stream":
        raise Failure(f"{url}: is {kind or 'of no type'}, not text/event-stream", FAILED)
    if response.headers.get("content-encoding", "identity") != "identity":
        raise Failure(f"{url}: comes compressed, though we take it plain only", FAILED)


def _retry_after(value: str | None) -> float | None:
    """Seconds, as a number or until a date; None for anything else."""
    from email.utils import parsedate_to_datetime

    if not value:
        return None
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _wait(tries: int, retry: int | None, asked: float | None) -> float:
    """Seconds before another try: what was asked for, or twice as long each time, by chance."""
    least = asked if asked is not None else (retry or 0) / 1000
    longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2**tries)
    return least + random.uniform(0, longest)


def add_options(parser: Parser) -> None:
    """Add the options of a stream, and where it goes on."""
    parser.add_argument(
        "--last-event-id", metavar="ID", default="", help="go on behind the event with this id"
    )
    add_stream_options(parser)


def add_stream_options(parser: Parser) -> None:
    """Add the options of a stream."""
    parser.add_argument(
        "--since", metavar="TIME", help="where to begin, if there is no id, as ?since= (ISO 8601)"
    )
    parser.add_argument(
        "--max-event",
        metavar="SIZE",
        type=types.size,
        default=sse.MAX_EVENT,
        help="reject events that are larger (default: 16 MiB)",
    )
    parser.add_argument(
        "--silence",
        metavar="SECONDS",
        type=_seconds,
        default=60.0,
        help="connect anew if nothing has come for so long (default: 60)",
    )
    parser.add_argument(
        "--give-up",
        metavar="SECONDS",
        type=_seconds,
        default=300.0,
        help="end with status 75 if no event has come for so long (default: 300)",
    )
    parser.add_argument(
        "--user-agent",
        metavar="TEXT",
        default=f"Headcount/{__version__} (read-sse)",
        help="who asks: add how to reach you, as many services want it",
    )


def settings(options) -> Settings:
    """What was given, for the client."""
    return Settings(
        user_agent=options.user_agent,
        silence=options.silence,
        give_up=options.give_up,
        since=options.since,
        last_id=options.last_event_id,
        max_event=options.max_event,
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds < 10**9:
        raise types.expected("a number of seconds above 0", text)
    return seconds
