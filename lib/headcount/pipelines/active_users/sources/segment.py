"""Segment, RudderStack and Jitsu: track, page, screen, identify, group and alias calls.

Fields: "Spec: Common Fields", https://segment.com/docs/connections/spec/common/ ; RudderStack,
https://www.rudderstack.com/docs/event-spec/standard-events/common-fields/ ; Jitsu sends the same.
`timestamp` is corrected for the device's clock, `originalTimestamp` is not. A call that is no
track call has no `event`: its `type` is its name.
Active: who made any call, as Segment counts monthly tracked users,
https://segment.com/docs/guides/usage-and-billing/mtus-and-throughput/ . Somebody who logs in is
two users on that day, one by anonymousId and one by userId; `--user anonymousId` counts devices.
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
        frozenset(("anonymousId", "originalTimestamp")),
    ),
    agent=("context.userAgent",),
)
