-- Lines that imports left out because they are to be left out, by reason
-- param since: 0000-01-01: the first day (UTC) of imports
SELECT run.id AS run, run.pipeline, run.started_at, run_filter.reason, run_filter.lines
FROM run_filter
JOIN run ON run.id = run_filter.run_id
WHERE run.started_at >= :since
ORDER BY run.id, run_filter.lines DESC, run_filter.reason;
