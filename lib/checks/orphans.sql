-- Too large a part of rows refers to others that are not there
-- param percent: 5: more than this part
WITH part (what, orphans, of) AS (
    SELECT 'first dimension of events', sum(first_dimension.id IS NULL), count(*)
    FROM event LEFT JOIN first_dimension ON first_dimension.id = first_dimension_id
    WHERE EXISTS (SELECT 1 FROM first_dimension)
    UNION ALL
    SELECT 'second dimension of events', sum(second_dimension.id IS NULL), count(*)
    FROM event LEFT JOIN second_dimension ON second_dimension.id = second_dimension_id
    WHERE EXISTS (SELECT 1 FROM second_dimension)
    UNION ALL
    SELECT 'parent of replies', sum(parent.pk IS NULL), count(*)
    FROM comment LEFT JOIN comment AS parent ON parent.comment_id = comment.parent_id
    WHERE comment.parent_id IS NOT NULL
    UNION ALL
    SELECT 'texts without a comment', orphans, orphans + of
    FROM (SELECT count(*) AS orphans FROM waiting_text)
    JOIN (SELECT count(message) AS of FROM comment)
)
SELECT what, orphans, of, round(100.0 * orphans / of, 2) AS percent
FROM part
WHERE orphans * 100.0 > of * :percent
ORDER BY what;
