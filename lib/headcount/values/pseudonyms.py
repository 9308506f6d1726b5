"""Pseudonyms of users: keyed hashes, which nobody can turn back, or make, without the key."""

from __future__ import annotations

LEAST = 16  # bytes of a key
_LENGTH = 32  # hexadecimal digits, 128 bits: among 10^9 users two are the same once in 10^20 times


class Pseudonyms:
    """HMAC-SHA-256 (RFC 2104) of a user's id, cut to 128 bits, in hexadecimal digits."""

    def __init__(self, key: bytes):
        import hashlib  # slow to import, and most imports have no key
        import hmac

        self._hash = hmac.new(key, None, hashlib.sha256)

    def __call__(self, user: str) -> str:
        digest = self._hash.copy()
        digest.update(user.encode())
        return digest.hexdigest()[:_LENGTH]


def key_id(key: bytes) -> str:
    """What tells keys apart, and tells nothing of a key."""
    import hashlib

    return hashlib.sha256(b"headcount pseudonym key\0" + key).hexdigest()[:16]
