-- Sums that differ from those of the ledger (rows changed or deleted by hand, say)
WITH latest AS (
    SELECT date, active_user_count, max(run_id) FROM active_user_history GROUP BY date
),
erased AS ( -- by forget-user
    SELECT reason, sum(lines) AS lines FROM run_filter WHERE reason LIKE 'erased %' GROUP BY reason
)
SELECT 'rejects of run ' || id AS what, rejected AS in_ledger, coalesce(sum(rejects), 0) AS found
FROM run
LEFT JOIN run_reject ON run_id = id
WHERE status = 'done'
GROUP BY id
HAVING rejected <> coalesce(sum(rejects), 0)
UNION ALL
SELECT 'lines of the inputs of run ' || id, run.lines, sum(run_input.lines)
FROM run
JOIN run_input ON run_id = id AND run_input.status = 'read'
WHERE run.status = 'done'
GROUP BY id
HAVING count(run_input.lines) = count(*) AND run.lines <> sum(run_input.lines)
UNION ALL
SELECT 'active users of ' || date, latest.active_user_count, published.active_user_count
FROM active_user_table AS published
LEFT JOIN latest USING (date)
WHERE latest.active_user_count IS NOT published.active_user_count
UNION ALL
SELECT 'active users of ' || date, latest.active_user_count, NULL
FROM latest
WHERE active_user_count > 0 AND date NOT IN (SELECT date FROM active_user_table)
UNION ALL
SELECT 'chat lines', kept, found
FROM (
    SELECT coalesce(sum(kept), 0)
        - coalesce((SELECT erased.lines FROM erased WHERE reason = 'erased chat lines'), 0) AS kept
    FROM run WHERE pipeline = 'import-site-activity'
)
JOIN (SELECT coalesce(sum(lines), 0) AS found FROM chat_lines) ON kept <> found
UNION ALL
SELECT 'messages of site ' || site_id, site.messages + site.emails, sum(day.messages + day.emails)
FROM site_activity AS site
LEFT JOIN site_activity_by_day AS day USING (site_id)
GROUP BY site_id
HAVING site.messages + site.emails <> coalesce(sum(day.messages + day.emails), 0)
UNION ALL
SELECT 'recent changes', kept, found
FROM (
    SELECT coalesce(sum(kept), 0)
        - coalesce((SELECT erased.lines FROM erased WHERE reason = 'erased recent changes'), 0) AS kept
    FROM run WHERE pipeline = 'import-recent-changes'
)
JOIN (SELECT count(*) AS found FROM recent_change_raw) ON kept <> found
UNION ALL -- of the others, a row may be kept more than once: as often as it changes
SELECT 'comments, posts and pages', kept, found
FROM (SELECT coalesce(sum(kept), 0) AS kept FROM run WHERE pipeline = 'import-comments')
JOIN (
    SELECT
        (SELECT count(*) FROM page) + (SELECT count(*) FROM post) + (SELECT count(*) FROM comment)
        + (SELECT count(*) FROM post_meta) AS found
) ON kept < found
UNION ALL
SELECT 'events and dimensions', kept, found
FROM (SELECT coalesce(sum(kept), 0) AS kept FROM run WHERE pipeline = 'import-event-metrics')
JOIN (
    SELECT
        (SELECT count(*) FROM event) + (SELECT count(*) FROM first_dimension)
        + (SELECT count(*) FROM second_dimension) AS found
) ON kept < found;
