r"""Access logs of web servers: text in the common or combined format, or JSON.

Text, with or without the virtual host before it: Apache's,
https://httpd.apache.org/docs/current/logs.html#accesslog ; nginx writes the same,
https://nginx.org/en/docs/http/ngx_http_log_module.html#log_format . What comes after the agent is
ignored. Both servers escape quotes (Apache `\"`, nginx `\x22`); bytes that are not UTF-8 are
read as if they were escaped, as `\xff`. Fields have the names of nginx's variables.

JSON: nginx's variables under their own names; Caddy, https://caddyserver.com/docs/logging ; Apache
has no names of its own: `time`, `remoteIP`, `userAgent` and `request` are widely used. Others:
--user and --field, as --user http_x_forwarded_for+http_user_agent behind a proxy.

The user is an address with its agent: people behind one address with the same browser are one user,
a person with a phone and a computer is two. The common format has the address alone.
Active: a user who made any request, whatever its status. The name of an event is the request's path
without the query: --valuable-events /checkout. Lines without a request (a connection was opened and
not used) are left out, not rejected.
GoAccess counts unique visitors by the same address, agent and date, https://goaccess.io/man ; it
takes dates as the log has them, and does not count requests with a client error (4xx) unless told
to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from headcount.filters.rejects import Reject
from headcount.pipelines.active_users.events.source import Source

_WORD = r"[^ \n]+"
_QUOTED = r'[^"\\\n]*+(?:\\.[^"\\\n]*+)*+'
_ADDRESS = r"(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*) "  # no name of a host

# The fields in their order, each with what stands before it; `-` is an absent one.
_FIELDS = {
    # A virtual host comes before: with a port, or before something that is an address for certain.
    # (Most lines have none, which is seen soonest in an IPv4 address before a `-`.)
    "remote_addr": (
        rf"(?:(?=[\d.]++ -)|{_WORD} (?={_ADDRESS})|[^ :\n]+:\d{{1,5}} )?",
        _WORD,
    ),
    "remote_user": (rf" {_WORD} ", r".*?"),
    "time_local": (r" \[", r"\d\d/[A-Z][a-z][a-z]/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}"),
    "request": (r'\] "', _QUOTED),
    "status": ('" ', r"\d{3}"),
    "body_bytes_sent": (" ", r"\d++"),
    "http_referer": (r'(?:(?! ")| "', _QUOTED),
    "http_user_agent": ('" "', _QUOTED),
}
_END = '")'


def _pattern(names: Collection[str]) -> str:
    """A regular expression with a group for each of these fields."""
    parts = []
    for name, (before, value) in _FIELDS.items():
        group = f"(?P<{name}>{value})" if name in names else value
        behind = '(?=")' if value == _QUOTED else r"(?=[ \n]|$)"
        parts.append(f"{before}(?:-{behind}|{group})")
    return "".join(parts) + _END


_line = re.compile(_pattern(_FIELDS), re.ASCII).match
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_CONTROL = {"b": "\b", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def text(line: bytes) -> dict[str, str | None] | Reject:
    """The fields of a line by nginx's names."""
    found = _line(line.decode(errors="backslashreplace"))
    if not found:
        return Reject("not a line of an access log")
    fields = {name: _plain(value) if value else None for name, value in found.groupdict().items()}
    return fields | {"request": fields["request"] or ""}


def table(names: tuple[str, ...]) -> Callable[[bytes], list[tuple[str, ...]]]:
    """What gets these fields of many lines."""
    pattern = rf"^(?!\Z)(?:{_pattern(names)})?.*\n?"
    find = re.compile(pattern, re.ASCII | re.MULTILINE).findall

    def rows(lines: bytes) -> list[tuple[str, ...]]:
        text = lines.decode(errors="backslashreplace")
        found = find(text)
        if len(names) == 1:
            found = [(value,) for value in found]
        # Few lines have an escape.
        number = end = 0
        while (at := text.find("\\", end)) >= 0:
            number += text.count("\n", end, at)
            found[number] = tuple(map(_plain, found[number]))
            end = text.find("\n", at)
            if end < 0:
                break
        return found

    return rows


def _plain(value: str) -> str:
    """A value without its escapes, if it has any."""
    return value if "\\" not in value else _ESCAPE.sub(_unescaped, value)


def _unescaped(match: re.Match) -> str:
    number, char = match.groups()
    if number is None:
        return _CONTROL.get(char, char)
    # More than ASCII is a part of a character: it stays as it is written.
    return chr(int(number, 16)) if number < "8" else match[0]


def path(request: str) -> str:
    """The path of a request line (`GET /a?b=c HTTP/1.1`), or of its target alone.

    Without a request, of which `-` is a sign, there is none: "".
    """
    if request in ("", "-"):
        return ""
    _, is_line, rest = request.partition(" ")
    target = (rest.rpartition(" HTTP/")[0] or rest) if is_line else request
    if not target.startswith("/") and "://" in target:
        target = "/" + target.partition("://")[2].partition("/")[2]
    return target.partition("?")[0].partition("#")[0] or "/"


SOURCE = Source(
    title="a web server's access log",
    user=(
        "remote_addr+http_user_agent",
        "request.client_ip+request.headers.User-Agent.0",
        "request.remote_ip+request.headers.User-Agent.0",
        "remoteIP+userAgent",
    ),
    time=("time_local", "time_iso8601", "msec", "ts", "time"),
    name=("request.uri", "request_uri", "request", "uri"),
    unit="s",
    signs=(
        frozenset(("remote_addr", "http_user_agent")),
        frozenset(("remote_addr", "time_local")),
        frozenset(("remote_addr", "time_iso8601")),
        frozenset(("remote_addr", "request")),
        frozenset(("request.uri", "ts", "status")),
        frozenset(("remoteIP", "userAgent")),
    ),
    text=text,
    columns=tuple(_FIELDS),
    table=table,
    named=path,
    agent=("http_user_agent", "request.headers.User-Agent.0", "userAgent"),
    is_personal=True,
)
