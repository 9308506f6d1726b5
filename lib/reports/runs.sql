-- Imports, the latest last, and where their lines went
-- param last: 20: how many
SELECT * FROM (
    SELECT
        id AS run,
        pipeline,
        status,
        started_at,
        ended_at,
        (SELECT count(*) FROM run_input WHERE run_id = run.id AND run_input.status = 'read') AS inputs,
        (SELECT count(*) FROM run_input WHERE run_id = run.id AND run_input.status = 'skipped') AS skipped,
        lines,
        kept,
        filtered,
        duplicate,
        rejected,
        unidentified,
        message
    FROM run
    ORDER BY id DESC
    LIMIT CAST(:last AS INTEGER)
)
ORDER BY run;
