"""The words of the filters: those of each in the pipe, or of all in one program."""

from __future__ import annotations

import argparse

from headcount.cli.parser import Parser
from headcount.pipelines.active_users.definitions import (
    ANY_EVENT,
    ENGAGED,
    OWN,
    SUMMED,
    VALUABLE,
)
from headcount.pipelines.active_users.options import breakdown_options
from headcount.pipelines.active_users.options import engagement_options as engagement
from headcount.values import zones


def fused(parser: Parser, options: argparse.Namespace) -> list[str]:
    """Those of the filters in one program."""
    names = ("--tz", "--validate", "--rejects", "--jobs", "--quiet", "--progress")
    names += ("--pseudonym-key", "--pseudonyms", "--master")
    words = [*_definition(parser), *parser.typed(*names), *_named(parser, options)]
    words += [f"--property-by={field}" for field in getattr(options, "property_by", ())]
    return words + breakdown_options.words(options)


def filters(parser: Parser, options: argparse.Namespace, *, counts: bool) -> dict[str, list[str]]:
    """Those of each filter of the pipe, which `counts` or is an import's."""
    from headcount.pipelines.active_users.events import (  # slow to import, as all that parses JSON
        look,
        qualify,
    )

    on_device = options.tz == zones.DEVICE
    summed = counts and options.definition == (SUMMED,)
    definition = engagement.definition(options, with_offset=on_device, summed=summed)
    names = None if options.validate else qualify.names(definition)
    one_of = ",".join(look.columns_of(definition))
    quiet = parser.typed("--quiet")
    words = {
        "grep_events": [
            "--positions",
            ",".join(sorted(names)) if names else "--all",
            *(_events(parser) if parser.typed("--source") else ["--source=ga4", *_events(parser)]),
            *([f"--one-of={one_of}"] if one_of else []),
            *_named(parser, options),
            *parser.typed("--quiet", "--progress"),
        ],
        "parse_engagement": [
            "--positions",
            *_definition(parser),
            *(["--with-offset"] if on_device else []),
            *([] if counts else ["--mergeable"]),
            *parser.typed("--pseudonym-key", "--rejects"),
            *quiet,
        ],
        "local_day": [*parser.typed("--tz"), *quiet],
    }
    if counts:
        words["count_distinct"] = [*_counted(parser, options), *quiet]
    return words


def _counted(parser: Parser, options: argparse.Namespace) -> list[str]:
    """How count-distinct is told a definition; of most it needs to know more than signals."""
    least, definition = parser.text("--min-engagement", "3"), options.definition[0]
    if definition == ANY_EVENT and not options.stitched:
        return [f"--all-of={ANY_EVENT}"]
    if options.stitched or definition not in (OWN, SUMMED):
        return [f"--definition={definition}", f"--min-engagement={least}"]
    both = [f"--all-of={ENGAGED},{VALUABLE}"]
    return both if definition == OWN else [*both, f"--sum-at-least={least}"]


def _events(parser: Parser) -> list[str]:
    return parser.typed(
        "--source",
        "--user",
        "--field",
        "--time-unit",
        "--earliest",
        "--latest",
        "--allow-empty",
        "--skip-bots",
    )


def _definition(parser: Parser) -> list[str]:
    return _events(parser) + parser.typed(
        "--identity",
        "--min-engagement",
        "--valuable-param",
        "--valuable-events",
        "--definition",
        "--key-events",
    )


def _named(parser: Parser, options: argparse.Namespace) -> list[str]:
    return [f"--named={name}" for name in engagement.named(parser, options)]
