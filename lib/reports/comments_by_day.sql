-- Comments and replies of each local day
-- param tz: UTC: IANA time zone of the days
-- param since: 0000-01-01: the first day
-- param until: 9999-12-31: the last day
-- chart: day comments: Comments of each day
WITH RECURSIVE utc_day (utc_date) AS (
    SELECT substr(min(created_at), 1, 10) FROM comment
    UNION ALL
    SELECT (SELECT substr(min(created_at), 1, 10) FROM comment WHERE created_at > utc_date || 'T24')
    FROM utc_day
    WHERE utc_date IS NOT NULL
),
-- Counted piece by piece: to sort all comments by day takes three times as long.
piece AS MATERIALIZED (
    SELECT
        value ->> 0 AS day,
        (
            SELECT count(*) FROM comment
            WHERE created_at >= value ->> 1 AND created_at < value ->> 2
        ) AS comments,
        (
            SELECT count(parent_id) FROM comment
            WHERE created_at >= value ->> 1 AND created_at < value ->> 2
        ) AS replies
    FROM utc_day
    JOIN json_each(local_days(:tz, utc_date))
    WHERE day BETWEEN :since AND :until
)
SELECT
    day,
    sum(comments - replies) AS comments,
    sum(replies) AS replies
FROM piece
GROUP BY day
HAVING max(piece.comments) > 0
ORDER BY day;
