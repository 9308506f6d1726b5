-- The pages with the most changes
-- param since: 0000-01-01: from when on (UTC)
-- param until: 9999-12-31: until when (UTC)
-- param bots: yes: no: leave bots out
-- param last: 20: how many
SELECT
    wiki,
    json_extract(event, '$.title') AS title,
    count(*) AS changes,
    count(DISTINCT user) AS users,
    json_extract(event, '$.meta.uri') AS page
FROM recent_change_raw
WHERE
    timestamp >= CAST(strftime('%s', :since) AS INTEGER)
    AND timestamp < CAST(strftime('%s', :until) AS INTEGER)
    AND (:bots <> 'no' OR NOT bot)
    AND title IS NOT NULL
GROUP BY wiki, title
ORDER BY changes DESC, wiki, title
LIMIT CAST(:last AS INTEGER);
