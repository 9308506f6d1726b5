-- Metrics that are null, or missing, more often on the newest full day than before
-- param points: 20: by so many percentage points
-- param days: 35: before: on so many days
WITH
newest AS ( -- of the days the last but one: the last may be unfinished
    SELECT substr(max(recorded_date), 1, 10) AS date FROM event
    WHERE recorded_date < (SELECT substr(max(recorded_date), 1, 10) FROM event)
),
part AS (
    SELECT
        metric,
        sum(recorded_date >= date) AS events,
        100.0 * sum(value IS NULL AND recorded_date >= date) / sum(recorded_date >= date) AS percent,
        100.0 * sum(value IS NULL AND recorded_date < date) / sum(recorded_date < date) AS percent_before
    FROM event_metric, newest
    WHERE +recorded_date >= date(date, -:days || ' days') AND +recorded_date < date || '~'
    GROUP BY metric
)
SELECT metric, date, events, round(percent, 2) AS percent, round(percent_before, 2) AS percent_before
FROM part, newest
WHERE percent > percent_before + :points
ORDER BY metric;
