-- Stickiness (DAU/MAU): the percentage of the users of 28 days, or of another window, active on its last day
-- param since: 0000-01-01: the first day
-- param until: 9999-12-31: the last day
-- param window: 28: how many days end with the date; partial: with fewer known
-- param definition: : of active; without one, that of active_user_table
-- chart: date percent: Stickiness (DAU/MAU)
-- title window: Stickiness (DAU in percent of {window}-day active users)
WITH
size AS (SELECT min(3650, max(1, CAST(:window AS INTEGER))) AS days),
rolling AS MATERIALIZED (
    SELECT
        rolling_counts(date, users, 1) AS of_day,
        rolling_counts(date, users, days) AS of_window,
        min(date) AS first
    FROM (
        SELECT date, users, days
        FROM v_active_day, size
        WHERE CASE :definition WHEN '' THEN own ELSE definition = :definition END
        ORDER BY date
    )
),
counted AS (
    SELECT
        day.key AS date,
        date(day.key, (1 - days) || ' days') AS since,
        first,
        day.value AS daily,
        json_extract(of_window, '$."' || day.key || '"') AS in_window
    FROM rolling, size, json_each(of_day) AS day
)
SELECT
    date,
    daily,
    in_window,
    round(100.0 * daily / in_window, 2) AS percent,
    CASE
        WHEN since < first THEN 'partial'
        WHEN (SELECT max(final_at) FROM local_day WHERE local_day.date BETWEEN since AND counted.date)
            > strftime('%Y-%m-%dT%H:%M:%SZ', 'now') THEN 'provisional'
        ELSE 'final'
    END AS status
FROM counted
WHERE daily > 0 AND date BETWEEN :since AND :until
ORDER BY date;
