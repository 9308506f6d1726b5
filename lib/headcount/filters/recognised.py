"""Inputs of the wrong kind: refused, in place of an answer without anything in it.

What is found in an input is held back until something in it is as expected, or is rejected for
a fault of its own and yet looks as expected. An input of which all is rejected (or, as far as a
program has looked at it, nothing recognised), and nothing looks as expected, is refused with one
message.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from headcount.cli.main import note
from headcount.errors import NO_INPUT, Failure
from headcount.filters.account import Account
from headcount.filters.results import Result
from headcount.io import interrupt
from headcount.values.tsv import shown

# An input is refused, before it is read to its end, once so much of it is not as expected.
MOST_REJECTS = 10_000
MOST_BYTES = 16 << 20

Item = TypeVar("Item")


class Kind(NamedTuple):
    """What a program expects in its inputs: `expected` and `described` are for people.

    `is_like` says of a line that was rejected whether it looks as expected; `described` of how an
    input starts what it looks like. A program that looks at lines itself, and says so in its
    Results (`recognised`, `like`), needs neither. `named` is what was named by hand: `event x`.
    """

    expected: str
    is_like: Callable[[bytes], bool] | None = None
    described: Callable[[bytes], str] | None = None
    named: tuple[str, ...] = ()


class WrongKind(Failure):
    """Nothing in an input is as expected. `message` is the part that says so, without advice."""

    def __init__(self, name: str, expected: str, got: str):
        self.message = f"{shown(name)}: expected {expected}, got {got}"
        advice = "name another file, or take it as an empty one with --allow-empty"
        super().__init__(f"{self.message}; {advice}", NO_INPUT)


class Gate:
    """Holds back what is found in an input, one item after the other, until it is recognised.

    With `options.allow_empty`, all that comes before is `emptied`, which is noted. Inputs of the
    names `known` are not looked at.
    """

    def __init__(
        self,
        kind: Kind,
        options,
        emptied: Callable[[Item], Iterable[Item]],
        known: Collection[str] = (),
    ):
        self._kind, self._options, self._emptied = kind, options, emptied
        self._recognised = set(known)
        self._mixed: set[str] = set()
        self.name: str | None = None
        self._empty()

    def _empty(self) -> None:
        self._held: list[Item] = []
        self._head: list[bytes] = []  # the first lines that were rejected
        self._rejects = self._bytes = 0
        self._like = ""
        self._is_noted = False

    def is_open(self, name: str) -> bool:
        """Whether an input has been recognised: `take` would only hand on what comes."""
        return name in self._recognised

    def take(
        self,
        name: str,
        item: Item,
        raws: Callable[[], Sequence[bytes]],
        *,
        is_sound: bool,
        like: str = "",
    ) -> Iterator[Item]:
        """Some more of an input, with the lines that were rejected: what may go on.

        `like` is what it, or something in it, looks like, where that is known and is not as
        expected. It is noted of an input that has been recognised, once.
        Raises WrongKind for the input before, or for this one if it has gone on like that for long.
        """
        if name != self.name:
            yield from self.end()
            self.name = name
        if name in self._recognised:
            self._note_mixed(like)
            yield item
            return
        rejected = raws()
        is_like = self._kind.is_like
        if is_sound or (is_like and any(map(is_like, rejected))):
            self._recognised.add(name)
            yield from self._held
            yield item
            self._note_mixed(self._like or like)
            self._empty()
            return
        self._held.append(item)
        self._like = self._like or like
        self._head += rejected[: max(0, 20 - len(self._head))]
        self._rejects += len(rejected)
        self._bytes += sum(map(len, rejected))
        is_long = self._rejects > MOST_REJECTS or self._bytes > MOST_BYTES
        if is_long and self._is_unlike():
            yield from self._refused()

    def end(self) -> Iterator[Item]:
        """The input has ended: what may go on. Raises WrongKind."""
        if self.name in self._recognised:
            return
        if self._is_unlike() and not interrupt.requested():  # else it has not been read to its end
            yield from self._refused()
        else:
            yield from self._held
        self._empty()

    def _note_mixed(self, like: str) -> None:
        if like and self.name not in self._mixed:
            self._mixed.add(self.name)
            text = f"not all are {self._kind.expected}: there are also {like}"
            note(f"{shown(self.name)}: {text}", self._options)

    def _is_unlike(self) -> bool:
        """Whether what has come is not as expected; nothing at all is."""
        return bool(self._like or (self._rejects and self._kind.is_like))

    def _refused(self) -> Iterator[Item]:
        got = self._like or self._kind.described(b"\n".join(self._head))
        wrong = WrongKind(self.name, self._kind.expected, got)
        if not self._options.allow_empty:
            raise wrong
        if not self._is_noted:
            _note_allowed(self._options, wrong)
            self._is_noted = True
        for item in self._held:
            yield from self._emptied(item)
        self._held.clear()


def recognised(
    of_inputs: Iterable[tuple[str, int, Result]],
    kind: Kind | None,
    options,
    known: Collection[str] = (),
) -> Iterator[tuple[str, int, Result]]:
    """What `filters.tally` wants, unless an input is of the wrong kind; without a `kind`, all.

    Inputs of the names `known` have been recognised before. Raises WrongKind.
    """
    if kind is None:
        yield from of_inputs
        return
    gate = Gate(kind, options, _as_filtered, known)
    for name, lines, result in of_inputs:
        result = result._replace(rejects=list(result.rejects))
        yield from gate.take(
            name,
            (name, lines, result),
            lambda rejects=result.rejects: [raw for *_, raw in rejects],
            is_sound=bool(result.recognised or (kind.is_like and result.kept + result.duplicate)),
            like=result.like,
        )
    yield from gate.end()


def _as_filtered(found: tuple[str, int, Result]) -> Iterator[tuple[str, int, Result]]:
    name, lines, result = found
    filtered = lines if result.records is None else result.records
    yield name, lines, Result(b"", 0, filtered, 0, (), result.records)


def allowed(options) -> Callable[[WrongKind], None] | None:
    """What says that an input of the wrong kind counts as empty; None where it must not."""
    return functools.partial(_note_allowed, options) if options.allow_empty else None


def _note_allowed(options, wrong: WrongKind) -> None:
    note(f"{wrong.message}; taken as empty, as --allow-empty says", options)


def note_nothing(account: Account, options) -> None:
    """Say so where nothing of the inputs is in the answer, or where there was nothing in one."""
    lines = account.lines
    if interrupt.requested():  # who stopped it knows that it has not read all
        return
    if not lines:
        note("nothing to read: no lines in the input", options)
    elif not account.kept and account.rejected < lines:  # each reject is said already
        ways = {
            "blank or left out": account.filtered,
            "known already": account.duplicate,
            "rejected": account.rejected,
        }
        parts = ", ".join(f"{count} {way}" for way, count in ways.items() if count)
        note(f"nothing kept of {lines} {'line' if lines == 1 else 'lines'}: {parts}", options)
    elif empty := [name for name, count in account.inputs.items() if not count]:
        more = f", and {len(empty) - 1} more" if len(empty) > 1 else ""
        note(f"no lines in {shown(empty[0])}{more}", options)


def missing(account: Account) -> dict[str, str]:
    """What was named by hand and is in no event, and the sentence that says so, with what is most
    like it. Nothing where there are no events, or not all have been read."""
    found = [name for name, is_seen in account.named.items() if not is_seen]
    if interrupt.requested() or not account.lines or not found:
        return {}
    import difflib  # slow to import

    sentences = {}
    for named in found:
        kind, _, name = named.partition(" ")
        near = difflib.get_close_matches(name, account.others, 1)
        did = f"; did you mean {shown(near[0])}?" if near else ""
        verb = "was named" if kind == "event" else f"had the {kind}"
        sentences[named] = f"no event {verb} {shown(name)}{did}"
    return sentences


def note_missing(account: Account, options) -> list[str]:
    """Say it; returns what it is."""
    sentences = missing(account)
    for sentence in sentences.values():
        note(sentence, options)
    return list(sentences)
