"""What two or more of the programs in bin/ need, once."""

import sys

__version__ = "0.1.0"


def _quiet_interrupt(kind, error, trace) -> None:
    """Ctrl-C while a program still loads is no bug, and wants no traceback."""
    if kind is not KeyboardInterrupt:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _quiet_interrupt
