-- Pipelines whose last run came to nothing, or goes on and on (a stream may)
-- param hours: 24: a run that has taken longer
SELECT pipeline, id AS run, status, started_at, message
FROM run
WHERE
    -- (a start that found another one running says nothing of that)
    id IN (SELECT max(id) FROM run WHERE coalesce(message, '') NOT LIKE 'skipped: %' GROUP BY pipeline)
    AND (
        status IN ('failed', 'aborted')
        OR (
            status = 'running'
            AND pipeline <> 'import-recent-changes'
            AND julianday(started_at) < julianday('now') - :hours / 24.0
        )
    )
ORDER BY pipeline;
