"""Distinct values of each key, by all the rows that there are of them."""

from collections import defaultdict
from functools import reduce

from headcount.filters.rejects import Reject
from headcount.filters.results import Result
from headcount.filters.runner import FROM_INPUT, USERS, each_line, passed_on
from headcount.io.blocks import Block
from headcount.values import decimals


class Counts:
    """The distinct values of each key, with the signals and amounts seen of each.

    Each value is held once, however many keys have it: the sets share it.
    """

    def __init__(self, all_of: list[bytes], sum_at_least=None):
        self._bits = {signal: 1 << i for i, signal in enumerate(all_of)}
        self._all = (1 << len(all_of)) - 1
        self._least = sum_at_least
        self._duplicate = 0
        self._values: dict[bytes, bytes] = {}
        self._seen: dict[bytes, dict[int, set[bytes]]] = {}  # key: signal bits: values
        self._masks: dict[bytes, int] = {}
        self._amounts: dict[tuple[bytes, bytes], dict[bytes, object]] = defaultdict(dict)
        self._columns = 5 if sum_at_least is not None else 3 if all_of else 2
        notes = {FROM_INPUT: passed_on, USERS: self._add_users}
        self.add_held = each_line(self._add, notes=notes)  # also many rows in one line

    def add(self, block: Block) -> Result:
        """Take in the rows of a block; a row that says nothing new is a duplicate."""
        self._duplicate = 0
        counted = each_line(self._add)(block)
        kept = counted.kept - self._duplicate
        return counted._replace(rows=b"", kept=kept, duplicate=self._duplicate)

    def _add(self, line: bytes) -> bytes | Reject:
        columns = line.split(b"\t")
        if len(columns) < self._columns:
            return Reject(f"needs {self._columns} columns", f"has {len(columns)}")
        key, value = columns[:2]
        try:
            new = self._least is not None and self._add_amount(key, value, *columns[3:5])
        except ValueError:
            return Reject("bad amount", repr(columns[3][:30].decode(errors="replace")))
        values = self._seen.setdefault(key, {}).setdefault(self._mask(columns), set())
        if value not in values:
            values.add(self._values.setdefault(value, value))
        elif not new:
            self._duplicate += 1
        return b""

    def _add_users(self, rest: bytes) -> bytes:
        """The rest of a line that is many rows: key, signals, and the values that have these."""
        key, signals, *values = rest.split(b"\t")
        known = self._seen.setdefault(key, {}).setdefault(self._mask([key, b"", signals]), set())
        known.update(map(self._values.setdefault, values, values))
        return b""

    def _add_amount(self, key: bytes, value: bytes, text: bytes, copy: bytes) -> bool:
        """Whether the amount is news. Of copies the largest counts, in whatever order they come."""
        # More than enough is enough: that keeps sums small.
        amount = min(max(decimals.exact(text.decode()), 0), self._least)
        amounts = self._amounts[key, value]
        if copy in amounts and amount <= amounts[copy]:
            return False
        amounts[copy] = amount
        return True

    def _mask(self, columns: list[bytes]) -> int:
        if not self._bits:
            return 0
        signals = columns[2]
        mask = self._masks.get(signals)
        if mask is None:
            mask = sum(self._bits.get(signal, 0) for signal in set(signals.split(b",")))
            self._masks[signals] = mask
        return mask

    def rows(self) -> bytes:
        """The answer."""
        counts = {key: self._count(key, values) for key, values in self._seen.items()}
        return b"".join(b"%b\t%d\n" % (key, counts[key]) for key in sorted(counts) if counts[key])

    def _count(self, key: bytes, values: dict[int, set[bytes]]) -> int:
        """How many values have, in one row or in several, all signals, and enough."""
        have = set().union(*values.values())
        for bit in self._bits.values():
            have &= set().union(*(values[mask] for mask in values if mask & bit))
        if self._least is None:
            return len(have)
        sums = (reduce(decimals.add, self._amounts[key, value].values()) for value in have)
        return sum(total >= self._least for total in sums)
