"""The case of a stream: from a server on the loopback into a table of a database."""

import sys
from pathlib import Path

from bench import BIN, PEERS, PEERS_PYTHON
from bench.case import Case
from bench.contenders import OURS, Contender, remove_database
from bench.data import Data
from bench.targets import Faster, Rate

_BATCH = "1000"
_STREAMED = Path(__file__).parents[1] / "streamed.py"


def stream(data: Data) -> Case:
    body, events = data.stream()
    ours = [BIN / "import-recent-changes", "--quiet", "--batch", _BATCH]
    plain = [PEERS_PYTHON, "-I", PEERS / "httpx_sse_store.py", "--batch", _BATCH]
    return Case(
        "stream into a database",
        [
            _contender(OURS, ours, data.work / "stream.db", body, role="ours"),
            _contender("httpx-sse", plain, data.work / "plain.db", body),
        ],
        [Faster(4.5), Rate(80_000, events, "events")],
        str(events),
    )


def _contender(name: str, program: list, db: Path, body: Path, **options) -> Contender:
    command = [sys.executable, _STREAMED, body, db, *program]
    return Contender(
        name,
        list(map(str, command)),
        ready=lambda: remove_database(db),
        answer=str.strip,
        inside=True,
        **options,
    )
