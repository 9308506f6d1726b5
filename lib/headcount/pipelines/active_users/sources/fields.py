"""Any other events: JSON objects, one a line, whose fields --field names.

`--field user=PATH[,PATH…] --field time=PATH --field name=PATH`, with `--time-unit` if times are
numbers. A user is active by any event, or by those that --valuable-events names.
"""

from headcount.pipelines.active_users.events.source import Source

SOURCE = Source(title="events of any kind", user=(), time=(), name=())
