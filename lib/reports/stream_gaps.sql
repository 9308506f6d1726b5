-- Events that a stream should have brought and has not, by topic and partition
SELECT
    topic,
    partition,
    first_offset,
    last_offset,
    last_offset - first_offset + 1 AS events,
    near,
    noticed_at
FROM stream_gap
ORDER BY topic, partition, first_offset;
