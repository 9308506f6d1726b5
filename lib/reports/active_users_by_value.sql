-- Active users of each local day by the values of a field that imports break down --by; they do not add up
-- param by: : the field; without one, the first by name
-- param value: : one of its values; without one, all
-- param since: 0000-01-01: the first day
-- param until: 9999-12-31: the last day
-- param most: 1000: so many values, those with the most users of all these days
WITH
asked AS (SELECT coalesce(nullif(:by, ''), min(field)) AS field FROM dimension),
counted AS (
    SELECT date, dimension AS field, value, active_user_count AS users
    FROM active_users_by
    JOIN asked ON dimension = field
    WHERE date BETWEEN :since AND :until AND (:value = '' OR value = :value)
),
shown AS (
    SELECT value
    FROM counted
    GROUP BY value
    ORDER BY sum(users) DESC, value
    LIMIT max(1, CAST(:most AS INTEGER))
)
SELECT date, field, value, users, round(100.0 * users / active_user_count, 1) AS percent
FROM counted
JOIN active_user_table USING (date)
WHERE value IN (SELECT value FROM shown)
ORDER BY date, users DESC, value;
