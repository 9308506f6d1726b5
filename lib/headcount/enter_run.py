"""How a pipeline enters a run: `python -m headcount.enter_run PIPELINE begin|fail …`."""

import contextlib
import os
import stat
import sys

from headcount import cli, db_settings, ledger, output, postgres, store, zones
from headcount.failure import OK, Failure


def main() -> int:
    """PIPELINE begin|fail [OPTION…] - enter the start or the failure of a run

    begin prints the run's number and the inputs that are due, each ended by NUL.
    """
    parser = cli.Parser(main.__doc__)
    parser.add_argument("step", choices=("begin", "fail"), help="which")
    parser.add_argument("files", nargs="*", metavar="FILE", help="begin: all inputs")
    parser.add_argument("--setting", type=db_settings.option, action="append", default=[])
    parser.add_argument("--again", action="store_true", help="begin: skip no input")
    parser.add_argument(
        "--kind",
        action="append",
        default=[],
        help="begin: what each input is read as, where that is not always the same",
    )
    parser.add_argument("--run", type=int, help="fail: which run")
    parser.add_argument("--message", help="fail: why")
    parser.shared("--db", "--wait", "--quiet", "--max-rejects")
    options = parser.parse()
    if options.step == "begin":
        return _begin(parser, options)
    with (
        contextlib.suppress(Failure),  # the failure itself has been said
        store.for_import(options.db, options.wait, create=False) as db,
        store.transaction(db),
    ):
        ledger.fail(db, options.run, options.message)
    return OK


def _begin(parser, options) -> int:
    settings = dict(options.setting)
    for name, value in settings.items():
        if name.rpartition(".")[2] == "tz" and value != zones.DEVICE:
            try:
                zones.find(value)
            except ValueError as error:
                parser.error(str(error))
    with store.for_import(options.db, options.wait) as db, store.transaction(db):
        run_id, due = ledger.begin(
            db, parser.prog, settings, options.files, again=options.again, kinds=options.kind
        )
    mode = 0 if postgres.is_url(options.db) else stat.S_IMODE(os.stat(options.db).st_mode)
    if mode & 0o077 and not options.quiet:
        print(f"{parser.prog}: others may open {options.db}: chmod 600 it", file=sys.stderr)
    skipped = len(dict.fromkeys(options.files)) - len(due)
    if skipped and not options.quiet:
        files = "1 file was" if skipped == 1 else f"{skipped} files were"
        print(f"{parser.prog}: {files} imported before and unchanged: skipped", file=sys.stderr)
    answer = b"".join(os.fsencode(text) + b"\0" for text in [str(run_id), *due])
    output.write(1, answer)
    return OK


if __name__ == "__main__":
    sys.argv.pop(0)  # messages come in the pipeline's name
    cli.start(main, drains=False)
