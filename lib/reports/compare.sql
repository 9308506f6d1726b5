-- Active users of a period against those of the one before it, or of another one
-- param since: : the first day; without one, so that there are seven
-- param until: : the last day; without one, the last that has active users
-- param with: previous: days before, as many; year: 364 days earlier; or the first day of as many
-- param definition: : of active; without one, that of active_user_table
-- chart: measure period,before: Active users of the period, and of the one before it
WITH
day AS MATERIALIZED (
    SELECT date, users
    FROM v_active_day
    WHERE
        CASE :definition WHEN '' THEN own ELSE definition = :definition END
        AND bitmap_count(users) > 0
),
ending AS (SELECT coalesce(nullif(:until, ''), max(date)) AS until FROM day),
asked AS (SELECT coalesce(nullif(:since, ''), date(until, '-6 days')) AS since, until FROM ending),
dated AS (
    SELECT
        since,
        until,
        more,
        CASE :with
            WHEN 'previous' THEN date(since, (-1 - more) || ' days')
            WHEN 'year' THEN date(since, '-364 days')
            ELSE date(:with)
        END AS before_since
    FROM asked, (SELECT CAST(julianday(until) - julianday(since) AS INTEGER) AS more FROM asked)
),
period AS (
    SELECT 'period' AS name, since, until FROM dated
    UNION ALL
    SELECT 'before', before_since, date(before_since, more || ' days') FROM dated
),
counted AS (
    SELECT
        name,
        since,
        until,
        count(date) AS days,
        sum(bitmap_count(day.users)) / (julianday(until) - julianday(since) + 1) AS daily,
        bitmap_or(day.users) AS users,
        (SELECT bitmap_or(earlier.users) FROM day AS earlier WHERE earlier.date < period.since) AS earlier
    FROM period
    LEFT JOIN day ON day.date BETWEEN since AND until
    GROUP BY name
),
pair AS (
    SELECT
        period.since || '/' || period.until AS days,
        before.since || '/' || before.until AS days_before,
        period.days AS active_days,
        before.days AS active_days_before,
        period.daily,
        before.daily AS daily_before,
        period.users,
        before.users AS users_before,
        period.earlier,
        before.earlier AS earlier_before
    FROM counted AS period
    JOIN counted AS before ON before.name = 'before'
    WHERE period.name = 'period' AND before.since IS NOT NULL
),
measured (number, measure, period, before) AS (
    SELECT 1, 'users', bitmap_count(users), bitmap_count(users_before) FROM pair
    UNION ALL
    SELECT 2, 'users a day', round(coalesce(daily, 0), 1), round(coalesce(daily_before, 0), 1) FROM pair
    UNION ALL
    SELECT
        3,
        'new users',
        bitmap_count(bitmap_andnot(users, earlier)),
        bitmap_count(bitmap_andnot(users_before, earlier_before))
    FROM pair
    UNION ALL
    SELECT
        4,
        'in both',
        bitmap_count(users, users_before),
        bitmap_count(users, users_before)
    FROM pair
    UNION ALL
    SELECT
        5,
        'not in the other',
        bitmap_count(bitmap_andnot(users, users_before)),
        bitmap_count(bitmap_andnot(users_before, users))
    FROM pair
    UNION ALL
    SELECT 6, 'days with users', active_days, active_days_before FROM pair
)
SELECT
    measure,
    period,
    before,
    iif(typeof(period) = 'integer', period - before, round(period - before, 1)) AS change,
    round(100.0 * (period - before) / before, 2) AS percent,
    days,
    days_before
FROM measured, pair
ORDER BY number;
