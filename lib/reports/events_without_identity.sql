-- Events that would count but have no user, by day, and where their share jumped: fewer users are counted there
-- param since: 0000-01-01: the first local day
-- param until: 9999-12-31: the last
-- param points: 5: a share jumps if it is so many percentage points off that of the seven days before
WITH day AS (
    SELECT
        date,
        sum(events) AS with_identity,
        sum(unidentified) AS without_identity,
        sum(refused) AS refused,
        100.0 * sum(unidentified) / max(sum(events) + sum(unidentified), 1) AS percent
    FROM identity_day
    GROUP BY date
),

beside AS (
    SELECT
        day.*,
        (
            SELECT 100.0 * sum(before.without_identity) / max(sum(before.with_identity + before.without_identity), 1)
            FROM day AS before
            WHERE before.date < day.date AND before.date >= date(day.date, '-7 days')
        ) AS usual_percent
    FROM day
)

SELECT
    date,
    with_identity,
    without_identity,
    refused,
    round(percent, 1) AS percent,
    round(usual_percent, 1) AS usual_percent,
    CASE WHEN abs(percent - usual_percent) >= CAST(:points AS REAL) THEN 'yes' ELSE '' END AS jumped
FROM beside
WHERE date BETWEEN :since AND :until
ORDER BY date;
