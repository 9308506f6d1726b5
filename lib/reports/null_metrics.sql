-- Metrics with a column: of how many events they are null or missing; (all): events without any metric
-- param since: 0000-01-01: the first day of recorded_date
-- param until: 9999-12-31: the last day
-- (+: not by the index, which takes ten times as long for all days, as is usual)
SELECT
    metric,
    count(*) - count(value) AS events,
    round(100.0 * (count(*) - count(value)) / count(*), 2) AS percent
FROM event_metric
WHERE +recorded_date >= :since AND +recorded_date < :until || 'T'
GROUP BY metric
UNION ALL
SELECT '(all)', sum(empty), round(100.0 * sum(empty) / count(*), 2)
FROM (
    SELECT
        other_metrics IS NULL
        AND NOT EXISTS (
            SELECT 1 FROM event_metric WHERE event_id = event.id AND value IS NOT NULL
        ) AS empty
    FROM event
    WHERE +recorded_date >= :since AND +recorded_date < :until || 'T'
)
HAVING count(*)
ORDER BY metric;
