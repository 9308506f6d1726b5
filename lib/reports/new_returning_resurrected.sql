-- Users of each local day who are new, who return, and who come again after a long time
-- param away: 28: after how many days without activity a user is no longer returning, but resurrected
-- param since: 0000-01-01: the first day
-- param until: 9999-12-31: the last day
-- param definition: : of active; without one, that of active_user_table
-- chart: date new+returning+resurrected: Active users of each local day
WITH RECURSIVE
day AS MATERIALIZED (
    SELECT date, row_number() OVER (ORDER BY date) AS number, users
    FROM v_active_day
    WHERE CASE :definition WHEN '' THEN own ELSE definition = :definition END
),
counted (number, date, users, new, "returning", seen) AS ( -- seen: who was active up to that day
    SELECT 0, NULL, 0, 0, 0, NULL
    UNION ALL
    SELECT
        day.number,
        day.date,
        bitmap_count(day.users),
        bitmap_count(day.users) - bitmap_count(day.users, seen),
        bitmap_count(day.users, (
            SELECT bitmap_or(back.users)
            FROM day AS back
            WHERE back.date >= date(day.date, (-CAST(:away AS INTEGER)) || ' days') AND back.date < day.date
        )),
        bitmap_or(seen, day.users)
    FROM counted
    JOIN day ON +day.number = counted.number + 1 -- (+: an index would hold all sets once more)
)
SELECT date, users, new, "returning", users - new - "returning" AS resurrected
FROM counted
WHERE users > 0 AND date BETWEEN :since AND :until
ORDER BY date;
