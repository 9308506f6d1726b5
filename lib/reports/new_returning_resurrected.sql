-- New, returning and resurrected active users of each local day; partial: fewer days before it are known than away
-- param away: 28: after how many days without activity a user is no longer returning, but resurrected
-- param since: 0000-01-01: the first day
-- param until: 9999-12-31: the last day
-- param definition: : of active; without one, that of active_user_table
-- chart: date new+returning+resurrected: New, returning, resurrected
WITH
away AS (SELECT min(3650, max(1, CAST(:away AS INTEGER))) AS days),
rolling AS MATERIALIZED (
    SELECT
        rolling_counts(date, users, 1) AS of_day,
        rolling_counts(date, users, days) AS of_days,
        rolling_counts(date, users, days + 1) AS of_one_more,
        rolling_counts(date, users, NULL) AS so_far,
        min(date) AS first,
        days
    FROM (
        SELECT date, users, days
        FROM v_active_day, away
        WHERE CASE :definition WHEN '' THEN own ELSE definition = :definition END
        ORDER BY date
    )
),
counted AS ( -- who is in two sets: as many as both have, less those of their union
    SELECT
        day.key AS date,
        date(day.key, -days || ' days') < first AS partial,
        day.value AS users,
        so_far.value - lag(so_far.value, 1, 0) OVER (ORDER BY day.key) AS new,
        day.value
        + coalesce(json_extract(of_days, '$."' || date(day.key, '-1 day') || '"'), 0)
        - json_extract(of_one_more, '$."' || day.key || '"') AS "returning"
    FROM rolling, json_each(of_day) AS day, json_each(so_far) AS so_far
    WHERE so_far.key = day.key
)
SELECT
    date,
    users,
    new,
    "returning",
    users - new - "returning" AS resurrected,
    CASE
        WHEN partial THEN 'partial'
        WHEN (SELECT final_at FROM local_day WHERE local_day.date = counted.date)
            > strftime('%Y-%m-%dT%H:%M:%SZ', 'now') THEN 'provisional'
        ELSE 'final'
    END AS status
FROM counted
WHERE users > 0 AND date BETWEEN :since AND :until
ORDER BY date;
