"""Which user agents are bots': by the list of the package crawler-user-agents.

https://github.com/monperrus/crawler-user-agents . Its version is the lock file's, so that of
Headcount says which list it was: the ledger has that of every import.
"""

import functools
from collections.abc import Callable

NAME = "crawler-user-agents"
_KEPT = 100_000  # agents: the list has some 1,500 patterns, so that one takes most of a millisecond
_LONGEST = 1000  # characters that are looked at


def known() -> Callable[[object], bool]:
    """What says whether a user agent is a bot's; False for a value that is not text."""
    from crawleruseragents import is_crawler  # slow to import, and rarely needed

    is_bot = functools.lru_cache(_KEPT)(is_crawler)
    return lambda agent: type(agent) is str and is_bot(agent[:_LONGEST])
