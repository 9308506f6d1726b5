"""chdb_comments.py --posts GLOB --info GLOB - the reports of comments, as its experts do

Prints what count-comments does. All cores.
"""

import argparse

from chdb import session

parser = argparse.ArgumentParser()
parser.add_argument("--posts", required=True)
parser.add_argument("--info", required=True)
options = parser.parse_args()

REPLY = "Tuple(h_id String, created_time String, up_likes Int64, parent Tuple(h_id String))"
COMMENT = (
    f"Tuple(h_id String, created_time String, up_likes Int64, comments Tuple(data Array({REPLY})))"
)
POSTS = f"Tuple(data Array(Tuple(h_id String, comments Tuple(data Array({COMMENT})))))"

db = session.Session()
db.query("CREATE DATABASE d")
db.query(
    f"""
    CREATE TABLE d.found ENGINE = Memory AS
    SELECT id, minIf(parent, parent != '') AS parent, min(post) AS post_id, min(time) AS time,
        max(likes) AS likes
    FROM (
        SELECT one.1 AS id, one.2 AS parent, post, one.3 AS time, one.4 AS likes
        FROM (
            SELECT post.h_id AS post, arrayJoin(arrayConcat(
                arrayMap(c -> (c.h_id, '', c.created_time, c.up_likes), post.comments.data),
                arrayFlatten(arrayMap(c -> arrayMap(
                    r -> (r.h_id, if(r.parent.h_id = '', c.h_id, r.parent.h_id), r.created_time,
                        r.up_likes),
                    c.comments.data), post.comments.data))
            )) AS one
            FROM (
                SELECT arrayJoin(posts.data) AS post
                FROM file('{options.info}', 'JSONEachRow', 'posts {POSTS}')
            )
        )
    ) GROUP BY id
    SETTINGS input_format_skip_unknown_fields = 1, input_format_null_as_default = 1,
        input_format_json_ignore_unknown_keys_in_named_tuple = 1
    """
)
REPORTS = {
    "comments_by_day": """
        SELECT substring(time, 1, 10) AS day, countIf(parent = ''), countIf(parent != '')
        FROM d.found GROUP BY day ORDER BY day""",
    "comments_by_post_type": f"""
        SELECT if(type = '', '(unknown)', type) AS kind, count(), sum(likes)
        FROM d.found LEFT JOIN (
            SELECT post_h_id, min(ifNull(type, '')) AS type
            FROM file('{options.posts}', 'Parquet') GROUP BY post_h_id
        ) AS post ON post_id = post_h_id
        GROUP BY kind ORDER BY kind""",
    "most_replied_comments": """
        SELECT row_number() OVER (ORDER BY replies DESC, id) AS rank, id, replies
        FROM (
            SELECT parent AS id, count() AS replies FROM d.found WHERE parent != '' GROUP BY parent
        ) AS replied
        WHERE id IN (SELECT id FROM d.found)
        ORDER BY rank LIMIT 10""",
}
for name, query in REPORTS.items():
    for line in str(db.query(query, "TabSeparated")).splitlines():
        print(name, line, sep="\t")
