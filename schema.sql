-- The whole schema of a Headcount database; it may be run again on one that exists.
--
-- active_user_table is what one queries. It is derived: the truth is active_day, the set of users
-- of each local day, so that a re-run, an overlap or a late event can count nobody twice.

PRAGMA user_version = 11; -- of this schema

CREATE TABLE IF NOT EXISTS active_user_table (
    date              DATE PRIMARY KEY NOT NULL CHECK (date IS strftime('%Y-%m-%d', date)),
    active_user_count INTEGER NOT NULL CHECK (typeof(active_user_count) = 'integer' AND active_user_count >= 0)
);

-- The other properties (apps) of the database: each has tables of its own, as p1_active_day for the one
-- whose id is 1, and those of the default one have the plain names.
CREATE TABLE IF NOT EXISTS property (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

-- The counts of all properties, derived with each active_user_table.
CREATE TABLE IF NOT EXISTS active_users_by_property (
    property          TEXT NOT NULL,
    date              DATE NOT NULL,
    active_user_count INTEGER NOT NULL,
    PRIMARY KEY (property, date)
);

-- The ledger: every import, with where its lines went.
CREATE TABLE IF NOT EXISTS run (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    pipeline     TEXT NOT NULL,
    version      TEXT NOT NULL,
    zone_rules   TEXT NOT NULL, -- release of the time zone database
    status       TEXT NOT NULL CHECK (status IN ('running', 'done', 'failed', 'aborted')),
    started_at   TEXT NOT NULL, -- UTC
    ended_at     TEXT,
    lines        INTEGER,
    kept         INTEGER,
    filtered     INTEGER,
    duplicate    INTEGER,
    rejected     INTEGER, -- unidentified ones included
    unidentified INTEGER,
    message      TEXT,
    CHECK (status <> 'done' OR lines = kept + filtered + duplicate + rejected)
);

-- The dictionary of users: a small number for each key of the export.
CREATE TABLE IF NOT EXISTS user (
    id  INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE
);

-- Every value that a published day ever had, and the run that set it.
CREATE TABLE IF NOT EXISTS active_user_history (
    date              DATE NOT NULL,
    run_id            INTEGER NOT NULL REFERENCES run (id),
    active_user_count INTEGER NOT NULL,
    status            TEXT NOT NULL CHECK (status IN ('provisional', 'final')), -- of the day, then
    changed_at        TEXT NOT NULL, -- UTC
    reason            TEXT, -- login (a device became a person's) or correction (a table came again)
    PRIMARY KEY (date, run_id)
);

-- A local day that has been counted, and when it is final: 72 hours after the midnight that ends it.
CREATE TABLE IF NOT EXISTS local_day (
    date     DATE PRIMARY KEY NOT NULL,
    final_at TEXT NOT NULL -- UTC
);

-- The users of a local day who gave a signal of being active: engaged, valuable, or both in one
-- event; and those that other definitions ask for. users is a Roaring bitmap of user.id, in the
-- portable serialisation (https://github.com/RoaringBitmap/RoaringFormatSpec).
CREATE TABLE IF NOT EXISTS active_day (
    date   DATE NOT NULL,
    signal TEXT NOT NULL CHECK (
        signal IN (
            'engaged', 'valuable', 'engaged,valuable', 'ga4-event', 'google-n-day', 'summed', 'engaged-session',
            'any-event', 'ga4-flag', 'ga4-not-active', 'engaged-before'
        )
    ),
    users  BLOB NOT NULL,
    PRIMARY KEY (date, signal)
);

-- The fields by whose values users are counted, too.
CREATE TABLE IF NOT EXISTS dimension (
    field     TEXT PRIMARY KEY NOT NULL, -- its dotted path
    since_run INTEGER NOT NULL REFERENCES run (id),
    since     DATE -- the first local day with values; from then on, users without one are (unknown)
);

-- The users of a local day and a signal whose event had a value: (none) where it had none, (other) for the
-- values beyond --max-values.
CREATE TABLE IF NOT EXISTS active_day_by (
    date      DATE NOT NULL,
    signal    TEXT NOT NULL,
    dimension TEXT NOT NULL REFERENCES dimension (field),
    value     TEXT NOT NULL,
    users     BLOB NOT NULL, -- as those of active_day
    PRIMARY KEY (date, dimension, value, signal)
);

CREATE INDEX IF NOT EXISTS active_day_by_value ON active_day_by (dimension, value);

-- Derived from these: who is active, by each value. A user may have several; (unknown) are those whose events
-- came without the breakdown.
CREATE TABLE IF NOT EXISTS active_users_by (
    date              DATE NOT NULL,
    dimension         TEXT NOT NULL,
    value             TEXT NOT NULL,
    active_user_count INTEGER NOT NULL,
    PRIMARY KEY (date, dimension, value)
);

CREATE INDEX IF NOT EXISTS active_users_by_value ON active_users_by (dimension, value);

-- Every count that a value of a day ever had, and the run that set it.
CREATE TABLE IF NOT EXISTS active_users_by_history (
    date              DATE NOT NULL,
    dimension         TEXT NOT NULL,
    value             TEXT NOT NULL,
    run_id            INTEGER NOT NULL REFERENCES run (id),
    active_user_count INTEGER NOT NULL,
    changed_at        TEXT NOT NULL, -- UTC
    PRIMARY KEY (dimension, value, date, run_id)
);

-- The values that have gone to (other). They stay there, for a part of their users is not told apart.
CREATE TABLE IF NOT EXISTS value_in_other (
    dimension TEXT NOT NULL,
    value     TEXT NOT NULL,
    PRIMARY KEY (dimension, value)
) WITHOUT ROWID;

-- How many values of a field a run has put into (other).
CREATE TABLE IF NOT EXISTS run_dimension (
    run_id   INTEGER NOT NULL REFERENCES run (id),
    field    TEXT NOT NULL,
    in_other INTEGER NOT NULL,
    PRIMARY KEY (run_id, field)
);

-- Days that are not like others, which check-data unusual_days leaves out: upsert-rows holiday fills it.
CREATE TABLE IF NOT EXISTS holiday (
    date DATE PRIMARY KEY NOT NULL CHECK (date IS strftime('%Y-%m-%d', date)),
    name TEXT
);

-- Engagements that do not add up, so far, to enough for the signal summed.
CREATE TABLE IF NOT EXISTS pending_engagement (
    date      DATE NOT NULL,
    user_id   INTEGER NOT NULL REFERENCES user (id),
    event     TEXT NOT NULL, -- event_timestamp, and :ordering:page:index of a batch: one for all copies
    origin_id INTEGER NOT NULL DEFAULT 0, -- which origin brought it; 0 if that is not told apart
    msec      TEXT NOT NULL, -- exact
    PRIMARY KEY (date, user_id, event, origin_id)
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS pending_engagement_by_origin ON pending_engagement (origin_id) WHERE origin_id > 0;

-- Sessions, what is of them on each local day: for engaged-session, and ga4-active.
CREATE TABLE IF NOT EXISTS pending_session (
    user_id     INTEGER NOT NULL REFERENCES user (id), -- the device
    session     INTEGER NOT NULL, -- ga_session_id
    date        DATE NOT NULL,
    origin_id   INTEGER NOT NULL DEFAULT 0, -- as that of pending_engagement
    first_event INTEGER NOT NULL, -- microseconds since 1970, UTC
    last_event  INTEGER NOT NULL,
    first_view  TEXT, -- two views that differ, as pending_engagement.event tells them
    last_view   TEXT,
    is_key      INTEGER NOT NULL DEFAULT 0, -- whether it has a key event
    owner_event TEXT, -- the last event of a user who is not the device, and that user
    owner_id    INTEGER REFERENCES user (id),
    PRIMARY KEY (user_id, session, date, origin_id)
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS pending_session_by_date ON pending_session (date);

CREATE INDEX IF NOT EXISTS pending_session_by_origin ON pending_session (origin_id) WHERE origin_id > 0;

-- Where events came from: the shards of export tables (events_20240310/000000000000), and files.
CREATE TABLE IF NOT EXISTS origin (
    id    INTEGER PRIMARY KEY,
    name  TEXT NOT NULL UNIQUE,
    path  TEXT NOT NULL, -- when it came last
    until TEXT -- UTC: until when what it said of logins is told apart; null afterwards
);

CREATE INDEX IF NOT EXISTS origin_by_until ON origin (until) WHERE until IS NOT NULL;

-- The local days whose sets are kept by origin, for a table may still be corrected; and until when.
CREATE TABLE IF NOT EXISTS corrigible_day (
    date  DATE PRIMARY KEY NOT NULL,
    until TEXT NOT NULL -- UTC
);

-- What each origin brought to such a day: active_day is the union, and what follows from all together.
CREATE TABLE IF NOT EXISTS active_day_by_origin (
    date      DATE NOT NULL,
    signal    TEXT NOT NULL,
    origin_id INTEGER NOT NULL, -- 0 for what is not told apart
    users     BLOB NOT NULL,
    PRIMARY KEY (date, signal, origin_id)
);

CREATE INDEX IF NOT EXISTS active_day_by_origin_by_origin ON active_day_by_origin (origin_id) WHERE origin_id > 0;

-- The events of a local day that count, or would if they had a user: how many have one, have none, and say
-- that consent was refused (privacy_info); what a table or file brought when it came last.
CREATE TABLE IF NOT EXISTS identity_day (
    date         DATE NOT NULL,
    origin_id    INTEGER NOT NULL, -- 0: all that came by streams, each time
    events       INTEGER NOT NULL,
    unidentified INTEGER NOT NULL,
    refused      INTEGER NOT NULL,
    PRIMARY KEY (date, origin_id)
);

CREATE INDEX IF NOT EXISTS identity_day_by_origin ON identity_day (origin_id);

-- With --identity stitched: the devices that were seen with a login, and who it was of.
CREATE TABLE IF NOT EXISTS person (
    id  INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE -- user_id
);

CREATE TABLE IF NOT EXISTS login (
    device_id INTEGER NOT NULL REFERENCES user (id),
    person_id INTEGER NOT NULL REFERENCES person (id),
    origin_id INTEGER NOT NULL, -- as that of pending_engagement
    PRIMARY KEY (device_id, person_id, origin_id)
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS login_by_origin ON login (origin_id) WHERE origin_id > 0;

-- Derived from these: devices of a person who has several, and the one that stands for all of them. Two
-- arrays of user.id, 32 bits each, in one row.
CREATE TABLE IF NOT EXISTS stitching (
    devices BLOB NOT NULL,
    users   BLOB NOT NULL
);

-- Sketches of who is active on a local day by a definition, for those who may keep no ids, or want to
-- merge them elsewhere: HyperLogLog of Apache DataSketches, 2^14 registers.
CREATE TABLE IF NOT EXISTS active_day_sketch (
    date       DATE NOT NULL,
    definition TEXT NOT NULL,
    sketch     BLOB NOT NULL,
    PRIMARY KEY (date, definition)
);

-- The counts by the other definitions that the database keeps: every value that a day ever had.
CREATE TABLE IF NOT EXISTS definition_history (
    date              DATE NOT NULL,
    definition        TEXT NOT NULL,
    run_id            INTEGER NOT NULL REFERENCES run (id),
    active_user_count INTEGER NOT NULL,
    changed_at        TEXT NOT NULL, -- UTC
    PRIMARY KEY (date, definition, run_id)
);

-- What the numbers of this database mean: time zone, definition, user rule. One database, one meaning.
CREATE TABLE IF NOT EXISTS setting (
    name  TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
);

-- The counts of each local day by each definition that the database keeps.
CREATE VIEW IF NOT EXISTS active_users_by_definition AS
SELECT
    date,
    substr(value, 1, instr(value || ',', ',') - 1) AS definition,
    active_user_count
FROM active_user_table
JOIN setting ON setting.name = 'definition'
UNION ALL
SELECT date, definition, active_user_count
FROM definition_history AS history
WHERE
    active_user_count > 0
    AND run_id = (
        SELECT max(run_id)
        FROM definition_history
        WHERE definition_history.date = history.date AND definition_history.definition = history.definition
    );

-- Databases of earlier versions know no pseudonyms, key events and sketches.
INSERT INTO setting SELECT 'pseudonym-key', '' FROM setting WHERE name = 'tz' ON CONFLICT DO NOTHING;
INSERT INTO setting SELECT 'key-events', '' FROM setting WHERE name = 'tz' ON CONFLICT DO NOTHING;
INSERT INTO setting SELECT 'sketch', '' FROM setting WHERE name = 'tz' ON CONFLICT DO NOTHING;

-- Until schema version 9, summed did not heed what the web says of engagement, sessions ended at midnight, and
-- ga4-active did not know is_active_user: counts of earlier runs may follow those rules.
INSERT INTO setting
SELECT 'rules.since-run', (SELECT '' || (coalesce(max(id), 0) + 1) FROM run)
FROM setting
WHERE name = 'tz' AND NOT EXISTS (SELECT 1 FROM setting WHERE name = 'identity')
ON CONFLICT DO NOTHING;
INSERT INTO setting SELECT 'identity', 'user' FROM setting WHERE name = 'tz' ON CONFLICT DO NOTHING;

-- Databases of earlier versions have one property.
INSERT INTO active_users_by_property
SELECT 'default', date, active_user_count
FROM active_user_table
WHERE true
ON CONFLICT DO NOTHING;

-- The properties that a run brought; and the field of --property-by.
CREATE TABLE IF NOT EXISTS run_property (
    run_id   INTEGER NOT NULL REFERENCES run (id),
    property TEXT NOT NULL,
    field    TEXT,
    PRIMARY KEY (run_id, property)
);

-- The inputs of a run.
CREATE TABLE IF NOT EXISTS run_input (
    run_id      INTEGER NOT NULL REFERENCES run (id),
    path        TEXT NOT NULL,
    status      TEXT NOT NULL CHECK (status IN ('read', 'skipped')),
    size        INTEGER, -- bytes on disk
    fingerprint TEXT,    -- what tells that the file is the very same; null for a pipe
    lines       INTEGER,
    PRIMARY KEY (run_id, path)
);

CREATE INDEX IF NOT EXISTS run_input_by_fingerprint ON run_input (fingerprint);

-- Its rejects, by reason.
CREATE TABLE IF NOT EXISTS run_reject (
    run_id  INTEGER NOT NULL REFERENCES run (id),
    reason  TEXT NOT NULL,
    rejects INTEGER NOT NULL,
    PRIMARY KEY (run_id, reason)
);

-- The lines that a run left out because they are to be left out, by reason.
CREATE TABLE IF NOT EXISTS run_filter (
    run_id INTEGER NOT NULL REFERENCES run (id),
    reason TEXT NOT NULL,
    lines  INTEGER NOT NULL,
    PRIMARY KEY (run_id, reason)
);

-- Each start of a command of the crontab, by run-job.
CREATE TABLE IF NOT EXISTS job_run (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    job        TEXT NOT NULL,
    command    TEXT NOT NULL,
    every      REAL,          -- seconds: how often it should run; null where nobody says
    status     TEXT NOT NULL CHECK (status IN ('running', 'done', 'failed', 'aborted')),
    exit       INTEGER,
    started_at TEXT NOT NULL, -- UTC
    ended_at   TEXT,
    seconds    REAL,
    attempts   INTEGER,
    message    TEXT           -- the last lines that the command wrote to stderr
);

CREATE INDEX IF NOT EXISTS job_run_by_job ON job_run (job, id);

-- Who was erased: under a random name, when and how. Of lifted ones, when and why they may come back.
CREATE TABLE IF NOT EXISTS erasure (
    name      TEXT PRIMARY KEY NOT NULL, -- stands where others mentioned them
    mode      TEXT NOT NULL CHECK (mode IN ('keep', 'recount')),
    key_id    TEXT NOT NULL, -- tells keys of hashes apart
    erased_at TEXT NOT NULL, -- UTC
    lifted_at TEXT, -- UTC
    reason    TEXT
);

-- What imports know them by: hashes of their ids under a key that is not in the database, and the random
-- name in the place of each; null where nothing is to be counted. headcount.db.tombstones has the kinds.
CREATE TABLE IF NOT EXISTS tombstone (
    erasure TEXT NOT NULL REFERENCES erasure (name),
    kind    TEXT NOT NULL,
    hash    TEXT NOT NULL,
    name    TEXT,
    PRIMARY KEY (erasure, kind, hash)
) WITHOUT ROWID;

-- How far a pipeline has read a file that it reads bit by bit: whole lines, and the bytes they take.
CREATE TABLE IF NOT EXISTS input_mark (
    pipeline    TEXT NOT NULL,
    device      INTEGER NOT NULL,
    inode       INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,
    lines       INTEGER NOT NULL,
    fingerprint TEXT NOT NULL, -- of the first and the last of these bytes: another file has another
    PRIMARY KEY (pipeline, device, inode)
);

-- Site activity, for queries: derived from chat_lines, at the end of each import.
CREATE TABLE IF NOT EXISTS site_activity (
    site_id   TEXT PRIMARY KEY NOT NULL,
    messages  INTEGER NOT NULL, -- to the site while it was online
    emails    INTEGER NOT NULL, -- the other messages
    operators INTEGER NOT NULL,
    visitors  INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS site_activity_by_day (
    date      DATE NOT NULL, -- local
    site_id   TEXT NOT NULL,
    messages  INTEGER NOT NULL,
    emails    INTEGER NOT NULL,
    operators INTEGER NOT NULL, -- with a status that day
    visitors  INTEGER NOT NULL,
    PRIMARY KEY (site_id, date)
);

CREATE TABLE IF NOT EXISTS site_online_interval (
    site_id      TEXT NOT NULL,
    online_from  INTEGER NOT NULL, -- seconds since 1970, UTC
    online_until INTEGER,          -- null while nothing is known of an end
    PRIMARY KEY (site_id, online_from)
) WITHOUT ROWID;

-- Every chat line once, by its id: some lines in each row, sorted by a hash of the id.
-- headcount.pipelines.site_activity.line_store says how they are packed.
CREATE TABLE IF NOT EXISTS chat_lines (
    id      INTEGER PRIMARY KEY,
    lines   INTEGER NOT NULL,
    hashes  BLOB NOT NULL,
    columns BLOB NOT NULL
);

CREATE TABLE IF NOT EXISTS chat_site (
    id        INTEGER PRIMARY KEY,
    key       TEXT NOT NULL UNIQUE,
    stale     INTEGER NOT NULL DEFAULT 0, -- its parts are to be made anew from chat_lines
    operators BLOB, -- of all days, as bitmaps
    visitors  BLOB
);

-- The lines of a site on a local day, as far as counting needs them; one more part for each
-- transaction that brought some, until there are many. names are Roaring bitmaps of chat_name.id.
CREATE TABLE IF NOT EXISTS chat_part (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    site      INTEGER NOT NULL REFERENCES chat_site (id),
    date      DATE NOT NULL,
    since     INTEGER,          -- the first message, in seconds since the year 2
    until     INTEGER,          -- the last one
    operators BLOB,
    statuses  BLOB,
    visitors  BLOB,
    messages  BLOB -- when
);

CREATE INDEX IF NOT EXISTS chat_part_of_day ON chat_part (site, date);

-- The last part that the tables for queries have; one row, or none.
CREATE TABLE IF NOT EXISTS chat_published (
    part INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS chat_name (
    id  INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE
);

-- Recent changes: every event once, by its meta.id, whole, and beside it what one filters by.
-- (An index on ids, which are random, would have a page of it written with every row: so that is
-- recent_change_id, which follows up to a hundred thousand rows behind.)
CREATE TABLE IF NOT EXISTS recent_change_raw (
    pk         INTEGER PRIMARY KEY,
    id         TEXT NOT NULL,
    timestamp  INTEGER NOT NULL, -- seconds since 1970, UTC: when it happened
    wiki       TEXT NOT NULL,
    type       TEXT NOT NULL,
    bot        INTEGER NOT NULL CHECK (bot IN (0, 1)),
    user       TEXT,
    created_at TEXT NOT NULL, -- UTC: when it came
    event      TEXT NOT NULL  -- the JSON as it came
);

CREATE INDEX IF NOT EXISTS recent_change_by_time ON recent_change_raw (timestamp, wiki, type, bot, user);

-- The ids of all rows but the newest, to know an event that comes again.
CREATE TABLE IF NOT EXISTS recent_change_id (
    id TEXT PRIMARY KEY NOT NULL,
    pk INTEGER NOT NULL
) WITHOUT ROWID;

-- The last row whose id is in recent_change_id; one row, or none.
CREATE TABLE IF NOT EXISTS recent_change_indexed (
    pk INTEGER NOT NULL
);

CREATE VIEW IF NOT EXISTS v_recent_change AS
SELECT
    pk,
    id,
    bot,
    json_extract(event, '$.server_name') AS server_name,
    json_extract(event, '$.server_url') AS server_url,
    strftime('%Y-%m-%dT%H:%M:%SZ', timestamp, 'unixepoch') AS edit_ts, -- UTC
    json_extract(event, '$.title') AS title,
    type AS edit_type,
    user AS username,
    wiki,
    created_at
FROM recent_change_raw;

-- The words of titles and comments, for full-text search: SELECT pk FROM recent_change_search
-- WHERE recent_change_search MATCH 'word'. It follows the table when the stream leaves time.
CREATE VIEW IF NOT EXISTS recent_change_text AS
SELECT pk, json_extract(event, '$.title') AS title, json_extract(event, '$.comment') AS comment
FROM recent_change_raw;

CREATE VIRTUAL TABLE IF NOT EXISTS recent_change_search USING fts5 (
    title, comment, content = recent_change_text, content_rowid = pk
);

-- Up to where a stream has been read: what its server wants to hear to go on behind it.
CREATE TABLE IF NOT EXISTS stream_position (
    url           TEXT PRIMARY KEY NOT NULL,
    last_event_id TEXT NOT NULL,
    updated_at    TEXT NOT NULL -- UTC
);

-- The offsets that were seen in each part of a stream, and those between them that were not.
CREATE TABLE IF NOT EXISTS stream_extent (
    topic        TEXT NOT NULL,
    partition    INTEGER NOT NULL,
    first_offset INTEGER NOT NULL,
    last_offset  INTEGER NOT NULL,
    PRIMARY KEY (topic, partition)
);

CREATE TABLE IF NOT EXISTS stream_gap (
    topic        TEXT NOT NULL,
    partition    INTEGER NOT NULL,
    first_offset INTEGER NOT NULL,
    last_offset  INTEGER NOT NULL CHECK (last_offset >= first_offset),
    near         TEXT,          -- UTC: when an event beside it happened
    noticed_at   TEXT NOT NULL, -- UTC
    PRIMARY KEY (topic, partition, first_offset)
);

-- Comments: what repeated crawls of pages have brought, each page, post and comment once, by its id.
-- Of several parents, posts, pages, types and times of one the least is kept, of up-likes and
-- messages the greatest: so the order of crawls, files and runs has no influence.
CREATE TABLE IF NOT EXISTS page (
    page_id TEXT PRIMARY KEY NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS post (
    post_id TEXT PRIMARY KEY NOT NULL,
    page_id TEXT NOT NULL
) WITHOUT ROWID;

-- What is told of posts beside the crawls: of some that no crawl has shown, and not of all others.
CREATE TABLE IF NOT EXISTS post_meta (
    post_id    TEXT PRIMARY KEY NOT NULL,
    page_id    TEXT,
    type       TEXT,
    created_at TEXT, -- UTC
    name_id    TEXT
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS comment (
    pk         INTEGER PRIMARY KEY,
    comment_id TEXT NOT NULL UNIQUE,
    post_id    TEXT NOT NULL,
    parent_id  TEXT,          -- the comment that this one replies to; it may be unknown
    created_at TEXT NOT NULL, -- UTC
    up_likes   INTEGER,
    message    TEXT
);

CREATE INDEX IF NOT EXISTS comment_by_parent ON comment (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS comment_by_time ON comment (created_at, parent_id);

-- Texts whose comments have not come yet.
CREATE TABLE IF NOT EXISTS waiting_text (
    comment_id TEXT PRIMARY KEY NOT NULL,
    message    TEXT NOT NULL
) WITHOUT ROWID;

-- The words of messages, for full-text search: SELECT rowid AS pk FROM comment_search
-- WHERE comment_search MATCH 'word'.
CREATE VIEW IF NOT EXISTS comment_message AS
SELECT pk, message FROM comment WHERE message IS NOT NULL;

CREATE VIRTUAL TABLE IF NOT EXISTS comment_search USING fts5 (
    message, content = comment_message, content_rowid = pk
);

CREATE TRIGGER IF NOT EXISTS comment_search_follows AFTER UPDATE OF message ON comment
WHEN new.message IS NOT old.message
BEGIN
    INSERT INTO comment_search (comment_search, rowid, message)
    SELECT 'delete', old.pk, old.message WHERE old.message IS NOT NULL;
    INSERT INTO comment_search (rowid, message)
    SELECT new.pk, new.message WHERE new.message IS NOT NULL;
END;

-- Event metrics: each event once, by its id; of copies that differ the one created last. Dates are
-- of no zone, as they came: YYYY-MM-DD HH:MM:SS, perhaps with a fraction.
CREATE TABLE IF NOT EXISTS event (
    id                  INTEGER PRIMARY KEY,
    first_dimension_id  INTEGER NOT NULL,
    second_dimension_id INTEGER NOT NULL,
    recorded_date       TEXT NOT NULL,
    created_date        TEXT NOT NULL,
    metric_one          INTEGER,
    metric_two          INTEGER,
    metric_n            INTEGER,
    other_metrics       TEXT,            -- JSON: names sorted, values as they came; null if none
    run_id              INTEGER NOT NULL -- that brought it, or changed it last
);

CREATE INDEX IF NOT EXISTS event_by_time ON event (recorded_date, first_dimension_id);
CREATE INDEX IF NOT EXISTS event_with_others ON event (run_id) WHERE other_metrics IS NOT NULL;

CREATE TABLE IF NOT EXISTS first_dimension (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS second_dimension (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL
);

-- The metrics in other_metrics, by name and type of their values: of how many events, since when
-- and until when (recorded_date).
CREATE TABLE IF NOT EXISTS metric (
    name       TEXT NOT NULL,
    type       TEXT NOT NULL CHECK (type IN ('integer', 'real', 'text', 'boolean', 'null', 'object', 'array')),
    first_seen TEXT NOT NULL,
    last_seen  TEXT NOT NULL,
    events     INTEGER NOT NULL,
    PRIMARY KEY (name, type)
) WITHOUT ROWID;

-- The metrics with a column in event: its own, or one that is generated from other_metrics.
-- promote-metric adds to them.
CREATE TABLE IF NOT EXISTS metric_column (
    name        TEXT PRIMARY KEY NOT NULL,
    column_name TEXT NOT NULL UNIQUE COLLATE NOCASE,
    kind        TEXT NOT NULL CHECK (kind IN ('own', 'generated'))
);

INSERT INTO metric_column VALUES
    ('metric_one', 'metric_one', 'own'), ('metric_two', 'metric_two', 'own'), ('metric_n', 'metric_n', 'own')
ON CONFLICT DO NOTHING;

-- Each event's value, or null, of each metric with a column.
CREATE VIEW IF NOT EXISTS event_metric AS
SELECT id AS event_id, recorded_date, 'metric_one' AS metric, metric_one AS value FROM event
UNION ALL SELECT id, recorded_date, 'metric_two', metric_two FROM event
UNION ALL SELECT id, recorded_date, 'metric_n', metric_n FROM event;
