-- The comments with the most replies
-- param last: 10: how many
-- chart: comment_id replies: Replies to each comment
SELECT
    row_number() OVER (ORDER BY replies DESC, comment_id) AS rank,
    comment_id,
    replies
FROM (
    SELECT parent_id, count(*) AS replies
    FROM comment
    WHERE parent_id IS NOT NULL
    GROUP BY parent_id
) AS reply
JOIN comment ON comment.comment_id = reply.parent_id
ORDER BY rank
LIMIT CAST(:last AS INTEGER);
