-- Breakdowns of active users that differ from the sets of users, which are the truth
WITH counted AS (
    SELECT date, dimension, value, bitmap_count(users) AS in_set, 0 AS in_table
    FROM v_active_day_by
    WHERE own
    UNION ALL
    SELECT date, dimension, value, 0, active_user_count FROM active_users_by
),
together AS MATERIALIZED ( -- of all values at once, which is quicker
    SELECT
        date,
        signal,
        (SELECT bitmap_or(users) FROM active_day_by WHERE date = day.date AND signal = day.signal) AS users
    FROM (SELECT DISTINCT date, signal FROM active_day_by) AS day
),
wrong AS (
    SELECT date, signal
    FROM together
    LEFT JOIN active_day AS whole USING (date, signal)
    WHERE bitmap_count(together.users, whole.users) <> bitmap_count(together.users)
)
SELECT date, dimension, value, sum(in_set) AS in_set, sum(in_table) AS in_table
FROM counted
GROUP BY date, dimension, value
HAVING sum(in_set) <> sum(in_table)
UNION ALL
-- a value's users are among those of the signal
SELECT date, dimension, value, bitmap_count(part.users), bitmap_count(part.users, whole.users)
FROM wrong
JOIN active_day_by AS part USING (date, signal)
LEFT JOIN active_day AS whole USING (date, signal)
WHERE bitmap_count(part.users) <> bitmap_count(part.users, whole.users)
ORDER BY date, dimension, value;
