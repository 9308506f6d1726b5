"""Templates of Firebase/GA4 events as the BigQuery export writes them, for made-up data.

A template is bytes with slots, as %(user)032x, for the values that differ from event to event.
An event is two of them: what happened, and to whom. Shares, orders of keys and lengths are those
of a real export.
"""

import re
from random import Random

ENGAGEMENT = "user_engagement"

# The other events, and how many there are to 75 engagements.
OTHERS = {
    "push_received": 798,
    "screen_view": 48,
    "session_start": 20,
    "model_view": 19,
    "push_clicked": 15,
    "top_news_swipe": 10,
    "headlines_navigate": 6,
    "dynamic_item_clicked": 5,
    "app_update": 2,
    "settings_clicked": 1,
    "push_dismissed": 1,
}
ENGAGEMENT_SHARE = 75 / (75 + sum(OTHERS.values()))

# What each parameter says; a number is a text, too, in another field.
_TEXTS = {
    "campaign_id": "sponsored.%(daytime)b",
    "category_id": "business",
    "content_type": "source=partner;placement=Sponsored %(daytime)b Push",
    "error_value": "com.example.presentation.utils.EXTRA_N...",
    "firebase_event_origin": "app",
    "firebase_previous_class": "SplashActivity",
    "firebase_screen": "Headlines",
    "firebase_screen_class": "HomeActivity",
    "id": "%(item)b",
    "index": "%(index)d",
    "layout_id": "article_carousel_card",
    "layout_type": "predictions",
    "previous_app_version": "4.1.0",
    "settings_type": "notifications",
    "source": "START_MAGAZINE",
}
_NUMBERS = {
    "engaged_session_event": "%(engaged)d",
    "engagement_time_msec": "%(msec)d",
    "entrances": "1",
    "firebase_error": "3",
    "firebase_previous_id": "%(screen)d",
    "firebase_screen_id": "%(screen)d",
    "ga_session_id": "%(session)d",
    "ga_session_number": "%(visit)d",
    "session_engaged": "1",
}

_PUSH = "layout_type id firebase_event_origin content_type campaign_id"
_PUSH_TOO = "campaign_id layout_type id firebase_event_origin content_type"
_IN_SESSION = "firebase_event_origin ga_session_number firebase_screen_id ga_session_id"

# The parameters of each event, in the orders in which they come.
_PARAMS = {
    # With engagement, and yet no engagement: the name decides.
    "screen_view": [
        f"{_IN_SESSION} firebase_previous_id firebase_previous_class firebase_screen_class "
        "engaged_session_event",
        f"engaged_session_event {_IN_SESSION} entrances firebase_screen_class",
        f"{_IN_SESSION} engagement_time_msec firebase_screen_class engaged_session_event",
    ],
    "push_received": [
        *[_PUSH, _PUSH_TOO] * 9,
        "campaign_id id firebase_event_origin ga_session_number layout_type ga_session_id "
        "content_type",
    ],
    "push_clicked": [_PUSH, _PUSH_TOO, f"{_PUSH} ga_session_number engaged_session_event"],
    "session_start": [
        "ga_session_id firebase_event_origin ga_session_number session_engaged "
        "engaged_session_event",
        "ga_session_id firebase_event_origin ga_session_number",
    ],
    "model_view": [
        f"engaged_session_event id {_IN_SESSION} firebase_screen_class",
        f"id {_IN_SESSION} firebase_screen_class engaged_session_event",
    ],
    "top_news_swipe": [f"engaged_session_event {_IN_SESSION} index firebase_screen_class"],
    "headlines_navigate": [
        f"{_IN_SESSION} firebase_screen index category_id engaged_session_event",
        "category_id firebase_event_origin index",
    ],
    "dynamic_item_clicked": [f"layout_id engaged_session_event id {_IN_SESSION} source"],
    "app_update": ["firebase_event_origin previous_app_version"],
    "settings_clicked": [f"engaged_session_event {_IN_SESSION} firebase_screen settings_type"],
    "push_dismissed": ["error_value firebase_event_origin firebase_error"],
}

_ENGAGEMENT_PARAMS = [
    "firebase_event_origin ga_session_number engagement_time_msec firebase_screen_id "
    "ga_session_id firebase_screen_class engaged_session_event",
    "engaged_session_event firebase_event_origin ga_session_number engagement_time_msec "
    "firebase_screen_id ga_session_id firebase_screen_class",
    "firebase_event_origin ga_session_number firebase_screen_id engagement_time_msec "
    "firebase_screen ga_session_id firebase_screen_class engaged_session_event",
]

MEAN_LINE = 2400  # bytes
LEAST = 300  # bytes of a line
_SHORT = 1200  # at most
_BESIDE = 270  # bytes of a short line that are not properties

# What may be left out of lines, or added to them.
_PARAM = re.compile(
    rb'\{"key":"(?!engaged_session_event|engagement_time_msec|session_engaged)[^}]*}},?'
)
_PROPERTY = re.compile(rb'\{"key":[^}]*}}')
_ONE_MORE = (
    b'{"key":"property_%03d","value":{"string_value":"of no interest to anybody",'
    b'"set_timestamp_micros":"1700000000000000"}}'
)

_DEVICES = [b"Pixel 6", b"Pixel 7a", b"Galaxy A12", b"Moto G"]
_LANGUAGES = [b"en-us"] * 17 + [b"es-us", b"de-de", b"en-in"]
_VERSIONS = [b"4.2.1"] * 9 + [b"4.2.0"]


def event(name: str, params: str) -> bytes:
    """The first half of an event, up to its parameters."""
    listed = []
    for key in params.split():
        text = key in _TEXTS
        field, value = ("string_value", _TEXTS[key]) if text else ("int_value", _NUMBERS[key])
        listed.append(f'{{"key":"{key}","value":{{"{field}":"{value}"}}}}')
    return (
        '{"event_date":"%(date)b","event_timestamp":"%(micros)d",'
        f'"event_name":"{name}","event_params":[{",".join(listed)}],'
    ).encode()


def others() -> list[list[bytes]]:
    """The templates of each other event, as often as it occurs: to choose from evenly."""
    shapes = {name: [event(name, params) for params in _PARAMS[name]] for name in OTHERS}
    return [shapes[name] for name, often in OTHERS.items() for _ in range(often)]


def engagements() -> tuple[list[bytes], list[bytes]]:
    """The templates of engagements, and of those that lack engaged_session_event."""
    lacking = [params.replace("engaged_session_event", "") for params in _ENGAGEMENT_PARAMS]
    return (
        [event(ENGAGEMENT, params) for params in _ENGAGEMENT_PARAMS],
        [event(ENGAGEMENT, params) for params in lacking],
    )


def user(random: Random, number: int, start: int) -> bytes:
    """The second half of an event: a device that was set up in the year before `start`.

    Every other one has the properties of push subscriptions, and lines nearly twice as long.
    """

    def one_of(choices: list[bytes]) -> bytes:
        return choices[int(random() * len(choices))]

    set_up = max(0, start - int(random() * 365 * 86_400)) * 1000 + int(random() * 1000)
    device = one_of(_DEVICES)
    properties = _properties(one_of, set_up, device, long=number % 2 == 0)
    first = int(random() * len(properties))
    return (
        b'"event_server_timestamp_offset":"%%(delay)d","user_pseudo_id":"%%(user)032x",'
        b'"user_properties":[%b],"user_first_touch_timestamp":"%d",'
        b'"mobile_os_hardware_model":"%b","language":"%b",'
        b'"time_zone_offset_seconds":"%%(east)d","version":"%b"}\n'
    ) % (
        b",".join(properties[first:] + properties[:first]),
        set_up * 1000,
        device,
        one_of(_LANGUAGES),
        one_of(_VERSIONS),
    )


def shortened(templates: list[bytes], line_bytes: int) -> list[bytes]:
    """The first halves of lines of about that length: short ones have those parameters alone that
    decide something."""
    if line_bytes > _SHORT:
        return templates
    return [_PARAM.sub(b"", template).replace(b",]", b"]") for template in templates]


def resized(profile: bytes, line_bytes: int) -> bytes:
    """The second half, with more properties than usual, or with fewer."""
    if line_bytes == MEAN_LINE:
        return profile
    start, bracket, rest = profile.partition(b"[")
    listed, _, end = rest.rpartition(b"]")
    properties = _PROPERTY.findall(listed)
    size = max(len(_ONE_MORE), len(listed) + line_bytes - MEAN_LINE)
    if line_bytes <= _SHORT:
        end = b',"time_zone_offset_seconds":"%(east)d"}\n'
        size = max(len(_ONE_MORE), line_bytes - _BESIDE)
    while sum(map(len, properties)) + len(_ONE_MORE) < size:
        properties.append(_ONE_MORE % len(properties))
    while sum(map(len, properties)) > size:
        properties.pop()
    return start + bracket + b",".join(properties) + b"]" + end


def _properties(one_of, set_up: int, device: bytes, *, long: bool) -> list[bytes]:
    """The user properties, without their brackets; those of the session have slots."""
    lasting = {b"testUserGroup": one_of([b"0", b"1", b"2", b"3"]), b"config_hash": b"5eed" * 8}
    if long:
        for name in (b"notification_%d", b"subscribed_%d"):
            lasting |= {name % channel: b"true" for channel in range(66, 73)}
        lasting[b"device_model"] = device
    if one_of([b"in", b"in", b"out"]) == b"in":
        lasting[b"firebase_exp_9"] = one_of([b"0", b"1", b"2"])
    texts = [
        (name, value, b"%d000" % (set_up + n)) for n, (name, value) in enumerate(lasting.items())
    ]
    texts += [
        (b"user_id", b"%(account)016x", b"%(session)d235000"),
        (b"notifications_enabled", b"true", b"%(session)d237000"),
        (b"last_update_time", b"%d" % (set_up + 600_000), b"%(session)d250000"),
        (b"session_uuid", b"%(uuid)b", b"%(session)d237000"),
        (b"first_install_millis", b"1230739200000", b"%(session)d240000"),
    ]
    properties = [
        b'{"key":"%b","value":{"string_value":"%b","set_timestamp_micros":"%b"}}' % text
        for text in texts
    ]
    properties.append(
        b'{"key":"first_open_time","value":{"int_value":"%d","set_timestamp_micros":"%d000"}}'
        % (set_up, set_up)
    )
    return properties
