"""Runs the contenders of a case in turn, checks every answer, and takes the times."""

import statistics
import subprocess
import time
from dataclasses import dataclass

from bench import Failure
from bench.contenders import Contender


@dataclass(frozen=True)
class Timed:
    """What a contender took, in seconds."""

    contender: Contender
    seconds: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def whole(self) -> float:
        """The median, if it read a slice, as for all of the data in the same time per byte."""
        return self.median / self.contender.share


def run(contender: Contender) -> tuple[float, str | None]:
    """One run: seconds of wall clock, from the start of the process to its end, and the answer."""
    contender.ready()
    begin = time.perf_counter()
    done = subprocess.run(
        contender.command, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    seconds = time.perf_counter() - begin
    if done.returncode != contender.status:
        raise Failure(
            f"{contender.name} ended with status {done.returncode}, not {contender.status}:\n"
            f"{' '.join(contender.command)[:500]}\n{done.stderr[-2000:]}"
        )
    if contender.inside:
        seconds = float(done.stderr)
    try:
        return seconds, contender.answer(done.stdout)
    except ValueError:
        raise Failure(f"{contender.name} gave no answer, but {done.stdout[:500]!r}") from None


def rounds(contenders: list[Contender], truth: str | None, number: int) -> list[Timed]:
    """Times of `number` rounds, after one that does not count.

    Raises Failure for a wrong answer: one that is not the truth (where it is known), or not what
    the first contender with the same part of the data says.
    """
    known = {} if truth is None else {1: truth}
    seconds = {contender.name: [] for contender in contenders if contender.role != "check"}
    for number_of_round in range(number + 1):
        for contender in contenders:
            if contender.role == "check" and number_of_round:
                continue
            took, answer = run(contender)
            if answer is not None and answer != known.setdefault(contender.share, answer):
                raise Failure(
                    f"{contender.name} gave a wrong answer:\n{answer}"
                    f"where the right one is\n{known[contender.share]}"
                )
            if number_of_round:
                seconds[contender.name].append(took)
    return [Timed(c, seconds[c.name]) for c in contenders if c.role != "check"]
