"""Chats, e-mails, operators and visitors of each site, from chat lines in any order and number.

count-site-activity runs it: `python -m headcount.site_activity PIPELINE`.

An operator is online at an instant if their latest status at or before it says so; of statuses in
one second, online counts. A site is online while one of its operators is. A message to a site that
is online is a chat, otherwise an e-mail. Of lines with the same id the earliest counts.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from headcount import chat, chat_columns, chat_table, cli, filters, jobs, tsv
from headcount.chat_table import KINDS, ODD, TIME_BITS


class SiteActivity:
    """Collects packed tables, and counts."""

    def __init__(self):
        self._collected = chat_columns.Collected()

    def add(self, rows: bytes) -> None:
        """Take in packed tables."""
        self._collected.add(rows)

    def rows(self) -> bytes:
        """The answer: a line for each site, sorted by its id."""
        table = self._collected.take()
        if table is None:
            return b""
        texts = self._collected.sites.texts, self._collected.names.texts
        _, times, sites, names, kinds = table.rows(chat_table.first_copies(table, *texts))
        del table
        kinds %= ODD
        said = kinds == KINDS[None]
        done = ~said
        with ThreadPoolExecutor() as threads:  # numpy sorts without the interpreter's lock
            visitors = threads.submit(self._distinct, sites[said], names[said])
            messages = np.sort(chat_table.key(sites[said], times[said]))
            online = kinds[done] == KINDS[chat.ONLINE]
            changes = chat_table.changes(sites[done], names[done], times[done], online)
            counted = zip(
                self._per_site(messages >> TIME_BITS),
                self._chats(messages, *chat_table.intervals(*changes)),
                self._distinct(sites[done], names[done]),
                visitors.result(),
                strict=True,
            )
        lines = {
            site: f"{tsv.escape(site)},messages={chats},emails={total - chats},"
            f"operators={operators},visitors={visitors}\n"
            for site, (total, chats, operators, visitors) in zip(
                self._collected.sites, counted, strict=True
            )
            if total or operators  # else its lines were copies of earlier ones of other sites
        }
        return "".join(lines[site] for site in sorted(lines)).encode()

    def _per_site(self, sites: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """How many rows each site has, or what their weights come to."""
        found = np.bincount(sites.astype(np.int64), weights, len(self._collected.sites))
        return found.astype(np.int64)

    def _distinct(self, sites: np.ndarray, names: np.ndarray) -> np.ndarray:
        """How many names each site has."""
        pairs = (sites.astype(np.uint64) << np.uint64(32)) | names
        pairs.sort()  # np.unique takes eight times as long
        return self._per_site(pairs[chat_table.firsts(pairs)] >> np.uint64(32))

    def _chats(self, messages: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """How many of the messages, as sorted keys, found each site online."""
        found = np.searchsorted(messages, ends) - np.searchsorted(messages, starts)
        return self._per_site(starts >> TIME_BITS, found)


def main() -> int:
    """PIPELINE [FILE…] - the activity of each site"""
    parser = cli.Parser(main.__doc__)
    filters.add_options(parser, "--rejects", "--jobs")
    options = parser.parse()
    options.jobs = options.jobs or jobs.processors()
    activity = SiteActivity()
    return filters.run(
        options,
        chat_columns.Columns(),
        lambda _account: activity.rows(),
        take=activity.add,
        rejecter="parse-chat",
    )


if __name__ == "__main__":
    sys.argv.pop(0)  # messages come in the pipeline's name
    cli.start(main)
