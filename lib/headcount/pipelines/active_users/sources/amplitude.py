"""Amplitude: events of the Export API, or of an export to a bucket.

Fields: "Export API", https://amplitude.com/docs/apis/analytics/export . `event_time` is in UTC,
without saying so. An export has the events that were uploaded in its hours, so one day's events are
in several exports.
Events as they are sent have `time` in milliseconds and no `amplitude_id`: name their user, as
`--user user_id,device_id`. "HTTP V2 API", https://amplitude.com/docs/apis/analytics/http-v2

Active: a user, by `amplitude_id`, with any event. That is how Amplitude counts: its ID stays the
same over a login and on each device, see "How Amplitude assigns Amplitude IDs",
https://amplitude.com/docs/data/sources/amplitude-id-assignment .
`--user user_id,device_id` would make one person two. These make Amplitude's number differ:
- Events marked inactive do not count there, and an export does not say which ones they are: name
  those that count, --valuable-events. https://amplitude.com/docs/data/change-event-activity-status
- Users merged later are one in its charts, and stay two in what was exported before.
- Its days are those of the project's time zone: use it as --tz.
"""

from headcount.pipelines.active_users.events.source import Source

SOURCE = Source(
    title="Amplitude",
    user=("amplitude_id",),
    time=("event_time", "time"),
    name=("event_type",),
    unit="ms",
    signs=(
        frozenset(("event_type", "amplitude_id")),
        frozenset(("event_type", "device_id")),
        frozenset(("event_type", "event_properties")),
    ),
    usual=("country", "city", "device_family", "os_name", "platform"),
)
