-- The ten users with the most changes in each quarter of an hour (UTC)
-- param minutes: 15: how long a window is
-- param since: 0000-01-01: from when on (UTC)
-- param until: 9999-12-31: until when (UTC)
-- param bots: yes: no: leave bots out
WITH
step AS (SELECT max(1, CAST(:minutes AS INTEGER)) * 60 AS seconds),
counted AS (
    SELECT timestamp / seconds * seconds AS start, user, count(*) AS changes
    FROM recent_change_raw, step
    WHERE
        timestamp >= CAST(strftime('%s', :since) AS INTEGER)
        AND timestamp < CAST(strftime('%s', :until) AS INTEGER)
        AND user IS NOT NULL
        AND (:bots <> 'no' OR NOT bot)
    GROUP BY 1, 2
),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY start ORDER BY changes DESC, user) AS rank
    FROM counted
)
SELECT
    strftime('%Y-%m-%dT%H:%M:%SZ', start, 'unixepoch') AS window_start,
    rank,
    user,
    changes
FROM ranked
WHERE rank <= 10
ORDER BY start, rank;
