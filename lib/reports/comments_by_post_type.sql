-- Comments and replies, and their up-likes, by the type of the post
-- param after: 0000-01-01: only those made at or after the start of this day (UTC)
-- chart: type comments: Comments by type of post
SELECT
    coalesce(type, '(unknown)') AS type,
    sum(of_post.comments) AS comments,
    coalesce(sum(of_post.up_likes), 0) AS up_likes
FROM (
    SELECT
        post_id,
        count(*) AS comments,
        sum(up_likes) AS up_likes
    FROM comment
    -- +: by comment_by_time, each row is looked up alone: six times as long if most are wanted
    WHERE +created_at >= :after
    GROUP BY post_id
) AS of_post
LEFT JOIN post_meta ON post_meta.post_id = of_post.post_id
GROUP BY 1
ORDER BY 1;
