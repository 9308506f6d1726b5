-- Weekly retention by cohort: of the users first active in a week, or on a day, how many were active in each later one
-- param by: week|day: what a cohort is, week or day; a week begins on Monday, and has a row once it is over
-- param last: 12: up to how many weeks, or days, later
-- param since: 0000-01-01: the first cohort
-- param until: 9999-12-31: the last cohort
-- param definition: : of active; without one, that of active_user_table
-- matrix: cohort later percent: Weekly retention by cohort, in percent
-- title by: Daily retention by cohort, in percent
WITH RECURSIVE
step AS (SELECT CASE :by WHEN 'day' THEN 1 ELSE 7 END AS days),
day AS (
    SELECT date, users
    FROM v_active_day
    WHERE CASE :definition WHEN '' THEN own ELSE definition = :definition END
),
over AS (SELECT date(max(date), (1 - days) || ' days') AS start FROM day, step), -- the last period's
period AS MATERIALIZED (
    SELECT
        start,
        row_number() OVER (ORDER BY start) AS number,
        CAST(julianday(start) AS INTEGER) AS julian, -- to be compared a million times
        users
    FROM (
        SELECT iif(days = 1, date, date(date, 'weekday 0', '-6 days')) AS start, bitmap_or(users) AS users
        FROM day, step
        GROUP BY start
    )
),
first_seen (number, start, julian, users, seen) AS ( -- seen: who was active up to the end of a period
    SELECT 0, NULL, NULL, NULL, NULL
    UNION ALL
    SELECT
        period.number,
        period.start,
        period.julian,
        bitmap_andnot(period.users, seen),
        bitmap_or(seen, period.users)
    FROM first_seen
    JOIN period ON +period.number = first_seen.number + 1 -- (+: an index would hold all sets again)
),
cohort AS (SELECT start, julian, bitmap_count(users) AS size, users FROM first_seen),
later (periods) AS (
    SELECT 0
    UNION ALL
    SELECT periods + 1 FROM later WHERE periods < min(3650, CAST(:last AS INTEGER))
),
cell AS MATERIALIZED (
    SELECT
        cohort.start AS cohort,
        size,
        periods AS later,
        coalesce((
            SELECT bitmap_count(cohort.users, period.users)
            FROM period
            WHERE +period.julian = cohort.julian + periods * days
        ), 0) AS users
    FROM cohort, step, over, later
    WHERE
        size > 0
        AND cohort.start BETWEEN :since AND :until
        AND date(cohort.start, (periods * days) || ' days') <= over.start
)
SELECT cohort, size, later, users, round(100.0 * users / size, 2) AS percent
FROM cell
ORDER BY cohort, later;
