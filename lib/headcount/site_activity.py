"""Chats, e-mails, operators and visitors of each site, from chat lines in any order and number.

count-site-activity runs it: `python -m headcount.site_activity PIPELINE`.

An operator is online at an instant if their latest status at or before it says so; of statuses in
one second, online counts. A site is online while one of its operators is. A message to a site that
is online is a chat, otherwise an e-mail. Of lines with the same id the earliest counts.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from headcount import chat, chat_columns, cli, filters, jobs, tsv
from headcount.chat_columns import KINDS, ODD, Codes

_TIME_BITS = np.uint64(39)  # of the seconds from chat.FIRST to chat.LAST


class SiteActivity:
    """Collects packed tables, and counts."""

    def __init__(self):
        self._sites, self._names = Codes(), Codes()
        self._codes: dict[int, tuple[array, array]] = {}  # of each process: ours for its own
        self._columns: list[list[np.ndarray]] = [[] for _ in range(5)]

    def add(self, rows: bytes) -> None:
        """Take in packed tables."""
        for process, new, columns in chat_columns.unpacked(rows):
            sites, names = self._codes.setdefault(process, (array("I"), array("I")))
            sites.extend([self._sites[text] for text in new[0]])
            names.extend([self._names[text] for text in new[1]])
            ids, times, site, name, kinds = columns
            tables = (
                np.frombuffer(ids, np.uint64).reshape(-1, 2),
                np.frombuffer(times, np.uint64),
                np.frombuffer(sites, np.uint32)[np.frombuffer(site, np.uint32)],
                np.frombuffer(names, np.uint32)[np.frombuffer(name, np.uint32)],
                np.frombuffer(kinds, np.uint8),
            )
            for table, part in zip(self._columns, tables, strict=True):
                table.append(part)

    def rows(self) -> bytes:
        """The answer: a line for each site, sorted by its id."""
        if not self._sites:
            return b""
        ids, times, sites, names, kinds = map(_joined, self._columns)
        kept = self._first_copies(ids, times, sites, names, kinds)
        del ids
        times, sites, names, kinds = times[kept], sites[kept], names[kept], kinds[kept] % ODD
        said = kinds == KINDS[None]
        done = ~said
        with ThreadPoolExecutor() as threads:  # numpy sorts without the interpreter's lock
            visitors = threads.submit(self._distinct, sites[said], names[said])
            messages = np.sort(_key(sites[said], times[said]))
            online = kinds[done] == KINDS[chat.ONLINE]
            changes = _changes(sites[done], names[done], times[done], online)
            counted = zip(
                self._per_site(messages >> _TIME_BITS),
                self._chats(messages, *changes),
                self._distinct(sites[done], names[done]),
                visitors.result(),
                strict=True,
            )
        lines = {
            site: f"{tsv.escape(site)},messages={chats},emails={total - chats},"
            f"operators={operators},visitors={visitors}\n"
            for site, (total, chats, operators, visitors) in zip(self._sites, counted, strict=True)
            if total or operators  # else its lines were copies of earlier ones of other sites
        }
        return "".join(lines[site] for site in sorted(lines)).encode()

    def _first_copies(self, ids, times, sites, names, kinds) -> np.ndarray:
        """Which rows to keep: the earliest of each id, and of two in one second always the same."""
        order, new = _grouped(ids[:, 0])
        kept = np.ones(len(order), bool)
        repeated = np.flatnonzero(~new)  # rows that may be copies of those before them
        copies, before = order[repeated], order[repeated - 1]
        differs = np.zeros(len(copies), bool)
        for column in (ids[:, 0], ids[:, 1], times, sites, names, kinds):
            differs |= column[copies] != column[before]
        kept[copies] = False
        if not differs.any():
            return kept
        group = np.cumsum(new)
        rest = order[np.isin(group, group[repeated[differs]])]
        id_and_kind = ids[rest, 0], ids[rest, 1], kinds[rest] >= ODD
        texts = _ranks(names[rest], self._names), _ranks(sites[rest], self._sites)
        by_id = np.lexsort([kinds[rest], *texts, times[rest], *id_and_kind])
        kept[rest[by_id]] = _first(*(column[by_id] for column in id_and_kind))
        return kept

    def _per_site(self, sites: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """How many rows each site has, or what their weights come to."""
        found = np.bincount(sites.astype(np.int64), weights, len(self._sites))
        return found.astype(np.int64)

    def _distinct(self, sites: np.ndarray, names: np.ndarray) -> np.ndarray:
        """How many names each site has."""
        pairs = (sites.astype(np.uint64) << np.uint64(32)) | names
        pairs.sort()  # np.unique takes eight times as long
        return self._per_site(pairs[_first(pairs)] >> np.uint64(32))

    def _chats(self, messages: np.ndarray, starts: np.ndarray, online: np.ndarray) -> np.ndarray:
        """How many of the messages, sorted by site and time, found each site online."""
        sites = starts >> _TIME_BITS
        ends = np.append(starts, np.uint64(0))[1:]
        last = _last(sites)
        ends[last] = (sites[last] + np.uint64(1)) << _TIME_BITS  # where the next site begins
        found = np.searchsorted(messages, ends[online]) - np.searchsorted(messages, starts[online])
        return self._per_site(sites[online], found)


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    """All in one, and no longer in parts: they are large."""
    whole = np.concatenate(parts)
    parts.clear()
    return whole


def _grouped(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An order in which equal numbers stand together, and which of them begin a group.

    A group may hold others, too: only the first bits are looked at, so that the rest has room for
    the place of each. To sort numbers takes half the time of sorting their places.
    """
    bits = np.uint64(len(numbers).bit_length())
    packed = numbers >> bits << bits
    packed |= np.arange(len(numbers), dtype=np.uint64)
    packed.sort()
    places = packed & ((np.uint64(1) << bits) - np.uint64(1))
    return places.astype(np.int64), _first(packed >> bits)


def _ranks(codes: np.ndarray, texts: Iterable[str]) -> np.ndarray:
    """Numbers that sort as the texts do, whatever their codes: those depend on who came first."""
    used, places = np.unique(codes, return_inverse=True)
    known = list(texts)
    rank = {code: i for i, code in enumerate(sorted(used.tolist(), key=known.__getitem__))}
    return np.array([rank[code] for code in used.tolist()])[places]


def _key(sites: np.ndarray, times: np.ndarray) -> np.ndarray:
    """One number that sorts by site and time."""
    return (sites.astype(np.uint64) << _TIME_BITS) | times


def _first(*columns: np.ndarray) -> np.ndarray:
    """Whether each row differs from the one before it in any of the columns."""
    new = np.ones(len(columns[0]), bool)
    new[1:] = False
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    return new


def _last(*columns: np.ndarray) -> np.ndarray:
    """Whether each row differs from the one behind it."""
    last = np.ones(len(columns[0]), bool)
    last[:-1] = _first(*columns)[1:]
    return last


def _changes(sites, names, times, online) -> tuple[np.ndarray, np.ndarray]:
    """When each site may change, as sorted keys of site and time, and whether it is online then."""
    order = np.lexsort([online, times, names, sites])
    sites, names, times, online = sites[order], names[order], times[order], online[order]
    last = _last(sites, names, times)  # of an operator's statuses in one second
    sites, names, times, online = sites[last], names[last], times[last], online[last]
    before = np.roll(online, 1) & ~_first(sites, names)  # each operator starts offline
    steps = online.astype(np.int64) - before
    keys = _key(sites, times)
    order = np.argsort(keys, kind="stable")
    keys, totals = keys[order], np.cumsum(steps[order])
    # The totals run on from site to site: take off what each site began with.
    begins = np.flatnonzero(_first(keys >> _TIME_BITS))
    carried = (totals - steps[order])[begins]
    totals -= np.repeat(carried, np.diff(np.append(begins, len(keys))))
    last = _last(keys)
    return keys[last], totals[last] > 0


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
