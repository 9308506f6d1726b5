"""What a case has to reach, and whether it has."""

from dataclasses import dataclass

from bench.timing import Timed


@dataclass(frozen=True)
class Judged:
    """A row of the table. `against` and `theirs` are empty where there is only a limit."""

    ours: float
    against: str
    theirs: float | None
    ratio: str
    target: str
    met: bool


def digits(value: float) -> str:
    """A number to three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}".rstrip(".")


def _ours(times: list[Timed]) -> Timed:
    return next(timed for timed in times if timed.contender.role == "ours")


@dataclass(frozen=True)
class Faster:
    """Ours is at least so many times as fast as the fastest peer that read the same."""

    times: float

    def judge(self, times: list[Timed]) -> Judged:
        peers = (t for t in times if t.contender.role == "peer" and t.contender.share == 1)
        peer = min(peers, key=lambda timed: timed.median)
        ours = _ours(times).median
        ratio = peer.median / ours
        target = f"≥ {self.times:g}× as fast"
        name = peer.contender.name
        return Judged(ours, name, peer.median, f"{digits(ratio)}×", target, ratio >= self.times)


@dataclass(frozen=True)
class AtMost:
    """Ours takes at most so many times as long as one of the other contenders."""

    times: float
    against: str

    def judge(self, times: list[Timed]) -> Judged:
        other = next(timed for timed in times if timed.contender.name == self.against)
        ours = _ours(times).median
        ratio = ours / other.median
        target = f"≤ {self.times:g}× as long"
        return Judged(
            ours, self.against, other.median, f"{digits(ratio)}×", target, ratio <= self.times
        )


@dataclass(frozen=True)
class Within:
    """Ours takes at most so many seconds."""

    seconds: float

    def judge(self, times: list[Timed]) -> Judged:
        ours = _ours(times).median
        return Judged(ours, "", None, "", f"≤ {self.seconds:g} s", ours <= self.seconds)
