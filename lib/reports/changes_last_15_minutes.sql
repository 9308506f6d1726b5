-- Recent changes of the last quarter of an hour before now, by wiki
-- param now: now: another instant (UTC)
-- chart: wiki changes: Changes in the last 15 minutes
SELECT wiki, count(*) AS changes, sum(bot) AS by_bots, count(DISTINCT user) AS users
FROM recent_change_raw
WHERE
    timestamp > CAST(strftime('%s', :now) AS INTEGER) - 900
    AND timestamp <= CAST(strftime('%s', :now) AS INTEGER)
GROUP BY wiki
ORDER BY changes DESC, wiki;
