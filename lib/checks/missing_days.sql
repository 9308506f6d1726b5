-- Days without data between others
-- param days: 35: look at so many days before the newest
WITH RECURSIVE
event_day (date) AS ( -- from day to day by the index, without reading all events
    SELECT substr(min(recorded_date), 1, 10) FROM event
    UNION ALL
    SELECT (SELECT substr(min(recorded_date), 1, 10) FROM event WHERE recorded_date > event_day.date || '~')
    FROM event_day WHERE date IS NOT NULL
),
change_day (day) AS ( -- since 1970
    SELECT min(timestamp) / 86400 FROM recent_change_raw
    UNION ALL
    SELECT (SELECT min(timestamp) / 86400 FROM recent_change_raw WHERE timestamp >= (day + 1) * 86400)
    FROM change_day WHERE day IS NOT NULL
),
present (pipeline, date) AS (
    SELECT 'active users', date FROM active_user_table
    UNION ALL SELECT DISTINCT 'site activity', date FROM site_activity_by_day
    UNION ALL SELECT 'recent changes', date(day * 86400, 'unixepoch') FROM change_day
    UNION ALL SELECT 'event metrics', date FROM event_day
),
following AS (
    SELECT
        pipeline,
        lag(date) OVER (PARTITION BY pipeline ORDER BY date) AS after,
        date AS before,
        max(date) OVER (PARTITION BY pipeline) AS newest
    FROM present
    WHERE date IS NOT NULL
)
SELECT pipeline, after, before, CAST(julianday(before) - julianday(after) AS INTEGER) - 1 AS days
FROM following
WHERE julianday(before) - julianday(after) > 1 AND julianday(before) >= julianday(newest) - :days
ORDER BY pipeline, after;
