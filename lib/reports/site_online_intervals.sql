-- From when until when each site had an operator online (UTC; no end: it still is)
-- param site: : only this one
-- param since: 0000-01-01: only what ends after this day begins (UTC)
SELECT
    site_id,
    strftime('%Y-%m-%dT%H:%M:%SZ', online_from, 'unixepoch') AS online_from,
    strftime('%Y-%m-%dT%H:%M:%SZ', online_until, 'unixepoch') AS online_until,
    online_until - site_online_interval.online_from AS seconds
FROM site_online_interval
WHERE :site IN ('', site_id) AND (online_until IS NULL OR online_until > CAST(strftime('%s', :since) AS INTEGER))
ORDER BY site_id, site_online_interval.online_from;
