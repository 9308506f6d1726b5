"""What runs a filter: inputs, rows, rejects, the account, the exit status.

A filter is one pure function. Line by line, it maps a line to a row, to a Reject, or to None for
a line that is filtered out; `each_line` makes of it what `run` wants, a function of a block.
"""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from headcount.cli.parser import Parser
from headcount.errors import INTERRUPTED, OK, REJECTS
from headcount.filters import account
from headcount.filters.progress import Progress
from headcount.filters.recognised import Kind, note_missing, note_nothing, recognised
from headcount.filters.rejects import Reject, RejectLog
from headcount.filters.results import Process, Result, results
from headcount.io import inputs, interrupt, output, processes, workers
from headcount.io.blocks import All, Block, Some
from headcount.io.splits import Offsets, is_stream
from headcount.values import tsv
from headcount.values.search import split_lines

BLANKS = b" \t\r"
FROM_INPUT, EVENTS = b"#input\t", b"#events\t"  # how notes between rows begin
USERS = b"#users\t"  # a day, signals and users: a row for each of these, in one line
# A day, signals, a field, its value and users: events of these users that had the value.
BY = b"#by\t"
PROPERTY = b"#property\t"  # whose rows follow, of which input is said anew
_WRITE = 64 << 10  # bytes
_NO_POSITION = Reject("no line number and file before the line", "see --positions")


def add_options(parser: Parser, *more: str) -> None:
    """Add what every filter takes, after its own options, and those of `more` that it takes."""
    parser.inputs()
    parser.shared(*more, "--account", "--quiet", "--progress")


def from_property(name: str) -> bytes:
    """The note before rows of another property than those before it."""
    return b"%b%b\n" % (PROPERTY, tsv.escape(name).encode())


def from_input(path: str) -> bytes:
    """The note before rows that come from another input than those before it."""
    return b"%b%b\n" % (FROM_INPUT, tsv.escape(path).encode(errors="surrogateescape"))


def passed_on(path: bytes) -> bytes:
    """The same note, of an input that is escaped already."""
    return b"%b%b\n" % (FROM_INPUT, path)


def each_line(
    function: Callable[[bytes], bytes | Reject | None],
    *,
    positions: bool = False,
    notes: Mapping[bytes, Callable[[bytes], bytes]] = MappingProxyType({FROM_INPUT: passed_on}),
    note_of: Callable[[bytes, Reject], bytes] | None = None,
) -> Process:
    """Lift a function of a line to one of a block. Blank lines are filtered, CR LF is LF.

    With `positions`, each line starts with the columns line number and file of its origin. Between
    rows there may be `notes` of a program before: what begins as one of them becomes what its
    function makes of the rest, and is not counted. `note_of` says what to note of a reject; with
    it and positions, rows of another input follow a note that says so, too.
    """
    told = b""

    def of_block(block: Block) -> Result:
        nonlocal told
        rows, rejects, kept, filtered, noted = [], [], 0, 0, 0
        name, number_of = block.name, block.number
        for i, line in enumerate(split_lines(block.text)):
            line = bytes(line)
            if line[:1] == b"#" and (begin := line[: line.find(b"\t") + 1]) in notes:
                noted += 1
                rows.append(notes[begin](line.removeprefix(begin)))
                continue
            if not line or line[-1:] == b"\r" or line[0] in BLANKS:
                line = line.rstrip(b"\r")
                if not line.strip(BLANKS):
                    filtered += 1
                    continue
            if positions:
                try:
                    place, origin, line = line.split(b"\t", 2)
                    place = int(place)
                except ValueError:
                    rejects.append((_NO_POSITION, name, number_of(i), line))
                    continue
                if not line.strip(BLANKS):
                    filtered += 1
                    continue
            row = function(line)
            if row is None:
                filtered += 1
                continue
            is_row = type(row) is bytes
            note = note_of(line, row) if note_of and not is_row else b""
            if note_of and positions and origin != told and (is_row or note):
                told = origin
                rows.append(passed_on(origin))
            rows.append(row if is_row else note)
            if is_row:
                kept += 1
            elif positions:
                origin = tsv.unescape(origin.decode(errors="surrogateescape"))
                rejects.append((row, origin, place, line))
            else:
                rejects.append((row, name, number_of(i), line))
        result = Result(b"".join(rows), kept, filtered, 0, rejects)
        return result._replace(records=block.lines() - noted) if noted else result

    return of_block


def all_lines(parse_all: Callable[[All], list], row: Callable[[object], bytes]) -> Process:
    """Lift a function that parses many lines at once to one of a block; `row` says what it found.

    None is a line that is filtered out, as is a blank one.
    """

    def of_block(block: Block) -> Result:
        events, rejects = sorted_out(All(block), block.name, parse_all)
        rows = [row(event) for event in events]
        filtered = block.lines() - len(rows) - len(rejects)
        return Result(b"".join(rows), len(rows), filtered, 0, rejects)

    return of_block


def sorted_out(
    lines: All | Some, name: str, parse_all: Callable[[All | Some], list]
) -> tuple[list, list]:
    """What was found in lines of an input of that name, and its rejects as a Result has them."""
    events = parse_all(lines)
    kinds = set(map(type, events))
    rejects = []
    if Reject in kinds:
        for i, event in enumerate(events):
            if type(event) is Reject and (line := lines[i]).strip(BLANKS):
                rejects.append((event, name, lines.number(i), line))
    if Reject in kinds or type(None) in kinds:
        events = [event for event in events if event is not None and type(event) is not Reject]
    return events, rejects


def tally(
    of_inputs: Iterable[tuple[str, int, Result]],
    ours: account.Account,
    log: RejectLog,
    progress: Progress,
    take: Callable[[bytes], None] = lambda rows: None,
    at_once: int = _WRITE,
) -> None:
    """Count what is found in inputs (their names, numbers of lines, Results).

    Rows go to `take`, at least `at_once` bytes at a time; rejects to the log.
    """
    pending, held = [], 0
    for name, lines, result in of_inputs:
        progress.count(lines)
        pending.append(result.rows)
        held += len(result.rows)
        if held >= at_once:
            take(b"".join(pending))
            pending.clear()
            held = 0
        for reject in result.rejects:
            log.add(*reject)
        records = lines if result.records is None else result.records
        ours.lines += records
        ours.inputs[name] = ours.inputs.get(name, 0) + records
        ours.kept += result.kept
        ours.filtered += result.filtered
        ours.duplicate += result.duplicate
        ours.passed += result.passed
        ours.see(result.named, result.others)
    take(b"".join(pending))


def run(
    options,
    process: Process,
    finish: Callable[[account.Account], bytes] = lambda _account: b"",
    *,
    take: Callable[[bytes], None] | None = None,
    rejecter: str | None = None,
    offsets: Offsets = MappingProxyType({}),
    reader: inputs.Reader = inputs.LINES,
    kind: Kind | None = None,
    is_last: bool = True,
    at_end: Callable[[], bytes | None] = lambda: None,
) -> int:
    """Feed every block to `process`, print its rows, then those of `finish`; returns the status.

    The rows of `process` go to `take` if there is one, and are not printed: several processes can
    so prepare what one adds up.
    `finish` gets this filter's account, so that a sink can hold it against its upstream's.
    With `options.jobs`, that many processes share the input; if it is None, as many as there are
    processors, but only one where the next program of a pipe needs the others. `rejecter` is the
    program in whose name lines are rejected, if it is not this one. Inputs are read from their
    `offsets` on, as `reader` says. With a `kind`, an input in which nothing is of that kind is
    refused, unless `options.allow_empty`; and it is noted if nothing is kept, if no program behind
    this one does that (`is_last`). Rows that a process has held back it hands over `at_end`.
    """
    prog = os.path.basename(sys.argv[0])
    paths = options.files or ["-"]
    progress = Progress.of(options, prog, offsets)
    log = RejectLog(rejecter or prog, getattr(options, "rejects", None))
    ours = account.Account(prog, reasons=log.reasons)
    ours.inputs = dict.fromkeys(paths, 0)
    ours.see([(name, False) for name in kind.named] if kind else (), ())
    processes.widen_pipe(1)
    # Who reads a stream wants to see at once what comes; from files, many small writes cost time.
    at_once = 1 if any(map(is_stream, paths)) else _WRITE
    take = take or (lambda rows: output.write(1, rows))
    number = getattr(options, "jobs", 1) or (1 if processes.is_pipe(1) else workers.processors())
    of_inputs = results(
        paths, process, number, progress.add, offsets, at_end, reader=reader, take_last=take
    )
    begun = [path for path, offset in offsets.items() if offset.bytes]
    of_inputs = recognised(of_inputs, kind, options, known=begun)
    tally(of_inputs, ours, log, progress, take, at_once)
    progress.close()
    log.close()
    ours.check()
    rows = finish(ours)
    if kind and is_last:
        note_nothing(ours, options)
        note_missing(ours, options)
    return end(options, ours, rows)


def end(options, ours: account.Account, rows: bytes = b"") -> int:
    """Give the account, print the last rows; returns the exit status."""
    ours.check()
    if options.account:
        ours.write(options.account)
    output.write(1, rows)
    output.close_stdout()
    if interrupt.requested():
        return INTERRUPTED
    return REJECTS if ours.rejected else OK
