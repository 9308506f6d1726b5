"""The cases that count files: ours against the engines, which read the same files."""

import shlex
import shutil

from bench import BIN, PEERS, PEERS_PYTHON
from bench.case import Case
from bench.contenders import Contender, counted_in, no_answer, ours, peers, remove_database
from bench.data import Data
from bench.targets import AtMost, Faster

VALUABLE = "push_received,screen_view,session_start"


def selective(data: Data, shape: str = "") -> Case:
    if shape:
        events = data.shape(shape)
        contenders = [ours("count-active-users", events), *peers(events)]
        return Case("selective", contenders, [Faster(2.5)], data.truth(events), shape)
    events, part = data.events(), data.slice()
    share = {"share": part.stat().st_size / events.stat().st_size}
    slow = [
        ours("count-active-users", part, name="the slice", role="check", **share),
        Contender(
            "json loop", [str(PEERS_PYTHON), str(PEERS / "json_count.py"), str(part)], **share
        ),
    ]
    if shutil.which("jq"):
        slow.append(Contender("jq", [str(PEERS / "jq_count"), str(part)], **share))
    lines = Contender("wc -l", ["wc", "-l", str(events)], role="baseline", answer=no_answer)
    return Case(
        "selective",
        [ours("count-active-users", events), lines, *peers(events), *slow],
        [Faster(2.5), AtMost(2, "wc -l")],
        data.truth(events),
    )


def five_filters(data: Data) -> Case:
    events, db = data.events(), data.work / "five.db"
    filters = [
        ["grep-events", "user_engagement", events],
        ["parse-engagement"],
        ["local-day"],
        ["count-distinct", "--all-of", "engaged,valuable"],
        ["upsert-rows", "--create", "--db", db, "active_user_table"],
    ]
    pipe = " | ".join(shlex.join([str(BIN / name), *map(str, rest)]) for name, *rest in filters)
    taken_apart = Contender(
        "Headcount",
        ["bash", "-o", "pipefail", "-c", pipe],
        role="ours",
        ready=lambda: remove_database(db),
        answer=counted_in(db),
    )
    return Case(
        "selective, five filters",
        [taken_apart, *peers(events)],
        [Faster(1.5)],
        data.truth(events),
    )


def escapes(data: Data) -> Case:
    events = data.escapes()
    return Case(
        "selective, 80 % escapes",
        [ours("count-active-users", events), *peers("--escapes", events)],
        [Faster(1.7)],
        data.truth(events),
    )


def every_line(data: Data, shape: str = "") -> Case:
    """Nearly every line matters. make-data has no truth for it: all have to agree."""
    events = data.shape(shape) if shape else data.events()
    return Case(
        "every line",
        [
            ours("count-active-users", "--valuable-events", VALUABLE, events),
            *peers("--every-line", events),
        ],
        [Faster(1.4)],
        shape=shape,
    )


def definitions(data: Data) -> Case:
    """What it takes to find out for five definitions, and for one of which every line is looked at.

    A part of a count says so without a database. (Its answer is looked at by other tests.)
    """
    events, part = data.events(), data.work / "part"
    five = "engaged-valuable,engaged-session,ga4-active,google-n-day,summed"
    shared = {"answer": no_answer}
    one = ours(
        "count-active-users",
        "--validate",
        "--part",
        part,
        events,
        name="one, --validate",
        role="baseline",
        **shared,
    )
    all_five = ours("count-active-users", "--definition", five, "--part", part, events, **shared)
    return Case("five definitions at once", [all_five, one], [AtMost(1.3, one.name)])


def gz(data: Data) -> Case:
    return _compressed(data, "`.gz`", data.gz())


def zst(data: Data) -> Case:
    return _compressed(data, "`.zst`", data.zst())


def _compressed(data: Data, title: str, packed) -> Case:
    return Case(
        title,
        [ours("count-active-users", packed), *peers(packed)],
        [Faster(1.5)],
        data.truth(data.events()),
    )


def small_files(data: Data) -> Case:
    events, small = data.events(), data.small()
    one_file = ours("count-active-users", events, name="one file", role="baseline")
    return Case(
        f"{len(small):,} small files",
        [ours("count-active-users", *small), one_file, *peers(small[0].parent / "*.jsonl")],
        [AtMost(2, "one file")],
        data.truth(events),
    )
