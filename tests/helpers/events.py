"""Events for tests: one line of the export at a time."""

import json

NOON = 1_577_793_600_000_000  # 2019-12-31T12:00:00Z: the 31st nearly everywhere


def event(
    name="user_engagement",
    user="ann",
    micros=NOON,
    msec=3000,
    engaged=1,
    offset=None,
    pad=0,
    **more,
):
    """One line; a user, msec, engaged or offset of None is left out, and `pad` makes it longer."""
    params = {"engagement_time_msec": msec, "engaged_session_event": engaged}
    record = {
        "event_name": name,
        "event_timestamp": str(micros),
        "event_params": [
            {"key": key, "value": {"int_value": str(value)}}
            for key, value in params.items()
            if value is not None
        ],
    }
    if user is not None:
        record["user_pseudo_id"] = user
    if offset is not None:
        record["time_zone_offset_seconds"] = offset
    if pad:
        record["padding"] = "." * pad
    return json.dumps(record | more).encode() + b"\n"


def write_padded(path, megabytes, users=500):
    """A file of that size: one event in ten counts, over three days; every user comes often."""
    chunk = b"".join(
        event(
            "user_engagement" if i % 10 == 0 else "screen_view",
            f"user {i // 10 % users}",
            NOON + i % 3 * 86_400_000_000,
            pad=1000,
        )
        for i in range(10 * users * 3)
    )
    with path.open("wb") as file:
        size = 0
        while size < megabytes << 20:
            size += file.write(chunk)
    return path
