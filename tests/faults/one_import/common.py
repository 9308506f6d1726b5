"""What goes wrong in the tests of this folder, with what an import leaves."""

import contextlib
import shutil
import signal

import pytest
from pyroaring import BitMap

from helpers.checkouts import copy_of_checkout
from helpers.programs import ROOT
from helpers.sessions import (
    members,
    query,
    session,
    wait_until,
)

EXIT_WITHIN = 2  # seconds after a signal
KILLED = {signal.SIGTERM: {143, -signal.SIGTERM}, signal.SIGINT: {130, -signal.SIGINT}}
OLD = b"2019-12-31\t1\n"  # what `small` says
# How /proc shows the program that makes the rows of an import, and the one that counts.
ROWS = "headcount.pipelines.active_users.fused"
COUNTING = "headcount.pipelines.session"


def truth(db):
    """The published counts, and the users of each day and signal by their own names."""
    if not db.exists() or not query(db, "SELECT 1 FROM sqlite_schema"):
        return {}, {}
    names = dict(query(db, "SELECT id, key FROM user"))
    sets = {
        (day, name): {names[i] for i in BitMap.deserialize(users)}
        for day, name, users in query(db, "SELECT date, signal, users FROM active_day")
    }
    return dict(query(db, "SELECT date, active_user_count FROM active_user_table")), sets


def runs(db):
    """The status of each run in the ledger."""
    return [status for (status,) in query(db, "SELECT status FROM run ORDER BY id")]


def tree_with(folder, part, text):
    """A checkout in which one file, named from its root, holds another text."""
    copy_of_checkout(folder)
    (folder / part).write_text(text)
    return folder / "bin"


def tree_with_broken_rows(folder, breaks):
    """A checkout in which the program that makes the rows starts with these lines of Python."""
    part = "lib/headcount/pipelines/active_users/fused.py"
    head = (
        "import os, re, runpy\n"
        "from headcount.filters import account\n"
        "from headcount.io import output\n"
    )
    whole = "headcount.pipelines.active_users.whole"
    goes_on = f'runpy.run_module("{whole}", run_name="__main__")\n'
    bin = tree_with(folder, part, head + breaks + goes_on)
    shutil.copy(ROOT / part, folder / "lib/headcount/pipelines/active_users/whole.py")
    return bin


# Ways to die, that of the program and those of one of the processes that share its work.
DIES = {
    "at once": """
os._exit({status})
""",
    "after a row": """
os.write(1, b"2019-12-31\\tuser 1\\tengaged,valuable\\n")
os._exit({status})
""",
    "half-way": """
def write(fd, data, *name, write=output.write):
    if fd == 1:
        os.write(1, data[: len(data) // 2])
        os._exit({status})
    write(fd, data, *name)
output.write = write
""",
    "before its account": """
account.Account.write = lambda *_: os._exit({status})
""",
    "a process at once": """
def fork(fork=os.fork):
    return fork() or os._exit({status})
os.fork = fork
""",
    "a process half-way": """
def write(fd, data, *name, write=output.write):
    if fd != 1:
        os.write(fd, data[: len(data) // 2])
        os._exit({status})
    write(fd, data, *name)
output.write = write
""",
}
SINK_DIES = {
    "at once": "#!/bin/bash\nexit {status}\n",
    # reads its last operand if that is a file, as the real one does
    "after a line": """#!/bin/bash
last=${{@: -1}}
if [[ -f $last ]]; then exec <"$last"; fi
head -n 1
exit {status}
""",
}


SIGNALS = [
    (signal.SIGTERM, "bash"),
    (signal.SIGINT, "bash"),
    (signal.SIGTERM, "group"),
    (signal.SIGINT, "group"),
]


@contextlib.contextmanager
def sharing(program, *arguments):
    """A program in a session, with the pid of the one that makes the rows, and of its two."""
    with session(program, "--jobs", 2, *arguments) as process:
        yield process, *wait_until(lambda: rows_and_its_two(process.pid))


def rows_and_its_two(number):
    """The pid of the process that has two of its kind as children, and theirs; or None."""
    kin = [member for member in members(number) if "/python -I" in member.command]
    for member in kin:
        children = sorted(other.pid for other in kin if other.parent == member.pid)
        if len(children) == 2:
            return member.pid, children
    return None


PIPELINES = pytest.mark.parametrize("program", ["count-active-users", "import-active-users"])
VICTIMS = pytest.mark.parametrize("victim", ["first", "second", "parent"])


def right_or_refused(done, answer):
    """All of the answer, or a failure that says why in a line of its own and the sink's."""
    if done.returncode == 0:
        assert (done.stdout, done.stderr) == (answer, b"")
    else:
        assert done.returncode not in (65, 130)
        assert done.stdout == b"" and 1 <= done.stderr.count(b"\n") <= 2, done.stderr
        assert b"Traceback" not in done.stderr


def has_read(session_id, program):
    """How many bytes the processes of a program have read so far."""
    total = 0
    for member in members(session_id):
        if program in member.command:
            with contextlib.suppress(OSError), open(f"/proc/{member.pid}/io") as file:
                total += int(file.readline().split()[1])
    return total
