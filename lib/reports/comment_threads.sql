-- The threads of comments: how many there are in each, and how deep replies to replies go
-- param last: 20: how many, the largest first
-- param post: : only of this one
WITH RECURSIVE thread (top_id, comment_id, depth) AS (
    SELECT comment_id, comment_id, 0
    FROM comment
    WHERE parent_id IS NULL AND :post IN ('', post_id)
    UNION ALL
    SELECT top_id, reply.comment_id, depth + 1
    FROM thread
    JOIN comment AS reply ON reply.parent_id = thread.comment_id
)
SELECT top_id AS comment_id, max(depth) AS depth, count(*) AS size
FROM thread
GROUP BY top_id
ORDER BY size DESC, depth DESC, comment_id
LIMIT CAST(:last AS INTEGER);
