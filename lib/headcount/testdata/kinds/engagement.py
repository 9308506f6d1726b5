r"""engagement - make app events as the Firebase/GA4 export to BigQuery has them

JSON Lines of about 2.4 KB, and the mix of events of a real app: one in
thirteen is a user_engagement. Many events per user, some engagements too short
or without an engaged session, users in several time zones, events out of
order; a clock change is among the days, 2024-03-10 in the default zone.

With --truth, also the answer: date and number of the distinct users who on
that local day had a user_engagement of at least 3 seconds that says
engaged_session_event of at least 1.

Example:
  $ make-data engagement --events 1000 --seed 7 | grep -c user_pseudo_id
  1000
"""

import argparse
import os
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta, tzinfo

from dateutil import tz

from headcount.cli import types
from headcount.cli.parser import Parser
from headcount.io import output
from headcount.testdata import common, engagement_templates
from headcount.testdata.engagement_stream import Stream
from headcount.values import zones


def day(text: str) -> date:
    value = types.day(text)
    if not 1971 <= value.year <= 9000:
        raise argparse.ArgumentTypeError("from 1971 to 9000")
    return value


def add_options(parser: Parser) -> None:
    common.add_options(parser, "events")
    common.add_fractions(
        parser,
        ("--duplicates", 0.01, "this part of the lines repeats an earlier one"),
        ("--late", 0.02, "this part comes up to 3 days late"),
        ("--broken", 0.0, "this part is no event: cut short, wrong types, bad UTF-8…"),
        ("--escapes", 0.0, "this part has JSON escapes, some of them in names"),
        ("--engagements", engagement_templates.ENGAGEMENT_SHARE, "this part is user_engagement"),
    )
    parser.add_argument(
        "--users", metavar="N", type=types.positive, help="default: one for every 100 events"
    )
    parser.add_argument(
        "--days",
        metavar="N",
        type=types.positive,
        default=5,
        help="how many local days (default: 5)",
    )
    parser.add_argument(
        "--start",
        metavar="DATE",
        type=day,
        default=date(2024, 3, 8),
        help="the first local day (default: 2024-03-08)",
    )
    parser.shared("--tz")
    parser.add_argument("--truth", metavar="FILE", help="write date and active users of each day")


class Truth:
    """The active users of each local day, counted while they are made.

    It shares nothing with what it is held against: the calendar is dateutil's, asked each time.
    """

    def __init__(self, zone: tzinfo | None):
        self._zone = zone
        self._users: dict[str, set[int]] = defaultdict(set)

    def add(self, user: int, micros: int, east: int) -> None:
        local = datetime.fromtimestamp(micros // 1_000_000, self._zone or UTC)
        if self._zone is None:
            local += timedelta(seconds=east)
        self._users[local.date().isoformat()].add(user)

    def rows(self) -> bytes:
        days = sorted(self._users.items())
        return "".join(f"{day}\t{len(users)}\n" for day, users in days).encode()


def run(parser: Parser, options) -> int:
    """Print the events, then write the truth; returns the exit status."""
    if options.start.year + options.days // 365 > 9000:
        parser.error("--days: beyond the year 9000")
    zone = None
    if options.tz != zones.DEVICE:
        try:
            zones.find(options.tz)
        except ValueError as error:
            parser.error(str(error))
        zone = tz.tzfile(zones.rules(options.tz))
    truth = Truth(zone)
    fd = None
    if options.truth:
        fd = output.open_private(options.truth, os.O_TRUNC)
    status = common.write(options, Stream(options, zone, truth.add))
    if fd is not None:
        output.write(fd, truth.rows(), options.truth)
    output.close_stdout()
    return status
