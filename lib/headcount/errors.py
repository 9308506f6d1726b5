"""The exit statuses, with the one exception that becomes a message."""

OK = 0
FAILED = 1  # ignore the output
USAGE = 2
REJECTS = 65  # finished, the output is good, but some input was rejected
NO_INPUT = 66
WRITE_FAILED = 74
TRY_LATER = 75
OTHER_SETTINGS = 78
INTERRUPTED = 130


class Failure(Exception):
    """Ends the program with a one-line message and an exit status; only 0 and 65 are success."""

    def __init__(self, message: str, status: int = FAILED):
        super().__init__(message)
        self.status = status


class ReaderGone(Exception):
    """Nobody reads standard output any more (`… | head`): stop quietly."""
