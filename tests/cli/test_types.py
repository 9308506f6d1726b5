"""Types of options: what a text means, and that a wrong one is told with what was expected."""

import argparse
from datetime import date
from fractions import Fraction

import pytest

from headcount.cli import types
from headcount.cli.parser import Parser

MEANS = [
    (types.size, "500", 500),
    (types.size, "1.5GB", 1_500_000_000),
    (types.size, "10kb", 10_000),
    (types.count, "0", 0),
    (types.positive, "7", 7),
    (types.processes, "16", 16),
    (types.above_zero, "0.5", 0.5),
    (types.above_zero, "10000", 10_000),
    (types.part, "0.1", Fraction(1, 10)),
    (types.part, "1", 1),
    (types.fraction, "0.25", 0.25),
    (types.seconds, "1.5", 1.5),
    (types.duration, "90", 90),
    (types.duration, "1.5h", 5400),
    (types.duration, "2w", 1_209_600),
    (types.day, "2024-02-29", date(2024, 2, 29)),
    (types.allowance, "1%", "1%"),
    (types.names, "a,,b", ("a", "b")),
    (types.names_if_any, "", ()),
    (types.assignment, "a=b=c", ("a", "b=c")),
    (types.assignment, "a=", ("a", "")),
    (types.named_file, "-x", "-x"),
    (types.one_of("beside", "instead"), "beside", "beside"),
]
WRONG = [
    (types.size, "1,5GB", "a size such as 100MB"),
    (types.count, "-1", "a whole number"),
    (types.positive, "0", "a positive whole number"),
    (types.above_zero, "0.0", "a number above 0"),
    (types.above_zero, "-1", "a number above 0"),
    (types.above_zero, "1e9", "a number above 0"),
    (types.above_zero, "9" * 17, "a number above 0"),
    (types.above_zero, "", "a number above 0"),
    (types.processes, "all", "a positive whole number"),
    (types.processes, "99999", "a positive whole number"),
    (types.part, "1.01", "a number from 0 to 1"),
    (types.part, "10%", "a number from 0 to 1"),
    (types.seconds, "1s", "a number of seconds"),
    (types.duration, "1y", "a length of time such as 90s, 15m or 1d"),
    (types.day, "20240229", "a date as YYYY-MM-DD"),
    (types.day, "2023-02-29", "a date as YYYY-MM-DD"),
    (types.allowance, "%", "a number or a percentage"),
    (types.names, ",", "one or more names, separated by commas"),
    (types.named_file, "", "the name of a file"),
    (types.assignment, "a", "NAME=VALUE"),
    (types.assignment, "=b", "NAME=VALUE"),
    (types.one_of("beside", "instead"), "both", "beside or instead"),
]


@pytest.mark.parametrize("parse, text, value", MEANS)
def test_what_a_text_means(parse, text, value):
    assert parse(text) == value


@pytest.mark.parametrize("parse, text, expected", WRONG)
def test_what_was_expected(parse, text, expected):
    with pytest.raises(argparse.ArgumentTypeError) as error:
        parse(text)
    assert str(error.value) == f"expected {expected}, got {text!r}"


@pytest.mark.parametrize("allowance, rejected", [("1%", 5), ("5", 5), ("0.99999%", 4)])
def test_an_allowance_is_exact(allowance, rejected):
    allowed = types.allowed(allowance, 500)
    assert rejected <= allowed < rejected + 1


@pytest.fixture
def parser(monkeypatch):
    monkeypatch.setattr("sys.argv", ["prog"])
    parser = Parser("prog FILE… - do something\n\nSomething.")
    parser.shared("--tz", "--quiet", "--upstream")
    parser.add_argument("files", nargs="*")
    return parser


def test_what_was_typed_can_be_handed_on(parser):
    options = parser.parse(["a", "--tz", "UTC", "--quiet", "--upstream=x", "--upstream", "-", "b"])
    assert options.files == ["a", "b"]
    assert parser.typed("--upstream", "--quiet") == ["--upstream=x", "--upstream=-", "--quiet"]
    assert (parser.text("--tz", "none"), parser.text("--rejects", "none")) == ("UTC", "none")


def test_a_default_is_not_typed(parser):
    assert parser.parse([]).tz == "America/Chicago"
    assert parser.typed("--tz", "--quiet", "--upstream") == []


@pytest.mark.parametrize(
    "words, said",
    [
        (["--tz"], "prog: --tz: expected a value"),
        (["--quiet=yes"], "prog: --quiet: takes no value, got 'yes'"),
        (["--frobnicate"], "prog: unrecognized arguments: --frobnicate"),
    ],
)
def test_a_usage_error_begins_with_the_option(words, said, parser, capsys):
    with pytest.raises(SystemExit) as error:
        parser.parse(words)
    assert error.value.code == 2
    assert capsys.readouterr().err == f"{said}\nTry 'prog --help'.\n"
