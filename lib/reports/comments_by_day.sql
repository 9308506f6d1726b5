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
)
SELECT
    piece.value ->> 0 AS day,
    count(*) FILTER (WHERE parent_id IS NULL) AS comments,
    count(*) FILTER (WHERE parent_id IS NOT NULL) AS replies
FROM utc_day
JOIN json_each(local_days(:tz, utc_date)) AS piece
JOIN comment ON created_at >= piece.value ->> 1 AND created_at < piece.value ->> 2
WHERE day BETWEEN :since AND :until
GROUP BY day
ORDER BY day;
