"""The cases of other trackers' events: users of each local day by any event."""

from collections.abc import Callable

from bench import PEERS, PEERS_PYTHON
from bench.case import Case
from bench.contenders import Contender, ours
from bench.data import Data
from bench.targets import Faster

NAMES = ("segment", "amplitude", "mixpanel", "posthog", "access-log")


def source(name: str) -> Callable[[Data], Case]:
    """The case of one source."""

    def make(data: Data) -> Case:
        events = data.source(name)
        command = [PEERS_PYTHON, PEERS / "duckdb_sources.py", name, events]
        return Case(
            f"events of {name}",
            [
                ours("count-active-users", "--source", name, events),
                Contender("DuckDB", list(map(str, command))),
            ],
            [Faster(1.5)],
            data.truth(events),
        )

    return make
