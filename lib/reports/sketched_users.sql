-- Active users of each local day, or of the days that end with it, by sketches; beside them the exact count
-- param since: 0000-01-01: the first day
-- param until: 9999-12-31: the last day
-- param window: 1: how many days end with the date: 7 for WAU, 28 or 30 for MAU
-- param definition: : of active; without one, that of active_user_table
-- chart: date estimate: Active users of each local day, about
-- title window: {window}-day active users (rolling), about
WITH
asked AS (
    SELECT coalesce(nullif(:definition, ''), substr(value, 1, instr(value || ',', ',') - 1)) AS definition
    FROM setting
    WHERE name = 'definition'
),
day AS MATERIALIZED (
    SELECT date, date(date, (1 - max(1, CAST(:window AS INTEGER))) || ' days') AS since, sketch
    FROM active_day_sketch
    WHERE definition = (SELECT definition FROM asked)
),
exact AS MATERIALIZED (
    SELECT date, users FROM v_active_day WHERE definition = (SELECT definition FROM asked)
),
counted AS MATERIALIZED (
    SELECT
        date,
        (SELECT sketch_or(back.sketch) FROM day AS back WHERE back.date BETWEEN day.since AND day.date) AS sketch,
        (SELECT bitmap_count(bitmap_or(users)) FROM exact WHERE exact.date BETWEEN day.since AND day.date) AS users
    FROM day
    WHERE date BETWEEN :since AND :until
)
SELECT
    date,
    CAST(round(sketch_count(sketch)) AS INTEGER) AS estimate,
    CAST(round(sketch_low(sketch)) AS INTEGER) AS low,
    CAST(round(sketch_high(sketch)) AS INTEGER) AS high,
    nullif(users, 0) AS exact,
    round(100.0 * (sketch_count(sketch) - users) / nullif(users, 0), 2) AS percent_off
FROM counted
ORDER BY date;
