"""A progress bar on stderr, for people who wait."""

from __future__ import annotations

import sys
import time

from headcount.io.splits import Offsets, total_size

DELAY_SECONDS = 1


class Progress:
    """Counts bytes read; draws a bar once a run takes longer than a second."""

    def __init__(self, prog: str, total: int | None, wanted: bool):
        self._prog, self._total, self._wanted = prog, total, wanted
        self._begin = time.monotonic()
        self._bytes = self._lines = 0
        self._bar = None

    @classmethod
    def of(cls, options, prog: str, offsets: Offsets) -> Progress:
        """For the inputs of `options.files`, from their offsets on, and for whom it is wanted."""
        size = total_size(options.files or ["-"], offsets)
        return cls(prog, size, options.progress or (size is not None and cls.watched(options)))

    @staticmethod
    def watched(options) -> bool:
        """Whether somebody waits who has not asked for quiet."""
        return sys.stderr is not None and sys.stderr.isatty() and not options.quiet

    def add(self, count: int) -> None:
        """`count` more bytes have been read."""
        self._bytes += count
        if self._bar is not None:
            self._bar.update(count)
        elif self._wanted and time.monotonic() - self._begin > DELAY_SECONDS:
            from tqdm import tqdm  # slow to import: only for those who wait anyway

            self._bar = tqdm(
                desc=self._prog,
                total=self._total,
                initial=self._bytes,
                unit="B",
                unit_scale=True,
                leave=False,
                file=sys.stderr,
            )

    def count(self, lines: int) -> None:
        """So many more lines are done."""
        self._lines += lines
        if self._bar is not None:
            seconds = time.monotonic() - self._begin
            self._bar.set_postfix_str(f"{self._lines / seconds:,.0f} lines/s", refresh=False)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
