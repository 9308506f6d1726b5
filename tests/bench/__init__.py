"""The benchmark (`make bench`): ours and others' programs, the same data, the same answers."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / "bin"
BENCH = ROOT / ".bench"
PEERS = Path(__file__).parent / "peers"
OUR_PYTHON = ROOT / ".venv/bin/python"
PEERS_PYTHON = BENCH / "venv/bin/python"


class Failure(Exception):
    """The benchmark cannot go on, or what it found is wrong."""


def of_size(text: str) -> int:
    """The bytes of 100MB, 1.5GB; powers of ten, as make-data has them."""
    from headcount.cli import types

    return types.size(text)
