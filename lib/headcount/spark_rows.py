"""Rows of active users, found by the tasks of a Spark cluster, as if this program had read it all.

How spark-active-users runs them: `python -m headcount.spark_rows PIPELINE … -- FILE…`.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from pyspark import SparkConf, SparkContext, StorageLevel

from headcount import active_rows, cli, filters, output, spark_task
from headcount.account import Account
from headcount.cli import ROOT
from headcount.failure import FAILED, Failure
from headcount.pieces import Piece, cut
from headcount.progress import Progress
from headcount.rejects import RejectLog
from headcount.results import Result

_ATTEMPTS = 4  # of each task: what a cluster does by default, and a local master does not
_LARGEST = 512 << 20  # bytes of files for a task: to start one takes as long as to read 100 MB
_SMALLEST = 8 << 20
_TASKS_EACH = 4  # for each processor, so that none waits long for the last
# The JVM hardly works, it hands out tasks: measured, it is ready the sooner if it compiles little.
_JVM = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"


def configured(options) -> SparkConf:
    """What a cluster is asked for."""
    local = re.fullmatch(r"local(?:\[([0-9]+|\*)\])?", options.master)
    master = options.master
    if local:
        master = f"local[{options.jobs or local[1] or '*'},{_ATTEMPTS}]"
    settings = {
        "spark.task.maxFailures": _ATTEMPTS,
        "spark.executorEnv.PYTHONUTF8": 1,
        "spark.driver.maxResultSize": 0,
        "spark.executor.extraJavaOptions": _JVM,
        "spark.driver.extraJavaOptions": f"{_JVM} -Dlog4j2.configurationFile={_log_settings()}",
        "spark.python.unix.domain.socket.enabled": "true",  # TCP waits with small messages
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": str(options.progress or Progress.watched(options)).lower(),
    }
    if local:  # then nobody else is to get at it
        settings |= {"spark.driver.host": "127.0.0.1", "spark.local.dir": options.scratch}
    elif options.jobs:
        settings["spark.cores.max"] = options.jobs
    conf = SparkConf().setMaster(master).setAppName(os.path.basename(sys.argv[0]))
    return conf.setAll([(name, str(value)) for name, value in settings.items()])


def _log_settings() -> str:
    return Path(ROOT, "lib", "spark", "log4j2.properties").as_uri()


def tasks(paths: list[str], processors: int) -> Iterator[list[tuple[int, Piece]]]:
    """The inputs in pieces, numbered in order; some for each task, about as much for each."""
    total = sum(os.path.getsize(path) for path in paths)
    size = min(max(total // (processors * _TASKS_EACH), _SMALLEST), _LARGEST)
    some, held = [], 0
    for number, piece in enumerate(cut(map(os.path.abspath, paths), size, {})):
        stop = os.path.getsize(piece.path) if piece.stop is None else piece.stop
        if some and held + stop - piece.start > size:
            yield some
            some, held = [], 0
        some.append((number, piece))
        held += stop - piece.start
    if some:
        yield some


def found(context: SparkContext, arguments: list[str], work: list) -> Iterator[object]:
    """All that the tasks find, each row once, as `spark_task.merged` yields it."""
    buckets = context.defaultParallelism
    task = functools.partial(spark_task.work, arguments, buckets)
    contents = (
        context.parallelize(work, len(work))
        .flatMap(task)
        .partitionBy(buckets, int)
        .mapPartitions(spark_task.merged)
        .persist(StorageLevel.DISK_ONLY)
    )
    contents.count()  # all buckets at once; what follows takes one after the other
    yield from contents.toLocalIterator(prefetchPartitions=True)


def _in_order(pieces: list[Piece], all_found: list[spark_task.Found], names: dict[str, str]):
    """What `filters.tally` wants, lines numbered from the start of each input."""
    before = 0
    for piece, one in zip(pieces, sorted(all_found), strict=True):
        if piece.start == 0:
            before = 0
        name = names[piece.path]
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
    all_found, rows = [], 0
    with _explained(), SparkContext(conf=configured(options)) as context:
        work = list(tasks(options.files, context.defaultParallelism))
        for content in found(context, arguments, work):
            if isinstance(content, spark_task.Failed):
                raise Failure(*content)
            if isinstance(content, spark_task.Found):
                all_found.append(content)
            else:
                rows += content.count(b"\n")
                output.write(1, content)
    pieces = [piece for some in work for _, piece in some]
    names = {os.path.abspath(path): path for path in options.files}
    filters.tally(
        _in_order(pieces, all_found, names), ours, log, Progress(prog, None, wanted=False)
    )
    for one in all_found:
        log.reasons += one.reasons
    log.close()
    ours.duplicate += ours.kept - rows  # found by more than one task
    ours.kept = rows
    return filters.end(options, ours)


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
