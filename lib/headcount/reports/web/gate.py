"""The token without which a port answers nothing: every user of this machine can reach it.

It comes once, in the query of the address that is printed, and from then on as a cookie, so that it
stays out of the addresses of pages. Programs may send it as a header.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator
from typing import NamedTuple

_PARAM = b"token"
_HEADER = re.compile(rb"(?:token|bearer) +(\S+) *", re.IGNORECASE)
_ADVICE = b"The token of this start is missing: open the address that serve-db printed\n"


class Answer(NamedTuple):
    """What is answered in the place of a page."""

    status: int
    body: bytes
    headers: list[tuple[bytes, bytes]]


class Gate:
    """Knows who may come in: those who have the token of this start."""

    def __init__(self, token: str):
        self._token = token.encode()

    def answer(self, scope: dict, host: bytes) -> Answer | None:
        """What stops a request (an ASGI scope, whose Host is checked); None: let it in.

        The right token in a query leads to the same address without it, and to a cookie.
        """
        unsaved = (b"cache-control", b"no-store")
        parts = [part for part in scope["query_string"].split(b"&") if part]
        given = [part.partition(b"=") for part in parts]
        if any(name == _PARAM and self._is_right(value) for name, _, value in given):
            rest = b"&".join(part for part in parts if part.partition(b"=")[0] != _PARAM)
            # with the host, for //elsewhere alone would be another one
            where = b"http://" + host + scope["raw_path"] + (b"?" + rest if rest else b"")
            cookie = _cookie(host) + b"=" + self._token + b"; HttpOnly; SameSite=Strict; Path=/"
            return Answer(303, b"", [(b"location", where), (b"set-cookie", cookie), unsaved])
        if any(map(self._is_right, _sent(scope["headers"], _cookie(host)))):
            return None
        return Answer(403, _ADVICE, [unsaved])

    def _is_right(self, text: bytes) -> bool:
        return hmac.compare_digest(text, self._token)


def _cookie(host: bytes) -> bytes:
    """The name of the cookie: browsers send those of a host to all of its ports.

    The port is the one that the browser sees, which is another than ours through ssh -L.
    """
    port = re.search(rb":([0-9]+)$", host)
    return b"headcount-token-" + (port[1] if port else b"80")


def _sent(headers: list[tuple[bytes, bytes]], cookie: bytes) -> Iterator[bytes]:
    """What a request has for a token, in its headers."""
    for name, value in headers:
        if name == b"authorization" and (match := _HEADER.fullmatch(value)):
            yield match[1]
        elif name == b"cookie":
            for part in value.split(b";"):
                key, _, text = part.strip().partition(b"=")
                if key == cookie:
                    yield text
