"""spark_dataframe.py MASTER FILE - active users of each local day, as Spark's experts count

Prints date and count. The schema names the fields that matter, so the reader skips all others: on
1 GB 11 s, start included. Slower: only lines with the event's name, as text, and from_json (14 s).
"""

import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

SCHEMA = """event_name STRING, event_timestamp STRING, user_pseudo_id STRING,
    event_params ARRAY<STRUCT<key: STRING, value: STRUCT<int_value: STRING>>>"""


def param(name: str):
    found = f.filter("event_params", lambda param: param.key == name)
    return f.get(found, f.lit(0)).value.int_value.cast("bigint")


master, path = sys.argv[1:]
session = (
    SparkSession.builder.master(master)
    .config("spark.sql.session.timeZone", "America/Chicago")
    .config("spark.ui.enabled", "false")
    .config("spark.driver.memory", "4g")
    .config("spark.sql.shuffle.partitions", "8")
    .getOrCreate()
)
events = session.read.schema(SCHEMA).json(path)
counts = (
    events.where(f.col("event_name") == "user_engagement")
    .where((param("engagement_time_msec") >= 3000) & (param("engaged_session_event") >= 1))
    .select(
        f.to_date(f.timestamp_micros(f.col("event_timestamp").cast("bigint"))).alias("day"),
        "user_pseudo_id",
    )
    .groupBy("day")
    .agg(f.countDistinct("user_pseudo_id").alias("users"))
    .orderBy("day")
)
for row in counts.collect():
    print(row.day, row.users, sep="\t")
