"""Distinct values of each key, by all the rows that there are of them."""

from collections import defaultdict
from functools import reduce

from headcount import filters
from headcount.filters import Result
from headcount.inputs import Block
from headcount.rejects import Reject


class Counts:
    """The distinct values of each key, with the signals and amounts seen of each."""

    def __init__(self, all_of: list[bytes], sum_at_least=None):
        self._bits = {signal: 1 << i for i, signal in enumerate(all_of)}
        self._all = (1 << len(all_of)) - 1
        self._least = sum_at_least
        self._seen: dict[bytes, dict[bytes, int]] = defaultdict(dict)  # key: value: signal bits
        self._masks: dict[bytes, int] = {}
        self._amounts: dict[tuple[bytes, bytes], dict[bytes, object]] = defaultdict(dict)
        self._columns = 5 if sum_at_least is not None else 3 if all_of else 2

    def add(self, block: Block) -> Result:
        """Take in the rows of a block; a row that says nothing new is a duplicate."""
        self._kept = self._duplicate = 0
        counted = filters.each_line(self._add)(block)
        return counted._replace(rows=b"", kept=self._kept, duplicate=self._duplicate)

    def _add(self, line: bytes) -> bytes | Reject:
        columns = line.split(b"\t")
        if len(columns) < self._columns:
            return Reject(f"needs {self._columns} columns", f"has {len(columns)}")
        key, value = columns[:2]
        try:
            new = self._least is not None and self._add_amount(key, value, *columns[3:5])
        except ValueError:
            return Reject("bad amount", repr(columns[3][:30].decode(errors="replace")))
        values = self._seen[key]
        before = values.get(value, -1)
        mask = max(before, 0) | (self._mask(columns[2]) if self._bits else 0)
        if new or mask != before:
            values[value] = mask
            self._kept += 1
        else:
            self._duplicate += 1
        return b""

    def _add_amount(self, key: bytes, value: bytes, text: bytes, copy: bytes) -> bool:
        """Whether the amount is news. Of copies the largest counts, in whatever order they come."""
        from headcount import numbers  # only sums need it

        # More than enough is enough: that keeps sums small.
        amount = min(max(numbers.exact(text.decode()), 0), self._least)
        amounts = self._amounts[key, value]
        if copy in amounts and amount <= amounts[copy]:
            return False
        amounts[copy] = amount
        return True

    def _mask(self, signals: bytes) -> int:
        mask = self._masks.get(signals)
        if mask is None:
            mask = sum(self._bits.get(signal, 0) for signal in set(signals.split(b",")))
            self._masks[signals] = mask
        return mask

    def rows(self) -> bytes:
        """The answer."""
        counts = {
            key: sum(self._counts(key, value, mask) for value, mask in values.items())
            for key, values in self._seen.items()
        }
        return b"".join(b"%b\t%d\n" % (key, counts[key]) for key in sorted(counts) if counts[key])

    def _counts(self, key: bytes, value: bytes, mask: int) -> bool:
        if mask != self._all:
            return False
        if self._least is None:
            return True
        from headcount import numbers

        return reduce(numbers.add, self._amounts[key, value].values()) >= self._least
