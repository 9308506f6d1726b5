"""duckdb_sources.py SOURCE FILE - users of each local day by any event, of other trackers' exports

Prints date and count. Only the fields that matter are read, and the types are given, which is the
fastest way to read JSON with DuckDB; a log is read as lines, each taken apart by one expression,
and Snowplow's TSV as columns, of which the JSON of contexts is only searched for the user.
"""

import sys

import duckdb

LOG = (
    r'^(\S+) \S+ .*?\[([^\]]+)\] "((?:[^"\\]|\\.)*)" \d{3} \S+'
    r'(?: "(?:[^"\\]|\\.)*" "((?:[^"\\]|\\.)*)")?'
)
SNOWPLOW = ", ".join(f"column{i:03}: 'VARCHAR'" for i in range(131))


def json_of(columns: str, user: str, time: str) -> str:
    return f"""
        SELECT {user} AS visitor, {time} AS instant
        FROM read_json($file, format = 'newline_delimited', columns = {{{columns}}})
    """


SOURCES = {
    "segment": json_of(
        "userId: 'VARCHAR', anonymousId: 'VARCHAR', timestamp: 'VARCHAR', "
        "originalTimestamp: 'VARCHAR', receivedAt: 'VARCHAR'",
        "coalesce(userId, anonymousId)",
        "cast(coalesce(timestamp, originalTimestamp, receivedAt) AS TIMESTAMPTZ)",
    ),
    "amplitude": json_of(
        "amplitude_id: 'BIGINT', event_time: 'VARCHAR'",
        "amplitude_id",
        "cast(event_time || 'Z' AS TIMESTAMPTZ)",
    ),
    "mixpanel": json_of(
        """properties: 'STRUCT("time" BIGINT, distinct_id VARCHAR)'""",
        "properties.distinct_id",
        "to_timestamp(properties.time)",
    ),
    "posthog": json_of(
        "person_id: 'VARCHAR', distinct_id: 'VARCHAR', timestamp: 'VARCHAR'",
        "coalesce(person_id, distinct_id)",
        "cast(timestamp AS TIMESTAMPTZ)",
    ),
    "snowplow": f"""
        SELECT coalesce(column015, nullif(regexp_extract(column052,
                'client_session.*?"userId":"([^"]+)"', 1), '')) AS visitor,
            cast(coalesce(column124, column003) || 'Z' AS TIMESTAMPTZ) AS instant
        FROM read_csv($file, delim = '\t', header = false, quote = '', escape = '',
            all_varchar = true, auto_detect = false, nullstr = '',
            columns = {{{SNOWPLOW}}})
    """,
    "cloudevents": json_of(
        "time: 'VARCHAR', data: 'STRUCT(userId VARCHAR)'",
        "data.userId",
        "cast(time AS TIMESTAMPTZ)",
    ),
    "fields": json_of(
        """"when": 'STRUCT("at" BIGINT)', who: 'STRUCT(id VARCHAR, device VARCHAR)'""",
        "coalesce(who.id, who.device)",
        """epoch_ms("when"."at")::TIMESTAMP AT TIME ZONE 'UTC'""",
    ),
    "access-log": f"""
        SELECT (part.address, part.agent) AS visitor,
            strptime(part.time, '%d/%b/%Y:%H:%M:%S %z') AS instant
        FROM (
            SELECT regexp_extract(line, '{LOG}', ['address', 'time', 'request', 'agent']) AS part
            FROM read_csv($file, columns = {{line: 'VARCHAR'}}, delim = '\\x01', quote = '',
                escape = '', header = false, auto_detect = false)
        )
        WHERE part.address <> '' AND part.request <> '-'
    """,
}

_, source, path = sys.argv
query = f"""
    SELECT cast(timezone('America/Chicago', instant) AS DATE) AS day, count(DISTINCT visitor)
    FROM ({SOURCES[source]}) WHERE visitor IS NOT NULL GROUP BY day ORDER BY day
"""
for day, count in duckdb.execute(query, {"file": path}).fetchall():
    print(day, count, sep="\t")
