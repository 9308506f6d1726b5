"""An archive of the classes that Spark loads, from which its JVM starts in two thirds of the time.

lib/set-up has it made once, with what it installs. A JVM that finds no such archive, or one of
another Java, starts as ever. (Class data sharing: https://openjdk.org/jeps/350.)
"""

from __future__ import annotations

import os
import tempfile

from pyspark import SparkConf, SparkContext

from headcount.checkout import ROOT

QUIET = "-Xlog:disable -XX:+DisplayVMOutputToStderr"  # a JVM warns on stdout, where rows go
PATH = os.path.join(ROOT, ".venv", "spark.jsa")


def options() -> str:
    """What makes a JVM use it, if it is there."""
    return _option("SharedArchiveFile", PATH) if os.path.exists(PATH) else ""


def _option(name: str, path: str) -> str:
    """An option of the JVM, as Spark takes it apart: by blanks that are not quoted."""
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"-XX:{name}={escaped}"'


def make() -> None:
    """Run what imports run, a shuffle and its results, and let the JVM archive what it took."""
    with tempfile.TemporaryDirectory(dir=os.path.dirname(PATH)) as folder:
        archive = os.path.join(folder, "spark.jsa")
        conf = SparkConf().setMaster("local[1]").setAppName("archive")
        conf.set(
            "spark.driver.extraJavaOptions", f"{_option('ArchiveClassesAtExit', archive)} {QUIET}"
        )
        conf.set("spark.ui.enabled", "false")
        conf.set("spark.driver.host", "127.0.0.1")
        with SparkContext(conf=conf) as context:
            pairs = context.parallelize([(0, b"a"), (1, b"b")], 2).partitionBy(2, int)
            list(pairs.persist().toLocalIterator())
        jvm = SparkContext._gateway.proc
        SparkContext._gateway.shutdown()
        jvm.stdin.close()
        if jvm.wait() == 0:
            os.replace(archive, PATH)


if __name__ == "__main__":
    make()
