-- The total of a metric with a column, and how many events have a value, by the name of their first dimension
-- param since: 0000-01-01: the first day of recorded_date
-- param until: 9999-12-31: the last day
-- param metric: : which; without one, the first by name
-- chart: dimension_name total: Total of the metric by first dimension
WITH
measured AS MATERIALIZED ( -- before it is joined: so no row of other metrics is made
    SELECT event_id, metric, value
    FROM event_metric
    WHERE
        metric = coalesce(nullif(:metric, ''), (SELECT min(name) FROM metric_column))
        AND +recorded_date >= :since
        AND +recorded_date < :until || 'T'
),
halves AS ( -- as in metric_totals: sums of them do not overflow
    SELECT
        coalesce(first_dimension.name, '(no name)') AS dimension_name,
        metric,
        count(value) AS events,
        coalesce(sum(value >> 32) FILTER (WHERE typeof(value) = 'integer'), 0)
        + (coalesce(sum(value & 4294967295) FILTER (WHERE typeof(value) = 'integer'), 0) >> 32) AS high,
        coalesce(sum(value & 4294967295) FILTER (WHERE typeof(value) = 'integer'), 0) & 4294967295 AS low,
        sum(value) FILTER (WHERE typeof(value) = 'real') AS reals
    FROM measured
    JOIN event ON event.id = event_id
    LEFT JOIN first_dimension ON first_dimension.id = first_dimension_id
    GROUP BY dimension_name, metric
)
SELECT
    dimension_name,
    metric,
    CASE
        WHEN reals IS NULL AND high BETWEEN -2147483648 AND 2147483647 THEN high * 4294967296 + low
        ELSE high * 4294967296.0 + low + coalesce(reals, 0)
    END AS total,
    events
FROM halves
ORDER BY dimension_name;
