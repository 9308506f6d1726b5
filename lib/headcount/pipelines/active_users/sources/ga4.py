"""Google Analytics 4 (Firebase): the BigQuery export's events.

Columns: "[GA4] BigQuery Export schema", https://support.google.com/analytics/answer/7029846
What makes a user active is one of several definitions, see events/record.py and events/qualify.py;
by default an engagement of 3 seconds and a valuable event.
"""

from headcount.pipelines.active_users.events.source import Source

SOURCE = Source(
    title="Google Analytics 4 (Firebase)",
    user=("user_pseudo_id",),
    time=("event_timestamp",),
    name=("event_name",),
    unit="us",
    signs=(frozenset(("event_name", "event_timestamp")),),
    usual=(
        "platform",
        "geo.country",
        "device.category",
        "app_info.version",
        "traffic_source.source",
    ),
)
