"""Signals as a terminal's programs have them, whoever started the tests.

With `nohup` or by `… &` in a script, SIGINT, SIGQUIT and SIGHUP are ignored from the start, and all
that is started inherits that (POSIX.1-2017, 2.11 of the shell's language); a handler it does not.
Run as a program, this starts another one so: COMMAND [ARGUMENT…]
"""

import os
import signal
import sys

_IGNORED = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)


def _go_on(_number, _frame) -> None:
    """What was to be ignored here still is."""


def set_own() -> None:
    """Let what this process starts have the defaults."""
    for number in _IGNORED:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, _go_on)


if __name__ == "__main__":
    set_own()
    os.execvp(sys.argv[1], sys.argv[1:])
