-- What part of the users of a month, or of another window, was active on its last day (DAU / MAU)
-- param since: 0000-01-01: the first day
-- param until: 9999-12-31: the last day
-- param window: 28: how many days end with the date; partial: with fewer known
-- param definition: : of active; without one, that of active_user_table
-- chart: date percent: Daily in percent of monthly active users
WITH
day AS MATERIALIZED (
    SELECT date, date(date, (1 - max(1, CAST(:window AS INTEGER))) || ' days') AS since, users
    FROM v_active_day
    WHERE CASE :definition WHEN '' THEN own ELSE definition = :definition END
),
counted AS MATERIALIZED (
    SELECT
        date,
        bitmap_count(users) AS daily,
        (
            SELECT bitmap_count(bitmap_or(back.users))
            FROM day AS back
            WHERE back.date BETWEEN day.since AND day.date
        ) AS in_window,
        CASE
            WHEN since < (SELECT min(date) FROM day) THEN 'partial'
            WHEN (SELECT max(final_at) FROM local_day WHERE local_day.date BETWEEN day.since AND day.date)
                > strftime('%Y-%m-%dT%H:%M:%SZ', 'now') THEN 'provisional'
            ELSE 'final'
        END AS status
    FROM day
    WHERE date BETWEEN :since AND :until
)
SELECT date, daily, in_window, round(100.0 * daily / in_window, 2) AS percent, status
FROM counted
WHERE daily > 0
ORDER BY date;
