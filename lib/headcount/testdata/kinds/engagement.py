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

from headcount.cli import types
from headcount.cli.parser import Parser
from headcount.testdata import common, days, engagement_templates
from headcount.testdata.engagement_stream import Stream
from headcount.testdata.engagement_templates import LEAST, MEAN_LINE


def add_options(parser: Parser) -> None:
    common.add_options(parser, "events")
    common.add_fractions(
        parser,
        ("--duplicates", 0.01, "this part of the lines repeats an earlier one"),
        ("--late", 0.02, "this part comes up to 3 days late"),
        ("--mixed", 0.0, "this part is of any of the days, not of the one that is in turn"),
        ("--broken", 0.0, "this part is not an event: cut short, wrong types, bad UTF-8…"),
        ("--escapes", 0.0, "this part has JSON escapes, some of them in names"),
        ("--engagements", engagement_templates.ENGAGEMENT_SHARE, "this part is user_engagement"),
    )
    parser.add_argument(
        "--line-bytes",
        metavar="N",
        type=types.positive,
        default=MEAN_LINE,
        help=f"about how long lines are, from {LEAST} on (default: {MEAN_LINE}); short ones lack "
        "parameters and properties that decide nothing",
    )
    parser.add_argument(
        "--with-dimensions",
        action="store_true",
        help="each user also has a platform (3 values), an app_info.version (10), a geo.country "
        "(50) and a geo.city (1,000), of which few have most of the users",
    )
    days.add_options(parser)


def run(parser: Parser, options) -> int:
    """Print the events, then write the truth; returns the exit status."""
    if options.line_bytes < LEAST:
        parser.error(f"--line-bytes {options.line_bytes}: expected {LEAST} or more")
    return days.run(parser, options, Stream)
