"""The rows of the fault matrix: what can go wrong around an import."""

import os

ALL = os.environ.get("FAULTS") == "all"  # as `make faults` says; otherwise a few of each, for CI

ROWS = {
    1: "kill -9 at any point",
    2: "kill of one filter only",
    3: "power loss",
    4: "disk full",
    5: "I/O error",
    6: "read-only disk, folder, database",
    7: "locked database",
    8: "concurrent imports",
    9: "overlapping cron",
    10: "clock jumps",
    11: "daylight saving time",
    12: "other rules of time zones",
    13: "corrupt, binary, huge lines",
    14: "damaged archives",
    15: "growing file, partial last line",
    16: "rotation",
    17: "missing, empty, odd inputs",
    18: "signals",
    19: "memory limit",
    20: "starvation, slow disk",
    21: "descriptors, processes, inodes gone",
    28: "SQL injection",
    29: "formulas in CSV",
    30: "script in the browser",
    31: "abuse of the browser",
    32: "path traversal",
    33: "secrets in outputs",
    34: "permissions",
    35: "erasing a user",
    36: "state lost",
    37: "version skew",
}
