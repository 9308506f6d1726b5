-- Active users by day of the week: of how many days, how many a day, and how many different ones
-- param since: 0000-01-01: the first day
-- param until: 9999-12-31: the last day
-- param definition: : of active; without one, that of active_user_table
-- chart: weekday mean: Active users of a day, by day of the week
WITH day AS (
    SELECT date, users, bitmap_count(users) AS active
    FROM v_active_day
    WHERE
        CASE :definition WHEN '' THEN own ELSE definition = :definition END
        AND date BETWEEN :since AND :until
)
SELECT
    substr('SunMonTueWedThuFriSat', 1 + 3 * strftime('%w', date), 3) AS weekday,
    count(*) AS days,
    round(avg(active), 1) AS mean,
    min(active) AS least,
    max(active) AS most,
    bitmap_count(bitmap_or(users)) AS users
FROM day
WHERE active > 0
GROUP BY weekday
ORDER BY (strftime('%w', date) + 6) % 7;
