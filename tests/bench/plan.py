"""What a day of many events costs: measured here by stage, carried on, and held against a run.

A day of E events has E / 100 active users: a tenth of those in the dictionary.
"""

import contextlib
import os
import resource
import sqlite3
import tempfile
import time
from pathlib import Path
from random import Random

from pyroaring import BitMap

from bench import machine, report
from bench.contenders import no_answer, ours, remove_database
from bench.data import Data
from bench.timing import run
from headcount.db import connection as database
from headcount.io.blocks import Block
from headcount.io.splits import cut
from headcount.pipelines.active_users.days import collect
from headcount.pipelines.active_users.spark import task

EVENTS_PER_USER = 100
_USERS = 1_000_000  # to measure with
_ONE_IN = 10  # users of the dictionary is active on a day
_TASK = 512 << 20
_ROUNDS = 3
_DAYS = "2024-03-08", "2024-03-09"
_HOUR = 3600


def timed(function):
    begin = time.perf_counter()
    result = function()
    return time.perf_counter() - begin, result


def tasks(data: Data) -> dict[str, float]:
    """What tasks take and give, for a million events, on one processor: the best of some rounds.

    (What the first one waits for the disk says nothing of the filters.)
    """
    return min((_tasks(data) for _ in range(_ROUNDS)), key=lambda found: found["filter"])


def _tasks(data: Data) -> dict[str, float]:
    events = data.events()
    pieces = enumerate(cut([str(events)], _TASK, {}))
    parts = [task.NumberedSplit(number, str(events), piece) for number, piece in pieces]
    arguments, contents, seconds, lines = ["--mergeable"], [], 0, 0
    for part in parts:
        took, found = timed(lambda one=part: list(task.work(arguments, 8, [one])))
        seconds += took
        lines += sum(one.lines for _, one in found if isinstance(one, task.Found))
        contents += [one for one in found if isinstance(one[1], bytes)]
    rows = sum(content.count(b"\n") for _, content in contents)
    size = sum(len(content) for _, content in contents)
    merge, _ = timed(lambda: list(task.merged(contents)))
    million = lines / 1e6
    return {
        "read": events.stat().st_size / million,
        "filter": seconds / million,
        "shuffled": size / million,
        "rows": rows / million,
        "merge": merge / rows * 1e6,
    }


def _rows(day: str, first: int) -> bytes:
    users = range(first, first + _USERS)
    return b"".join(b"%b\t%032x\tengaged,valuable\n" % (day.encode(), n * 7919) for n in users)


def sink() -> dict[str, float]:
    """What it takes to bring a million users of a day into the database: new ones, and known."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "plan.db")
        for kind, day in zip(("new", "known"), _DAYS, strict=True):
            text = _rows(day, 0)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

            def load(text=text):
                users = collect.ActiveUsers()
                users.add(Block(text))
                with database.for_import(path, 60) as db, database.transaction(db):
                    db.execute("INSERT OR IGNORE INTO setting VALUES ('tz', 'UTC')")
                    db.execute(
                        "INSERT OR IGNORE INTO setting VALUES ('definition', 'engaged-valuable')"
                    )
                    _run(db)
                    users.merge(db, 1, replace=False)

            found[kind], _ = timed(load)
            if kind == "new":
                after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                found["memory"] = (after - before) * 1024
        found["dictionary"] = os.path.getsize(path)  # the sets, of users in a row, are tiny
    some = Random(1).sample(range(_ONE_IN * _USERS), _USERS)
    found["set"] = len(BitMap(some).serialize())
    return found


def _run(db) -> None:
    db.execute(
        "INSERT OR IGNORE INTO run (id, pipeline, version, zone_rules, status, started_at) "
        "VALUES (1, 'plan', '', '', 'running', '')"
    )


def start(data: Data, master: str) -> float:
    """How long a run takes that has next to nothing to read."""
    little = data.work / "little.jsonl"
    with data.events().open("rb") as file:
        little.write_bytes(b"".join(file.readline() for _ in range(100)))
    return _spark(data, master, [little])[0]


def _spark(data: Data, master: str, files: list[Path]) -> tuple[float, int]:
    """Seconds, and how many lines the ledger says were read."""
    db = data.work / "plan.db"
    remove_database(db)
    seconds, _ = run(
        ours(
            "spark-active-users",
            "--quiet",
            "--master",
            master,
            "--db",
            db,
            *files,
            answer=no_answer,
        )
    )
    with contextlib.closing(sqlite3.connect(db)) as connection:
        (lines,) = connection.execute("SELECT lines FROM run").fetchone()
    return seconds, lines


def _shown(size: float) -> str:
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            return f"{size:,.3g} {unit}" if size < 1000 else f"{size:,.0f} {unit}"
        size /= 1000
    raise AssertionError


def stages(task: dict[str, float], of_users: dict[str, float]) -> str:
    """What was measured."""
    memory = _shown(of_users["memory"]) + " of memory"
    rows = [
        ["a task reads, for a million events", _shown(task["read"]), ""],
        ["and filters them, from the page cache, on one processor", "", f"{task['filter']:.2f} s"],
        ["it sends to others", _shown(task["shuffled"]), f"{task['rows']:,.0f} rows"],
        ["who merge a million rows", "", f"{task['merge']:.2f} s"],
        [
            "the sink: a million users, all new",
            memory,
            f"{of_users['new']:.1f} s",
        ],
        ["the same users on another day", "", f"{of_users['known']:.1f} s"],
        ["the dictionary, for a million users", _shown(of_users["dictionary"]), ""],
        ["the set of a day, of a million users among ten", _shown(of_users["set"]), ""],
    ]
    return report.table(["stage", "bytes", "time"], rows)


def carried(task: dict[str, float], of_users: dict[str, float], events: float) -> list[str]:
    """A row of the plan for so many events a day."""
    millions, users = events / 1e6, events / EVENTS_PER_USER
    hours = (task["filter"] * millions + task["merge"] * task["rows"] * millions / 1e6) / _HOUR
    return [
        f"{events:,.0f}",
        _shown(task["read"] * millions),
        f"{hours:,.2g}" if hours < 10 else f"{hours:,.0f}",
        _shown(task["shuffled"] * millions),
        f"{users:,.0f}",
        f"{of_users['known'] * users / 1e6:,.0f} s",
        _shown(of_users["memory"] * users / 1e6),
        _shown(of_users["dictionary"] * users * _ONE_IN / 1e6),
        _shown(of_users["set"] * users / 1e6),
    ]


PLAN = [
    "events a day",
    "raw",
    "hours of one processor",
    "shuffled",
    "users a day",
    "the sink",
    "its memory",
    "dictionary",
    "a day's set",
]


def simulated(data: Data, task: dict, of_users: dict, events: float, seconds: float) -> list[str]:
    """A run of so many events, the file again and again; and what was foretold of it."""
    processors = len(os.sched_getaffinity(0))
    folder = data.work / "plan"
    folder.mkdir(exist_ok=True)
    number = max(1, round(events * task["read"] / 1e6 / data.events().stat().st_size))
    links = [folder / f"{n:04}.jsonl" for n in range(number)]
    for link in links:
        link.unlink(missing_ok=True)
        link.symlink_to(data.events())
    took, lines = _spark(data, f"local[{processors}]", links)
    for link in links:
        link.unlink()
    each = task["filter"] + task["merge"] * task["rows"] / 1e6
    foretold = seconds + each * lines / 1e6 / processors
    return [f"{lines:,}", f"{foretold:.1f} s", f"{took:.1f} s", f"{took / foretold:.2f}"]


def chapter(folder: Path, size: str) -> str:
    """All tables."""
    data = Data(folder, size)
    task, of_users = tasks(data), sink()
    begin = start(data, f"local[{len(os.sched_getaffinity(0))}]")
    days = (1e9, 1e11)
    plan = report.table(PLAN, [carried(task, of_users, day) for day in days])
    runs = [simulated(data, task, of_users, day / 1000, begin) for day in days]
    foretold = report.table(["events", "foretold", "took", "ratio"], runs)
    return (
        f"{stages(task, of_users)}\n{plan}\n{foretold}\n"
        f"A run with next to nothing to read takes {begin:.1f} s. One run, on {machine.host()}.\n"
    )
