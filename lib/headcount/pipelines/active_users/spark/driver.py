"""Rows of active users, found by the tasks of a Spark cluster, as if this program had read it all.

How spark-active-users runs them.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from pyspark import SparkConf, SparkContext, StorageLevel

from headcount.checkout import ROOT
from headcount.cli.main import start_as
from headcount.errors import FAILED, Failure
from headcount.filters import runner
from headcount.filters.account import Account
from headcount.filters.progress import Progress
from headcount.filters.recognised import recognised
from headcount.filters.rejects import RejectLog
from headcount.filters.results import Result
from headcount.io import output
from headcount.io.inputs import LINES, Reader
from headcount.io.splits import cut
from headcount.pipelines.active_users import fused
from headcount.pipelines.active_users.spark import class_archive, task
from headcount.pipelines.active_users.spark.task import Failed, Found, Notes, NumberedSplit

_ATTEMPTS = 4  # of each task: what a cluster does by default, and a local master does not
_LARGEST = 512 << 20  # bytes of files for a task: to start one takes as long as to read 100 MB
_SMALLEST = 8 << 20
_TASKS_EACH = 4  # for each processor, so that none waits long for the last
# The JVM hardly works, it hands out tasks: measured, it is ready the sooner if it compiles little.
_JVM = f"-XX:+UseSerialGC -XX:TieredStopAtLevel=1 {class_archive.QUIET}"


def configured(options) -> SparkConf:
    """What a cluster is asked for."""
    local = re.fullmatch(r"local(?:\[([0-9]+|\*)\])?", options.master)
    master = options.master
    if local:
        master = f"local[{options.jobs or local[1] or '*'},{_ATTEMPTS}]"
    jvm = f"{_JVM} {class_archive.options()}"
    settings = {
        "spark.task.maxFailures": _ATTEMPTS,
        "spark.executorEnv.PYTHONUTF8": 1,
        "spark.driver.maxResultSize": 0,
        "spark.executor.extraJavaOptions": jvm,
        "spark.driver.extraJavaOptions": f"{jvm} -Dlog4j2.configurationFile={_log_settings()}",
        "spark.python.unix.domain.socket.enabled": "true",  # TCP waits with small messages
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": str(_shows_progress(options)).lower(),
    }
    if local:  # then nobody else is to get at it
        settings |= {"spark.driver.host": "127.0.0.1", "spark.local.dir": options.scratch}
    elif options.jobs:
        settings["spark.cores.max"] = options.jobs
    conf = SparkConf().setMaster(master).setAppName(os.path.basename(sys.argv[0]))
    return conf.setAll([(name, str(value)) for name, value in settings.items()])


@contextlib.contextmanager
def running(conf: SparkConf) -> Iterator[SparkContext]:
    """Spark, for as long as it is wanted."""
    with SparkContext(conf=conf) as context:
        yield context
        context._accumulatorServer = None  # we have none, and its end would take a second


def _shows_progress(options) -> bool:
    return options.progress or Progress.watched(options)


def _log_settings() -> str:
    return Path(ROOT, "lib", "spark", "log4j2.properties").as_uri()


def tasks(
    paths: list[str], processors: int, reader: Reader = LINES
) -> Iterator[list[NumberedSplit]]:
    """The inputs in splits, numbered in order; some for each task, about as much for each."""
    total = sum(os.path.getsize(path) for path in paths)
    size = min(max(total // (processors * _TASKS_EACH), _SMALLEST), _LARGEST)
    splits = (
        (path, split)
        for path in paths
        for split in cut([os.path.abspath(path)], size, {}, reader.is_divisible)
    )
    some, held = [], 0
    for number, (name, split) in enumerate(splits):
        stop = os.path.getsize(split.path) if split.stop is None else split.stop
        if some and held + stop - split.start > size:
            yield some
            some, held = [], 0
        some.append(NumberedSplit(number, name, split))
        held += stop - split.start
    if some:
        yield some


def found(context: SparkContext, arguments: list[str], work: list) -> Iterator[object]:
    """All that the tasks find, each row once, as `task.merged` yields it."""
    buckets = context.defaultParallelism
    per_split = functools.partial(task.work, arguments, buckets)
    contents = (
        context.parallelize(work, len(work))
        .flatMap(per_split)
        .partitionBy(buckets, int)
        .mapPartitions(task.merged)
        .persist(StorageLevel.DISK_ONLY)
    )
    contents.count()  # all buckets at once; what follows takes one after the other
    yield from contents.toLocalIterator(prefetchPartitions=True)


def in_order(all_found: list[Found]) -> Iterator[tuple[str, int, Result]]:
    """What `runner.tally` wants, lines numbered from the start of each input."""
    before = 0
    for part in sorted(all_found, key=lambda found: found.numbered.number):
        name = part.numbered.name
        if part.numbered.split.start == 0:
            before = 0
        rejects = [(why, name, before + line, raw) for why, _, line, raw in part.rejects]
        counts = part.kept, part.filtered, part.duplicate
        looked = {"recognised": part.recognised, "like": part.like, "passed": part.passed}
        looked |= {"named": part.named, "others": part.others}
        yield name, part.lines, Result(b"", *counts, rejects, **looked)
        before += part.lines


def main() -> int:
    options = task.options(sys.argv[1:])
    # Tasks are told what to read one by one, and find no list on their hosts.
    arguments = [word for word in sys.argv[1:] if not word.startswith("--files-from=")]
    prog = os.path.basename(sys.argv[0])
    log = RejectLog(fused.REJECTER, options.rejects)
    ours = Account(prog, reasons=log.reasons)
    os.environ["PYSPARK_PYTHON"] = os.path.join(ROOT, ".venv", "bin", "python")
    if not _shows_progress(options):
        _hear_spark_alone()
    all_found, rows = [], 0
    with _explained(), running(configured(options)) as context:
        reader = options.reading["reader"]
        work = list(tasks(options.files, context.defaultParallelism, reader))
        for content in found(context, arguments, work):
            if isinstance(content, Failed):
                raise Failure(*content)
            if isinstance(content, Found):
                all_found.append(content)
            elif isinstance(content, Notes):
                output.write(1, b"".join(content.notes))
            else:
                rows += sum(line[:1] != b"#" for line in content.splitlines())
                output.write(1, content)
    if {one.numbered for one in all_found} != {numbered for some in work for numbered in some}:
        raise AssertionError("Spark has lost a split")
    of_inputs = recognised(in_order(all_found), options.reading["kind"], options)
    runner.tally(of_inputs, ours, log, Progress(prog, None, wanted=False))
    for one in all_found:
        log.reasons += one.reasons
    log.close()
    ours.duplicate += ours.kept - rows  # found by more than one task
    ours.kept = rows
    return runner.end(options, ours)


def _hear_spark_alone() -> None:
    """Of what the JVM and its workers write to stderr, pass on what is Spark's log, and no more.

    (They tell of modules on every start, and now and then of sockets that are gone at the end.)
    """
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    ours = sys.stderr
    reader, writer = os.pipe()
    os.dup2(writer, 2)
    os.close(writer)

    def pass_on() -> None:
        with os.fdopen(reader, errors="replace") as lines:
            for line in lines:
                if line.startswith("spark: "):
                    ours.write(line)

    threading.Thread(target=pass_on, daemon=True).start()


@contextlib.contextmanager
def _explained():
    """Turn what Spark raises into a Failure of one line; its log says more."""
    try:
        yield
    except Failure:
        raise
    except Exception as error:
        text = str(error).strip().splitlines() or [type(error).__name__]
        causes = [line for line in text if line.startswith("Caused by: ")]
        raise Failure(f"Spark: {(causes or text)[-1]}", FAILED) from None


if __name__ == "__main__":
    start_as(main, drains=False)
