"""The session of a pipeline: all of its options are parsed before anything is touched.

lib/pipeline.sh starts it first of all, with the arguments that were typed. The package of the
pipeline has them (programs.py): for each of its programs, how they are declared, and what
they come to, a Plan. Here --help and --version are answered, and what cannot be is refused. Then
    count   goes on in this very process, with the module that the plan names, or, where a pipe is
            asked for, gives the shell its words and ends
    import  gives the shell its words; once that holds the pipeline's lock, and names the folder of
            the run, the session opens the database, enters the run, and leaves in that folder the
            words that follow from it
Inputs go to the programs of the pipeline by a list in that folder: there may be more than a command
line takes. Words are lists by name, each list as `NAME COUNT` and so many words, all ended by NUL;
an empty name ends them. lib/pipeline.sh makes arrays of them.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import select
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from headcount.cli.main import note, start_as
from headcount.cli.parser import Parser
from headcount.db import properties
from headcount.errors import NO_INPUT, OK, TRY_LATER, Failure, ReaderGone
from headcount.io import names, output
from headcount.io.splits import is_url
from headcount.values.tsv import shown

if TYPE_CHECKING:
    import sqlite3  # slow to import, and --help does without

_PATIENCE = 5.0  # seconds, for an entry that nothing depends on

Words = dict[str, list[str]]


class Plan(NamedTuple):
    """What a pipeline is to do."""

    files: list[str]
    words: Words = {}  # noqa: RUF012 -- nobody changes it
    module: str | None = None  # that counts in this process, with words["count"]
    # Of an import:
    settings: Mapping[str, str] = {}
    kinds: Sequence[str] = ()  # what each file is read as, where that is not always the same
    again: bool = False  # skip no file
    property: str | None = properties.DEFAULT  # whose days these are; None: the events say that
    way_out: str = ""  # where files that were imported before are skipped: how to read them again
    of: str = ""  # what files are read for, where that is not always the same: another is news
    # Words that follow from the database, and from which files are due:
    entered: Callable[[sqlite3.Connection, list[str]], Words] | None = None


def add_reading_options(parser: Parser) -> None:
    """Declare what all take that read their inputs with several processes."""
    parser.shared("--rejects")
    parser.shared(
        "--jobs",
        help="how many processes share the work (default: as many as there are processors)",
    )
    parser.shared("--quiet", "--progress")


class Program(NamedTuple):
    """How the options of a program are declared, and what they come to."""

    declare: Callable[[Parser], None]
    plan: Callable[[Parser, argparse.Namespace], Plan]
    # What was typed for the same database before, of what is not typed now
    remembered: Callable[[Parser, argparse.Namespace], list[str]] | None = None
    # The arguments, for each of the imports that they stand for
    each: Callable[[list[str]], list[list[str]]] = staticmethod(lambda arguments: [arguments])


def spelled(
    spellings: Mapping[str, Callable[[str], str]], parser: Parser, typed: Mapping[str, str]
) -> dict[str, str]:
    """Settings as the database keeps them: 3.0 is 3. A wrong value is a usage error.

    `spellings` has a function for each setting that can be spelled in several ways; it may raise
    ValueError.
    """
    settings = {}
    for name, value in typed.items():
        try:
            settings[name] = spellings.get(name, str)(value)
        except (ValueError, argparse.ArgumentTypeError) as error:
            parser.error(f"--{name.rpartition('.')[2]}: {error}")
    return settings


def require_files(files: Sequence[str]) -> None:
    """Raises Failure 66 for a file that is not there."""
    for path in files:
        if path != "-" and not is_url(path) and not os.path.exists(path):
            raise Failure(f"{shown(path)}: no such file", NO_INPUT)


def text_of(script: str) -> str:
    """What a pipeline is for: the lines of its file that start with #/."""
    with open(script, encoding="utf-8") as file:
        lines = [line for line in file if line.startswith("#/")]
    return "".join(line.removeprefix("#/").removeprefix(" ") for line in lines)


def encoded(words: Words) -> bytes:
    """Words, as the shell reads them."""
    texts = [text for name, listed in words.items() for text in (f"{name} {len(listed)}", *listed)]
    return b"".join(os.fsencode(text) + b"\0" for text in [*texts, ""])


def main() -> int:
    """PROGRAM count|import SCRIPT PACKAGE WHERE [ARGUMENT…], or PROGRAM fail DB WAIT RUN MESSAGE,
    or PROGRAM skip DB MESSAGE, or PROGRAM try SCRIPT PACKAGE "" [ARGUMENT…]

    WHERE is the folder of a count, and for an import two descriptors, `HEARS,SAYS`: of what the
    shell says, and of the words for it.
    """
    if sys.argv[1] == "fail":
        return _fail(*sys.argv[2:])
    if sys.argv[1] == "skip":
        return _skip(*sys.argv[2:])
    step, script, package, where, *arguments = sys.argv[1:]
    programs = importlib.import_module(f"headcount.pipelines.{package}.programs")
    program = programs.PROGRAMS[os.path.basename(script)]  # it may be run by a link
    if step == "try":
        for one in program.each(arguments):
            _try(script, program, one)
        return OK
    if step == "import":
        hears, says = map(int, where.split(","))
        return _import(script, program, hears, says, arguments)
    return _count(_declared(script, program), program, where, arguments)


def _declared(script: str, program: Program) -> Parser:
    parser = Parser(text_of(script))
    program.declare(parser)
    return parser


def _parsed(
    script: str, program: Program, arguments: list[str]
) -> tuple[Parser, argparse.Namespace]:
    """The options of an import, those among them that the database remembers."""
    parser = _declared(script, program)
    options = parser.parse(arguments)
    if program.remembered and (words := program.remembered(parser, options)):
        parser = _declared(script, program)
        options = parser.parse([*words, *arguments])
    return parser, options


def _count(parser: Parser, program: Program, folder: str, arguments: list[str]) -> int:
    words = os.path.join(folder, "words")
    try:
        options = parser.parse(arguments)
        _load_msgspec()
        plan = program.plan(parser, options)
    except BaseException:  # --help is one
        _save(words, b"")  # there is a reason why there will be no account
        raise
    if plan.module is None:
        _save(words, encoded(plan.words | _inputs(folder, plan, plan.files or ["-"])))
        return OK
    account = os.path.join(folder, "account")
    inputs = _inputs(folder, plan, plan.files or ["-"])["inputs"]
    sys.argv[1:] = [*plan.words["count"], "--account", account, *inputs]
    return importlib.import_module(f"headcount.pipelines.{plan.module}").main()


def _load_msgspec() -> None:
    """Load it without typing_extensions, from which it takes what Python has since 3.11: where that
    is installed, for other libraries, it takes a tenth of a count's start."""
    name = "typing_extensions"
    if name in sys.modules:
        return
    sys.modules[name] = None  # so an import of it fails
    try:
        importlib.import_module("msgspec")
    finally:
        del sys.modules[name]


def _inputs(folder: str, plan: Plan, files: list[str]) -> Words:
    """Leave lists of these files in the folder; returns the words that name the lists.

    `files` has one file, if there is any, but tells whether standard input is read.
    """
    of_kinds = {"files": files}
    if plan.kinds:
        kind_of = dict(zip(plan.files, plan.kinds, strict=True))
        of_kinds = {kind: [] for kind in kind_of.values()}
        for file in files:
            of_kinds[kind_of[file]].append(file)
    inputs = []
    for kind, of_kind in of_kinds.items():
        if of_kind:
            path = os.path.join(folder, f"inputs.{kind}")
            _save(path, names.list_of(of_kind))
            inputs.append(f"--{kind}-from={path}")
    return {"inputs": inputs, "files": ["-"] if "-" in files else files[:1]}


def _save(path: str, content: bytes) -> None:
    fd = output.open_private(path, 0)
    output.write(fd, content, path)
    os.close(fd)  # where stdin is closed, this took its place


def _import(script: str, program: Program, hears: int, says: int, arguments: list[str]) -> int:
    try:
        parser, options = _parsed(script, program, arguments)
    except names.EmptyFolderError as empty:  # a night before the first file: not a failure
        note(f"{empty} yet: nothing to import", argparse.Namespace(quiet=False))
        output.write(says, encoded({"answered": ["yes"]}))
        return OK
    except (SystemExit, ReaderGone) as exit:
        if not getattr(exit, "code", OK):  # --help or --version, and not an end without a reason
            output.write(says, encoded({"answered": ["yes"]}))
        raise
    plan = program.plan(parser, options)
    from headcount.db import address  # slow to import, and --help does without

    require_files(plan.files)
    address.make_room_beside(options.db)
    words = {
        "db": [options.db if address.is_url(options.db) else os.path.realpath(options.db)],
        "lock": [f"{address.beside(options.db)}.{parser.prog}"],
        "wait": [parser.text("--wait", "60")],
        "quiet": parser.typed("--quiet"),
        "max_rejects": parser.typed("--max-rejects"),
        "replace": parser.typed("--replace"),
        "settings": [f"--setting={name}={value}" for name, value in plan.settings.items()],
        "files": ["-"] if "-" in (plan.files or ["-"]) else plan.files[:1],  # is stdin read?
    }
    output.write(says, encoded(words | plan.words))
    folder = os.fsdecode(_told(hears))
    if not folder:  # the shell has given up
        return OK
    with _server_lock(options, parser.prog):
        run_id, due, more = _entered(parser.prog, options, plan, hears)
        inputs = _inputs(folder, plan, due)
        _save(os.path.join(folder, "words"), encoded({"run": [str(run_id)]} | inputs | more))
        output.write(says, encoded({}))
        os.close(says)
        if address.is_url(options.db):
            os.read(hears, 1)  # hold the server's lock for as long as the shell runs
    return OK


def _try(script: str, program: Program, arguments: list[str]) -> None:
    """See whether an import could begin: its options, its files, the settings of its database.

    Raises Failure as it would.
    """
    from headcount.db import address, connection
    from headcount.db import settings as db_settings
    from headcount.db.postgres import server

    # a folder may have files tonight: then all else has to fit
    empty = {word for word in arguments if os.path.isdir(word) and not os.listdir(word)}
    words = [os.devnull if word in empty else word for word in arguments]
    parser, options = _parsed(script, program, words)
    plan = program.plan(parser, options)
    require_files(plan.files)
    db = options.db
    if server.has_tables(db) if address.is_url(db) else os.path.exists(db):
        with connection.for_reading(db) as open_db:
            if plan.property in properties.names(open_db):
                properties.show(open_db, plan.property)
                db_settings.check(open_db, plan.settings)


def _told(hears: int) -> bytes:
    """What the shell says, up to a NUL."""
    told = b""
    while (byte := os.read(hears, 1)) not in (b"", b"\0"):
        told += byte
    return told


def _is_alone(hears: int) -> bool:
    """Whether the shell is gone, and with it the pipeline's lock."""
    poll = select.poll()
    poll.register(hears, 0)  # that nobody can write any more is told without being asked for
    return bool(poll.poll(0))


@contextlib.contextmanager
def _server_lock(options, pipeline: str) -> Iterator[None]:
    """Hold the pipeline's lock on a server, which is that of all hosts."""
    from headcount.db import address

    with contextlib.ExitStack() as stack:
        if address.is_url(options.db):
            from headcount.db.postgres import locks

            try:
                stack.enter_context(locks.held(options.db, [pipeline], options.wait))
            except Failure as failure:
                if failure.status == TRY_LATER:
                    _skip(options.db, str(failure))
                raise
        yield


def _entered(pipeline: str, options, plan: Plan, hears: int) -> tuple[int, list[str], Words]:
    """The number of the run, the inputs that are due, and what else the database says."""
    from headcount.db import address, connection, ledger, tombstones

    files = plan.files or ["-"]
    with connection.for_import(options.db, options.wait) as db, connection.transaction(db):
        if _is_alone(hears):  # while we waited for the database
            raise Failure("killed")
        tombstones.check(db, options.db)
        properties.use(db, plan.property or properties.DEFAULT)
        settings = {} if plan.property is None else dict(plan.settings)
        kinds = plan.kinds or [plan.of] * len(files) * bool(plan.of)
        run_id, due = ledger.begin(db, pipeline, settings, files, again=plan.again, kinds=kinds)
        more = plan.entered(db, due) if plan.entered else {}
    mode = 0 if address.is_url(options.db) else stat.S_IMODE(os.stat(options.db).st_mode)
    if mode & 0o077:
        note(f"others may open {options.db}: chmod 600 it", options)
    skipped = len(dict.fromkeys(files)) - len(due)
    if skipped:
        counted = "1 file was" if skipped == 1 else f"{skipped} files were"
        note(f"{counted} imported before and unchanged: skipped{plan.way_out}", options)
    return run_id, due, more


def _fail(db_name: str, wait: str, run_id: str, message: str) -> int:
    """Enter that a run has come to nothing."""
    from headcount.db import connection, ledger

    with (
        contextlib.suppress(Failure),  # the failure itself has been said
        connection.for_import(db_name, float(wait), create=False) as db,
        connection.transaction(db),
    ):
        ledger.fail(db, int(run_id), message)
    return OK


def _skip(db_name: str, message: str) -> int:
    """Enter a start that found another one of its pipeline running."""
    from headcount.db import connection, ledger

    with (
        contextlib.suppress(Failure),  # the first import may be just making the database
        connection.for_import(db_name, _PATIENCE, create=False) as db,
        connection.transaction(db),
    ):
        ledger.skip(db, os.path.basename(sys.argv[0]), message)
    return OK


if __name__ == "__main__":
    start_as(main, drains=sys.argv[2] == "count")
