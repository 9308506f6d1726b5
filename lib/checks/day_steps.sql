-- Days with many times more, or less, than the day before; but for the newest, which may be unfinished
-- param times: 3: how many times
-- param least: 100: two days with less than this are let off
-- param days: 35: look at so many days before the newest
WITH
number (pipeline, date, value) AS (
    SELECT 'active users', date, active_user_count FROM active_user_table
    UNION ALL
    SELECT 'site activity', date, sum(messages + emails) FROM site_activity_by_day GROUP BY date
    UNION ALL
    SELECT 'recent changes', date(timestamp, 'unixepoch') AS day, count(*) FROM recent_change_raw
    WHERE timestamp / 86400 >= (SELECT max(timestamp) FROM recent_change_raw) / 86400 - :days - 1
    GROUP BY day
    UNION ALL
    SELECT 'event metrics', substr(recorded_date, 1, 10) AS day, count(*) FROM event
    WHERE recorded_date >= (SELECT date(max(recorded_date), (-:days - 1) || ' days') FROM event)
    GROUP BY day
),
following AS (
    SELECT
        pipeline,
        date,
        value,
        lag(date) OVER by_date AS date_before,
        lag(value) OVER by_date AS value_before,
        max(date) OVER (PARTITION BY pipeline) AS newest
    FROM number
    WINDOW by_date AS (PARTITION BY pipeline ORDER BY date)
)
SELECT pipeline, date, value_before AS day_before, value
FROM following
WHERE
    date = date(date_before, '1 day')
    AND date < newest
    AND julianday(date) >= julianday(newest) - :days
    AND max(value, value_before) >= :least + 0
    AND (value > value_before * :times OR value_before > value * :times)
ORDER BY pipeline, date;
