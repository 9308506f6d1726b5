"""Chat lines as columns of numbers, with what is worked out on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from headcount.pipelines.site_activity import record

KINDS = {None: 0, record.OFFLINE: 1, record.ONLINE: 2}  # by status; a message has none
ODD = 4  # is added to the kind where the id is no UUID, and stands for one by its hash

TIME_BITS = np.uint64(39)  # of the seconds from chat.FIRST to chat.LAST

Texts = Callable[[list[int]], list[str]]  # the texts of some codes


class Table(NamedTuple):
    """Lines, one in each row.

    `ids` are two columns of 64 bits, of which the first alone tells nearly all ids apart; `times`
    are seconds since chat.FIRST; `sites` and `names` are codes of texts that the caller knows.
    """

    ids: np.ndarray
    times: np.ndarray
    sites: np.ndarray
    names: np.ndarray
    kinds: np.ndarray

    def rows(self, which: np.ndarray) -> Table:
        """Some rows: by their numbers, or a mask."""
        if which.dtype == bool:
            which = np.flatnonzero(which)
        # for two columns in one, five times as fast as an index
        return Table(*(np.take(column, which, axis=0) for column in self))

    @property
    def lines(self) -> int:
        return len(self.kinds)


def joined(tables: Sequence[Table]) -> Table:
    """All rows, in order."""
    return Table(*map(np.concatenate, zip(*tables, strict=True)))


def first_copies(
    table: Table, sites: Texts, names: Texts, order: np.ndarray | None = None
) -> np.ndarray:
    """A mask of the rows to keep: of each id the earliest.

    Of several in one second it is the smallest by the texts of site and sender, and by status. Of
    rows that are all the same it is the first. `order` is one by the ids' first numbers, if it is
    known; rows with the same one stand in their order there.
    """
    if order is None:
        order, new = _grouped(table.ids[:, 0])
    else:
        new = firsts(table.ids[order, 0])
    kept = np.ones(len(order), bool)
    repeated = np.flatnonzero(~new)  # rows that may be copies of those before them
    copies, before = order[repeated], order[repeated - 1]
    differs = np.zeros(len(copies), bool)
    for column in (*table.ids.T, *table[1:]):
        differs |= column[copies] != column[before]
    kept[copies] = False
    if not differs.any():
        return kept
    group = np.cumsum(new)
    rest = order[np.isin(group, group[repeated[differs]])]
    ids, times, site, name, kinds = table.rows(rest)
    id_and_kind = *ids.T, kinds >= ODD
    by_text = kinds, _ranks(name, names), _ranks(site, sites)
    by_id = np.lexsort([rest, *by_text, times, *id_and_kind])
    kept[rest[by_id]] = firsts(*(column[by_id] for column in id_and_kind))
    return kept


def sorted_by_id(table: Table) -> Table:
    """All rows, sorted by the ids' first numbers."""
    order, _ = _grouped(table.ids[:, 0])
    nearly = np.take(table.ids[:, 0], order)
    return table.rows(order[np.argsort(nearly, kind="stable")])  # quick, for what is left


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
    return places.astype(np.int64), firsts(packed >> bits)


def _ranks(codes: np.ndarray, texts: Texts) -> np.ndarray:
    """Numbers that sort as the texts do, whatever their codes: those depend on who came first."""
    used, places = np.unique(codes, return_inverse=True)
    known = texts(used.tolist())
    ranks = np.empty(len(used), np.int64)
    ranks[sorted(range(len(used)), key=known.__getitem__)] = np.arange(len(used))
    return ranks[places]


def key(sites: np.ndarray, times: np.ndarray) -> np.ndarray:
    """One number that sorts by site and time."""
    return (sites.astype(np.uint64) << TIME_BITS) | times


def firsts(*columns: np.ndarray) -> np.ndarray:
    """Whether each row differs from the one before it in any of the columns."""
    new = np.ones(len(columns[0]), bool)
    new[1:] = False
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    return new


def _lasts(*columns: np.ndarray) -> np.ndarray:
    """Whether each row differs from the one behind it."""
    last = np.ones(len(columns[0]), bool)
    last[:-1] = firsts(*columns)[1:]
    return last


def changes(sites, names, times, online) -> tuple[np.ndarray, np.ndarray]:
    """When each site may change, as sorted keys of site and time, and whether it is online then.

    From statuses, in any order: `online` says which of them are that.
    """
    order = np.lexsort([online, times, names, sites])
    sites, names, times, online = sites[order], names[order], times[order], online[order]
    last = _lasts(sites, names, times)  # of an operator's statuses in one second
    sites, names, times, online = sites[last], names[last], times[last], online[last]
    before = np.roll(online, 1) & ~firsts(sites, names)  # each operator starts offline
    steps = online.astype(np.int64) - before
    keys = key(sites, times)
    order = np.argsort(keys, kind="stable")
    keys, totals = keys[order], np.cumsum(steps[order])
    # The totals run on from site to site: take off what each site began with.
    begins = np.flatnonzero(firsts(keys >> TIME_BITS))
    carried = (totals - steps[order])[begins]
    totals -= np.repeat(carried, np.diff(np.append(begins, len(keys))))
    last = _lasts(keys)
    return keys[last], totals[last] > 0


def intervals(keys: np.ndarray, online: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """From which key until before which each site is online, of its changes.

    The last interval of a site that stays online ends where the next site's keys begin.
    """
    sites = keys >> TIME_BITS
    turns = firsts(sites, online)  # a change to what it was before is none
    keys, online, sites = keys[turns], online[turns], sites[turns]
    ends = np.append(keys, np.uint64(0))[1:]
    last = _lasts(sites)
    ends[last] = (sites[last] + np.uint64(1)) << TIME_BITS
    return keys[online], ends[online]
