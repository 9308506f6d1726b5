"""A case: who takes part, what the answer is, and what has to be reached."""

from dataclasses import dataclass

from bench.contenders import Contender
from bench.targets import AsFast, AtMost, Faster, Memory, Rate, Within


@dataclass(frozen=True)
class Case:
    title: str
    contenders: list[Contender]
    targets: list[Faster | AsFast | AtMost | Memory | Rate | Within]
    truth: str | None = None  # where it is known from elsewhere; else all have to agree
    shape: str = ""  # of data that are not the usual: of all shapes the table shows the worst
