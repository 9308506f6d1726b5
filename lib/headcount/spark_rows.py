"""Rows of active users, found by the tasks of a Spark cluster, as if this program had read it all.

How spark-active-users runs them: `python -m headcount.spark_rows PIPELINE … -- FILE…`.
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

from headcount import active_rows, cli, filters, output, spark_archive, spark_task
from headcount.account import Account
from headcount.cli import ROOT
from headcount.failure import FAILED, Failure
from headcount.pieces import cut
from headcount.progress import Progress
from headcount.rejects import RejectLog
from headcount.results import Result
from headcount.spark_task import Failed, Found, Part

_ATTEMPTS = 4  # of each task: what a cluster does by default, and a local master does not
_LARGEST = 512 << 20  # bytes of files for a task: to start one takes as long as to read 100 MB
_SMALLEST = 8 << 20
_TASKS_EACH = 4  # for each processor, so that none waits long for the last
# The JVM hardly works, it hands out tasks: measured, it is ready the sooner if it compiles little.
_JVM = f"-XX:+UseSerialGC -XX:TieredStopAtLevel=1 {spark_archive.QUIET}"


def configured(options) -> SparkConf:
    """What a cluster is asked for."""
    local = re.fullmatch(r"local(?:\[([0-9]+|\*)\])?", options.master)
    master = options.master
    if local:
        master = f"local[{options.jobs or local[1] or '*'},{_ATTEMPTS}]"
    jvm = f"{_JVM} {spark_archive.options()}"
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


def tasks(paths: list[str], processors: int) -> Iterator[list[Part]]:
    """The inputs in parts, numbered in order; some for each task, about as much for each."""
    total = sum(os.path.getsize(path) for path in paths)
    size = min(max(total // (processors * _TASKS_EACH), _SMALLEST), _LARGEST)
    pieces = ((path, piece) for path in paths for piece in cut([os.path.abspath(path)], size, {}))
    some, held = [], 0
    for number, (name, piece) in enumerate(pieces):
        stop = os.path.getsize(piece.path) if piece.stop is None else piece.stop
        if some and held + stop - piece.start > size:
            yield some
            some, held = [], 0
        some.append(Part(number, name, piece))
        held += stop - piece.start
    if some:
        yield some


def found(context: SparkContext, arguments: list[str], work: list) -> Iterator[object]:
    """All that the tasks find, each row once, as `spark_task.merged` yields it."""
    buckets = context.defaultParallelism
    work = functools.partial(spark_task.work, arguments, buckets)
    contents = (
        context.parallelize(work, len(work))
        .flatMap(work)
        .partitionBy(buckets, int)
        .mapPartitions(spark_task.merged)
        .persist(StorageLevel.DISK_ONLY)
    )
    contents.count()  # all buckets at once; what follows takes one after the other
    yield from contents.toLocalIterator(prefetchPartitions=True)


def in_order(all_found: list[Found]) -> Iterator[tuple[str, int, Result]]:
    """What `filters.tally` wants, lines numbered from the start of each input."""
    before = 0
    for one in sorted(all_found, key=lambda found: found.part.number):
        name = one.part.name
        if one.part.piece.start == 0:
            before = 0
        rejects = [(why, name, before + line, raw) for why, _, line, raw in one.rejects]
        yield name, one.lines, Result(b"", one.kept, one.filtered, one.duplicate, rejects)
        before += one.lines


def main() -> int:
    arguments, _ = cli.split_command()
    options = spark_task.options(sys.argv[1:])
    prog = os.path.basename(sys.argv[0])
    log = RejectLog(active_rows.REJECTER, options.rejects)
    ours = Account(prog, reasons=log.reasons)
    os.environ["PYSPARK_PYTHON"] = os.path.join(ROOT, ".venv", "bin", "python")
    if not _shows_progress(options):
        _hear_spark_alone()
    all_found, rows = [], 0
    with _explained(), running(configured(options)) as context:
        work = list(tasks(options.files, context.defaultParallelism))
        for content in found(context, arguments, work):
            if isinstance(content, Failed):
                raise Failure(*content)
            if isinstance(content, Found):
                all_found.append(content)
            else:
                rows += content.count(b"\n")
                output.write(1, content)
    if {one.part for one in all_found} != {part for some in work for part in some}:
        raise AssertionError("Spark has lost a part")
    filters.tally(in_order(all_found), ours, log, Progress(prog, None, wanted=False))
    for one in all_found:
        log.reasons += one.reasons
    log.close()
    ours.duplicate += ours.kept - rows  # found by more than one task
    ours.kept = rows
    return filters.end(options, ours)


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
    sys.argv.pop(0)  # messages come in the pipeline's name
    cli.start(main, drains=False)
