-- Active users of each local day, or of the days that end with it, and whether the number can still change
-- param since: 0000-01-01: the first day
-- param until: 9999-12-31: the last day
-- param window: 1: how many days end with the date: 7 for WAU, 28 or 30 for MAU; partial: with fewer known
-- param definition: : of active; without one, that of active_user_table
-- chart: date users: Active users of each local day
WITH RECURSIVE
size AS (SELECT max(1, CAST(:window AS INTEGER)) AS days),
day AS MATERIALIZED ( -- of one day there is a table
    SELECT date, users
    FROM v_active_day
    WHERE
        CASE :definition WHEN '' THEN own ELSE definition = :definition END
        AND (CAST(:window AS INTEGER) > 1 OR :definition <> '')
),
later (days) AS (
    SELECT 0
    UNION ALL
    SELECT days + 1 FROM later WHERE days + 1 < CAST(:window AS INTEGER)
),
span AS (
    SELECT DISTINCT
        date(date, later.days || ' days') AS until,
        date(date, (later.days - size.days + 1) || ' days') AS since
    FROM day, later, size
),
counted (since, until, users) AS MATERIALIZED (
    SELECT date, date, active_user_count
    FROM active_user_table, size
    WHERE size.days = 1 AND :definition = ''
    UNION ALL
    SELECT
        since,
        until,
        (SELECT bitmap_count(bitmap_or(users)) FROM day WHERE date BETWEEN since AND until)
    FROM span
    WHERE until <= (SELECT max(date) FROM day)
)
SELECT
    until AS date,
    users,
    CASE
        WHEN since < (SELECT min(date) FROM day) THEN 'partial'
        WHEN (SELECT max(final_at) FROM local_day WHERE date BETWEEN since AND until)
            > strftime('%Y-%m-%dT%H:%M:%SZ', 'now') THEN 'provisional'
        ELSE 'final'
    END AS status,
    (SELECT max(changed_at) FROM active_user_history WHERE date BETWEEN since AND until) AS last_change
FROM counted
WHERE users > 0 AND until BETWEEN :since AND :until
ORDER BY date;
