"""A look at the first lines of each input, whatever a prefilter would say of them.

A prefilter calls every line that cannot matter filtered; so does it of an input in which nothing is
an event of the source, and the count of that would be nothing, with exit status 0.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Iterator

from stringzilla import Str

from headcount.errors import NO_INPUT, Failure
from headcount.filters.rejects import UNIDENTIFIED, Reject
from headcount.filters.results import Process, Result
from headcount.formats import shapes
from headcount.io import interrupt
from headcount.io.blocks import Block
from headcount.pipelines.active_users.definitions import OWN, SUMMED
from headcount.pipelines.active_users.events import by_fields, source
from headcount.pipelines.active_users.events.record import Definition
from headcount.values import instants
from headcount.values.search import split_lines
from headcount.values.tsv import shown

_FIRST = 100  # lines of an input
_FURTHER = 10  # of each block behind, as long as nothing has been recognised
_TIME_REASONS = (source.IMPLAUSIBLE, "bad time", "bad event_timestamp")
_UNLIKE = (
    "not JSON",
    "not UTF-8",
    "nested too deeply",
    "wrong type",
    "event_name is missing",
    "event_timestamp is missing",
)
_HEAD = 64 << 10  # bytes to tell what an input looks like
_MOST_HELD = 16 << 20  # bytes of rejects of an input in which nothing has been recognised
_REJECT = 200  # bytes that each takes besides its line


class Look:
    """Looks at blocks of inputs, for as long as it has recognised no event of an input.

    `parser` is that of the source's events.
    """

    def __init__(self, parser, one_of: Collection[str] = ()):
        """`one_of`: the columns one of which a table must have."""
        self._parser, self._one_of = parser, one_of
        self._fields = parser.definition.fields
        self._recognised: set[str] = set()
        self._looked_at: set[str] = set()

    def __call__(self, block: Block) -> tuple[int, str]:
        """How many events it recognised, and if it looked and recognised none what it saw instead.

        Raises Failure 66 where an input begins with events of another source, or with times in
        another unit.
        """
        if block.name in self._recognised:
            return 0, ""
        is_first = block.name not in self._looked_at and block.start < _HEAD
        self._looked_at.add(block.name)
        lines = _sample(block, _FIRST if is_first else _FURTHER)
        if not lines:
            return 0, ""
        if is_first and self._fields.agent:
            self._require_agent(block.name, lines)
        rejected = []
        for line in lines:
            found = self._parser.parse(line)
            if self._is_event(found):
                self._recognised.add(block.name)
                return 1, ""
            rejected.append(found)
        events = [
            line
            for line, found in zip(lines, rejected, strict=True)
            if found.reason in _TIME_REASONS
        ]
        if is_first and events:
            self._refuse_unit(block.name, events)
        if events:  # all right, but for their times, which are rejected one by one
            self._recognised.add(block.name)
            return len(events), ""
        return 0, self._seen(block, lines, rejected, is_first)

    def recognises(self, name: str, lines: Iterable[bytes]) -> int:
        """Whether one of these lines of an input is an event."""
        if any(self._is_event(self._parser.parse(line)) for line in lines):
            self._recognised.add(name)
            return 1
        return 0

    def _is_event(self, found) -> bool:
        if type(found) is not Reject:
            return True
        if self._fields.source != source.GA4 or found.reason in _TIME_REASONS:
            return False
        # What has a name and a time is an event, whatever else is wrong with it. (The export of an
        # app without consent has no users at all.)
        return found.reason not in _UNLIKE

    def _require_agent(self, name: str, lines: list[bytes]) -> None:
        """Raises Failure if bots are to be left out, and no event says what its agent is."""
        if not any(map(self._parser.agent_of, lines)):
            raise Failure(
                f"{shown(name)}: --skip-bots: no event has {' or '.join(self._fields.agent)}; name "
                "the field of the agent with --field agent=FIELD",
                NO_INPUT,
            )

    def _refuse_unit(self, name: str, lines: list[bytes]) -> None:
        """Raises Failure if all of these times make sense in another unit."""
        fields = self._fields
        times = [time for line in lines if (time := self._parser.time_of(line)) is not None]
        if not times:
            return
        for unit in instants.fitting_units(times, fields.unit, fields.earliest, fields.latest):
            at = instants.shown(instants.micros(times[0], unit))
            raise Failure(
                f"{shown(name)}: {' or '.join(fields.time)}: expected "
                f"{_expected(fields.unit)}, got {times[0]!r}, which looks like "
                f"{instants.UNIT_NAMES[unit]} ({at}); use --time-unit {unit}",
                NO_INPUT,
            )

    def _seen(self, block: Block, lines: list[bytes], rejected: list[Reject], first: bool) -> str:
        """What an input looks like, if not like the source's events."""
        fields = self._fields
        other = _source_of(lines, but=fields.source)
        if other:
            title = source.find(other).title
            text = f"events of {title}: try --source {other}"
            if first:
                raise Failure(refusal(block.name, fields.source, text), NO_INPUT)
            return text
        if all(reject.reason == UNIDENTIFIED for reject in rejected):
            return (
                f"events without a user: none has {' or '.join(fields.user)}; name the field of "
                "the user with --user"
            )
        from headcount.formats import delimited, looks  # rarely needed

        header = lines[0].decode(errors="replace").split(delimited.delimiter_of(lines[0]))
        if has_events([name.strip('"') for name in header], fields):
            return (
                f"a table of them without {' or '.join(self._one_of)}: name the column of valuable "
                "events with --valuable-param, or the events that count with --valuable-events"
            )
        return looks.described(bytes(block.text[:_HEAD]))


def _sample(block: Block, most: int) -> list[bytes]:
    """The first lines of a block that are not blank."""
    text, end = block.text, 0
    for _ in range(most):
        newline = text.find(b"\n", end)
        if newline < 0:
            end = len(text)
            break
        end = newline + 1
    lines = (bytes(line).rstrip(b"\r") for line in split_lines(text[:end])) if end else ()
    return [line for line in lines if line.strip()]


def _source_of(lines: list[bytes], but: str) -> str | None:
    import msgspec

    for line in lines:
        try:
            event = msgspec.json.decode(line)
        except (ValueError, RecursionError):
            event = None
        if type(event) is dict and (name := source.told(event)):
            return name if name != but else None
        if event is None:
            for name in source.names():
                text = source.find(name).text
                if name != but and text and type(text(line)) is dict:
                    return name
    return None


def _expected(unit: str) -> str:
    return (
        "a text such as 2026-01-10T16:00:00Z"
        if unit == instants.ISO
        else (instants.UNIT_NAMES[unit])
    )


def refusal(name: str, wanted: str, looks_like: str) -> str:
    """Why an input is refused."""
    return (
        f"{shown(name)}: expected events of --source {wanted}, got {looks_like} "
        "(--allow-empty counts it as empty)"
    )


def looking(process: Process, look: Look, event_of: Callable[[bytes], bytes] | None) -> Process:
    """`process`, with a look at each block before.

    Of a program that finds lines, and does not parse them, `event_of` gives the line of a row: what
    it keeps is looked at, too. Rows of others are events by themselves.
    """

    def of_block(block: Block) -> Result:
        recognised, like = look(block)
        result = process(block)
        if like and event_of:
            rows = map(bytes, split_lines(Str(result.rows)))
            recognised = look.recognises(block.name, map(event_of, rows))
        elif not event_of:
            recognised = recognised or result.kept + result.duplicate
        return result._replace(recognised=recognised, like=like)

    return of_block


def guard(
    of_inputs: Iterable[tuple[str, int, Result]], wanted: str
) -> Iterator[tuple[str, int, Result]]:
    """What was found in inputs, unless nothing of one is recognised as an event of `wanted`.

    That is held back until something is. Raises Failure 66.
    """
    current, is_known, like, held, size = None, True, "", [], 0

    def refuse_unknown() -> None:
        if not is_known and like and not interrupt.requested():
            raise Failure(refusal(current, wanted, like), NO_INPUT)

    for found in of_inputs:
        name, _, result = found
        if name != current:
            refuse_unknown()
            yield from held
            current, is_known, like, held, size = name, False, "", [], 0
        like = like or result.like
        is_known = is_known or bool(result.recognised)
        if not is_known:
            rejects = list(result.rejects)
            held.append((*found[:2], result._replace(rejects=rejects)))
            size += sum(len(raw) + _REJECT for *_, raw in rejects)
            if size > _MOST_HELD:
                refuse_unknown()
            continue
        yield from held
        held.clear()
        yield found
    refuse_unknown()
    yield from held


def columns_of(definition: Definition) -> tuple[str, ...]:
    """The columns one of which a table of the events must have to make anybody active, if any."""
    if definition.fields.source != source.GA4 or definition.valuable_events:
        return ()
    if definition.named and not definition.named & {OWN, SUMMED}:
        return ()
    return ("event_params", *definition.valuable_params)


def shape(parser, one_of: Collection[str], *, whole: bool) -> shapes.Wanted:
    """What inputs of a parser's events may look like, if they do not have lines of JSON.

    A table of text has one of the columns `one_of`, if there are any of these. Of a table all
    columns are read if the `whole` event is wanted, not only those that the parser looks at.
    """
    fields = parser.definition.fields

    def is_header(names: list[str]) -> bool:
        return has_events(names, fields) and (not one_of or not set(one_of).isdisjoint(names))

    columns = None if whole else frozenset(parser.columns())
    return shapes.Wanted(columns, is_header, source.find(fields.source).text is not None)


def has_events(names: Collection[str], fields: source.Fields) -> bool:
    """Whether a table has what says when, what and (GA4 has none without consent) who."""

    def has(paths: Iterable[str]) -> bool:
        return any(by_fields.path(path)[0] in names for path in paths)

    needed = [fields.time, fields.name or fields.time]
    if fields.source != source.GA4:
        needed.append(fields.user)
    return all(map(has, needed))


def reading(
    process: Process,
    parser,
    options,
    one_of: Collection[str] | None = None,
    event_of: Callable[[bytes], bytes] | None = None,
) -> tuple[Process, dict]:
    """`process`, with a look at its inputs, and how `runner.run` is to read them.

    Tables need one of the columns `one_of`: if None, what the parser's definition asks for.
    `event_of`: as `looking` takes it.
    """
    if one_of is None:
        one_of = columns_of(parser.definition)
    ways = {"reader": shapes.reader(shape(parser, one_of, whole=event_of is not None))}
    if options.allow_empty:
        return process, ways
    ways["guard"] = functools.partial(guard, wanted=parser.definition.fields.source)
    return looking(process, Look(parser, one_of), event_of), ways
