"""The cases of other trackers' events: users of each local day by any event."""

from collections.abc import Callable

from bench import PEERS, PEERS_PYTHON
from bench.case import Case
from bench.contenders import Contender, ours
from bench.data import Data
from bench.targets import Faster

_OPTIONS = {"fields": "--field user=who.id,who.device --field time=when.at --time-unit ms"}
_OTHERS = ("segment", "amplitude", "mixpanel", "posthog", "snowplow", "cloudevents", "access-log")
NAMES = (*_OTHERS, "fields")


def source(name: str) -> Callable[[Data], Case]:
    """The case of one source."""

    def make(data: Data) -> Case:
        events = data.source(name)
        options = _OPTIONS.get(name, "").split()
        command = [PEERS_PYTHON, PEERS / "duckdb_sources.py", name, events]
        return Case(
            f"events of {name}",
            [
                ours("count-active-users", "--source", name, *options, events),
                Contender("DuckDB", list(map(str, command))),
            ],
            [Faster(1.5)],
            data.truth(events),
        )

    return make
