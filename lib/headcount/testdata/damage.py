r"""What made-up events suffer: escapes, which change nothing, or damage.

All of it works on finished lines, as bytes.
"""

from collections.abc import Callable

from headcount.testdata.engagement_templates import ENGAGEMENT

_NAME = f'"event_name":"{ENGAGEMENT}"'.encode()
_PARAMS = b'"event_params":['
_TITLE = b'{"key":"title","value":{"string_value":"%b"}},'
_HEADING = rb"Caf\u00e9 \"today\" 1\/2 \\ \ud83d\ude00\n"
_DECOY = _TITLE % b"user_engagement" + _TITLE % rb"\u0075ser\u005fengagement"

# Each changes the spelling of a line, or adds a parameter, but not what the event is.
_ESCAPES = [
    *[(_PARAMS, _PARAMS + _TITLE % _HEADING)] * 4,
    (_PARAMS, _PARAMS + _DECOY),
    (b'"firebase_event_origin"', rb'"firebase\u005fevent_origin"'),
    (b'"int_value"', rb'"int\u005Fvalue"'),
    (b'"user_pseudo_id"', rb'"user_pseudo_i\u0064"'),
]
_SPELLINGS = [
    rb"\u0075ser_engagement",
    rb"user\u005Fengagement",
    rb"user_engagemen\u0074",
    "".join(f"\\u{ord(char):04x}" for char in ENGAGEMENT).encode(),
]

# Each makes a reject of any line; nothing that a parser could overlook without being wrong.
_DAMAGE = [
    (b'"language":"', b'"language":"\xff'),
    (b'"language":"', b'"language":"\xc0\xaf'),  # an overlong slash
    (b'"language":"', b'"language":"\xed\xa0\x80'),  # half of a surrogate pair
    (b'"language":"', b'"language":"\x01'),
    (b'"event_server_timestamp_offset":', b'"event_server_timestamp_offset":NaN,"was":'),
    (b"}\n", b",}\n"),
    (b'"event_name":', b'"name":'),
    (b'"event_timestamp":', b'"timestamp":'),
    (b'"user_pseudo_id":', b'"pseudo_id":'),
    (b'"event_name":', b'"event_name":5,"name":'),
    (b'"event_timestamp":"', b'"event_timestamp":"about '),
    (b'"user_pseudo_id":', b'"user_pseudo_id":["none"],"pseudo_id":'),
]
_NO_OBJECTS = [
    b"null\n",
    b"3000\n",
    b'"user_engagement"\n',
    b'["user_engagement"]\n',
    b"\xef\xbb\xbf\n",
]


def escape(line: bytes, random: Callable[[], float]) -> bytes:
    """The same event with escapes in it."""
    plain, escaped = _ESCAPES[int(random() * len(_ESCAPES))]
    line = line.replace(plain, escaped)
    if random() < 0.5:
        name = _SPELLINGS[int(random() * len(_SPELLINGS))]
        line = line.replace(_NAME, b'"event_name":"%b"' % name)
    return line


def spoil(line: bytes, random: Callable[[], float]) -> bytes:
    """A line that is no event any more."""
    kind = random()
    if kind < 0.25:
        return line[: 1 + int(random() * (len(line) - 3))] + b"\n"
    if kind < 0.35:
        return _NO_OBJECTS[int(random() * len(_NO_OBJECTS))]
    sound, broken = _DAMAGE[int(random() * len(_DAMAGE))]
    return line.replace(sound, broken, 1) if sound != b"}\n" else line[:-2] + broken
