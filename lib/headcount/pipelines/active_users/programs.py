"""The programs of active users: their options, declared beside what these come to."""

from __future__ import annotations

import argparse
import os
import re

from headcount import checkout
from headcount.cli import types
from headcount.cli.parser import Parser
from headcount.errors import FAILED, NO_INPUT, OK, REJECTS, Failure
from headcount.pipelines import dated_files
from headcount.pipelines.active_users import backfill, filter_words
from headcount.pipelines.active_users.definitions import (
    ANY_EVENT,
    DEFINITIONS,
    OWN,
    STITCHED,
)
from headcount.pipelines.active_users.events import bots, source
from headcount.pipelines.active_users.options import (
    breakdown_options,
    property_options,
    pseudonym_options,
)
from headcount.pipelines.active_users.options import engagement_options as engagement
from headcount.pipelines.active_users.options.engagement_options import SPELLINGS
from headcount.pipelines.session import Plan, Program, add_reading_options, spelled
from headcount.values import zones
from headcount.values.tsv import shown

# Those that one event is enough for: others need ids.
_WITHOUT_IDS = {OWN, "google-n-day", ANY_EVENT}
_OF_USERS = re.compile(r"(pseudonymous_)?users_[0-9]{8}")  # the export's other tables
_MASTER = re.compile(r"local(\[([1-9][0-9]*|\*)\])?|spark://.+|yarn|k8s://.+")


def _declare_events(parser: Parser) -> None:
    """What all that read events take."""
    parser.inputs()
    parser.shared("--tz")
    engagement.add_options(parser)
    breakdown_options.add_options(parser)
    parser.add_argument(
        "--validate",
        action="store_true",
        help="look at every line, and reject what is no event: without it, lines that cannot "
        "matter are not looked at",
    )


def _declare_pipe(parser: Parser) -> None:
    add_reading_options(parser)
    parser.add_argument(
        "--pipe",
        action="store_true",
        help="run the filters as the pipe that they are, one program each, and not all in one",
    )


def _declare_count(parser: Parser) -> None:
    _declare_events(parser)
    _declare_pipe(parser)
    parser.add_argument(
        "--part",
        metavar="FILE",
        type=types.named_file,
        help="do not count, but write what was found for merge-parts",
    )
    pseudonym_options.add_options(parser)


def _declare_sink(parser: Parser, what: str) -> None:
    """What all that bring users into the database take."""
    parser.shared("--db")
    parser.add_argument(
        "--replace",
        action="store_true",
        help=f"{what} that came before are a new version: what they had brought is taken out, as "
        "it always is of export tables (events_YYYYMMDD) that come again; with --sketch instead, "
        f"the {what} are the whole truth of the days they touch",
    )
    parser.add_argument(
        "--sketch",
        metavar="HOW",
        type=types.one_of("beside", "instead"),
        help="keep HyperLogLog sketches of who is active, 16 KB a day: beside the sets of users, "
        "or instead of them and of all ids (for definitions that one event is enough for)",
    )
    parser.shared("--max-rejects", "--wait")


def _declare_import(parser: Parser) -> None:
    _declare_events(parser)
    breakdown_options.add_backfill(parser)
    property_options.add_options(parser)
    _declare_sink(parser, "files")
    dated_files.add_options(parser)
    pseudonym_options.add_options(parser)


def _declare_local_import(parser: Parser) -> None:
    _declare_import(parser)
    _declare_pipe(parser)


def _declare_merge(parser: Parser) -> None:
    parser.inputs("PART", "parts, of count-active-users")
    breakdown_options.add_most(parser)
    property_options.add_option(parser, "")
    _declare_sink(parser, "parts")
    parser.shared("--quiet")


def _declare_spark(parser: Parser) -> None:
    _declare_import(parser)
    parser.add_argument(
        "--master",
        metavar="URL",
        type=_master,
        default="local[*]",
        help="the cluster: spark://HOST:PORT, yarn, k8s://…, or this host alone: local[N] "
        "(default: local[*])",
    )
    parser.shared(
        "--jobs",
        help="how many tasks run at once (default: as many as the cluster has processors)",
    )
    parser.shared("--rejects", "--quiet", "--progress")


def _master(text: str) -> str:
    if not _MASTER.fullmatch(text):
        raise types.expected("spark://HOST:PORT, yarn, k8s://… or local[N]", text)
    return text


# ---- what they come to


def _check(parser: Parser, options: argparse.Namespace) -> None:
    engagement.resolve(parser, options)
    for path in options.files if options.source == source.GA4 else ():
        if _OF_USERS.match(os.path.basename(path)):
            raise Failure(
                f"{shown(path)}: expected a table of events (events_YYYYMMDD), got one of users",
                NO_INPUT,
            )
    if options.skip_bots:
        checkout.install("bots")
    if options.tz != zones.DEVICE:
        try:
            zones.find(options.tz)
        except ValueError as error:
            parser.error(f"--tz: {error}")


def _check_pipe(parser: Parser, options: argparse.Namespace) -> None:
    if options.pipe and getattr(options, "pseudonyms", None) == pseudonym_options.DAY:
        parser.error("--pseudonyms: the filters of the pipe do not know the day: leave out --pipe")
    if options.pipe and options.jobs:
        parser.error("--jobs is for the filters in one program: leave out --pipe")


def _settings(parser: Parser, options: argparse.Namespace) -> dict[str, str]:
    """The settings that say what the rows mean."""
    events = parser.text("--valuable-events", "")
    fields = options.fields
    typed = {
        "tz": parser.text("--tz", "America/Chicago"),
        "source": options.source,
        "identity": options.identity,
        "definition": ",".join(options.definition),
        "user": ",".join(fields.user),
        "min-engagement": parser.text("--min-engagement", "3"),
        "valuable-events": events,
        "valuable-param": events or parser.text("--valuable-param", "engaged_session_event"),
        "key-events": parser.text("--key-events", ""),
    }
    if options.source != source.GA4:
        typed["field"] = f"time={','.join(fields.time)} name={','.join(fields.name)}"
        typed["skip-bots"] = bots.NAME if options.skip_bots else ""
    return spelled(SPELLINGS, parser, typed)


def _part_settings(parser: Parser, options: argparse.Namespace) -> dict[str, str]:
    """Those, and the ones that say under which names users are kept."""
    typed = {"pseudonym-key": options.pseudonym_key or ""}
    if options.pseudonym_key:
        typed["pseudonyms"] = options.pseudonyms
    return _settings(parser, options) | spelled(SPELLINGS, parser, typed)


def _count(parser: Parser, options: argparse.Namespace) -> Plan:
    _check(parser, options)
    breakdown_options.resolve(parser, options, _WITHOUT_IDS)
    _check_pipe(parser, options)
    if options.part and options.pipe:
        parser.error("--part is written by the filters in one program: leave out --pipe")
    if not options.part and (options.pseudonym_key or options.pseudonyms != pseudonym_options.EVER):
        parser.error("--pseudonym-key: a count keeps no users; it goes with --part FILE")
    if options.part:
        pseudonym_options.check(parser, options)
        settings = [
            f"--setting={name}={value}" for name, value in _part_settings(parser, options).items()
        ]
        count = [
            *filter_words.fused(parser, options),
            "--mergeable",
            f"--part={options.part}",
            *settings,
        ]
        return Plan(options.files, {"count": count}, module="active_users.part_file")
    if len(options.definition) > 1:
        parser.error(f"--definition: expected one to count by, got {','.join(options.definition)}")
    if options.pipe:
        return Plan(options.files or ["-"], filter_words.filters(parser, options, counts=True))
    words = {"count": [*filter_words.fused(parser, options), "--count"]}
    return Plan(options.files, words, module="active_users.fused")


def _check_sketch(parser: Parser, options: argparse.Namespace, definition: str) -> None:
    """Whether what is asked for can do with sketches, and what they need is there."""
    several = options.valuable_events and definition != ANY_EVENT
    needs_ids = several or not _WITHOUT_IDS.issuperset(definition.split(","))
    if options.sketch == "instead" and needs_ids:
        enough = " and ".join(name for name in DEFINITIONS if name in _WITHOUT_IDS)
        parser.error(
            "--sketch instead keeps no users, so one event must be enough: no --valuable-events, "
            f"and no definition but {enough}"
        )
    if options.sketch:
        checkout.install("sketch")


def _check_replace(parser: Parser, options: argparse.Namespace) -> None:
    """Whether what is to be replaced can be known."""
    nameless = options.files.count("-") or not (options.files or options.inputs)
    if options.replace and options.sketch != "instead" and nameless:
        parser.error("--replace: expected files; what came through a pipe is not told apart")


def _local_import(parser: Parser, options: argparse.Namespace) -> Plan:
    _check_pipe(parser, options)
    plan = _import(parser, options)
    if options.pipe:
        plan.words.update(filter_words.filters(parser, options, counts=False), rows=["pipe"])
    return plan


def _import(parser: Parser, options: argparse.Namespace) -> Plan:
    _check(parser, options)
    breakdown_options.resolve(parser, options, _WITHOUT_IDS)
    property_options.resolve(parser, options)
    _check_sketch(parser, options, ",".join(options.definition))
    _check_replace(parser, options)
    dated, incomplete = dated_files.of(parser, options)
    known = []
    if options.backfill:
        known, incomplete = backfill.files(options)
    if options.sketch != "instead":  # which keeps no ids at all
        pseudonym_options.check(parser, options)
    settings = _part_settings(parser, options) | {"sketch": options.sketch or ""}
    words = {
        "incomplete": [str(REJECTS if incomplete else OK)],
        "rows": ["fused"],
        "fused": [*filter_words.fused(parser, options), "--mergeable"],
        "sink": [*breakdown_options.words(options), *property_options.words(options)],
    }
    files = [*options.files, *dated, *known]
    again = options.replace or options.backfill
    way_out = "; --backfill reads again what was imported without the fields" if options.by else ""
    of = property_options.plan(options)
    return Plan(files, words, settings=settings, again=again, way_out=way_out, **of)


def _merge(parser: Parser, options: argparse.Namespace) -> Plan:
    if not options.files:
        parser.error("name the parts")
    for path in options.files:
        if not os.path.isfile(path):
            raise Failure(f"{shown(path)}: no such part", NO_INPUT)
    from headcount.pipelines.active_users import part_file  # reads files, which few do

    common = part_file.common_settings(options.files)
    options.valuable_events = common["valuable-events"]
    _check_sketch(parser, options, common["definition"])
    if options.sketch and common.get("identity") == STITCHED:
        parser.error("--sketch: the parts are of --identity stitched, which keeps no sketches")
    # (Parts of earlier versions know of no key.)
    settings = {"pseudonym-key": ""} | common | {"sketch": options.sketch or ""}
    words = {"sink": [*parser.typed("--max-values"), *property_options.words(options)]}
    of = property_options.plan(options)
    return Plan(options.files, words, settings=settings, again=options.replace, **of)


def _spark(parser: Parser, options: argparse.Namespace) -> Plan:
    if not (options.files or options.inputs or options.backfill):
        parser.error("name files")
    for path in options.files:
        if path == "-" or (os.path.exists(path) and not os.path.isfile(path)):
            parser.error(
                f"{shown(path)} is not a file: the hosts of a cluster can read nothing else"
            )
    import shutil  # slow to import

    if not os.environ.get("JAVA_HOME") and not shutil.which("java"):
        text = "Spark needs Java 17 or newer. On Debian and Ubuntu: "
        raise Failure(f"{text}sudo apt-get install default-jre-headless", FAILED)
    if options.pseudonym_key and not os.path.exists(options.pseudonym_key):
        raise Failure(f"{shown(options.pseudonym_key)}: no such file", NO_INPUT)
    plan = _import(parser, options)
    checkout.install("spark")
    if options.pseudonym_key:  # the tasks have working directories of their own
        path = os.path.realpath(options.pseudonym_key)
        plan.words["fused"].append(f"--pseudonym-key={path}")
    return plan


_OF_PROPERTIES = (property_options.remembered, property_options.each)
PROGRAMS = {
    "count-active-users": Program(_declare_count, _count),
    "import-active-users": Program(_declare_local_import, _local_import, *_OF_PROPERTIES),
    "merge-parts": Program(_declare_merge, _merge),
    "spark-active-users": Program(_declare_spark, _spark, *_OF_PROPERTIES),
}
