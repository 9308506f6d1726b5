-- Days that have not begun anywhere on earth
WITH late AS (SELECT date('now', '14 hours') AS today) -- the zone that is the furthest ahead
SELECT 'active users' AS pipeline, date, active_user_count AS count
FROM active_user_table, late
WHERE date > today
UNION ALL
SELECT 'site activity', date, sum(messages + emails) FROM site_activity_by_day, late
WHERE date > today GROUP BY date
UNION ALL
SELECT 'recent changes', date(timestamp, 'unixepoch'), count(*) FROM recent_change_raw
WHERE timestamp > unixepoch('now', '1 hour') GROUP BY 2
UNION ALL
SELECT 'comments', substr(created_at, 1, 10), count(*) FROM comment, late
WHERE created_at > today || '~' GROUP BY 2
UNION ALL
SELECT 'event metrics', substr(recorded_date, 1, 10), count(*) FROM event, late
WHERE recorded_date > today || '~' GROUP BY 2
ORDER BY pipeline, date;
