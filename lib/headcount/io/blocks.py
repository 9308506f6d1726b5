"""Lines of a block, to be parsed all at once or, where one is unusual, one by one."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from stringzilla import Str

from headcount.values.search import split_lines

BOM = b"\xef\xbb\xbf"


class Block:
    """Whole lines of one input; only an input's very last line may lack its newline.

    `text` views the bytes, and only until the next block is asked for: take what is to be kept.
    `name` is the input's path, `-` for stdin; `line` is the number of the first line. `size` is
    how many bytes of the input these are, with a byte order mark that was dropped, and `start` how
    many stand before them.

    Lines that were made of an input of another shape (formats/shapes.py) may have `numbers` of
    their own; `rejects` (reason, input, number, raw) and `left_out` (a header, blank lines) are
    records of that input that have no line here.
    """

    __slots__ = (
        "_lines",
        "left_out",
        "line",
        "name",
        "numbers",
        "rejects",
        "size",
        "start",
        "text",
    )

    def __init__(
        self, data: Str | bytes, name: str = "-", line: int = 1, dropped: int = 0, start: int = 0
    ):
        self.text = data if isinstance(data, Str) else Str(data)
        self.size = len(self.text) + dropped
        self.start = start
        self.name = name
        self.line = line
        self._lines: int | None = None
        self.numbers: Sequence[int] | None = None
        self.rejects: Sequence[tuple] = ()
        self.left_out = 0

    def number(self, i: int) -> int:
        """The number of the line at place `i` of the block, in its input."""
        return self.line + i if self.numbers is None else self.numbers[i]

    def lines(self) -> int:
        """How many lines; counted once."""
        if self._lines is None:
            empty = not len(self.text)
            self._lines = 0 if empty else self.text.count(b"\n") + (not self.text.endswith(b"\n"))
        return self._lines


class All:
    """All lines of a block: their `text`, their `count`, and each without its newline."""

    def __init__(self, block: Block):
        self.text, self.count = block.text, block.lines()
        self.number = block.number

    @functools.cached_property
    def _lines(self) -> list:
        return split_lines(self.text)

    def __getitem__(self, i: int) -> bytes:
        return bytes(self._lines[i]).rstrip(b"\r")


class Some:
    """Lines of a block, by their start and their end behind the newline, with what `All` has."""

    def __init__(self, block: Block, spans: list[tuple[int, int]]):
        self._block, self._spans = block, spans
        self.text = Str(b"".join([block.text[start:end] for start, end in spans]))
        self.count = len(spans)

    def __getitem__(self, i: int) -> bytes:
        start, end = self._spans[i]
        return bytes(self._block.text[start:end]).rstrip(b"\n\r")

    def number(self, i: int) -> int:
        """The line's number in its input."""
        return self._block.number(self._block.text.count(b"\n", 0, self._spans[i][0]))
