"""A look at the first lines of each input, whatever a prefilter would say of them.

A prefilter calls every line that cannot matter filtered; so does it of an input in which nothing is
an event of the source, and the count of that would be nothing, with exit status 0.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator

import msgspec
from stringzilla import Str

from headcount.filters.recognised import Kind, WrongKind
from headcount.filters.rejects import UNIDENTIFIED, Reject
from headcount.filters.results import Process, Result
from headcount.formats import jsonl, shapes
from headcount.io.blocks import All, Block
from headcount.pipelines.active_users.definitions import OWN, SUMMED
from headcount.pipelines.active_users.events import source
from headcount.pipelines.active_users.events.plain import Plain
from headcount.pipelines.active_users.events.qualify import ENGAGEMENT
from headcount.pipelines.active_users.events.record import Definition
from headcount.values import instants
from headcount.values.search import NameSearch, split_lines

_FIRST = 100  # lines of an input
_LAST = 10  # and of its first block
_FURTHER = 10  # of each block behind, as long as nothing has been recognised
_any = msgspec.json.Decoder().decode
_TIME_REASONS = (source.IMPLAUSIBLE, "bad time", "bad event_timestamp")
_UNLIKE = (
    jsonl.NOT_JSON,
    "not UTF-8",
    "nested too deeply",
    "wrong type",
    "event_name is missing",
    "event_timestamp is missing",
)
_NAMES = 500  # to choose from, for one that is missing
_NAMES_OF_EVENTS = ("event_name", "event", "event_type", "type", "name")
_BLANKS = b" \t\n\r\v\f"  # as bytes.strip has them
_HEAD = 64 << 10  # bytes to tell what an input looks like


class Look:
    """Looks at blocks of inputs: at more lines for as long as it has recognised no event of one.

    `parser` is that of the source's events; these must have one of the fields `one_of`. If it
    `is_strict`, an input is refused as soon as it is certain what it is instead. It also looks for
    what was `named` by hand (`event x`, `field y`): whether it was seen so far.
    """

    def __init__(
        self,
        parser,
        one_of: Collection[str] = (),
        *,
        is_strict: bool = True,
        named: Collection[str] = (),
    ):
        self._parser, self._one_of, self._is_strict = parser, one_of, is_strict
        self._fields = parser.definition.fields
        self.kind = Kind(f"events of --source {self._fields.source}", named=tuple(named))
        self._searches = {name: NameSearch([_written(name)]) for name in named}
        self.named = dict.fromkeys(named, False)
        self._has_told_others = False
        self._recognised: set[str] = set()
        self._looked_at: set[str] = set()

    def __call__(self, block: Block) -> tuple[int, str]:
        """How many events it recognised, and what it saw that are none of these.

        Raises Failure 66 where it is strict, and an input begins with events of another source, or
        with what it cannot be meant to count: times in another unit, say.
        """
        if block.name in self._recognised:
            return 0, ""
        is_first = block.name not in self._looked_at and block.start < _HEAD
        self._looked_at.add(block.name)
        start = _start(block, _FIRST if is_first else _FURTHER)
        if next(_lines(start), None) is None:
            return 0, ""
        if is_first and self._fields.agent and not any(map(self._parser.agent_of, _lines(start))):
            return self._told(block, self._without_agent())
        rejected = []
        for line in _lines(start):
            reject = self._parser.parse(line)
            if self._is_event(reject):
                if is_first and self._lacks_fields(block):
                    return self._told(block, self._without_fields())
                self._recognised.add(block.name)
                return 1, self._others(start, *([_last(block)] if is_first else []))
            rejected.append(reject)
        lines = list(_lines(start))
        pairs = zip(lines, rejected, strict=True)
        dated = [line for line, reject in pairs if reject.reason in _TIME_REASONS]
        if dated:
            if is_first and (unit := self._other_unit(dated)):
                return self._told(block, unit)
            self._recognised.add(block.name)  # their times are rejected one by one
            return len(dated), ""
        if other := self._others(start):
            return self._told(block, other) if is_first else (0, other)
        return 0, self._seen(block, lines, rejected)

    def others(self, block: Block) -> str:
        """Whose events a block begins with, if none of this source's."""
        return self._others(_start(block, 1))

    def _others(self, *texts: Str | bytes) -> str:
        """Whose events some lines of these texts are, if they are none of this source's."""
        if self._fields.source == source.FIELDS:  # anybody's
            return ""
        unlike = []
        for text in texts:
            lines = All(Block(text))
            found = self._parser.parse_plain(lines)
            found = found.others if type(found) is Plain else enumerate(found)
            rejected = (i for i, it in found if type(it) is Reject and not self._is_event(it))
            unlike += [line for i in rejected if (line := lines[i]).strip()]
        other = _source_of(unlike, but=self._fields.source)
        return _events_of(other) if other else ""

    def _told(self, block: Block, like: str) -> tuple[int, str]:
        if self._is_strict:
            raise WrongKind(block.name, self.kind.expected, like)
        return 0, like

    def look_for_names(self, block: Block) -> tuple[str, ...]:
        """Note which names are there; once other names, where one that is looked for is not yet."""
        for name, search in list(self._searches.items()):
            if search.spans(block.text):
                self.named[name] = True
                del self._searches[name]
        if not self._searches or self._has_told_others:
            return ()
        self._has_told_others = True
        others: dict[str, None] = {}
        for line in _lines(_start(block, _FIRST)):
            _gather(jsonl.record(_any, line), others)
        return tuple(others)[:_NAMES]

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

    def _lacks_fields(self, block: Block) -> bool:
        """Whether there are engagements at the start, and nothing of what makes them count."""
        head = block.text[:_HEAD]
        if not self._one_of or head.find(ENGAGEMENT.encode()) < 0:
            return False
        return all(head.find(json.dumps(name).encode()) < 0 for name in self._one_of)

    def _without_fields(self) -> str:
        return (
            f"events without {' or '.join(self._one_of)}; name the field of valuable events with "
            "--valuable-param, or the events that count with --valuable-events"
        )

    def _without_agent(self) -> str:
        agents = " or ".join(self._fields.agent)
        return f"events without {agents}, which --skip-bots needs; use --field agent=FIELD"

    def _other_unit(self, lines: list[bytes]) -> str | None:
        """What unit all of these times are of, if not of the one that is expected."""
        fields = self._fields
        times = [time for line in lines if (time := self._parser.time_of(line)) is not None]
        if not times:
            return None
        for unit in instants.fitting_units(times, fields.unit, fields.earliest, fields.latest):
            at = instants.shown(instants.micros(times[0], unit))
            return (
                f"{' or '.join(fields.time)} {times[0]!r}, which looks like "
                f"{instants.UNIT_NAMES[unit]} ({at}); use --time-unit {unit}"
            )
        return None

    def _seen(self, block: Block, lines: list[bytes], rejected: list[Reject]) -> str:
        """What an input looks like, if not like the source's events."""
        fields = self._fields
        if all(reject.reason == UNIDENTIFIED for reject in rejected):
            users = " or ".join(fields.user)
            return f"events without {users}; name the field of the user with --user FIELD"
        from headcount.formats import delimited, looks  # rarely needed

        cells = lines[0].decode(errors="replace").split(delimited.delimiter_of(lines[0]))
        header = [name.strip('"') for name in cells]
        if has_events(header, fields):
            return self._without_fields()
        if fields.source != source.FIELDS and (other := source.told(header, but=fields.source)):
            return _events_of(other)
        kind = looks.described(bytes(block.text[:_HEAD]))
        events = [event for line in lines if type(event := jsonl.record(_any, line)) is dict]
        if not events and lines[0].startswith(b"{") and rejected[0].reason == jsonl.NOT_JSON:
            return f"broken {kind} ({rejected[0].detail})"
        if not (events or len(header) > 1):
            return kind
        missing = _missing(events or [dict.fromkeys(header, "")], fields)
        return f"{kind}, without {missing}" if missing else kind


def _last(block: Block) -> bytes:
    """A block's last lines that are not blank; very long ones are left out."""
    lines = bytes(block.text[max(0, len(block.text) - _HEAD) :]).split(b"\n")
    return b"\n".join([line for line in lines[1:] if line.strip()][-_LAST:])


def _start(block: Block, most: int) -> Str:
    """A block's first lines, of which so many are not blank."""
    text, end = block.text, 0
    while end < len(text) and most:
        start, end = end, text.find(b"\n", end) + 1 or len(text)
        if text[start:end].find_first_not_of(_BLANKS) >= 0:
            most -= 1
    return text[:end]


def _lines(text: Str) -> Iterator[bytes]:
    """Those that are not blank."""
    start = 0
    while start < len(text):
        end = text.find(b"\n", start) + 1 or len(text)
        line = bytes(text[start:end]).rstrip(b"\r\n")  # of TSV the last columns may be empty
        if line.strip():
            yield line
        start = end


def _events_of(name: str) -> str:
    return f"events of {source.find(name).title}; use --source {name}"


def _missing(events: list[dict], fields: source.Fields) -> str:
    """Which of the fields that say when, what and who are in none of some events."""
    from headcount.pipelines.active_users.events import by_fields  # rarely needed

    def is_there(names: Iterable[str]) -> bool:
        paths = [path for name in names for path in by_fields.joined(name)]
        return any(
            by_fields.value_at(path, event) is not None for path in paths for event in events
        )

    wanted = [names for names in (fields.user, fields.time, fields.name) if names]
    return ", ".join(" or ".join(names) for names in wanted if not is_there(names))


def _source_of(lines: list[bytes], but: str) -> str | None:
    """Whose events these lines are, if another source's."""
    for line in lines:
        event = jsonl.record(_any, line)
        if type(event) is dict and (name := source.told(event)) and name != but:
            return name
        if type(event) is Reject:
            for name in source.names():
                text = source.find(name).text
                if name != but and text and type(text(line)) is dict:
                    return name
    return None


def _written(named: str) -> str:
    """What of a name must stand in an event that has it: of a path the last key."""
    kind, _, name = named.partition(" ")
    if kind != "field":
        return name
    from headcount.pipelines.active_users.events import by_fields

    keys = [part for part in by_fields.path(name) if not part.isdigit()]
    return keys[-1] if keys else name


def _gather(event, names: dict[str, None]) -> None:
    """Names that an event has: its own, and those of its fields and parameters."""
    if type(event) is not dict:
        return
    for key, value in event.items():
        names[key] = None
        if type(value) is dict:
            names |= dict.fromkeys(f"{key}.{below}" for below in value)
        elif type(value) is list:
            params = (param.get("key") for param in value if type(param) is dict)
            names |= {key: None for key in params if type(key) is str}
        elif type(value) is str and key in _NAMES_OF_EVENTS:
            names[value] = None


def looking(process: Process, look: Look, event_of: Callable[[bytes], bytes] | None) -> Process:
    """`process`, with a look at each block before.

    Of a program that finds lines, and does not parse them, `event_of` gives the line of a row: what
    it keeps is looked at, too. Rows of others are events by themselves.
    """

    def of_block(block: Block) -> Result:
        recognised, like = look(block)
        others = look.look_for_names(block) if look.named else ()
        result = process(block)
        if not (like or result.kept or result.duplicate):
            like = look.others(block)
        if like and event_of:
            rows = map(bytes, split_lines(Str(result.rows)))
            recognised = look.recognises(block.name, map(event_of, rows))
        elif not event_of:
            recognised = recognised or result.kept + result.duplicate
        named = tuple(look.named.items())
        return result._replace(recognised=recognised, like=like, named=named, others=others)

    return of_block


def columns_of(definition: Definition) -> tuple[str, ...]:
    """The fields one of which events must have to make anybody active, if any."""
    if definition.fields.source != source.GA4 or definition.valuable_events:
        return ()
    if definition.named and not definition.named & {OWN, SUMMED}:
        return ()
    return ("event_params", *definition.valuable_params)


def shape(
    parser, one_of: Collection[str], *, whole: bool, also: Collection[str] = ()
) -> shapes.Wanted:
    """What inputs of a parser's events may look like, if they do not have lines of JSON.

    A table of text has one of the columns `one_of`, if there are any of these. Of a table all
    columns are read if the `whole` event is wanted, not only those that the parser looks at and
    those that are wanted `also`.
    """
    fields = parser.definition.fields

    def is_header(names: list[str]) -> bool:
        return has_events(names, fields) and (not one_of or not set(one_of).isdisjoint(names))

    columns = None if whole else frozenset(parser.columns()) | frozenset(also)
    return shapes.Wanted(columns, is_header, source.find(fields.source).text is not None)


def has_events(names: Collection[str], fields: source.Fields) -> bool:
    """Whether a table has what says when, what and (GA4 has none without consent) who."""
    from headcount.pipelines.active_users.events import by_fields  # lines of GA4 do without

    def has(paths: Iterable[str]) -> bool:
        return any(by_fields.joined(path)[0][0] in names for path in paths)

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
    named: Collection[str] = (),
    also: Collection[str] = (),
) -> tuple[Process, dict]:
    """`process`, with a look at its inputs, and how `runner.run` is to read them.

    Events must have one of the fields `one_of`: if None, of those that the parser's definition asks
    for. `event_of`: as `looking` takes it; `named`: as Look does; `also`: as `shape` does.
    """
    if one_of is None:
        one_of = columns_of(parser.definition)
    reader = shapes.reader(shape(parser, one_of, whole=event_of is not None, also=also))
    look = Look(parser, one_of, is_strict=not options.allow_empty, named=named)
    return looking(process, look, event_of), {"reader": reader, "kind": look.kind}
