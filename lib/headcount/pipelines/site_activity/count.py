"""The activity of each site, counted from chat lines in any order.

count-site-activity runs it.

An operator is online at an instant if their latest status at or before it says so; of statuses in
one second, online counts. A site is online while one of its operators is. A message to a site that
is online is a chat, otherwise an e-mail. Of lines with the same id the earliest counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from headcount.cli.main import start_as
from headcount.cli.parser import Parser
from headcount.filters import runner
from headcount.io import workers
from headcount.pipelines.site_activity import chat_table, columns, record
from headcount.pipelines.site_activity.chat_table import KINDS, ODD, TIME_BITS, Table, joined
from headcount.values import tsv

_PARTS = 4  # bits: the more parts, the less memory, for only some are worked on at a time
_NAME_BITS = np.uint64(32)


class SiteActivity:
    """Collects packed tables, and counts."""

    def __init__(self, threads: int):
        self._threads = threads
        self._collected = columns.Collected(_PARTS)

    def add(self, rows: bytes) -> None:
        """Take in packed tables."""
        self._collected.add(rows)

    def rows(self) -> bytes:
        """The answer: a line for each site, sorted by its id."""
        names = list(self._collected.sites)
        with ThreadPoolExecutor(self._threads) as threads:  # numpy holds no lock for long
            parts = [part for part in threads.map(self._part, self._collected.parts) if part]
            if not parts:
                return b""
            messages, totals, visitors, statuses = zip(*parts, strict=True)
            _, times, sites, senders, kinds = joined(statuses)
            online = kinds == KINDS[record.ONLINE]
            spans = chat_table.intervals(*chat_table.changes(sites, senders, times, online))
            chats = threads.map(lambda keys: self._chats(keys, *spans), messages)
            counted = zip(
                sum(totals).tolist(),
                sum(chats).tolist(),
                self._people([_pairs(sites, senders)]),
                self._people(visitors),
                strict=True,
            )
        lines = {
            site: f"{tsv.escape(site)},messages={chats},emails={total - chats},"
            f"operators={operators},visitors={visitors}\n"
            for site, (total, chats, operators, visitors) in zip(names, counted, strict=True)
            if total or operators  # else its lines were copies of earlier ones of other sites
        }
        return "".join(lines[site] for site in sorted(lines)).encode()

    def _part(self, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, Table] | None:
        """Of each id once: the sorted keys of messages, how many each site has, the pairs of who
        sent them; statuses.
        """
        collected = self._collected
        table = collected.take(number)
        if table is None:
            return None
        kept = chat_table.first_copies(table, collected.sites.texts, collected.names.texts)
        kinds = table.kinds % ODD
        said = np.flatnonzero(kept & (kinds == KINDS[None]))
        sites = table.sites[said]
        messages = chat_table.key(sites, table.times[said])
        messages.sort()
        visitors = _pairs(sites, table.names[said])
        statuses = table._replace(kinds=kinds).rows(kept & (kinds != KINDS[None]))
        return messages, self._per_site(sites), visitors, statuses

    def _per_site(self, sites: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """How many rows each site has, or what their weights come to."""
        sums = np.bincount(sites.astype(np.int64), weights, len(self._collected.sites))
        return sums.astype(np.int64)

    def _people(self, pairs: Sequence[np.ndarray]) -> list[int]:
        """How many names each site has."""
        return self._per_site(_distinct(np.concatenate(pairs)) >> _NAME_BITS).tolist()

    def _chats(self, messages: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """How many of the messages, as sorted keys, found each site online."""
        chats = np.searchsorted(messages, ends) - np.searchsorted(messages, starts)
        return self._per_site(starts >> TIME_BITS, chats)


def _pairs(sites: np.ndarray, names: np.ndarray) -> np.ndarray:
    """Each site and name that there are, as one number."""
    if not len(sites):
        return np.empty(0, np.uint64)
    number = int(names.max()) + 1
    if (int(sites.max()) + 1) * number > 4 * len(sites):
        return _distinct((sites.astype(np.uint64) << _NAME_BITS) | names)
    # Few that come often: to mark them takes a tenth of the time of sorting.
    marked = np.zeros((int(sites.max()) + 1) * number, bool)
    marked[sites.astype(np.int64) * number + names] = True
    sites, names = np.divmod(np.flatnonzero(marked).astype(np.uint64), np.uint64(number))
    return (sites << _NAME_BITS) | names


def _distinct(numbers: np.ndarray) -> np.ndarray:
    numbers.sort()  # np.unique takes eight times as long
    return numbers[chat_table.firsts(numbers)]


def main() -> int:
    """PIPELINE [FILE…] - the activity of each site"""
    parser = Parser(main.__doc__)
    runner.add_options(parser, "--rejects", "--jobs", "--allow-empty")
    options = parser.parse()
    options.jobs = options.jobs or workers.processors()
    activity = SiteActivity(options.jobs)
    return runner.run(
        options,
        columns.Columns(),
        lambda _account: activity.rows(),
        take=activity.add,
        rejecter="parse-chat",
        kind=record.KIND,
    )


if __name__ == "__main__":
    start_as(main)
