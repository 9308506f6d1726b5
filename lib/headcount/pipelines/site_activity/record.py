"""Chat lines, as far as we read them: messages of visitors, statuses of operators.

`{"id", "type": "message" | "status", "from", "site_id", "timestamp": seconds since 1970, UTC,
"data"}`; the data of a status is `{"status": "online" | "offline"}`. (scan.py takes lines of the
usual spelling apart without this parser: what changes here changes there.)
"""

from typing import Annotated, Literal

import msgspec

from headcount.filters.rejects import Reject
from headcount.formats import jsonl
from headcount.io.blocks import All
from headcount.values import numbers

MESSAGE, STATUS = "message", "status"
ONLINE, OFFLINE = "online", "offline"
FIRST, LAST = -62_104_060_800, 253_370_764_800 - 1  # seconds: the years 2 to 9998, in any zone

_Text = Annotated[str, msgspec.Meta(min_length=1)]
_Seconds = Annotated[int, msgspec.Meta(ge=FIRST, le=LAST)]


class Data(msgspec.Struct, gc=False):
    """What belongs to a line: here, to a status."""

    status: Literal["online", "offline"] | None = None


class Chat(msgspec.Struct, gc=False):
    """A line as it should be."""

    id: _Text
    site_id: _Text
    type: Literal["message", "status"]
    timestamp: _Seconds
    sender: _Text = msgspec.field(name="from")
    data: Data | None = None

    @property
    def status(self) -> str | None:
        """None for a message."""
        return self.data.status if self.type == STATUS else None


class _Any(msgspec.Struct, gc=False):
    """A line that may lack anything, or have a number in another spelling."""

    id: str | None = None
    site_id: str | None = None
    sender: str | None = msgspec.field(name="from", default=None)
    type: str | None = None
    timestamp: msgspec.Raw = numbers.NULL
    data: msgspec.Raw = numbers.NULL


class _AnyData(msgspec.Struct, gc=False):
    status: str | None = None


KIND = jsonl.kind("chat lines", ("id", "site_id", "type", "from", "timestamp"), 4)

_decode_lines = msgspec.json.Decoder(Chat).decode_lines
_decode_any = msgspec.json.Decoder(_Any).decode
_decode_data = msgspec.json.Decoder(_AnyData | None).decode


def parse(line: bytes) -> Chat | Reject:
    """What a line says, or why it says nothing."""
    chat = jsonl.record(_decode_any, line)
    if type(chat) is Reject:
        return chat
    texts = {"id": chat.id, "site_id": chat.site_id, "from": chat.sender, "type": chat.type}
    for name, text in texts.items():
        if not text:
            return Reject(f"{name} is missing")
    if chat.type not in (MESSAGE, STATUS):
        return Reject("unknown type", repr(chat.type))
    try:
        seconds = numbers.whole_number(chat.timestamp, FIRST, LAST)
    except ValueError as error:
        return Reject("bad timestamp", str(error))
    if seconds is None:
        return Reject("timestamp is missing")
    data = None
    if chat.type == STATUS:
        data = _status(chat.data)
        if type(data) is Reject:
            return data
    return Chat(chat.id, chat.site_id, chat.type, seconds, chat.sender, data)


def _status(raw: msgspec.Raw) -> Data | Reject:
    try:
        data = _decode_data(raw)
    except (msgspec.ValidationError, RecursionError) as error:
        return Reject("wrong type", f"data: {error}")
    if data is None or data.status is None:
        return Reject("data.status is missing")
    if data.status not in (ONLINE, OFFLINE):
        return Reject("unknown status", repr(data.status))
    return Data(data.status)


def may_go_on(line: bytes) -> bool:
    """Whether a line without an end may be the start of one: of an object that is not complete."""
    if not line.startswith(b"{"):
        return False
    try:
        msgspec.json.decode(line, type=msgspec.Raw)
    except (ValueError, RecursionError):
        return True
    return False


def parse_all(lines: All) -> list[Chat | Reject]:
    """Likewise, of many lines: of all at once, where none is unusual."""
    chats = jsonl.records(_decode_lines, lines)
    if chats is None:
        return [parse(line) for line in lines]
    statuses = [chat.data for chat in chats if chat.type == STATUS]
    if not all(data and data.status for data in statuses):
        return [parse(line) for line in lines]
    return chats
