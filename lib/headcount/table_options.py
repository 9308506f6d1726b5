"""The options of programs that read tables."""

from __future__ import annotations

import argparse

from headcount.cli import Parser
from headcount.tables import How


def add(parser: Parser, delimiter: str | None = ",") -> None:
    """Add those that say how text is to be read."""
    default = "a comma" if delimiter else "what stands in the header: tab, comma, ; or |"
    parser.add_argument(
        "--delimiter",
        metavar="CHAR",
        type=_delimiter,
        default=delimiter,
        help=f"CSV: what stands between fields, \\t for a tab (default: {default})",
    )
    parser.add_argument(
        "--encoding",
        metavar="NAME",
        type=_encodings,
        default=("utf-8",),
        help="of text; of several (a,b) the first that fits each record (default: utf-8)",
    )
    parser.add_argument(
        "--escape",
        metavar="CHAR",
        type=_character,
        help="CSV: what stands before a quote in quotes, beside another quote (Spark: \\)",
    )
    parser.add_argument(
        "--header",
        metavar="NAMES",
        type=_names,
        help="text without a header line: the names of its columns (a,b)",
    )


def how(options) -> How:
    """How the options want tables to be read."""
    return How(
        header=options.header,
        encodings=options.encoding,
        delimiter=options.delimiter,
        escape=options.escape,
    )


def _character(text: str) -> str:
    if len(text) != 1 or not text.isascii() or text in '"\r\n':
        raise argparse.ArgumentTypeError(f"{text!r} is no single character for that")
    return text


def _delimiter(text: str) -> str:
    return _character("\t" if text == "\\t" else text)


def _encodings(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        try:
            b"".decode(name)
            "".encode(name)
        except LookupError:
            raise argparse.ArgumentTypeError(f"no encoding {name!r}") from None
    return names


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))
