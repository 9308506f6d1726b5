"""Time and memory of ours as the data grows: time should be linear, memory flat."""

import sys
from pathlib import Path

from bench import machine, report, targets
from bench.contenders import Contender, importing, ours
from bench.data import Data
from bench.memory import peak
from bench.timing import rounds

_HEAD = ["what", "size", "time", "per GB", "memory", "largest process"]
_EXPLAINED = (
    "Memory: the peak of the sum over all our processes, sampled every 20 ms in a run of its own "
    "(anonymous and shared pages by PSS, so what processes share counts once)."
)


def contenders(data: Data) -> list[Contender]:
    events = data.events()
    return [
        ours("count-active-users", events, name="count-active-users"),
        importing(data.work / "growth.db", events, name="import-active-users"),
    ]


def table(folder: Path, sizes: list[str], runs: int) -> str:
    """Rows of each program and size. Raises Failure for a wrong answer, or if the disk is full."""
    rows = []
    for size in sizes:
        data = Data(folder, size)
        data.check_room({"events"})
        both = contenders(data)
        print(f"growth: {size}, {runs} rounds", file=sys.stderr)
        for timed in rounds(both, data.truth(data.events()), runs):
            memory = peak(timed.contender)
            rows.append(
                [
                    f"`{timed.contender.name}`",
                    size,
                    targets.seconds(timed.median),
                    targets.seconds(timed.median / data.bytes * 10**9),
                    f"{memory.together / 1e6:.0f} MB",
                    f"{memory.largest / 1e6:.0f} MB",
                ]
            )
    rows.sort(key=lambda row: row[0])
    end = f"\nTime: {report.measured(runs)}, on {machine.host()}. {_EXPLAINED}\n"
    return report.table(_HEAD, rows) + end
