"""PostHog: events of batch exports, file downloads, the API.

Fields: "S3 destination for batch exports",
https://posthog.com/docs/data-pipelines/batch-exports/s3 , and "Data model",
https://posthog.com/docs/data-model . Times are texts.

Active: a user, by `person_id`, with any event. PostHog counts unique users so,
https://posthog.com/docs/how-posthog-works/queries . Events from the API, and events as they are
sent, have no `person_id`: these count by `distinct_id`. An export has it in each event or in none,
so one person is not both; do not mix the two kinds in one database. These make PostHog's number
differ:
- A person whose IDs are merged later is one in its insights. An export keeps the `person_id` of the
  moment when the event came in: then one person is two until the login.
- Its insights count the events that they name, by default $pageview: use --valuable-events.
- Its days are those of the project's time zone: use it as --tz.
"""

from headcount.pipelines.active_users.events.source import Source

SOURCE = Source(
    title="PostHog",
    user=("person_id", "distinct_id"),
    time=("timestamp",),
    name=("event",),
    signs=(
        frozenset(("uuid", "event", "distinct_id", "timestamp")),
        frozenset(("event", "distinct_id", "timestamp", "properties")),
    ),
    agent=("properties.$raw_user_agent", "properties.$useragent"),
    usual=("properties.$os", "properties.$browser", "properties.$device_type", "properties.$lib"),
)
