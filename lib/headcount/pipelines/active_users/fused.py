"""The filters of the active users' pipe in one: events → day, user, signals → counts.

How count-active-users and import-active-users run them.
It calls the filters' own functions, and spares what their rows cost in between. An import takes the
rows, a count the counts.
"""

from __future__ import annotations

import argparse
import gc

from headcount.cli.main import note, start_as
from headcount.cli.parser import Parser
from headcount.filters import runner
from headcount.filters.account import Account
from headcount.filters.distinct import Counts
from headcount.io import workers
from headcount.io.blocks import Block
from headcount.pipelines.active_users.active_rows import ActiveRows
from headcount.pipelines.active_users.definitions import (
    ANY_EVENT,
    ENGAGED,
    SUMMED,
    VALUABLE,
)
from headcount.pipelines.active_users.events import look, parsers, qualify, record
from headcount.pipelines.active_users.options import (
    breakdown_options,
    engagement_options,
    property_options,
    pseudonym_options,
)
from headcount.values import decimals, pseudonyms, zones
from headcount.values.search import NameSearch
from headcount.values.tsv import escape

REJECTER = "parse-engagement"  # in whose name lines are rejected


def _counts(definition: record.Definition, name: str, *, is_broken_down: bool):
    """What adds up the rows of a definition."""
    if name == ANY_EVENT and not (definition.stitched or is_broken_down):
        return Counts([ANY_EVENT.encode()])
    if definition.named or is_broken_down:
        from headcount.pipelines.active_users.days.collect import (
            ActiveUsers,  # knows the database, which others need not
        )

        return ActiveUsers(name, definition.min_msec)
    least = decimals.shifted(definition.min_msec, -3) if definition.summed else None
    return Counts([ENGAGED.encode(), VALUABLE.encode()], sum_at_least=least)


def parsed(
    parser: Parser, arguments: list[str] | None = None, *, many_in_one: bool = True
) -> argparse.Namespace:
    """The options of the filters, with their `rows`, and those that are held back `at_end`.

    `many_in_one`: as ActiveRows has it. Raises SystemExit for what makes no sense.
    """
    engagement_options.add_options(parser)
    parser.add_argument("--validate", action="store_true", help="look at every line")
    parser.add_argument("--count", action="store_true", help="count them, as count-distinct does")
    parser.add_argument(
        "--mergeable", action="store_true", help="what sums up to is to be kept, and added to"
    )
    parser.add_argument("--pseudonym-key", metavar="FILE", type=pseudonym_options.key)
    parser.add_argument("--pseudonyms", default=pseudonym_options.EVER)
    engagement_options.add_named(parser)
    breakdown_options.add_options(parser)
    property_options.add_by(parser)
    runner.add_options(parser, "--tz", "--rejects", "--jobs")
    options = parser.parse(arguments)
    engagement_options.resolve(parser, options)
    name = pseudonyms.Pseudonyms(options.pseudonym_key) if options.pseudonym_key else escape
    on_device = options.tz == zones.DEVICE
    options.wanted = engagement_options.definition(
        options,
        with_offset=on_device,
        summed=options.definition == (SUMMED,) and not options.mergeable,
    )
    names = None if options.validate else qualify.names(options.wanted)
    search = NameSearch(names, qualify.PARAMETERS) if names else None
    try:
        days = zones.DeviceDays() if on_device else zones.LocalDays(zones.find(options.tz))
    except ValueError as error:
        parser.error(str(error))
    events = parsers.parser(options.wanted)
    daily = options.pseudonyms == pseudonym_options.DAY
    how = {"daily": daily, "tells_inputs": options.mergeable, "many_in_one": many_in_one}
    also: set[str] = set()
    for called, fields in (("by", options.by), ("properties", options.property_by)):
        if fields:
            from headcount.pipelines.active_users.events.breakdown import Breakdown  # few ask

            how[called] = Breakdown(fields, options.source)
            also.update(how[called].columns())
    rows = ActiveRows(events, days, search, name, **how)
    options.rows, options.reading = look.reading(
        rows, events, options, named=options.named, also=also
    )
    options.reading["at_end"] = rows.at_end
    return options


def main() -> int:
    """PIPELINE [FILE…] - rows of local day, user and signals of the events that count"""
    gc.disable()  # columns are many objects, without cycles: to look at them takes a third longer
    options = parsed(Parser(main.__doc__))
    options.jobs = options.jobs or workers.processors()  # nothing behind it is as much work
    if not options.count:
        return runner.run(
            options, options.rows, rejecter=REJECTER, is_last=False, **options.reading
        )
    counts = _counts(options.wanted, *options.definition, is_broken_down=bool(options.by))

    def take(text: bytes) -> None:
        if counts.add_held(Block(text)).rejects:
            raise AssertionError("a row of our own that is none")

    def finish(account: Account) -> bytes:
        if options.by:
            rows, folded, several = counts.rows_by(options.by, options.max_values)
            breakdown_options.note_folded(folded, options)
            breakdown_options.note_several(several, options)
        else:
            rows = counts.rows()
        if account.kept and not rows:
            note(f"no user has all that the definition asks for: {account.kept} events", options)
        return rows

    return runner.run(
        options,
        options.rows,
        finish,
        take=take,
        rejecter=REJECTER,
        **options.reading,
    )


if __name__ == "__main__":
    start_as(main)
