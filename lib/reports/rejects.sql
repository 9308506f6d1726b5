-- Rejected lines of each import, by reason
-- param since: 0000-01-01: the first day (UTC) of imports
SELECT
    run.id AS run,
    run.started_at,
    run_reject.reason,
    run_reject.rejects,
    round(100.0 * run_reject.rejects / run.lines, 3) AS percent_of_lines
FROM run_reject
JOIN run ON run.id = run_reject.run_id
WHERE run.started_at >= :since
ORDER BY run.id, run_reject.rejects DESC, run_reject.reason;
