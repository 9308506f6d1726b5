-- Breakdowns of active users that differ from the sets of users, which are the truth
WITH counted AS (
    SELECT date, dimension, value, bitmap_count(users) AS in_set, 0 AS in_table
    FROM v_active_day_by
    WHERE own
    UNION ALL
    SELECT date, dimension, value, 0, active_user_count FROM active_users_by
),
whole AS (
    SELECT date, signal, bitmap_or(users) AS users FROM active_day GROUP BY date, signal
)
SELECT date, dimension, value, sum(in_set) AS in_set, sum(in_table) AS in_table
FROM counted
GROUP BY date, dimension, value
HAVING sum(in_set) <> sum(in_table)
UNION ALL
-- a value's users are among those of the signal
SELECT date, dimension, value, bitmap_count(part.users), bitmap_count(part.users, whole.users)
FROM active_day_by AS part
LEFT JOIN whole USING (date, signal)
WHERE bitmap_count(part.users) <> bitmap_count(part.users, whole.users)
ORDER BY date, dimension, value;
