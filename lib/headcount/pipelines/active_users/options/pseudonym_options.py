"""The options that say under which names users are kept."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import stat
from itertools import chain

from headcount.cli import types
from headcount.cli.main import note
from headcount.cli.parser import Parser
from headcount.pipelines.active_users.events import source
from headcount.pipelines.active_users.options.breakdown_options import paths_of
from headcount.values import pseudonyms
from headcount.values.tsv import shown

EVER, DAY = "ever", "day"


def key(path: str) -> bytes:
    """The key in a file, without white space around it."""
    try:
        with open(path, "rb") as file:
            content = file.read().strip()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{path}: {error.strerror}") from None
    if len(content) < pseudonyms.LEAST:
        text = (
            f"{path}: a key has at least {pseudonyms.LEAST} bytes; make one: openssl rand -hex 32"
        )
        raise argparse.ArgumentTypeError(text)
    return content


def key_id(path: str) -> str:
    """What tells the key in a file from others, and does not tell the key."""
    return pseudonyms.key_id(key(path))


def add_options(parser: Parser) -> None:
    """Take those that say under which names users are kept."""
    parser.add_argument(
        "--pseudonym-key",
        metavar="FILE",
        type=types.named_file,
        help="keep users as keyed hashes (HMAC-SHA-256), not ids; FILE holds the key, 16 bytes "
        "or more, and is needed ever after (--rejects keeps lines as they came, ids included)",
    )
    parser.add_argument(
        "--pseudonyms",
        metavar="HOW",
        type=types.one_of(EVER, DAY),
        default=EVER,
        help="with --pseudonym-key: a user has the same hash for ever, or a new one each local "
        "day, so that nobody is known again: then only counts of single days mean anything, and "
        "sessions end at midnight "
        "(default: ever)",
    )


def _note_readers(options) -> None:
    """Who has the key can try out ids until the hash is the same."""
    with contextlib.suppress(OSError):  # (it is said elsewhere what is wrong with it)
        if os.stat(options.pseudonym_key).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            path = shown(options.pseudonym_key)
            note(f"--pseudonym-key: others may read {path}: chmod 600 {path}", options)


def _refuse_ids(parser: Parser, options) -> None:
    """Values of fields, and names of properties, are kept as they are: none may be a user ID."""
    users = {re.split(r"(?<!\\)\+", field)[0] for field in options.fields.user}
    for option, fields in (
        ("--by", options.by),
        ("--property-by", getattr(options, "property_by", ())),
    ):
        if found := users.intersection(chain(*map(paths_of, fields))):
            parser.error(
                f"{option} {min(found)}: with --pseudonym-key, users are kept as keyed hashes, and "
                "values as they are: name a field that does not say who the user is"
            )


def check(parser: Parser, options) -> None:
    """What may not be kept as it is has to be hashed."""
    if options.pseudonym_key:
        _refuse_ids(parser, options)
        _note_readers(options)
        return
    if options.pseudonyms != EVER:
        parser.error("--pseudonyms: expected --pseudonym-key FILE with it")
    named = options.user or "user" in dict(options.field)
    if source.find(options.source).is_personal and not named:
        parser.error(
            f"--pseudonym-key: {options.source} makes users of addresses, which are kept as keyed "
            "hashes only; make a key: (umask 077; openssl rand -hex 32 >key)"
        )
