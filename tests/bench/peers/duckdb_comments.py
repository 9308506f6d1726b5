"""duckdb_comments.py --posts FILE… --info FILE… - the reports of comments, as its experts do

Prints what count-comments does. All cores. FILE may be a glob.

The lines are read with an explicit schema, two levels of comments: to infer it takes as long again.
"""

import argparse

import duckdb

parser = argparse.ArgumentParser()
parser.add_argument("--posts", nargs="+", required=True)
parser.add_argument("--info", nargs="+", required=True)
options = parser.parse_args()

REPLY = "STRUCT(h_id VARCHAR, created_time VARCHAR, up_likes BIGINT, parent STRUCT(h_id VARCHAR))"
COMMENT = (
    f"STRUCT(h_id VARCHAR, created_time VARCHAR, up_likes BIGINT, comments STRUCT(data {REPLY}[]))"
)
POST = f"STRUCT(h_id VARCHAR, comments STRUCT(data {COMMENT}[]))"
LINES = f"""read_json($info, format = 'newline_delimited', maximum_object_size = 134217728,
    columns = {{posts: 'STRUCT(data {POST}[])'}})"""

db = duckdb.connect()
db.execute("SET TimeZone = 'UTC'")
db.execute(
    f"""
    CREATE TEMP TABLE found AS
    WITH posts AS (SELECT unnest(posts.data) AS post FROM {LINES}),
    comments AS (SELECT post.h_id AS post_id, unnest(post.comments.data) AS c FROM posts),
    replies AS (
        SELECT post_id, c.h_id AS nested_in, unnest(c.comments.data) AS r FROM comments
    )
    SELECT id, min(parent) AS parent, min(post_id) AS post_id, min(time) AS time,
        max(likes) AS likes
    FROM (
        SELECT c.h_id AS id, NULL AS parent, post_id, c.created_time AS time, c.up_likes AS likes
        FROM comments
        UNION ALL
        SELECT r.h_id, coalesce(r.parent.h_id, nested_in), post_id, r.created_time, r.up_likes
        FROM replies
    ) GROUP BY id
    """,
    {"info": options.info},
)
REPORTS = {
    "comments_by_day": (
        """SELECT time[:10] AS day, count(*) FILTER (parent IS NULL),
            count(*) FILTER (parent IS NOT NULL)
        FROM found GROUP BY day ORDER BY day""",
        {},
    ),
    "comments_by_post_type": (
        """SELECT coalesce(type, '(unknown)') AS type, count(*), sum(likes)
        FROM found LEFT JOIN (
            SELECT post_h_id, min(type) AS type FROM read_parquet($posts) GROUP BY 1
        ) AS post ON post_id = post_h_id
        GROUP BY 1 ORDER BY 1""",
        {"posts": options.posts},
    ),
    "most_replied_comments": (
        """SELECT row_number() OVER (ORDER BY count(*) DESC, found.id), found.id, count(*)
        FROM found JOIN found AS reply ON reply.parent = found.id
        GROUP BY found.id ORDER BY count(*) DESC, found.id LIMIT 10""",
        {},
    ),
}
for name, (query, params) in REPORTS.items():
    for row in db.execute(query, params).fetchall():
        print(name, *row, sep="\t")
