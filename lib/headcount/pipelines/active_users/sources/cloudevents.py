"""CloudEvents in JSON: events of any service, each in the envelope that the specification names.

Attributes: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md ; as JSON, one a
line or a batch (an array): https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
`time` is optional there, and an event without it is rejected.
No attribute says who the user is; most producers put it into `data`. `subject` names what the
event is about, which may be a file or an order, and `authid` (the extension Auth Context) may be a
service: so neither counts unless asked for, by `--user subject` or `--user authid`.
Active: who caused any event of any `type`. CloudEvents itself counts nothing.
"""

from headcount.pipelines.active_users.events.source import Source

SOURCE = Source(
    title="CloudEvents",
    user=("data.userId", "data.user_id", "data.user.id"),
    time=("time",),
    name=("type",),
    signs=(frozenset(("specversion", "type", "source")), frozenset(("specversion", "type", "id"))),
    usual=("type", "source"),
)
