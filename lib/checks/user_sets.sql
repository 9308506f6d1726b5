-- Counts of active users that differ from the sets of users, which are the truth
WITH counted AS (
    SELECT date, definition, bitmap_count(users) AS in_set, 0 AS in_table FROM v_active_day
    UNION ALL
    SELECT date, definition, round(sketch_count(sketch)), 0
    FROM active_day_sketch
    WHERE (SELECT value FROM setting WHERE name = 'sketch') = 'instead'
    UNION ALL
    SELECT date, definition, 0, active_user_count FROM active_users_by_definition
)
SELECT date, definition, sum(in_set) AS in_set, sum(in_table) AS in_table
FROM counted
GROUP BY date, definition
HAVING sum(in_set) <> sum(in_table)
ORDER BY date, definition;
