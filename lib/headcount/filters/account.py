"""The account that a filter gives of its lines: those of a pipe must agree.

End of file is not success: to the next program, a filter that died looks like one that has
finished. So each filter writes its account last, and the sink compares them before it publishes.
"""

import json
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

from headcount.errors import Failure
from headcount.filters.rejects import UNIDENTIFIED
from headcount.io import output


class Account:
    """Where the lines of one program went: lines = kept + filtered + duplicate + rejected.

    `reasons` counts the rejects, `inputs` the lines of each input by its name.
    """

    def __init__(self, prog: str, reasons: dict[str, int] | None = None):
        self.prog = prog
        self.lines = self.kept = self.filtered = self.duplicate = 0
        self.passed = 0  # of those filtered, how many a search passed over
        self.reasons: Counter[str] = Counter() if reasons is None else reasons
        self.inputs: dict[str, int] = {}
        # What was named by hand, and whether it was seen; and other names that were.
        self.named: dict[str, bool] = {}
        self.others: list[str] = []

    def see(self, named: Iterable[tuple[str, bool]], others: Iterable[str]) -> None:
        """Take note of names, whether they were seen, and of others."""
        for name, is_seen in named:
            self.named[name] = is_seen or self.named.get(name, False)
        self.others += [name for name in others if name not in self.others]

    @property
    def rejected(self) -> int:
        return sum(self.reasons.values())

    @property
    def unidentified(self) -> int:
        return self.reasons[UNIDENTIFIED]

    def check(self) -> None:
        """Raises Failure where a line is neither kept nor accounted for otherwise."""
        if self.lines != self.kept + self.filtered + self.duplicate + self.rejected:
            raise Failure(
                f"{self.prog}: {self.lines} lines in, but {self.kept} kept, {self.filtered} "
                f"filtered, {self.duplicate} duplicate and {self.rejected} rejected"
            )

    def write(self, path: str) -> None:
        """Save it as JSON."""
        fd = output.open_private(path, 0)
        output.write(fd, json.dumps(vars(self)).encode(), path)

    @classmethod
    def read(cls, path: str) -> "Account":
        """Raises Failure where there is none: then the program has not finished."""
        try:
            with open(path, "rb") as file:
                saved = json.load(file)
        except (OSError, ValueError):
            raise Failure("a program before this one failed: its lines are void") from None
        account = cls(saved["prog"])
        vars(account).update(saved, reasons=Counter(saved["reasons"]))
        return account


def total(accounts: list[Account]) -> Account:
    """The account of a whole pipe, from those of its programs in order.

    Raises Failure unless each program read exactly the lines that the one before kept.
    """
    whole = Account(accounts[-1].prog)
    whole.inputs = accounts[0].inputs
    whole.lines, whole.kept = accounts[0].lines, accounts[-1].kept
    for before, after in pairwise(accounts):
        if before.kept != after.lines:
            raise Failure(
                f"{before.prog} kept {before.kept} lines, but {after.prog} read {after.lines}"
            )
    for account in accounts:
        account.check()
        whole.filtered += account.filtered
        whole.duplicate += account.duplicate
        whole.passed += account.passed
        whole.see(account.named.items(), account.others)
        whole.reasons += account.reasons
    whole.check()
    return whole
