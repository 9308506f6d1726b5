"""Every case of a JSON test suite goes through each parser that reads JSON Lines.

A case is a whole line, the value of a field that nobody reads, the value of each field that is
read; the line is parsed alone, and in one block between two good neighbours or behind its like.
"""

import importlib.util
import json
import re
import sys
from collections.abc import Callable
from fractions import Fraction
from functools import cache, partial
from importlib.machinery import SourceFileLoader
from typing import NamedTuple

import pytest

from headcount.filters import runner
from headcount.filters.rejects import Reject
from headcount.formats import sse
from headcount.io.blocks import BOM, All, Block
from headcount.pipelines.active_users.definitions import DEFINITIONS
from headcount.pipelines.active_users.events import by_fields, plain, source
from headcount.pipelines.active_users.events import record as ga4
from headcount.pipelines.comments import record as comments
from headcount.pipelines.event_metrics import record as metrics
from headcount.pipelines.recent_changes import reader
from headcount.pipelines.recent_changes import record as changes
from headcount.pipelines.site_activity import columns
from headcount.pipelines.site_activity import record as chats
from headcount.values.sampling import Sample
from helpers.json_suite import ACCEPTED, EITHER, REJECTED
from helpers.programs import BIN, run

CLASSES = {"accepted": ACCEPTED, "rejected": REJECTED, "either": EITHER}
DEEP = 10_000  # bytes: a case that takes long


def cases():
    return ((kind, *case) for kind, some in CLASSES.items() for case in some.items())


def program(name):
    """A program of bin/ as a module."""
    loader = SourceFileLoader(name.replace("-", "_"), str(BIN / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


sample_lines, read_sse = program("sample-lines"), program("read-sse")


class Found(NamedTuple):
    """What lines say: rows without what only repeats the line, rejects by number of line."""

    rows: list
    rejects: list


def in_batch(block, parse_all):
    events, rejects = runner.sorted_out(All(block), block.name, parse_all)
    return Found(events, [(number, reject) for reject, _, number, _ in rejects])


def one_by_one(block, parse):
    return in_batch(block, lambda lines: [parse(lines[i]) for i in range(lines.count)])


def in_columns(block, parser):
    found = parser.parse_plain(All(block))
    if type(found) is not plain.Plain:
        return in_batch(block, parser.parse_all)
    assert not found.others
    rows = [
        (found.scale.micros(time), None, user, signals)
        for signals, times, users, _ in found.columns
        for time, user in zip(times, users, strict=True)
    ]
    return Found(rows, [])


def packed_chats(block, pack, collected):
    """As import-site-activity has them, whose scanner takes lines apart without the JSON parser."""
    result = pack(block)
    collected.add(result.rows)
    table = collected.take()
    sites, names = (collected.sites.texts(table.sites), collected.names.texts(table.names))
    rows = zip(table.ids.tolist(), table.times.tolist(), sites, names, table.kinds, strict=True)
    assert result.kept == table.lines
    return Found(list(rows), [(number, reject) for reject, _, number, _ in result.rejects])


def changes_of(block):
    rows, rejects = [], []
    captured = reader.Reader(sse.Captured(1 << 20, lambda text: None))
    for event in captured.events(block):
        if type(event) is reader.Rejected:
            rejects.append((event.line, event.reject))
            continue
        number, _, kind, data = event
        change, _ = changes.parse(data) if kind == sse.MESSAGE else (None, None)
        if type(change) is Reject:
            rejects.append((number, change))
        elif change is not None:
            assert type(change) is changes.Change
            rows.append((change.meta.id, change.wiki, change.type, change.bot, change.timestamp))
    return Found(rows, rejects)


def changes_of_body(block):
    """Likewise, of a body of server-sent events, each of which has a line as its data."""
    body = b"".join(b"data:%b\n\n" % bytes(line).rstrip(b"\n") for line in All(block))
    rows, rejects = changes_of(Block(body))
    return Found(rows, [(number // 2 + 1, reject) for number, reject in rejects])


def crawls(block):
    rows, rejects = [], []
    for number, crawl in comments.crawls(block):
        if crawl is not None:
            rows += [(crawl.page_id, *crawl.post_ids, *crawl.comments)] if crawl.page_id else []
            rejects += [(number, reject) for reject, _ in crawl.rejects]
    return Found(rows, rejects)


def metrics_of(block, known):
    """Of the column event_metrics, of whose rows the others are good."""
    texts = [bytes(line).decode(errors="surrogateescape") for line in All(block)]
    day = "2024-03-05 10:11:12"
    lists = [["1"] * len(texts)] * 3 + [[day] * len(texts)] * 2 + [texts]
    rows = metrics.Reader(known)(lists)
    numbered = list(enumerate(rows, 1))
    rejects = [(i, row) for i, row in numbered if type(row) is Reject]
    return Found([row[:-1] for row in rows if type(row) is not Reject], rejects)


def samples(block):
    keeper = sample_lines.Keeper(Sample(Fraction(1)), "who.id")
    result = runner.each_line(keeper)(block)
    rows = [json.loads(line)["who"]["id"] for line in result.rows.splitlines()]
    return Found(rows, [(number, reject) for reject, _, number, _ in result.rejects])


class Way(NamedTuple):
    """A parser, by what it finds in a block of lines, with a good record for it.

    `alone` is how one line is parsed, if in another way. In the record, ? stands for the value of a
    field that nobody reads, N is what records differ by, and <> are around values that are read.
    With `may_filter`, a record with another value may be one that does not count.
    """

    together: Callable[[Block], Found]
    record: bytes
    alone: Callable[[Block], Found] | None = None
    may_filter: bool = False

    def good(self, number):
        """A record."""
        return re.sub(rb"[<>]", b"", self.record).replace(b"?", b"5").replace(b"N", b"%d" % number)

    def lines(self, place, case):
        """The lines that have a case at a kind of place."""
        if place == "line":
            return [case]
        pattern = rb"\?" if place == "unread" else rb"<[^<>]*>"
        lines = []
        for match in re.finditer(pattern, self.record):
            around = self._replace(
                record=self.record[: match.start()] + b"@" + self.record[match.end() :]
            )
            lines.append(around.good(2).replace(b"@", case))
        return lines


def events_way(parser, record, may_filter=False):
    alone = partial(one_by_one, parse=parser.parse)
    return Way(partial(in_batch, parse_all=parser.parse_all), record, alone, may_filter)


GA4_EVENT = (
    b'{"event_name":<"user_engagement">,"event_timestamp":<"1577793600000000">,"more":?,'
    b'"user_pseudo_id":<"N">,"user_id":<"a">,"time_zone_offset_seconds":<3600>,"event_params":['
    b'{"key":<"engagement_time_msec">,"value":{"int_value":<"3000">,"more":?},"more":?},'
    b'{"key":"engaged_session_event","value":<{"int_value":1}>},'
    b'{"key":"ga_session_id","value":{"int_value":<77>}},{"key":"other","value":<null>}],'
    b'"platform":<"WEB">,"batch_page_id":<4>,"is_active_user":<true>,"last":?}'
)
GA4_FLAT = GA4_EVENT[: GA4_EVENT.index(b"[")] + (
    b'{"engagement_time_msec":<3000>,"engaged_session_event":<"1">,"other":<7>},"last":?}'
)
GA4_ALL = ga4.Definition(
    summed=True,
    named=frozenset(DEFINITIONS) - {"any-event"},
    fields=source.Fields(user=("user_id", "user_pseudo_id")),
    with_offset=True,
    stitched=True,
)
SEGMENT = (
    b'{"type":<"track">,"event":<"e">,"userId":<"N">,"anonymousId":<null>,"more":?,'
    b'"timestamp":<"2024-03-05T10:00">,"context":{"more":?}}'
)
ANY = b'{"who":{"id":<"N">,"no":<7>,"more":?},"when":[<null>,<1577793600000>],"what":<"e">}'
ANY_FIELDS = source.Fields("fields", ("who.id+who.no",), ("when.1",), ("what",), "ms")
CHANGE = (
    b'{"more":?,"meta":{"id":<"N">,"domain":<"d">,"topic":<"t">,"partition":<0>,"offset":<7>,'
    b'"more":?},"wiki":<"w">,"type":<"edit">,"bot":<false>,"timestamp":<1670732822>,"user":<"u">}'
)
FRAMED_CHANGE = b'{"id":<"9">,"event":<"message">,"data":%b,"more":?}' % CHANGE
CHAT = (
    b'{"id":<"0000000N-0000-4000-8000-000000000000">,"type":<"status">,"from":<"a">,'
    b'"site_id":<"s">,"timestamp":<1709856000>,"data":{"status":<"online">,"more":?},"more":?}'
)
CRAWL = (
    b'{"more":?,"h_id":<"N">,"posts":{"data":[{"h_id":<"p">,"comments":{"more":?,"data":['
    b'{"h_id":<"c">,"more":?,"created_time":<"2018-01-01T10:00:00+0000">,"up_likes":<7>,'
    b'"parent":<{"h_id":"q"}>},{"h_id":"q","created_time":"2018-01-01T09:00:00+0000",'
    b'"comments":{"data":<[]>}}]}},{"h_id":"r","comments":<null>}]},"last":?}'
)


@cache
def ways():
    _, *segment = source.find("segment")
    fields = source.Fields("segment", *segment[:4])
    by_segment = by_fields.Parser(ga4.Definition(fields=fields))
    by_any = by_fields.Parser(ga4.Definition(fields=ANY_FIELDS))
    packed = partial(packed_chats, pack=columns.Columns(), collected=columns.Collected())
    known = partial(metrics_of, known=metrics.KNOWN)
    return {
        "GA4": events_way(ga4.Parser(ga4.Definition()), GA4_EVENT, True),
        "GA4, all that there is": events_way(ga4.Parser(GA4_ALL), GA4_EVENT, True),
        "GA4, parameters as an object": events_way(ga4.Parser(ga4.Definition()), GA4_FLAT, True),
        "segment": events_way(by_segment, SEGMENT),
        "segment, columns": Way(partial(in_columns, parser=by_segment), SEGMENT),
        "fields": events_way(by_any, ANY),
        "chats": Way(
            partial(in_batch, parse_all=chats.parse_all),
            CHAT,
            partial(one_by_one, parse=chats.parse),
        ),
        "chats, packed": Way(packed, CHAT),
        "changes": Way(changes_of, CHANGE, may_filter=True),
        "changes of read-sse": Way(changes_of, FRAMED_CHANGE, may_filter=True),
        "changes of a body": Way(changes_of_body, CHANGE, may_filter=True),
        "comments": Way(crawls, CRAWL),
        # a number that is a text only the lenient parser takes
        "comments, lenient": Way(crawls, CRAWL.replace(b"<7>", b'<"7">')),
        "metrics": Way(known, b'{"more":?,"metrics":{"metric_one":<N>,"metric_two":<"77">}}'),
        "metrics, others": Way(
            known, b'{"metrics":{"metric_one":<N>,"other":?},"last":{"more":?}}'
        ),
        "samples": Way(samples, b'{"more":?,"who":{"id":<"N">,"more":?}}'),
    }


def wrong(way, place, kind, line, neighbours):
    """What is wrong with what is made of a line; "" for nothing."""
    first, last, good = neighbours
    alone = (way.alone or way.together)(Block(line + b"\n"))
    rejects = [reject for _, reject in alone.rejects]
    if not all(type(reject) is Reject and reject.reason for reject in rejects):
        return f"rejects without a reason: {rejects}"
    expected = first.rows + alone.rows + last.rows
    between = way.together(Block(b"\n".join([way.good(1), line, way.good(3), b""])))
    if sorted(between.rows, key=repr) != sorted(expected, key=repr):
        return f"other rows between neighbours: {between.rows}, alone {alone.rows}"
    if between.rejects != [(2, reject) for reject in rejects]:
        return f"other rejects between neighbours: {between.rejects}, alone {rejects}"
    if len(line) < DEEP:
        like = way.together(Block((line + b"\n") * 3))
        if like.rows != alone.rows * 3 or [it for _, it in like.rejects] != rejects * 3:
            return f"another result behind its like: {like}, alone {alone}"
    if kind == "rejected":
        return "" if rejects and not alone.rows else f"not rejected: {alone}"
    if place == "unread" and (kind == "accepted" or not rejects):
        return "" if alone == good else f"the record is lost: {alone}"
    return "" if rejects or alone.rows or way.may_filter else "neither a row nor a reject"


@pytest.mark.parametrize("place", ["line", "unread", "read"])
@pytest.mark.parametrize("name", ways())
def test_each_case_is_a_row_or_a_reject_and_costs_no_neighbour(name, place):
    way, failed = ways()[name], []
    neighbours = [way.together(Block(way.good(number))) for number in (1, 3, 2)]
    assert all(len(found.rows) == 1 and not found.rejects for found in neighbours)
    for kind, title, case in cases():
        if place == "line" and not case.strip():
            continue  # a blank line is filtered
        lines = way.lines(place, case)
        for line in lines[:1] if len(case) > DEEP else lines:
            try:
                why = wrong(way, place, kind, line, neighbours)
            except Exception as error:
                why = f"raised {error!r}"
            if why:
                failed.append(f"{kind} {title}: {line[:400]}: {why:.400}")
    assert not failed, f"{len(failed)}\n" + "\n".join(failed[:9])


@pytest.mark.parametrize("name", ways())
def test_a_number_beyond_floats_that_nobody_reads_costs_nothing(name):
    way = ways()[name]
    for title, case in EITHER.items():
        for line in way.lines("unread", case) if title.startswith("number_") else ():
            assert way.together(Block(line)) == way.together(Block(way.good(2))), title


def is_json(text):
    """Whether Python's parser takes a text, without what it takes beyond RFC 8259."""

    def refused(constant):
        raise ValueError(constant)

    try:
        json.loads(text.decode(), parse_constant=refused)
    except ValueError:
        return False
    return True


def test_the_cases_are_what_their_class_says_in_each_place_of_each_record():
    for way in ways().values():
        for kind, title, case in cases():
            for line in (case, *way.lines("unread", case)[:1], *way.lines("read", case)):
                if kind != "either" and len(case) < DEEP:
                    assert is_json(line) == (kind == "accepted"), (title, line)
                assert b"\n" not in line


@pytest.mark.parametrize(
    "name", [name for name in ways() if "metrics" not in name and name != "changes of a body"]
)
def test_one_byte_order_mark_before_a_good_line_is_passed_over(name):
    way = ways()[name]
    twice = way.together(Block(BOM * 2 + way.good(1)))
    assert (twice.rows, [reject.reason for _, reject in twice.rejects]) == ([], ["not JSON"])
    assert way.together(Block(BOM + way.good(1))) == way.together(Block(way.good(1)))
    both = way.together(Block(way.good(1) + b"\n" + BOM + way.good(2) + b"\n"))
    assert (len(both.rows), both.rejects) == (2, [])


def test_read_sse_gives_an_object_as_it_is_but_anything_else_as_a_text():
    good = b"data: {}\n\n"
    for kind, title, case in cases():
        for data in (case, b'{"a":%b}' % case, b'{"a":{"b":%b},"c":0}' % case):
            if not data.strip() or b"\r" in data:
                continue  # there a line of an event ends
            first, *events, last = sse.Parser().feed(good + b"data:%b\n\n" % data + good)
            assert first.data == last.data == b"{}"
            (event,) = events
            if type(event) is sse.Rejected:
                assert event.reject.reason and kind != "accepted", title
                continue
            line = read_sse.line(event)
            assert line.endswith(b"}\n") and line.count(b"\n") == 1
            told = json.loads(line)["data"] if len(line) < DEEP else data.decode(errors="replace")
            is_text = kind == "rejected" or not data.lstrip().startswith(b"{")
            if is_text or (kind == "either" and type(told) is str):
                assert told == data.removeprefix(b" ").decode(errors="replace"), title
            else:
                assert type(told) is dict, title


@pytest.mark.parametrize(
    "program, options, name",
    [
        ("count-active-users", ["--tz", "UTC"], "GA4"),
        ("count-active-users", ["--tz", "UTC", "--source", "segment"], "segment"),
        ("parse-comments", [], "comments"),
        ("sample-lines", ["--fraction", "1", "--key", "who.id"], "samples"),
    ],
)
def test_the_programs_reject_what_is_rejected_and_nothing_else(tmp_path, program, options, name):
    way, lines, bad = ways()[name], [], []
    for kind, _, case in cases():
        if kind != "either" and len(case) < DEEP:
            lines += [way.good(1), way.lines("unread", case)[0]]
            bad += [len(lines)] if kind == "rejected" else []
    lines.append(way.good(3))
    run(program, *options, "--rejects", tmp_path / "a", stdin=b"\n".join(lines), check=65)
    rejected = (tmp_path / "a").read_bytes().splitlines()
    assert [json.loads(line)["line"] for line in rejected] == bad
