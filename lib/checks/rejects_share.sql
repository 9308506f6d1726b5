-- Runs that have rejected many of their lines
-- param percent: 1: more than this part
-- param days: 1: look at runs of so many days
SELECT id AS run, pipeline, started_at, lines, rejected, round(100.0 * rejected / lines, 2) AS percent
FROM run
WHERE
    julianday(started_at) >= julianday('now') - :days
    AND rejected * 100.0 > lines * :percent
ORDER BY id;
