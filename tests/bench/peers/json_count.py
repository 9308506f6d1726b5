"""json_count.py FILE - active users of each local day: the loop that one writes first

Prints date and count.
"""

import json
import sys
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONE = ZoneInfo("America/Chicago")

users = defaultdict(set)
with open(sys.argv[1], "rb") as file:
    for line in file:
        event = json.loads(line)
        if event["event_name"] != "user_engagement":
            continue
        params = {param["key"]: param["value"].get("int_value") for param in event["event_params"]}
        if int(params.get("engagement_time_msec") or 0) < 3000:
            continue
        if int(params.get("engaged_session_event") or 0) < 1:
            continue
        instant = EPOCH + timedelta(microseconds=int(event["event_timestamp"]))
        users[instant.astimezone(ZONE).date()].add(event["user_pseudo_id"])
for day in sorted(users):
    print(day, len(users[day]), sep="\t")
