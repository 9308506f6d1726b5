-- Chats, e-mails, operators and visitors of each site, by local day
-- param site: : only this one
-- param since: 0000-01-01: the first day
-- param until: 9999-12-31: the last day
SELECT date, site_id, messages, emails, operators, visitors
FROM site_activity_by_day
WHERE :site IN ('', site_id) AND date BETWEEN :since AND :until
ORDER BY date, site_id;
