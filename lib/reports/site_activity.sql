-- Chats (messages to a site that was online), e-mails, operators and visitors of each site
-- chart: site_id messages: Chats of each site
SELECT site_id, messages, emails, operators, visitors
FROM site_activity
ORDER BY site_id;
