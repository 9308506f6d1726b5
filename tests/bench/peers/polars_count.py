r"""polars_count.py [--every-line] FILES - active users of each local day, as its experts count

FILES is a path or a glob. Prints date and count. With --escapes it does the same.

A search of the raw lines, and json_decode of those that it finds, in the streaming engine: on 1 GB
0.69 s, and without the search for escapes, \u, no faster. Slower: scan_ndjson with the same
schema (2.9 s; for every line 3.1 s against 1.9 s); contains_any for the pattern (1.1 s).
"""

import sys

import polars as pl

EVENTS = ["user_engagement", "push_received", "screen_view", "session_start"]
PARAM = pl.Struct({"key": pl.String, "value": pl.Struct({"int_value": pl.String})})
EVENT = pl.Struct(
    {
        "event_name": pl.String,
        "event_timestamp": pl.String,
        "user_pseudo_id": pl.String,
        "event_params": pl.List(PARAM),
    }
)


def param(name: str) -> pl.Expr:
    """The number of a parameter, null if there is none."""
    each = pl.element()
    number = each.struct.field("value").struct.field("int_value")
    found = pl.col("event_params").list.eval(number.filter(each.struct.field("key") == name))
    return found.list.first().cast(pl.Int64)


def events(lines: pl.LazyFrame) -> pl.LazyFrame:
    return lines.select(pl.col("line").str.json_decode(EVENT).alias("event")).unnest("event")


def selective(lines: pl.LazyFrame) -> pl.LazyFrame:
    hits = lines.filter(pl.col("line").str.contains(r'"user_engagement"|\\u'))
    return (
        events(hits)
        .filter(pl.col("event_name") == "user_engagement")
        .filter((param("engagement_time_msec") >= 3000) & (param("engaged_session_event") >= 1))
        .group_by(day)
        .agg(pl.col("user_pseudo_id").n_unique())
    )


def every_line(lines: pl.LazyFrame) -> pl.LazyFrame:
    engagement = pl.col("event_name") == "user_engagement"
    engaged = engagement & (param("engagement_time_msec") >= 3000)
    return (
        events(lines)
        .filter(pl.col("event_name").is_in(EVENTS))
        .select(day, "user_pseudo_id", valuable=~engagement, engaged=engaged.fill_null(False))
        .group_by("day", "user_pseudo_id")
        .agg(pl.col("valuable").any(), pl.col("engaged").any())
        .filter(pl.col("valuable") & pl.col("engaged"))
        .group_by("day")
        .agg(pl.len())
    )


instant = pl.from_epoch(pl.col("event_timestamp").cast(pl.Int64), time_unit="us")
local = instant.dt.replace_time_zone("UTC").dt.convert_time_zone("America/Chicago")
day = local.dt.date().alias("day")

*options, files = sys.argv[1:]
lines = pl.scan_lines(files, name="line")
counts = every_line(lines) if "--every-line" in options else selective(lines)
table = counts.sort("day").collect(engine="streaming")
print(table.write_csv(separator="\t", include_header=False), end="")
