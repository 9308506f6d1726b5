"""The programs against the slow reference, on made-up events with every trap we know of."""

import base64
import contextlib
import gzip
import importlib.util
import json
import re
import sqlite3
import string
import sys
from collections import Counter, defaultdict
from fractions import Fraction
from importlib.machinery import SourceFileLoader
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from pyroaring import BitMap
from stringzilla import Str

from headcount.filters.rejects import Reject
from headcount.io.blocks import Block
from headcount.pipelines.active_users.events import record
from headcount.pipelines.active_users.events.source import Fields
from headcount.pipelines.active_users.options import engagement_options
from headcount.values import zones
from headcount.values.search import NameSearch
from helpers.programs import BIN, run
from reference import active_users as reference
from reference.active_users import Options


def examples(count: int, *, shrink: bool = True):
    """So many examples, the same each time. (To shrink a whole line would take minutes.)"""
    large = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
    phases = [Phase.explicit, Phase.generate, *([Phase.shrink] if shrink else [])]
    return settings(
        deadline=None,
        derandomize=True,
        max_examples=count,
        phases=phases,
        suppress_health_check=large,
    )


def program(name: str):
    """A program of bin/ as a module."""
    loader = SourceFileLoader(name.replace("-", "_"), str(BIN / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


count_distinct = program("count-distinct")


# --- making up events -----------------------------------------------------------------------------

DAY = 86_400 * 10**6

# zone: days around which something happens to its clock
INTERESTING = {
    "America/Chicago": ["2019-12-30", "2024-03-10", "2024-11-03"],
    "UTC": ["1970-01-02", "2000-02-29", "9998-12-30"],
    "America/St_Johns": ["2010-11-07", "2011-03-13"],
    "America/Sao_Paulo": ["2018-11-04", "2019-02-17"],
    "Pacific/Apia": ["2011-12-30", "2012-04-01"],
    "Africa/Monrovia": ["1972-01-07"],
    "Africa/Cairo": ["2023-04-28", "2023-10-27"],
    "Australia/Lord_Howe": ["2024-04-07"],
    "Asia/Kathmandu": ["1986-01-01"],
    "Asia/Beirut": ["2036-03-30"],
    "Europe/Berlin": ["2100-03-28", "2611-10-27"],
    "device": ["2019-12-30", "1970-01-01"],
}
USERS = [
    *string.ascii_lowercase,
    "Ann",
    "tab\there",
    "line\nbreak",
    "back\\slash",
    "\\N",
    "\\",
    "\\t",
    "\r",
    'quo"te/',
    "é",
    "e\u0301",
    "😀",
    "\u2028",
    "nul\0",
    "\x7f",
    " ",
    "0",
    "null",
    "user_engagement",
]
PARAMS = ["engaged_session_event", "session_engaged", 'pa"ram\\/ü😀', "engagement_time_msec"]
LISTED = ["purchase", "first_open", 'na"me\\/é😀\t', "user_engagement", "x"]
OTHERS = ["screen_view", "user_engagement_2", "User_engagement", "push_received", "user\\u005f"]


class Verbatim(str):
    """JSON text that is written as it stands."""


class Speller:
    """Writes values as JSON in any of the ways that mean the same."""

    def __init__(self, rng: Random):
        self.rng = rng
        self.odd = rng.random() < 0.7  # else plain, like the export

    def sometimes(self, share: float) -> bool:
        return self.odd and self.rng.random() < share

    def space(self) -> str:
        return self.rng.choice([" ", "\t", "\r", "  ", " \r\t"]) if self.sometimes(0.1) else ""

    def text(self, value: str) -> str:
        if not self.sometimes(0.3):
            return json.dumps(value, ensure_ascii=self.sometimes(0.5))
        share = self.rng.choice([0.05, 0.5, 1])
        return '"' + "".join(self.char(char, share) for char in value) + '"'

    def char(self, char: str, share: float) -> str:
        if self.rng.random() < share or char < " " or char in '"\\':
            short = {"\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}
            short |= {mark: mark for mark in '"\\/'}
            if char in short and self.rng.random() < 0.5:
                return "\\" + short[char]
            units = char.encode("utf-16-be")
            codes = [units[i : i + 2].hex() for i in range(0, len(units), 2)]
            return "".join("\\u" + self.rng.choice([code, code.upper()]) for code in codes)
        return char

    def value(self, value) -> str:
        if isinstance(value, Verbatim):
            return str(value)
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            items = (self.space() + self.value(item) + self.space() for item in value)
            return "[" + (",".join(items) or self.space()) + "]"
        if isinstance(value, dict):
            pairs = list(value.items())
            if self.sometimes(0.5):
                self.rng.shuffle(pairs)
            members = (
                f"{self.space()}{self.text(key)}{self.space()}:"
                f"{self.space()}{self.value(item)}{self.space()}"
                for key, item in pairs
            )
            return "{" + (",".join(members) or self.space()) + "}"
        return json.dumps(value)

    def number(self, value: int) -> Verbatim:
        """A whole number, as number or text."""
        forms = [f"{value}", f"{value}.0", f"{value}.000", f"{value}e0", f"{value}0E-1"]
        if value % 1000 == 0 and value:
            forms += [f"{value // 1000}e3", f"{value // 1000}.0E+3"]
        text = self.rng.choice(forms) if self.sometimes(0.5) else f"{value}"
        return Verbatim(self.text(text) if self.rng.random() < 0.5 else text)


# What may stand where a number should; which of them are good, the reference knows.
NUMBERS = """
    0 -0 1 -1 1.0 1.5 1e400 1e-400 1e1000003 1e999999999999999999999 0.99999999999999999999999999
    3000.5 2999.9999999999999999999999999999999999 86400 86401 -86400 -86401
    253370764799999999 253370764800000000
    "007" "-0" "1e400" "1e99999" "\\u0033000" "+5" "1_000" "0x10" "1e" ".5" "5." "٥" "5\\n" "x" ""
    "NaN" "Infinity" NaN Infinity -Infinity 01 1. .5 1e - +1 0x1 1_0
    null true false [] {} [3000] {"a":1}
"""
ODD_NUMBERS = [
    *map(Verbatim, NUMBERS.split()),
    *map(Verbatim, ['" 5"', '"5 "', "9" * 25, "9" * 5000, "-" + "9" * 400]),
]
ODD_VALUES = [
    *map(Verbatim, ["null", "true", "5", "[]", "{}", '""', '"\\ud800"', '"\\udc00x"', '"\\x"']),
    *map(Verbatim, ['"\x01"', "1e400", "tru", "nul", "[1,]", '{"a":1,}', "[[[[]]]]", '"\\u12G4"']),
]


class Maker:
    """Makes up lines: events, events with something odd, and what is no event at all."""

    def __init__(self, rng: Random, options: Options):
        self.rng = rng
        self.options = options
        self.users = USERS
        self.valuable_param = options.valuable_param or "engaged_session_event"
        days = INTERESTING.get(options.tz, ["2024-03-01"])
        day = reference.datetime.fromisoformat(rng.choice(days) + "T00:00+00:00")
        self.begin = (day - reference.EPOCH) // reference.timedelta(microseconds=1) - DAY

    def micros(self) -> int:
        """An instant of three days, often at a quarter hour or just before."""
        rng = self.rng
        if rng.random() < 0.5:
            return max(0, self.begin + rng.randrange(3 * 96) * (DAY // 96) - rng.randrange(2))
        return max(0, self.begin + rng.randrange(3 * DAY))

    def name(self) -> str:
        others = [*self.options.valuable_events, *self.options.valuable_events, *OTHERS, *LISTED]
        return "user_engagement" if self.rng.random() < 0.6 else self.rng.choice(others)

    def fields(self, speller: Speller) -> dict:
        rng = self.rng
        fields = {
            "event_date": "20191230",
            "event_timestamp": speller.number(self.micros()),
            "event_name": self.name(),
            "event_params": self.params(speller),
        }
        for field in dict.fromkeys((*self.options.user, "user_pseudo_id")):
            if rng.random() < 0.9:
                fields[field] = rng.choice(self.users)
        if rng.random() < 0.1:
            fields["user_id"] = rng.choice([None, "", "id of a user"])
        offset = rng.choice([0, -21600, 20700, 3600, 45900, 86400, -86400, rng.randrange(86400)])
        if rng.random() < 0.6:
            fields["time_zone_offset_seconds"] = speller.number(offset)
        if rng.random() < 0.5 or "time_zone_offset_seconds" not in fields:
            fields["device"] = {"category": "mobile", "time_zone_offset_seconds": offset}
        return fields

    def params(self, speller: Speller) -> list:
        rng = self.rng
        params = []
        for name, values in (
            ("engagement_time_msec", [0, 1, 999, 1000, 1500, 2000, 2999, 3000, 3001, 10000, -5000]),
            (self.valuable_param, [0, 1, 1, 1, 2, -1]),
            (rng.choice(PARAMS), [0, 1, 3000]),
        ):
            if rng.random() < 0.9:
                kind = rng.choice(["int_value"] * 8 + ["double_value", "float_value"])
                params.append({"key": name, "value": {kind: speller.number(rng.choice(values))}})
        if rng.random() < 0.3:
            value = {"string_value": rng.choice(["user_engagement", "3000", "é\\"])}
            params.insert(0, {"key": rng.choice(["source", *PARAMS]), "value": value})
        return params

    def event(self) -> bytes:
        """A line that is an event, oddly spelled perhaps."""
        speller = Speller(self.rng)
        return speller.value(self.fields(speller)).encode()

    def odd(self) -> bytes:
        """A line with something odd about a field, or about its bytes."""
        trap = self.rng.choice([self.odd_field, self.odd_param, self.odd_bytes, self.repeated])
        return trap()

    def odd_field(self) -> bytes:
        rng = self.rng
        speller = Speller(rng)
        fields = self.fields(speller)
        names = "event_name event_timestamp event_timestamp event_params user_properties device"
        name = rng.choice([*names.split(), "time_zone_offset_seconds", *self.options.user])
        if rng.random() < 0.2:
            fields.pop(name, None)
        elif name in ("event_timestamp", "time_zone_offset_seconds"):
            fields[name] = rng.choice(ODD_NUMBERS)
        elif name == "device" and rng.random() < 0.6:
            fields.pop("time_zone_offset_seconds", None)
            fields[name] = {"time_zone_offset_seconds": rng.choice(ODD_NUMBERS)}
        elif name == "user_properties" and rng.random() < 0.5:
            depth = rng.choice([50, 400, 50_000])  # between, it depends on the Python
            deep = rng.choice(["[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth])
            fields[name] = Verbatim(rng.choice([deep, deep[:-1]]))
        else:
            fields[name] = rng.choice(ODD_VALUES)
        return speller.value(fields).encode()

    def odd_param(self) -> bytes:
        rng = self.rng
        speller = Speller(rng)
        fields = self.fields(speller) | {"event_name": "user_engagement"}
        params = fields["event_params"]
        name = rng.choice(["engagement_time_msec", self.valuable_param])
        kinds = rng.sample(["int_value", "double_value", "float_value", "string_value"], 2)
        odd = {kind: rng.choice(ODD_NUMBERS) for kind in kinds}
        param = {"key": name, "value": odd}
        match rng.randrange(6):
            case 0:
                param["value"] = rng.choice(ODD_VALUES)
            case 1:
                del param["value"]
            case 2:
                param["key"] = rng.choice(ODD_VALUES)
            case 3:
                del param["key"]
        kept = [other for other in params if other["key"] != name or rng.random() < 0.3]
        kept.insert(rng.randrange(len(kept) + 1), param)
        fields["event_params"] = rng.choice([kept] * 8 + [param, [*kept, None], [kept]])
        return speller.value(fields).encode()

    def repeated(self) -> bytes:
        """Keys, parameters or the event's name more than once."""
        rng = self.rng
        speller = Speller(rng)
        one, other = (self.fields(speller) for _ in range(2))
        one["nested"] = other
        text = speller.value(one)
        name = rng.choice([name for name in other if name in one])
        extra = f"{speller.text(name)}:{speller.value(other[name])}"
        if rng.random() < 0.5:
            return f"{{{extra},{text.strip()[1:]}".encode()
        return f"{text.strip()[:-1]},{extra}}}".encode()

    def odd_bytes(self) -> bytes:
        rng = self.rng
        line = self.event()
        at = rng.randrange(len(line) + 1)
        match rng.randrange(7):
            case 0:
                return line[:at]
            case 1:
                return line + rng.choice([b" x", b"}", b"\0", b"{}", b",", b"\x0c", b" \r", b"//"])
            case 2:
                return rng.choice([b"\xef\xbb\xbf", b"\x0b", b" ", b"\xa0", b"[", b","]) + line
            case 3:
                wrong = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82"]
                return line[:at] + rng.choice(wrong) + line[at:]
            case 4:
                return line[:at] + rng.choice([b"\0", b"\x01", b"\x1f", b"\t", b"\x7f"]) + line[at:]
            case 5:
                byte = bytes([rng.choice([i for i in range(256) if i != 10])])
                return line[:at] + byte + line[at + 1 :]
        odd = [b"", b" ", b"\t \r", b"\r", b"[]", b"null", b"5", b"{}", b"\0", b"\x0c", b"{", b"#"]
        named = [b"user_engagement", b'"user_engagement"', b'["user_engagement"]']
        return rng.choice([*odd, *named, b"\xef\xbb\xbf"])


def some_options(rng: Random) -> Options:
    """Options of count-active-users, often the default ones."""

    def maybe(default, *others):
        return rng.choice(others) if rng.random() < 0.5 else default

    return Options(
        tz=maybe("America/Chicago", *INTERESTING),
        user=maybe(
            ("user_pseudo_id",),
            ("user_id", "user_pseudo_id"),
            ("user_id",),
            ("customer", "user_id"),
        ),
        min_engagement=maybe("3", "0", "2.5", "0.001", "3.000", "1e1", "3.0001"),
        valuable_param=maybe(None, *PARAMS),
        valuable_events=maybe(
            (),
            ("purchase",),
            ("user_engagement",),
            ("first_open", LISTED[2], "user_engagement"),
            ("x",),
        ),
        definition=maybe("engaged-valuable", "summed"),
    )


def some_line(maker: Maker) -> bytes:
    return maker.odd() if maker.rng.random() < 0.5 else maker.event()


# --- each function by itself ----------------------------------------------------------------------


def parser(options: Options) -> record.Parser:
    return record.Parser(
        record.Definition(
            min_msec=engagement_options.msec(options.min_engagement),
            **({"valuable_params": (named,)} if (named := options.valuable_param) else {}),
            valuable_events=frozenset(options.valuable_events),
            summed=options.definition == "summed",
            fields=Fields(user=options.user, earliest=0),
            with_offset=options.tz == "device",
        )
    )


def unescape(column: str) -> str:
    """A column of PostgreSQL's COPY text format."""
    written = {"\\\\": "\\", "\\t": "\t", "\\n": "\n", "\\r": "\r"}
    return re.sub(r"\\.", lambda found: written[found[0]], column)


def check_parser(line: bytes, options: Options) -> None:
    """One line: the same verdict, and the same columns."""
    verdict, *what = reference.classify(line, options)
    event = parser(options).parse(line)
    answer = record.row(event) if type(event) is tuple else event
    if verdict != "event":
        assert verdict == ("rejected" if isinstance(answer, Reject) else "filtered"), answer
        assert answer is None or verdict == "rejected"
        if verdict == "rejected":
            assert what != ["unidentified"] or answer.reason == "unidentified"
        return
    event = what[0]
    assert isinstance(answer, bytes), answer
    assert answer.endswith(b"\n") and answer.count(b"\n") == 1
    columns = [unescape(column) for column in answer.decode()[:-1].split("\t")]
    expected = [str(event.micros)]
    if options.tz == "device":
        expected.append(str(event.offset))
    signals = [name for name in ("engaged", "valuable") if getattr(event, name)]
    expected += [event.user, ",".join(signals)]
    if options.definition == "summed":
        *columns, seconds, copy = columns
        assert copy == str(event.micros)
        if -(10**30) < (event.msec or 0) < 10**30:
            assert Fraction(seconds) * 1000 == Fraction(event.msec or 0)
    assert columns == expected


@examples(400, shrink=False)
@given(st.randoms(use_true_random=False))
def test_a_line_means_what_the_reference_says(rng):
    options = some_options(rng)
    line = some_line(Maker(rng, options))
    if line.strip(b" \t\r"):  # blank ones never reach the parser
        check_parser(line, options)


@pytest.mark.sample(4)
@pytest.mark.parametrize("seed", range(8))
def test_many_lines_mean_what_the_reference_says(seed):
    """The same on more lines than hypothesis has time for."""
    rng = Random(seed)
    verdicts = Counter()
    for _ in range(80):
        options = some_options(rng)
        maker = Maker(rng, options)
        lines = [some_line(maker) for _ in range(25)]
        for line in lines:
            if line.strip(b" \t\r"):
                check_parser(line, options)
                verdicts[reference.classify(line, options)[0]] += 1
        check_search(lines, options, end=b"")
    assert min(verdicts[verdict] for verdict in ("event", "filtered", "rejected")) > 100, verdicts


def event_line(params: str = "", **fields) -> bytes:
    """A plain user_engagement with these parameters, as JSON, and other fields."""
    fields = {"event_name": "user_engagement", "user_pseudo_id": "u", "event_timestamp": 5} | fields
    return f'{json.dumps(fields)[:-1]}, "event_params": [{params}]}}'.encode()


def int_param(name: str, number: str) -> str:
    return f'{{"key": "{name}", "value": {{"int_value": {number}}}}}'


ENGAGED = int_param("engagement_time_msec", "3000")
VALUABLE = int_param("engaged_session_event", "1")
ACTIVE = f"{ENGAGED}, {VALUABLE}"


@pytest.mark.parametrize("number", [*ODD_NUMBERS, Verbatim("3000"), Verbatim("3e3")])
@pytest.mark.parametrize("definition", ["engaged-valuable", "summed"])
def test_every_form_of_a_number(number, definition):
    options = Options(definition=definition)
    engaged = int_param("engagement_time_msec", number)
    check_parser(event_line(f"{engaged}, {VALUABLE}"), options)
    valuable = int_param("engaged_session_event", number)
    check_parser(event_line(f"{ENGAGED}, {valuable}"), options)
    line = event_line(ACTIVE)
    odd_time = line.replace(b"5", number.encode(), 1)
    check_parser(odd_time, options)
    line = line.replace(b"{", b'{"time_zone_offset_seconds": ' + number.encode() + b",", 1)
    check_parser(line, options)
    check_parser(line, options._replace(tz="device"))


def test_a_field_that_is_not_needed_may_be_of_any_type():
    for extra in ({"user_id": 7}, {"device": 7}, {"time_zone_offset_seconds": "x"}):
        check_parser(event_line(ACTIVE, **extra), Options())


@examples(80, shrink=False)
@given(st.randoms(use_true_random=False))
def test_the_prefilter_never_loses_an_event(rng):
    options = some_options(rng)
    maker = Maker(rng, options)
    lines = [some_line(maker) for _ in range(rng.randrange(1, 6))]
    lines += [b'{"event_name":"other"}', b""]
    rng.shuffle(lines)
    check_search(lines, options, end=rng.choice([b"", b"\n", b"\r\n"]))


event_names = st.text(min_size=1, max_size=6).filter(lambda name: "," not in name)


@examples(150)
@given(st.lists(event_names, min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_the_prefilter_knows_every_spelling_of_every_name(names, rng):
    options = Options(valuable_events=tuple(names))
    speller = Speller(rng)
    fields = {"event_name": rng.choice(names), "user_pseudo_id": "u", "event_timestamp": 1}
    line = speller.value(fields).encode()
    assert reference.classify(line, options)[0] == "event"
    check_search([b"{}", line, b"{}"], options, end=b"\n")


def spellings(char: str) -> set[str]:
    """Every escape of a character, the hexadecimal digits in either case or both."""
    units = char.encode("utf-16-be")
    codes = [units[i : i + 2].hex() for i in range(0, len(units), 2)]
    cases = (str.lower, str.upper, str.title)
    found = {"".join("\\u" + case(code) for code in codes) for case in cases}
    short = dict(zip('"\\/\b\f\n\r\t', '"\\/bfnrt', strict=True))
    return found | ({"\\" + short[char]} if char in short else set())


@pytest.mark.parametrize(
    "name",
    ["user_engagement", "jklmnoz/", "zoë 😀", "\x7f\N{EURO SIGN}", '"', "\\", *"\b\f\n\r\t\x1f"],
)
def test_the_prefilter_knows_every_escape_of_one_character(name):
    options = Options(valuable_events=(name,))
    for i, char in enumerate(name):
        for escape in spellings(char):
            plain = {"event_name": "~", "user_pseudo_id": "u", "event_timestamp": 1}
            before, after = (
                json.dumps(part, ensure_ascii=False)[1:-1] for part in (name[:i], name[i + 1 :])
            )
            line = json.dumps(plain).replace("~", before + escape + after).encode()
            assert reference.event_of(reference.parse_json(line), options)
            check_search([b"{}", line, b"{}"], options, end=b"")


def check_search(lines: list[bytes], options: Options, end: bytes) -> None:
    data = b"\n".join(lines) + end
    search = NameSearch(["user_engagement", *options.valuable_events])
    spans = search.spans(Str(data))
    starts = {0} | {i + 1 for i, byte in enumerate(data) if byte == 10}
    assert spans == sorted(set(spans))
    for start, stop in spans:  # whole lines, each once
        assert start in starts and stop > start
        assert stop == (data.find(b"\n", start) + 1 or len(data))
    kept = [data[start:stop].rstrip(b"\n") for start, stop in spans]
    every = data.split(b"\n")
    for line in every:
        if reference.classify(line, options)[0] == "event":
            assert every.count(line) == kept.count(line)
    for line in kept:  # and it is a filter
        assert b"\\" in line or b'"user_engagement"' in line or options.valuable_events


rows = st.lists(
    st.tuples(
        st.sampled_from(["2019-12-30", "2019-12-31"]),
        st.sampled_from(["ann", "bob", "\\N", "é", ""]),
        st.sampled_from(["engaged", "valuable", "engaged,valuable", "", "other"]),
        st.sampled_from(["0", "1.5", "2", "-7", "2.999", "3", "0.001", "1E+40"]),
        st.integers(1, 3),
    ),
    max_size=12,
)


def distinct(rows: list[str], **options) -> str:
    counts = count_distinct.Counts(**options)
    result = counts.add(Block("".join(row + "\n" for row in rows).encode(), "x", 1))
    assert result.kept + result.duplicate == len(rows) and not list(result.rejects)
    return counts.rows().decode()


@examples(150)
@given(rows, st.randoms(use_true_random=False))
def test_count_distinct_is_the_size_of_sets(rows, rng):
    rows = rows + rows[:3]
    rng.shuffle(rows)
    users, signals = defaultdict(set), defaultdict(set)
    for day, user, signal, _, _ in rows:
        users[day].add(user)
        signals[day, user] |= set(signal.split(","))
    wanted = {"engaged", "valuable"}
    both = {day: {user for user in users[day] if wanted <= signals[day, user]} for day in users}
    plain = ["\t".join(row[:2]) for row in rows]
    assert distinct(plain, all_of=[]) == sizes(users)
    tagged = ["\t".join(row[:3]) for row in rows]
    assert distinct(tagged, all_of=[b"engaged", b"valuable"]) == sizes(both)


def sizes(sets: dict[str, set]) -> str:
    return "".join(f"{key}\t{len(sets[key])}\n" for key in sorted(sets) if sets[key])


@examples(150)
@given(rows, st.randoms(use_true_random=False))
def test_count_distinct_adds_up_each_event_once_in_any_order(rows, rng):
    """Copies are told by their last column; of copies that differ the largest amount counts."""
    longest = defaultdict(Fraction)
    for day, user, _, amount, copy in rows:
        longest[day, user, copy] = max(longest[day, user, copy], Fraction(amount))
    sums = defaultdict(Fraction)
    for (day, user, _), amount in longest.items():
        sums[day, user] += amount
    enough = defaultdict(set)
    for (day, user), amount in sums.items():
        if amount >= 3:
            enough[day].add(user)
    rows = rows + rows[:3]
    rng.shuffle(rows)
    texts = ["\t".join(map(str, row)) for row in rows]
    assert distinct(texts, all_of=[], sum_at_least=count_distinct.amount("3")) == sizes(enough)


@pytest.mark.parametrize(
    ("amounts", "active"),
    [
        (["1e1000003"], 1),
        (["9e999999", "9e999999"], 1),
        (["2.9999999999999999999999999999999999"], 0),
        (["1", "1.9999999999999999999999999999999999"], 0),
        (["1", "2.0000000000000000000000000000000000"], 1),
        (["-1e1000003", "3"], 1),
    ],
)
def test_count_distinct_adds_exactly(amounts, active):
    texts = [f"day\tann\tengaged\t{amount}\t{i}" for i, amount in enumerate(amounts)]
    expected = f"day\t{active}\n" if active else ""
    assert distinct(texts, all_of=[], sum_at_least=count_distinct.amount("3")) == expected


LAST = record.LAST_MICROS
ZONES = sorted(set(INTERESTING) - {"device"})


@examples(600)
@given(st.sampled_from(ZONES), st.one_of(st.integers(0, LAST), st.integers(0, 2**51)))
@example("Pacific/Apia", LAST)
@example("America/Chicago", 0)
@example("Europe/Berlin", 253_370_764_800_000_000 - 1)
def test_the_local_day_is_that_of_dateutil(zone, micros):
    found = zones.LocalDays(zones.find(zone)).date(micros)
    assert found.decode() == reference.local_day(micros, zone)


@examples(300)
@given(st.integers(0, LAST), st.integers(-86_400, 86_400))
@example(0, -86_400)
@example(LAST, 86_400)
def test_the_device_day_is_plain_arithmetic(micros, offset):
    found = zones.DeviceDays().date(micros, offset)
    assert found.decode() == reference.local_day(micros, "device", offset)


# --- the programs as they are run -----------------------------------------------------------------

STREAMS = 20
EVENTS = 10_000  # of each: 200,000 in all
BOM = b"\xef\xbb\xbf"


def stream(rng: Random, options: Options, size: int) -> list[bytes]:
    """Many lines, cheaply made: most are plain, some odd, some copies of others."""
    maker = Maker(rng, options)
    maker.users = USERS + [f"{i:08x}" for i in range(rng.choice([0, 500, 5000]))]
    users = [json.dumps(user, ensure_ascii=False) for user in maker.users]
    names = [json.dumps(name) for name in (*options.valuable_events * 3, *OTHERS, *LISTED)]
    param = json.dumps(maker.valuable_param)
    field = options.user[-1]
    choice, random, integer = rng.choice, rng.random, rng.randrange
    lines = []
    while len(lines) < size:
        roll = random()
        if roll < 0.03 and lines:
            lines.append(some_line(maker))
        elif roll < 0.06 and lines:
            lines.append(choice(lines))
        else:
            name = '"user_engagement"' if random() < 0.5 else choice(names)
            lines.append(
                f'{{"event_date":"20191230","event_timestamp":"{maker.micros()}","event_name":{name},'
                '"event_params":[{"key":"engagement_time_msec","value":{"int_value":'
                f'"{choice((500, 1000, 1500, 2999, 3000, 4000))}"}}}},{{"key":{param},'
                f'"value":{{"int_value":{integer(2)}}}}}],"{field}":{choice(users)},'
                f'"time_zone_offset_seconds":{choice((-21600, 0, 20700))}}}'.encode()
            )
    return lines


class Inputs:
    """A stream as files of several kinds."""

    def __init__(self, rng: Random, lines: list[bytes], folder: Path):
        cuts = sorted(rng.sample(range(1, len(lines)), rng.randrange(3)))
        self.lines = {}
        for i, (start, stop) in enumerate(zip([0, *cuts], [*cuts, len(lines)], strict=True)):
            path = folder / f"part {i}.jsonl"
            # a part starts and ends with a plain line: a mark or a missing end is none of its own
            part = self.lines[str(path)] = [lines[0], *lines[start:stop], lines[0]]
            end = rng.choice([b"\n", b"\n", b"\r\n"])
            data = rng.choice([b"", b"", BOM]) + end.join(part) + rng.choice([b"", end])
            path.write_bytes(gzip.compress(data, 1) if rng.random() < 0.3 else data)

    @property
    def paths(self) -> list[str]:
        return list(self.lines)

    def all_lines(self) -> list[bytes]:
        return [line for part in self.lines.values() for line in part]

    def places(self) -> list[tuple[str, int]]:
        """File and line number of each line."""
        return [(path, i) for path, part in self.lines.items() for i in range(1, len(part) + 1)]


def typed(options: Options) -> list[str]:
    texts = options._asdict() | {
        "user": ",".join(options.user),
        "valuable_events": ",".join(options.valuable_events),
    }
    texts = {name: text for name, text in texts.items() if text}
    return [f"--{name.replace('_', '-')}={value}" for name, value in texts.items()]


def read_rejects(path: Path) -> dict[tuple[str, int], dict]:
    entries = [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []
    found = {(entry["file"], entry["line"]): entry for entry in entries}
    assert len(found) == len(entries)  # no line twice
    return found


def raw_line(entry: dict) -> bytes:
    if "raw" in entry:
        return entry["raw"].encode()
    return base64.b64decode(entry["raw_base64"], validate=True)


@pytest.mark.sample(15)
@pytest.mark.parametrize("seed", range(STREAMS))
def test_the_pipelines_find_what_the_reference_finds(seed, tmp_path):
    rng = Random(f"stream {seed}")
    options = Options() if seed == 0 else some_options(rng)
    inputs = Inputs(rng, stream(rng, options, EVENTS), tmp_path)
    lines = inputs.all_lines()
    assert len(lines) >= EVENTS
    expected = reference.answer(lines, options)
    assert len(expected.rejected) > 20 and sum(expected.counts.values()) > 20, expected.counts
    where = dict(zip(inputs.places(), lines, strict=True))
    bad = {place for i, place in enumerate(inputs.places(), 1) if i in expected.rejected}
    table = "".join(f"{day}\t{count}\n" for day, count in expected.counts.items())

    rejects = tmp_path / "all rejects"
    arguments = [*typed(options), *inputs.paths]
    every = run("count-active-users", "--validate", "--rejects", rejects, *arguments)
    assert every.stdout.decode() == table, every.stderr.decode()
    assert every.returncode == 65
    found = read_rejects(rejects)
    assert found.keys() == bad
    for place, entry in found.items():
        assert raw_line(entry) == where[place].rstrip(b"\r")

    rejects = tmp_path / "rejects of what matters"
    some = run("count-active-users", "--rejects", rejects, *arguments)
    assert some.stdout.decode() == table, some.stderr.decode()
    found = read_rejects(rejects)
    assert some.returncode == (65 if found else 0)
    assert found.keys() <= bad
    assert found.keys() >= {place for place in bad if b'"user_engagement"' in where[place]}

    if options.definition != "summed":
        check_import(tmp_path / "headcount.db", arguments, expected)


def check_import(db: Path, arguments: list[str], expected: reference.Answer):
    arguments = ["--validate", "--max-rejects=100%", *arguments]
    done = run("import-active-users", "--db", db, *arguments)
    changes = "".join(f"{day}\t0\t{count}\n" for day, count in expected.counts.items())
    assert done.stdout.decode() == changes, done.stderr.decode()
    assert done.returncode == (65 if expected.rejected else 0)
    check_store(db, expected)
    query = "SELECT lines, rejected, unidentified FROM run WHERE status = 'done'"
    lines, rejected, unidentified = ask(db, query)[0]
    assert (lines, rejected) == (expected.lines, len(expected.rejected))
    assert unidentified >= sum(why == "unidentified" for why in expected.rejected.values())


def ask(db: Path, query: str) -> list[tuple]:
    with contextlib.closing(sqlite3.connect(db)) as connection:
        return connection.execute(query).fetchall()


def check_store(db: Path, expected: reference.Answer) -> None:
    """The counts, the sets they are derived from, and the last entries of the history."""
    table = dict(ask(db, "SELECT date, active_user_count FROM active_user_table ORDER BY date"))
    assert table == expected.counts
    latest = "SELECT date, active_user_count, max(run_id) FROM active_user_history GROUP BY date"
    assert {day: count for day, count, _ in ask(db, latest) if count} == expected.counts
    keys = dict(ask(db, "SELECT id, key FROM user"))
    sets = defaultdict(set)
    for day, signals, users in ask(db, "SELECT date, signal, users FROM active_day"):
        for signal in signals.split(","):
            sets[day, signal] |= {keys[i] for i in BitMap.deserialize(users)}
    wanted = defaultdict(set)
    for day, events in expected.events.items():
        for event in events:
            for signal in ("engaged", "valuable"):
                if getattr(event, signal):
                    wanted[day, signal].add(event.user)
    assert sets == wanted


@pytest.mark.parametrize("valid", [True, False])
def test_the_exit_status_says_whether_any_line_was_rejected(valid, tmp_path):
    good = event_line(ACTIVE)
    bad = event_line(ACTIVE, event_timestamp=None)
    path = tmp_path / "events"
    path.write_bytes(b"\n".join([good, b"", good if valid else bad]))
    for more in (["--earliest=1970-01-01"], ["--earliest=1970-01-01", "--validate"]):
        done = run("count-active-users", "--tz=UTC", *more, path)
        assert (done.stdout, done.returncode) == (b"1970-01-01\t1\n", 0 if valid else 65)
        db = tmp_path / f"{len(more)}.db"
        done = run("import-active-users", "--db", db, "--tz=UTC", "--max-rejects=50%", *more, path)
        assert (done.stdout, done.returncode) == (b"1970-01-01\t0\t1\n", 0 if valid else 65)


# --- the store: any order, any number of times ----------------------------------------------------

STORES = [
    Options(),
    Options(valuable_events=("purchase",)),
    Options(valuable_events=("purchase", "user_engagement"), tz="device", min_engagement="2"),
    Options(valuable_events=("first_open",), tz="Pacific/Apia", user=("user_id", "user_pseudo_id")),
    Options(tz="America/St_Johns", min_engagement="0"),
]


@pytest.mark.sample(6)
@pytest.mark.parametrize("seed", range(len(STORES)))
def test_any_order_of_imports_ends_in_the_same_store(seed, tmp_path):
    rng = Random(f"store {seed}")
    options = STORES[seed]
    lines = stream(rng, options, 3000)
    expected = reference.answer(lines, options)
    assert len(expected.counts) >= 2
    engagement_first = "purchase" in options.valuable_events and seed == 1
    parts = split(rng, lines, engagement_first)
    files = []
    for i, part in enumerate(parts):
        path = tmp_path / f"{i}.jsonl"
        path.write_bytes(b"".join(line + b"\n" for line in [lines[0], *part]))
        files.append(path)
    at_once = tmp_path / "at once.db"
    store_in(at_once, options, files)
    check_store(at_once, expected)
    night_by_night = tmp_path / "night by night.db"
    if not engagement_first:
        rng.shuffle(files)
    nights = [files[i : i + 2] for i in range(0, len(files), 2)]
    for night in [*nights, nights[0]]:  # at last the first files again
        store_in(night_by_night, options, night)
    check_store(night_by_night, expected)


def split(rng: Random, lines: list[bytes], engagement_first: bool) -> list[list[bytes]]:
    """Parts that overlap, and one of them twice."""
    parts = [[] for _ in range(5)]
    for line in lines:
        if engagement_first:  # what makes a user valuable comes nights later
            parts[rng.randrange(3) + (2 if b"purchase" in line else 0)].append(line)
        else:
            rng.choice(parts).append(line)
    return [*parts, rng.sample(lines, len(lines) // 3), parts[0]]


def store_in(db: Path, options: Options, files: list[Path]) -> None:
    more = ["--max-rejects=100%", "--quiet", *typed(options)]
    done = run("import-active-users", "--db", db, *more, *files)
    assert done.returncode in (0, 65), done.stderr.decode()
