"""read-sse: the standard's rules however the stream is cut, and a client that goes on."""

import json
import random
import re

import pytest

from headcount.formats import sse
from helpers.programs import REAL, run
from helpers.sse_server import Answer, serving

END = Answer(status=204)


def reference(text):
    """The events of a text, line by line, as the standard tells it."""
    events, last_id, kind, data = [], "", "", []
    text = text.decode(errors="replace")
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    for line in text.split("\n")[:-1]:  # what stands behind the last line end is no line yet
        if not line:
            if data:
                events.append((last_id, kind or "message", "\n".join(data)))
            kind, data = "", []
            continue
        if line.startswith(":"):
            continue
        field, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if field == "event":
            kind = value
        elif field == "data":
            data.append(value)
        elif field == "id" and "\0" not in value:
            last_id = value
    return events


def usual_stream(rng):
    """Events as most servers send them, with a few among them that are almost so."""
    others = [
        ":ok\n\n",
        "\n",
        "data: {}\n\n",
        "event:x\nid: 1\ndata: y\n\n",
        "event: \nid: 1\ndata: y\n\n",
        "event: x\nid:1\ndata: y\n\n",
        "event: x\nid: \0\ndata: y\n\n",
        "event: x\nid: 1\ndata:y\n\n",
        "event: x\nid: 1\ndata: y\ndata: z\n\n",
        "event: x\ndata: y\nid: 1\n\n",
        "id: 1\nevent: x\ndata: y\n\n",
        "event: x\nid: 1\n\ndata: y\n",
        "event: x\nid: \udcff\ndata: y\n\n",
        "event: \udcff\nid: 1\ndata: y\n\n",
        "event: x\nid: 1\ndata: \udcff\n\n",
    ]
    text = ""
    for number in range(rng.randrange(1, 60)):
        if rng.random() < 0.02:
            text += rng.choice(others)
        kind = rng.choice(["message", "other"])
        text += f"event: {kind}\nid: {number}\ndata: {'é' * rng.randrange(3)}{number}\n\n"
    return text.encode(errors="surrogateescape")


@pytest.mark.parametrize("seed", range(300))
def test_usual_events_among_others_however_the_stream_is_cut(seed):
    rng = random.Random(seed)
    text = usual_stream(rng)
    events = [event for piece in cut(text, rng) for event in piece]
    assert [(e.id, e.type, e.data.decode()) for e in events] == reference(text)
    lines = text.split(b"\n")
    for event in events:
        assert lines[event.line - 1] and not (event.line > 1 and lines[event.line - 2])


def cut(text, rng):
    """What each piece of a text ends."""
    parser = sse.Parser()
    size = rng.choice([1, 30, 300, len(text)])
    for at in range(0, len(text), size):
        yield parser.feed(text[at : at + size])


def some_stream(rng):
    end = rng.choice(["\n", "\r\n", "\r", None])
    fields = ["data", "id", "event", "retry", "other", ""]
    values = [
        "",
        " ",
        "x",
        " two words",
        "  deep",
        "a:b",
        "Ω\u2028",
        "\0",
        "9",
        '{"a": 1}',
        "é" * 50,
    ]
    text = rng.choice(["", "", "\ufeff", "\ufeff\ufeff"])
    for _ in range(rng.randrange(60)):
        kind = rng.random()
        if kind < 0.3:
            line = ""
        elif kind < 0.4:
            line = rng.choice(["data", "id", ":", ": hello", "event"])
        else:
            line = f"{rng.choice(fields)}:{rng.choice(values)}"
        text += line + (end or rng.choice(["\n", "\r\n", "\r"]))
    return text


@pytest.mark.parametrize("seed", range(100))
def test_the_events_of_any_stream_cut_anywhere(seed):
    rng = random.Random(seed)
    for _ in range(20):
        data = bytearray(some_stream(rng).encode())
        for _ in range(rng.randrange(3) if data else 0):
            data[rng.randrange(len(data))] = rng.choice([0x80, 0xC3, 0xFF, 0xE2])
        parser, found, at = sse.Parser(), [], 0
        while at < len(data):
            size = rng.choice([1, 2, 7, 1000])
            found += parser.feed(data[at : at + size])
            at += size
        # a last CR may be the first half of a line end: what it ends is known either way
        got = [(event.id, event.type, event.data.decode()) for event in found]
        assert got == reference(bytes(data)), data


def test_an_event_that_is_too_large_is_left_out_and_what_follows_is_not():
    big = b"data: " + b"x" * 5000 + b"\n\n"
    stream = b"id: 1\ndata: a\n\n" + big + b"id: 3\ndata: c\n\n"
    for size in (1, 10, 1000, 10_000):
        parser = sse.Parser(max_event=1000)
        found = []
        for at in range(0, len(stream), size):
            found += parser.feed(stream[at : at + size])
            assert len(parser._rest) <= 1000 + size
        good = [event.data for event in found if type(event) is sse.Event]
        bad = [event for event in found if type(event) is sse.Rejected]
        assert good == [b"a", b"c"] and len(bad) == 1
        assert bad[0].line == 4 and bad[0].reject.reason == "event too large"


def test_what_is_not_utf_8_is_replaced(tmp_path):
    """In a comment it costs nothing; in data it is a character that says so."""
    path = tmp_path / "body"
    path.write_bytes(b": \xff\nid: 5\ndata: a\n\ndata: \xff{\n\ndata: b\n\ndata: unfinished\n")
    done = run("read-sse", path, check=0)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["id"], one["data"]) for one in found] == [("5", "a"), ("5", "\ufffd{"), ("5", "b")]


# The cases of the web platform tests, eventsource/format-*, made anew: what comes of a stream.
FORMATS = {
    "bom": ("\ufeffdata:1\n\n\ufeffdata:2\n\ndata:3\n\n", ["1", "3"]),
    "two boms": ("\ufeff\ufeffdata:1\n\ndata:2\n\ndata:3\n\n", ["2", "3"]),
    "comments": (
        "data:1\r:\0\n:\r\ndata:2\n:long\rdata:3\n:data:fail\r:long\ndata:4\n\n",
        ["1\n2\n3\n4"],
    ),
    "no final empty line": ("retry:1000\ndata:test1\n\nid:test\ndata:test2", ["test1"]),
    "data": ("data:\n\ndata\ndata\n\ndata:test\n\n", ["", "\n", "test"]),
    "event": ("event:test\ndata:x\n\ndata:x\n\n", [("", "test", "x"), ("", "message", "x")]),
    "event empty": ("event: \ndata:data\n\n", [("", "message", "data")]),
    "id": ("id: a\u2026\ndata:hello\n\n", [("a\u2026", "message", "hello")]),
    "id reset": ("id:1\ndata:a\n\nid\ndata:b\n\n", [("1", "message", "a"), ("", "message", "b")]),
    "id stays": ("id:1\ndata:a\n\ndata:b\n\n", [("1", "message", "a"), ("1", "message", "b")]),
    "id with null": ("id:1\0\ndata:a\n\n", [("", "message", "a")]),
    "parsing": (
        "data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\ndata:3\rdata:\r\n"
        " data:32\ndata:4\n\n",
        ["\0\n 2\n1\n3\n\n4"],
    ),
    "retry": ("retry:3000\nretry:1000x\nretry\ndata:x\n\n", ["x"]),
    "unknown": ("data:test\n data\ndata\nfoobar:xxx\njusttext\n:comment\n\n", ["test\n"]),
    "leading space": ("data:\ttest\rdata: \ndata:test\n\n", ["\ttest\n\ntest"]),
    "newlines": ("data:test\r\ndata\ndata:test\r\n\r", ["test\n\ntest"]),
    "null": ("data:\0\n\n\n\n", ["\0"]),
    "utf-8": ("data:ok\u2026\n\n", ["ok\u2026"]),
}


@pytest.mark.parametrize("name", FORMATS)
def test_formats_of_the_web_platform_tests(name, tmp_path):
    text, expected = FORMATS[name]
    events = [one if type(one) is tuple else (None, None, one) for one in expected]
    for size in (1, 2, 1000):
        parser, data, found = sse.Parser(), text.encode(), []
        for at in range(0, len(data), size):
            found += parser.feed(data[at : at + size])
        assert len(found) == len(events), found
        for event, (ident, kind, content) in zip(found, events, strict=True):
            assert event.data.decode() == content
            assert ident is None or (event.id, event.type) == (ident, kind)
    path = tmp_path / "body"
    path.write_bytes(data)  # as a file, too, which another part of the program opens
    rows = [json.loads(line) for line in run("read-sse", path).stdout.splitlines()]
    texts = [row["data"] if type(row["data"]) is str else json.dumps(row["data"]) for row in rows]
    assert texts == [content for *_, content in events]


@pytest.mark.parametrize(
    "data, expected",
    [
        ('{"a": [1]}', {"a": [1]}),
        ("[1]", "[1]"),
        ("7", "7"),
        ('{"a": NaN}', '{"a": NaN}'),
        ('{"a": 1} x', '{"a": 1} x'),
        ('"text"', '"text"'),
        ('{"a":\ndata: "\u2028 b"}', {"a": "\u2028 b"}),
        ("a\ndata: b", "a\nb"),
        ("", ""),
    ],
)
def test_data_is_an_object_or_text(data, expected):
    done = run("read-sse", stdin=f"data: {data}\n\n".encode(), check=0)
    lines = done.stdout.split(b"\n")
    assert len(lines) == 2 and lines[1] == b""
    assert json.loads(lines[0]) == {"id": "", "event": "message", "data": expected}


def test_the_real_events():
    path = REAL / "recent_changes" / "example.events"
    if not path.exists():
        pytest.skip(f"no real data at {path}")
    done = run("read-sse", path, check=0)
    assert b"example.events: breaks off within an event" in done.stderr
    done = run("read-sse", stdin=path.read_bytes() + b"\n\n", check=0)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    offsets = [event["data"]["meta"]["offset"] for event in events]
    assert offsets == [4369496612, 4369496613, 4369496614]
    assert json.loads(events[0]["id"])[0]["timestamp"] == 1670732822001


# ---- the client


def read(*answers, status=0, options=()):
    with serving(*answers) as (url, requests):
        done = run("read-sse", *options, url, timeout=30)
    assert done.returncode == status, done.stderr
    assert b"Traceback" not in done.stderr
    data = [json.loads(line)["data"] for line in done.stdout.splitlines()]
    return data, requests, done.stderr.decode()


def test_a_stream_that_is_cut_is_resumed_from_its_last_event():
    data, requests, notes = read(
        Answer(b"id: 1\ndata: a\n\nid: 2\nda", b"ta: b\n\nid: 3\ndata: lost, for"),
        Answer(b"id: 3\ndata: c\n\n"),
        END,
    )
    assert data == ["a", "b", "c"]
    assert [headers.get("Last-Event-ID") for _, headers in requests] == [None, "2", "3"]
    assert all(headers["Accept"] == "text/event-stream" for _, headers in requests)
    assert requests[0][1]["User-Agent"].startswith("Headcount/")
    assert "the server has closed the connection; once more in" in notes


def test_where_to_begin():
    options = ["--since", "2024-01-01T00:00:00Z", "--user-agent", "me (me@example.org)"]
    _, requests, _ = read(Answer(b"id: 1\ndata: a\n\n"), END, options=options)
    assert requests[0][0] == "/stream?since=2024-01-01T00%3A00%3A00Z"
    assert requests[1][0] == "/stream", "from now on there is an id"
    assert requests[0][1]["User-Agent"] == "me (me@example.org)"
    _, requests, _ = read(END, options=["--last-event-id", "[7]"])
    assert requests[0][1]["Last-Event-ID"] == "[7]"


@pytest.mark.sample(2)
@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_asks_to_wait_is_left_alone(status):
    data, _, notes = read(
        Answer(status=status, headers={"Retry-After": "1"}), Answer(b"data: a\n\n"), END
    )
    seconds = float(re.search(rf"status {status}; once more in (\S+) s", notes)[1])
    assert data == ["a"] and 1 <= seconds <= 2, "what it asked for, and some more by chance"


def test_a_silent_server_is_asked_again():
    data, _, notes = read(
        Answer(b"id: 1\ndata: a\n\n", hang=True),
        Answer(b"data: b\n\n"),
        END,
        options=["--silence", "0.3"],
    )
    assert data == ["a", "b"] and "nothing has come for 0.3 s" in notes


def test_one_that_never_answers_is_given_up():
    _, _, notes = read(Answer(status=500), status=75, options=["--give-up", "0.5"])
    assert "status 500; no event for 0.5 s: run it again later" in notes
    done = run("read-sse", "--give-up", "0.5", "http://127.0.0.1:1/", check=75)
    assert b"once more" in done.stderr


def test_redirects():
    with serving(Answer(b"data: there\n\n"), END) as (there, _):
        elsewhere = there.replace("127.0.0.1", "localhost")
        _, requests, message = read(Answer(status=302, headers={"Location": elsewhere}), status=1)
        assert len(requests) == 1 and f"redirects to {elsewhere}: name that" in message
        data, _, _ = read(Answer(status=302, headers={"Location": there}))
        assert data == ["there"]
    _, _, message = read(Answer(status=302, headers={"Location": "/stream"}), status=1)
    assert "more than 5 redirects" in message


@pytest.mark.parametrize(
    "answer, message",
    [
        (Answer(status=404), "status 404 Not Found"),
        (Answer(b"<html>", headers={"Content-Type": "text/html"}), "is text/html, not"),
        (Answer(b"x", headers={"Content-Encoding": "gzip"}), "comes compressed"),
    ],
)
def test_what_no_further_try_can_mend(answer, message):
    _, requests, text = read(answer, status=1)
    assert message in text and len(requests) == 1


def test_an_oversized_event_of_a_stream_is_a_reject():
    data, _, text = read(
        Answer(b"data: a\n\ndata: " + b"x" * 9000 + b"\n\ndata: c\n\n"),
        END,
        status=65,
        options=["--max-event", "1KB"],
    )
    assert data == ["a", "c"] and "event too large: more than 1000 bytes" in text


def test_usage():
    assert b"name one URL, or files" in run("read-sse", "http://a/", "http://b/", check=2).stderr
    run("read-sse", "--silence", "soon", "http://a/", check=2)
