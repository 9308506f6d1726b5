"""What a row says of a user on a local day: engaged, valuable, or both in one event."""

ENGAGED = "engaged"
VALUABLE = "valuable"
BOTH = f"{ENGAGED},{VALUABLE}"
