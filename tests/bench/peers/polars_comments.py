"""polars_comments.py --posts GLOB --info GLOB - the reports of comments, as its experts do

Prints what count-comments does. All cores, explicit schema, two levels of comments.
"""

import argparse

import polars as pl

parser = argparse.ArgumentParser()
parser.add_argument("--posts", required=True)
parser.add_argument("--info", required=True)
options = parser.parse_args()

FIELDS = {"h_id": pl.String, "created_time": pl.String, "up_likes": pl.Int64}
REPLY = pl.Struct(FIELDS | {"parent": pl.Struct({"h_id": pl.String})})
COMMENT = pl.Struct(FIELDS | {"comments": pl.Struct({"data": pl.List(REPLY)})})
POST = pl.Struct({"h_id": pl.String, "comments": pl.Struct({"data": pl.List(COMMENT)})})
PAGE = {"posts": pl.Struct({"data": pl.List(POST)})}


def columns(comment: pl.Expr, parent: pl.Expr) -> list[pl.Expr]:
    return [
        pl.col("post"),
        comment.struct.field("h_id").alias("id"),
        comment.struct.field("created_time").alias("time"),
        comment.struct.field("up_likes").alias("likes"),
        parent.alias("parent"),
    ]


c, r = pl.col("c"), pl.col("r")
comments = (
    pl.scan_ndjson(options.info, schema=PAGE)
    .select(pl.col("posts").struct.field("data").alias("p"))
    .explode("p")
    .select(
        pl.col("p").struct.field("h_id").alias("post"),
        pl.col("p").struct.field("comments").struct.field("data").alias("c"),
    )
    .explode("c")
    .filter(c.is_not_null() & c.struct.field("h_id").is_not_null())
    .collect(engine="streaming")
    .lazy()
)
replies = (
    comments.select(
        "post",
        c.struct.field("h_id").alias("nested_in"),
        c.struct.field("comments").struct.field("data").alias("r"),
    )
    .explode("r")
    .filter(r.is_not_null() & r.struct.field("h_id").is_not_null())
)
named = r.struct.field("parent").struct.field("h_id")
found = (
    pl.concat(
        [
            comments.select(columns(c, pl.lit(None, pl.String))),
            replies.select(columns(r, pl.coalesce(named, "nested_in"))),
        ]
    )
    .group_by("id")
    .agg(pl.col("post").min(), pl.col("time").min(), pl.col("likes").max(), pl.col("parent").min())
    .collect()
    .lazy()
)
top = pl.col("parent").is_null()
types = (
    pl.scan_parquet(options.posts)
    .group_by(pl.col("post_h_id").alias("post"))
    .agg(pl.col("type").min())
)
reports = {
    "comments_by_day": found.group_by(pl.col("time").str.slice(0, 10).alias("day"))
    .agg(top.sum().alias("comments"), (~top).sum().alias("replies"))
    .sort("day"),
    "comments_by_post_type": found.join(types, on="post", how="left")
    .group_by(pl.col("type").fill_null("(unknown)"))
    .agg(pl.len(), pl.col("likes").sum())
    .sort("type"),
    "most_replied_comments": found.filter(~top)
    .group_by(pl.col("parent").alias("id"))
    .agg(pl.len().alias("replies"))
    .join(found, on="id", how="semi")
    .sort(["replies", "id"], descending=[True, False])
    .head(10)
    .with_row_index("rank", 1)
    .select("rank", "id", "replies"),
}
for name, report in zip(reports, pl.collect_all(list(reports.values())), strict=True):
    for row in report.rows():
        print(name, *row, sep="\t")
