-- Metrics without a column, and how many events have them; the table metric tells more
SELECT name AS metric, sum(events) AS events
FROM metric
WHERE name NOT IN (SELECT name FROM metric_column)
GROUP BY name
ORDER BY events DESC, metric;
