r"""access-log - make the access log of a shop's web server

Text in the common, the combined (the default) or the combined format with the
virtual host (vhost); or JSON as nginx or Caddy writes it. About 0.2 KB a line,
of which some have an IPv6 address, quotes in the agent, bytes that are not
UTF-8, a user's name with spaces, no agent, or no request (these count for
nobody). Lines are out of order; a clock change is among the days, 2024-03-10 in
the default zone.

With --truth, also the answer: date and number of the distinct addresses with
their agents of each local day; of the common format, of the addresses. With
--skip-bots the answer leaves out bots.

Example:
  $ make-data access-log --events 1000 --seed 7 | grep -c 'HTTP/1.1" 200'
  937
"""

from collections.abc import Callable

from headcount.cli import types
from headcount.cli.parser import Parser
from headcount.testdata import common, tracker
from headcount.testdata.tracker import ADD, BUY, LOG_IN, NOTICE, SEARCH, iso

_PATHS = {SEARCH: "/search", ADD: "/cart", LOG_IN: "/login", BUY: "/checkout"}
_BOTS = [
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; "
    "+https://openai.com/gptbot)",
    "curl/8.5.0",
]
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_REFERRER = "https://shop.example.com/"


class _Request:
    """What a server knows of one request."""

    def __init__(self, event: tracker.Event, bots: float):
        self.event = event
        chance = event.id % 1000
        self.is_bot = chance < bots * 1000
        self.agent, self.address, self.user = event.agent, event.address, ""
        if event.device % 5 == 0:
            self.address = f"2001:db8::{event.device & 0xFFFF:x}:{event.device >> 16 & 0xFFFF:x}"
        if self.is_bot:
            self.agent = _BOTS[event.bits % len(_BOTS)]
            self.address = f"198.51.100.{event.bits % 200}"
        elif event.is_unusual:
            self.agent = ["", 'The "Best" Browser\\1.0', "Caf\u00e9/1.0"][event.bits % 3]
            self.user = "john doe"
        self.path = _PATHS.get(event.action, event.page)
        self.request = f"GET {self.path}?ref={event.bits % 977} HTTP/1.1"
        if event.action == NOTICE and event.bits % 3 == 0:  # a connection without a request
            self.path = self.request = ""
        self.status = 200 if event.bits % 17 else 404

    def who(self) -> tuple[str, str]:
        return self.address, self.agent


def _clf(micros: int, hours: int) -> str:
    """A time as logs have it, so many hours east of UTC."""
    day, _, time = iso(micros, 0, hours * 3600).partition("T")
    year, month, date = day.split("-")
    return f"{date}/{_MONTHS[int(month) - 1]}/{year}:{time} {hours:+03d}00"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"') or "-"


def _line(found: _Request, form: str) -> bytes:
    event = found.event
    time = _clf(event.at, -6 if event.bits % 2 else 0)
    host = "shop.example.com:443 " if form == "vhost" else ""
    line = (
        f"{host}{found.address} - {found.user or '-'} [{time}] "
        f'"{_escaped(found.request)}" {found.status} {event.bits % 50_000 or "-"}'
    )
    if form != "common":
        line += f' "{_REFERRER}" "{_escaped(found.agent)}"'
    # A path in Latin-1; an agent is always the same bytes.
    encoding = "latin-1" if event.is_unusual and found.agent.isascii() else "utf-8"
    return line.encode(encoding) + b"\n"


def _nginx(found: _Request) -> dict:
    event = found.event
    told = {
        "time_iso8601": iso(event.at, 0, -21_600) + "-06:00",
        "remote_addr": found.address,
        "remote_user": found.user,
        "request": found.request,
        "status": found.status,
        "body_bytes_sent": event.bits % 50_000,
        "request_time": event.bits % 900 / 1000,
        "http_referer": _REFERRER,
        "http_user_agent": found.agent,
    }
    if event.is_unusual:
        del told["time_iso8601"]
        if event.bits % 2:
            told["time_local"] = _clf(event.at, 0)
        else:
            told["msec"] = f"{event.at // 1_000_000}.{event.at // 1000 % 1000:03d}"
    return told


def _caddy(found: _Request) -> dict:
    event = found.event
    port = str(1024 + event.bits % 60_000)
    headers = {"Accept": ["*/*"], "User-Agent": [found.agent]}
    if not found.agent:
        del headers["User-Agent"]
    return {
        "level": "info",
        "ts": iso(event.at) + "Z" if event.is_unusual else event.at / 1_000_000,
        "logger": "http.log.access.log0",
        "msg": "handled request",
        "request": {
            "remote_ip": found.address,
            "remote_port": port,
            "client_ip": found.address,
            "proto": "HTTP/2.0",
            "method": "GET",
            "host": "shop.example.com",
            "uri": found.request.split(" ")[1] if found.request else "",
            "headers": headers,
            "tls": {"resumed": False, "version": 772, "server_name": "shop.example.com"},
        },
        "bytes_read": 0,
        "user_id": found.user,
        "duration": event.bits % 900 / 1e6,
        "size": event.bits % 50_000,
        "status": found.status,
        "resp_headers": {"Server": ["Caddy"], "Content-Type": ["text/html; charset=utf-8"]},
    }


def _spoilt(line: bytes, random: Callable[[], float]) -> bytes:
    """A line that no server wrote, or that is nobody's."""
    kind = random()
    if kind < 0.4:  # cut short, before the request ends
        return line[: 1 + int(random() * line.index(b'"'))] + b"\n"
    if kind < 0.6:
        return line.replace(b"/20", b"/2O", 1)
    if kind < 0.8:
        return line.replace(b'] "', b"] ", 1)
    return line.replace(b" [", b" (", 1)


_NEEDED = {
    "nginx": (("remote_addr",), ("request",), ("time_iso8601", "time_local", "msec")),
    "caddy": (("request.remote_ip", "request.client_ip"), ("request.uri",), ("ts",)),
}
_FORMATS = {"combined": 230, "common": 110, "vhost": 250, "nginx": 380, "caddy": 620}


def _tracker(form: str, bots: float, skip_bots: bool) -> tracker.Tracker:
    def spelled(event: tracker.Event) -> tuple[dict | bytes, tuple | None]:
        found = _Request(event, bots)
        told = {"nginx": _nginx, "caddy": _caddy}.get(form, lambda found: _line(found, form))(found)
        if not found.request or (skip_bots and found.is_bot):
            return told, None
        return told, found.who()[:1] if form == "common" else found.who()

    return tracker.Tracker(spelled, _FORMATS[form], _NEEDED.get(form, ()), _spoilt)


def add_options(parser: Parser) -> None:
    tracker.add_options(parser)
    common.add_fractions(parser, ("--bots", 0.1, "this part of the requests is by bots"))
    parser.add_argument("--skip-bots", action="store_true", help="do not count bots in the truth")
    parser.add_argument(
        "--format",
        metavar="NAME",
        type=types.one_of(*_FORMATS),
        default="combined",
        help=f"how lines are written: {', '.join(_FORMATS)} (default: combined)",
    )


def run(parser: Parser, options) -> int:
    """Print the lines, then write the truth; returns the exit status."""
    made = _tracker(options.format, options.bots, options.skip_bots)
    return tracker.run(parser, options, made)
