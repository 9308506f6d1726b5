-- Days that differ from what is usual for their weekday, but for the newest; and what explains most of it
-- param days: 35: look at so many days before the newest
-- param percent: 15: let off what is less than this from the usual
-- param spreads: 4: let off what is less than so many times the usual spread
-- param least: 100: let off what is usually less
-- What is usual: of the same weekday in the eight weeks before, the median, each carried on by the growth (Theil and
-- Sen's: the median of the change a week between any two of them), once there are five; the spread is 1.4826 times the median distance from it. Days in the table
-- holiday are neither looked at nor usual.
WITH RECURSIVE
week (k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM week WHERE k < 8),
number (pipeline, field, value, date, count) AS (
    SELECT 'active users', '', '', date, active_user_count FROM active_user_table
    UNION ALL
    SELECT 'active users', dimension, value, date, active_user_count FROM active_users_by
    UNION ALL
    SELECT 'site activity', '', '', date, sum(messages + emails) FROM site_activity_by_day GROUP BY date
),
known AS MATERIALIZED (
    SELECT * FROM number WHERE NOT EXISTS (SELECT 1 FROM holiday WHERE holiday.date = number.date)
),
newest AS MATERIALIZED (SELECT pipeline, max(date) AS last FROM known WHERE field = '' GROUP BY pipeline),
-- a value that had nobody on a day is a count of none, as long as the day has others
day AS (
    SELECT series.pipeline, series.field, series.value, known.date
    FROM (
        SELECT pipeline, field, value FROM known
        GROUP BY pipeline, field, value HAVING field = '' OR max(count) >= :least
    ) AS series
    JOIN known ON known.pipeline = series.pipeline AND known.field = ''
    JOIN newest ON newest.pipeline = series.pipeline
    WHERE known.date < last AND julianday(known.date) >= julianday(last) - :days
),
counted AS (
    SELECT day.*, coalesce(known.count, 0) AS count
    FROM day
    LEFT JOIN known USING (pipeline, field, value, date)
),
past AS (
    SELECT
        counted.*,
        k,
        coalesce(earlier.count, 0) AS was
    FROM counted
    JOIN week
    JOIN known AS whole
        ON whole.pipeline = counted.pipeline AND whole.field = '' AND whole.date = date(counted.date, (-7 * k) || ' days')
    LEFT JOIN known AS earlier
        ON earlier.pipeline = counted.pipeline
        AND earlier.field = counted.field
        AND earlier.value = counted.value
        AND earlier.date = whole.date
),
changes AS (
    SELECT pipeline, field, value, date, (past.was - older.was) * 1.0 / (older.k - past.k) AS change
    FROM past
    JOIN past AS older USING (pipeline, field, value, date)
    WHERE past.k < older.k
),
ranked_changes AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY pipeline, field, value, date ORDER BY change) AS place,
        count(*) OVER (PARTITION BY pipeline, field, value, date) AS places
    FROM changes
),
slope AS (
    SELECT pipeline, field, value, date, CASE WHEN places >= 10 THEN avg(change) ELSE 0 END AS change, places
    FROM ranked_changes
    WHERE place IN ((places + 1) / 2, (places + 2) / 2)
    GROUP BY pipeline, field, value, date
),
levels AS (
    SELECT past.*, was + k * slope.change AS level
    FROM past
    JOIN slope USING (pipeline, field, value, date)
    WHERE places >= 3 -- pairs: of three weeks
),
ranked_levels AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY pipeline, field, value, date ORDER BY level) AS place,
        count(*) OVER (PARTITION BY pipeline, field, value, date) AS places
    FROM levels
),
middle AS (
    SELECT pipeline, field, value, date, count, max(0, avg(level)) AS usual
    FROM ranked_levels
    WHERE place IN ((places + 1) / 2, (places + 2) / 2)
    GROUP BY pipeline, field, value, date
),
distances AS (
    SELECT
        middle.*,
        abs(level - usual) AS distance,
        row_number() OVER (PARTITION BY pipeline, field, value, date ORDER BY abs(level - usual)) AS place,
        count(*) OVER (PARTITION BY pipeline, field, value, date) AS places
    FROM levels
    JOIN middle USING (pipeline, field, value, date)
),
expected AS MATERIALIZED (
    SELECT pipeline, field, value, date, count, usual, 1.4826 * avg(distance) AS spread
    FROM distances
    WHERE place IN ((places + 1) / 2, (places + 2) / 2)
    GROUP BY pipeline, field, value, date
),
outside AS (
    SELECT *
    FROM expected
    WHERE
        usual >= :least
        AND abs(count - usual) > usual * :percent / 100.0
        AND abs(count - usual) > spread * :spreads
        -- as many as come by chance, where few come
        AND abs(count - usual) * abs(count - usual) > 16 * usual
),
explained AS (
    SELECT
        whole.pipeline,
        whole.date,
        part.field || ' ' || part.value AS what,
        round(100.0 * (part.count - part.usual) / (whole.count - whole.usual)) AS percent,
        row_number() OVER (
            PARTITION BY whole.pipeline, whole.date
            ORDER BY (part.count - part.usual) / (whole.count - whole.usual) DESC
        ) AS place
    FROM outside AS whole
    JOIN expected AS part
        ON part.pipeline = whole.pipeline AND part.date = whole.date AND part.field <> '' AND whole.field = ''
)
SELECT
    outside.pipeline,
    trim(field || ' ' || value) AS of,
    outside.date,
    count,
    CAST(round(usual) AS INTEGER) AS usual,
    printf('%+d %%', round(100.0 * (count - usual) / usual)) AS change,
    CASE WHEN percent >= 50 THEN what || ' explains ' || CAST(percent AS INTEGER) || ' % of it' END AS because
FROM outside
LEFT JOIN explained
    ON explained.pipeline = outside.pipeline AND explained.date = outside.date AND place = 1 AND field = ''
ORDER BY outside.pipeline, outside.date, field, value;
