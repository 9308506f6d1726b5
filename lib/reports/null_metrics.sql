-- Metrics with a column: of how many events they are null or missing; (all): events without any metric
-- param since: 0000-01-01: the first day of recorded_date
-- param until: 9999-12-31: the last day
WITH chosen AS (
    SELECT id, other_metrics FROM event
    WHERE recorded_date >= :since AND recorded_date < :until || 'T'
),
valued AS (
    SELECT event_id, metric, value FROM event_metric
    WHERE event_id IN (SELECT id FROM chosen)
)
SELECT
    metric,
    count(*) - count(value) AS events,
    round(100.0 * (count(*) - count(value)) / count(*), 2) AS percent
FROM valued
GROUP BY metric
UNION ALL
SELECT '(all)', count(*), round(100.0 * count(*) / nullif((SELECT count(*) FROM chosen), 0), 2)
FROM chosen
WHERE other_metrics IS NULL AND id NOT IN (SELECT event_id FROM valued WHERE value IS NOT NULL)
ORDER BY metric;
