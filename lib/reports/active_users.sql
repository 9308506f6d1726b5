-- Active users of each local day, or rolling, of the days that end with it, and whether the number can still change
-- param since: 0000-01-01: the first day
-- param until: 9999-12-31: the last day
-- param window: 1: how many days end with the date: 7 for WAU, 28 or 30 for MAU; partial: with fewer known
-- param definition: : of active; without one, that of active_user_table
-- chart: date users: Active users of each local day
-- title window: {window}-day active users (rolling)
WITH
size AS (SELECT min(3650, max(1, CAST(:window AS INTEGER))) AS days),
rolling AS (
    SELECT rolling_counts(date, users, days) AS counts, min(date) AS first
    FROM (
        SELECT date, users, days
        FROM (SELECT days FROM size WHERE days > 1 OR :definition <> '') -- of one day there is a table
        CROSS JOIN v_active_day -- which is read only then
        WHERE CASE :definition WHEN '' THEN own ELSE definition = :definition END
        ORDER BY date
    )
),
counted (since, until, users) AS MATERIALIZED (
    SELECT date, date, active_user_count
    FROM active_user_table, size
    WHERE size.days = 1 AND :definition = ''
    UNION ALL
    SELECT date(key, (1 - days) || ' days'), key, value
    FROM rolling, size, json_each(rolling.counts)
)
SELECT
    until AS date,
    users,
    CASE
        WHEN since < (SELECT first FROM rolling) THEN 'partial'
        WHEN (SELECT max(final_at) FROM local_day WHERE date BETWEEN since AND until)
            > strftime('%Y-%m-%dT%H:%M:%SZ', 'now') THEN 'provisional'
        ELSE 'final'
    END AS status,
    (SELECT max(changed_at) FROM active_user_history WHERE date BETWEEN since AND until) AS last_change
FROM counted
WHERE users > 0 AND until BETWEEN :since AND :until
ORDER BY date;
