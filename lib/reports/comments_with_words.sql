-- Comments whose messages have these words, those that fit best first
-- param words: : words, one OR other, as SQLite's full-text search takes them
-- param last: 20: how many
SELECT comment_id, post_id, comment.created_at, up_likes, comment.message
FROM comment_search
JOIN comment ON comment.pk = comment_search.rowid
WHERE comment_search MATCH CASE :words WHEN '' THEN '""' ELSE :words END
ORDER BY comment_search.rank, comment_id
LIMIT CAST(:last AS INTEGER);
