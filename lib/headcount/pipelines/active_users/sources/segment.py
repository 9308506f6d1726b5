"""Segment, RudderStack, Jitsu: calls of track, page, screen, identify, group, alias.

Fields: "Spec: Common Fields", https://segment.com/docs/connections/spec/common/ ; RudderStack,
https://www.rudderstack.com/docs/event-spec/standard-events/common-fields/ ; Jitsu sends the same,
https://docs.jitsu.com/ (Jitsu Classic does not, nor do warehouse tables, whose columns are
user_id, anonymous_id and so on: for those, use --source fields).
`timestamp` is corrected for the device's clock, `originalTimestamp` is not. A call that is not a
track call has no `event`: its `type` is its name.

Active: a user who made any call. Segment counts monthly tracked users as the unique userIds and
the anonymousIds that no call of the billing month had together with a userId,
https://segment.com/docs/guides/usage-and-billing/mtus-and-throughput/ . Here each call counts for
its userId, or its anonymousId if it has none. So a person who logs in during a day is two users of
that day, and one in Segment's number. `--user anonymousId` counts devices; calls of servers, which
have only a userId, are then rejected.
"""

from headcount.pipelines.active_users.events.source import Source

SOURCE = Source(
    title="Segment (or RudderStack, Jitsu)",
    user=("userId", "anonymousId"),
    time=("timestamp", "originalTimestamp", "receivedAt"),
    name=("event", "type"),
    signs=(
        frozenset(("type", "messageId")),
        frozenset(("type", "anonymousId")),
        frozenset(("type", "userId", "originalTimestamp")),
        frozenset(("anonymousId", "originalTimestamp")),
    ),
    agent=("context.userAgent",),
    usual=("channel", "context.locale", "context.library.name", "context.page.path"),
)
