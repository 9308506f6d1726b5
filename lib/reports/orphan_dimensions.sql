-- Dimensions that events have and their tables have not
SELECT 'first' AS dimension, first_dimension_id AS dimension_id, count(*) AS events
FROM event
WHERE first_dimension_id NOT IN (SELECT id FROM first_dimension)
GROUP BY first_dimension_id
UNION ALL
SELECT 'second', second_dimension_id, count(*)
FROM event
WHERE second_dimension_id NOT IN (SELECT id FROM second_dimension)
GROUP BY second_dimension_id
ORDER BY dimension, events DESC, dimension_id;
