"""Where a stream goes on: `python -m headcount.stream_position PIPELINE --db FILE URL`."""

import sys

from headcount import change_store, cli, output, store
from headcount.failure import OK


def main() -> int:
    """PIPELINE URL - print the id of the last event that is in the database"""
    parser = cli.Parser(main.__doc__)
    parser.add_argument("url", help="the stream")
    parser.shared("--db")
    options = parser.parse()
    with store.for_reading(options.db) as db:
        output.write(1, change_store.position(db, options.url).encode())
    return OK


if __name__ == "__main__":
    sys.argv.pop(0)  # messages come in the pipeline's name
    cli.start(main)
