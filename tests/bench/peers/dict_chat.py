"""dict_chat.py FILE - the activity of each site: the program that one writes first

Prints what count-site-activity does.
"""

import json
import sys
from collections import defaultdict

lines = {}
with open(sys.argv[1], "rb") as file:
    for line in file:
        said = json.loads(line)
        known = lines.get(said["id"])
        if known is None or said["timestamp"] < known[1]:
            status = said["data"]["status"] if said["type"] == "status" else ""
            lines[said["id"]] = said["site_id"], said["timestamp"], said["from"], status

sites = defaultdict(list)
for site, seconds, sender, status in lines.values():
    sites[site].append((seconds, {"offline": 0, "online": 1, "": 2}[status], sender))
for site in sorted(sites):
    online, operators, visitors = set(), set(), set()
    messages = emails = 0
    for _, kind, sender in sorted(sites[site]):
        if kind == 2:
            visitors.add(sender)
            if online:
                messages += 1
            else:
                emails += 1
        else:
            operators.add(sender)
            if kind == 1:
                online.add(sender)
            else:
                online.discard(sender)
    print(
        f"{site},messages={messages},emails={emails},"
        f"operators={len(operators)},visitors={len(visitors)}"
    )
