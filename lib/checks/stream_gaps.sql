-- Events of the stream that have not come
-- param days: 7: gaps noticed in so many days
SELECT topic, partition, first_offset, last_offset, last_offset - first_offset + 1 AS missing, near, noticed_at
FROM stream_gap
WHERE julianday(noticed_at) >= julianday('now') - :days
ORDER BY topic, partition, first_offset;
