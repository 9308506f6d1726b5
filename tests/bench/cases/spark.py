"""The case of Spark: our filters as its tasks, against its own DataFrames."""

import os
import shutil

from bench import PEERS, ROOT
from bench.case import Case
from bench.contenders import Contender, counted_in, ours, remove_database
from bench.data import Data
from bench.targets import Faster

MASTER = "local[2]"


def available() -> bool:
    """Whether there is a Spark, and a Java for it."""
    has_java = os.environ.get("JAVA_HOME") or shutil.which("java")
    return bool(has_java) and (ROOT / ".venv" / "spark").exists()


def spark(data: Data) -> Case:
    events, db = data.events(), data.work / "spark.db"
    python = str(ROOT / ".venv" / "bin" / "python")
    filters = ours(
        "spark-active-users",
        *["--quiet", "--master", MASTER, "--db", db, events],
        ready=lambda: remove_database(db),
        answer=counted_in(db),
    )
    frames = Contender(
        "Spark DataFrame", [python, "-I", str(PEERS / "spark_dataframe.py"), MASTER, str(events)]
    )
    return Case("Spark, two processors", [filters, frames], [Faster(3)], data.truth(events))
