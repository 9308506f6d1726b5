-- Active users of each local day, and whether the number can still change
-- param since: 0000-01-01: the first day
-- param until: 9999-12-31: the last day
-- chart: date users: Active users of each local day
SELECT
    active_user_table.date,
    active_user_count AS users,
    CASE WHEN final_at > strftime('%Y-%m-%dT%H:%M:%SZ', 'now') THEN 'provisional' ELSE 'final' END AS status,
    (
        SELECT max(changed_at)
        FROM active_user_history
        WHERE active_user_history.date = active_user_table.date
    ) AS last_change
FROM active_user_table
LEFT JOIN local_day ON local_day.date = active_user_table.date
WHERE active_user_table.date BETWEEN :since AND :until
ORDER BY active_user_table.date;
