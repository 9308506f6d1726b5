-- Imports that kept none of the lines they read, or far fewer of them than the runs before
-- param times: 10: so many times fewer, for each line read, than the median of the runs before
-- param runs: 28: of so many of them
-- param fewest: 5: with fewer runs before, only those that kept none
-- param least: 10: let off a run that would usually have kept fewer
-- param days: 1: look at runs of so many days
WITH
-- The part of its lines, and not their number, is what a run is compared by: a first import reads
-- years and the next ones a day, and those of a stream last for as long as it likes. Lines known
-- before have been kept once. Runs that skipped all their files have no lines.
finished AS (
    SELECT
        id,
        pipeline,
        started_at,
        lines,
        kept,
        duplicate,
        1.0 * (kept + duplicate) / lines AS part,
        row_number() OVER (PARTITION BY pipeline ORDER BY id) AS place
    FROM run
    WHERE status = 'done' AND lines > 0 AND pipeline LIKE 'import-%'
),
recent AS (
    SELECT * FROM finished WHERE julianday(started_at) >= julianday('now') - :days
),
earlier AS (
    SELECT
        recent.id,
        finished.part,
        row_number() OVER (PARTITION BY recent.id ORDER BY finished.part) AS place,
        count(*) OVER (PARTITION BY recent.id) AS runs
    FROM recent
    JOIN finished
        ON finished.pipeline = recent.pipeline
        AND finished.place < recent.place
        AND finished.place >= recent.place - :runs
),
usual AS ( -- the median
    SELECT id, avg(part) AS part
    FROM earlier
    WHERE runs >= :fewest AND place IN ((runs + 1) / 2, (runs + 2) / 2)
    GROUP BY id
)
SELECT
    recent.id AS run,
    pipeline,
    started_at,
    lines,
    kept,
    duplicate,
    round(100 * recent.part, 2) AS percent,
    round(100 * usual.part, 2) AS usual_percent
FROM recent
LEFT JOIN usual ON usual.id = recent.id
WHERE
    coalesce(usual.part, 1) * lines >= :least
    AND (recent.part * :times < usual.part OR (usual.part IS NULL AND kept + duplicate = 0))
ORDER BY recent.id;
