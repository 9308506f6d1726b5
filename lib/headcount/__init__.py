"""Raw event streams into daily numbers: what the programs in bin/ are made of."""

import sys

__version__ = "0.1.0"


def _quiet_interrupt(kind, error, trace) -> None:
    """Ctrl-C while a program still loads is not a bug, and wants no traceback."""
    if kind is not KeyboardInterrupt:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _quiet_interrupt  # before anything else of a program is loaded
