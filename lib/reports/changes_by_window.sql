-- Recent changes of each quarter of an hour (UTC), by wiki, type and bot
-- param minutes: 15: how long a window is
-- param since: 0000-01-01: from when on (UTC)
-- param until: 9999-12-31: until when (UTC)
-- param wiki: : only this one
WITH step AS (SELECT max(1, CAST(:minutes AS INTEGER)) * 60 AS seconds)
SELECT
    strftime('%Y-%m-%dT%H:%M:%SZ', timestamp / seconds * seconds, 'unixepoch') AS window_start,
    wiki,
    type,
    bot,
    count(*) AS changes
FROM recent_change_raw, step
WHERE
    timestamp >= CAST(strftime('%s', :since) AS INTEGER)
    AND timestamp < CAST(strftime('%s', :until) AS INTEGER)
    AND :wiki IN ('', wiki)
GROUP BY 1, 2, 3, 4
ORDER BY 1, 2, 3, 4;
