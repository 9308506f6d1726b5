"""Charts in pages of other sites: who may frame them, with which addresses.

On a port such an address has a key, made from the token of this start for its path and its query:
it opens this chart with these filters, and nothing else. The page has its rows in itself, so that
its frame, to which browsers send no cookie, asks for static files alone.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence

from headcount.cli.types import expected

PATH = "/-/embed/"
_SCRIPTS = ("vega.min", "vega-lite.min", "vega-embed.min", "dashboards")
STATIC = (
    "/-/static/app.css",
    "/browser/headcount.css",
    *(f"/-/static-plugins/datasette_dashboards/{name}.js" for name in _SCRIPTS),
)
_OPEN = {path.encode() for path in STATIC}
_KEY = "_key"  # pages know no such filter
_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_ORIGIN = re.compile(rf"https?://{_LABEL}(?:\.{_LABEL})*(?::([1-9][0-9]{{0,4}}))?")


def origin(text: str) -> str:
    """The option's value: scheme, host and perhaps a port, which go into a policy as they are."""
    match = _ORIGIN.fullmatch(text.lower())
    if not match or int(match[1] or 0) > 65535:
        raise expected("an origin such as https://wiki.example.org or http://localhost:8080", text)
    return text.lower()


class Embedding:
    """Knows which sites may frame charts, and what opens one without the token.

    `token` is that of a port; a socket has none, and the addresses need no key.
    """

    def __init__(self, origins: Sequence[str], token: str | None = None):
        self.origins = " ".join(origins)
        self._token = token and token.encode()

    def address(self, path: str) -> str:
        """The path and query of a chart, with what opens it."""
        if self._token is None:
            return path
        return f"{path}{'&' if '?' in path else '?'}{_KEY}={self._key(path.encode())}"

    def is_frame(self, scope: dict, headers: dict[bytes, bytes]) -> bool:
        """Whether a request is of a frame in a page, for a chart."""
        return (
            scope["raw_path"].startswith(PATH.encode())
            and headers.get(b"sec-fetch-mode") == b"navigate"
            and headers.get(b"sec-fetch-dest") == b"iframe"
            and b"origin" not in headers
        )

    def has_key(self, scope: dict) -> bool:
        """Whether the address of a request has the key that was made for it."""
        if self._token is None or not scope["raw_path"].startswith(PATH.encode()):
            return False
        rest, _, key = scope["query_string"].rpartition(f"{_KEY}=".encode())
        if rest and not rest.endswith(b"&"):  # a part of another value
            return False
        path = scope["raw_path"] + (b"?" + rest[:-1] if rest else b"")
        return hmac.compare_digest(key, self._key(path).encode())

    def is_open(self, scope: dict) -> bool:
        """Whether a request is for a static file that a framed chart needs."""
        return scope["raw_path"] in _OPEN

    def _key(self, path: bytes) -> str:
        return hmac.new(self._token, b"embed " + path, hashlib.sha256).hexdigest()
