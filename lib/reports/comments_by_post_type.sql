-- Comments and replies, and their up-likes, by the type of the post
-- param after: 0000-01-01: only those made at or after the start of this day (UTC)
-- chart: type comments: Comments by type of post
SELECT
    coalesce(type, '(unknown)') AS type,
    count(*) AS comments,
    coalesce(sum(up_likes), 0) AS up_likes
FROM comment
LEFT JOIN post_meta ON post_meta.post_id = comment.post_id
WHERE comment.created_at >= :after
GROUP BY 1
ORDER BY 1;
