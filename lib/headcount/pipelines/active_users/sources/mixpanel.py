"""Mixpanel: events of the Raw Event Export API.

Fields: "Export Methods", https://docs.mixpanel.com/docs/export-methods , and "Download Data",
https://docs.mixpanel.com/reference/raw-event-export . `properties.time` is in seconds; in
milliseconds in an export with time_in_ms=true, as in what is sent: use --time-unit ms.

Active: a user, by `properties.distinct_id`, with any event: by that ID Mixpanel tells users apart,
https://docs.mixpanel.com/docs/tracking-methods/id-management . An export has the ID that a user's
IDs were merged into by then; `$device_id`, `$user_id` and `$distinct_id_before_identity` are what
was sent. These make Mixpanel's number differ:
- Users merged later are one in its reports, and stay two in what was exported before.
- Its days are those of the project's time zone: use it as --tz. But projects from before 2023 have
  times that were moved to the project's time zone when they came in: of those, --tz UTC gives the
  project's days. https://docs.mixpanel.com/docs/orgs-and-projects/managing-projects
- Events that only link IDs ($identify, $merge, $create_alias) count here if they are exported: name
  those that count, --valuable-events.
"""

from headcount.pipelines.active_users.events.source import Source

SOURCE = Source(
    title="Mixpanel",
    user=("properties.distinct_id",),
    time=("properties.time",),
    name=("event",),
    unit="s",
    signs=(
        frozenset(("event", "properties.time", "properties.distinct_id")),
        frozenset(("event", "properties.time", "properties.$insert_id")),
    ),
    usual=(
        "properties.mp_country_code",
        "properties.$city",
        "properties.$os",
        "properties.$browser",
    ),
)
