-- Events of each hour of recorded_date, by the name of their first dimension
-- param since: 0000-01-01: the first day
-- param until: 9999-12-31: the last day
WITH hourly AS (
    SELECT first_dimension_id, substr(recorded_date, 1, 13) || ':00:00' AS hour, count(*) AS events
    FROM event
    WHERE recorded_date >= :since AND recorded_date < :until || 'T'
    GROUP BY first_dimension_id, hour
)
SELECT first_dimension.name AS dimension_name, hour, sum(events) AS events
FROM hourly
JOIN first_dimension ON first_dimension.id = first_dimension_id
GROUP BY dimension_name, hour
ORDER BY dimension_name, hour;
