"""Files with what streams of server-sent events once sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from headcount import sse
from headcount.inputs import Block, shown


class Captured:
    """Takes blocks of such files, one file after the other; tells `note` of unfinished ones."""

    def __init__(self, max_event: int, note: Callable[[str], None]):
        self._max_event, self._note = max_event, note
        self._name, self._parser = "", sse.Parser()

    def events(self, block: Block) -> Iterator[sse.Event | sse.Unusable]:
        """The events that end in this block."""
        if block.line == 1 or block.name != self._name:
            self.end()
            self._name, self._parser = block.name, sse.Parser(self._max_event)
        return self._parser.feed(bytes(block.text))

    def end(self) -> None:
        """The last file has ended."""
        if self._parser.unfinished:
            text = "breaks off within an event: that is left out"
            self._note(f"{shown(self._name)}: {text}")
        self._parser = sse.Parser()
