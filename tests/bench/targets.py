"""What a case has to reach, and whether it has."""

from dataclasses import dataclass

from bench.memory import peak
from bench.timing import Timed


@dataclass(frozen=True)
class Judged:
    """A row of the table. `against` and `ratio` are empty where there is only a limit."""

    ours: str
    against: str
    ratio: str
    target: str
    met: bool
    missed: float = 1  # by how many times, if it is more than 1


def digits(value: float) -> str:
    """A number to three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}".rstrip(".")


def seconds(value: float) -> str:
    """Three digits: 12.3 s, 0.123 s, 1.23 ms."""
    return f"{digits(value * 1000)} ms" if value < 0.01 else f"{digits(value)} s"


def named(timed: Timed) -> str:
    """Who took how long; of a part, in proportion."""
    return f"{timed.contender.name}, {seconds(timed.whole)}"


def _ours(times: list[Timed]) -> Timed:
    return next(timed for timed in times if timed.contender.role == "ours")


def _times(over: Timed, under: Timed) -> str:
    """The ratio of two medians; in parentheses the least and the greatest within one round."""
    share = over.contender.share
    pairs = zip(over.seconds, under.seconds, strict=True)
    ratios = [a / share / b for a, b in pairs]
    least, greatest = digits(min(ratios)), digits(max(ratios))
    bounds = f" ({least} … {greatest})" if least != greatest else ""
    return f"{digits(over.whole / under.median)}×{bounds}"


@dataclass(frozen=True)
class Faster:
    """Ours is at least so many times as fast as the fastest peer that read the same."""

    times: float

    def judge(self, times: list[Timed]) -> Judged:
        peers = (t for t in times if t.contender.role == "peer" and t.contender.share == 1)
        peer = min(peers, key=lambda timed: timed.median)
        ours = _ours(times)
        ratio = peer.median / ours.median
        target, met = f"≥ {self.times:g}× as fast", ratio >= self.times
        missed = self.times / ratio
        shown = _times(peer, ours)
        return Judged(seconds(ours.median), named(peer), shown, target, met, missed)


@dataclass(frozen=True)
class AtMost:
    """Ours takes at most so many times as long as one of the other contenders."""

    times: float
    against: str

    def judge(self, times: list[Timed]) -> Judged:
        other = next(timed for timed in times if timed.contender.name == self.against)
        ours = _ours(times)
        ratio = ours.median / other.median
        target, met = f"≤ {self.times:g}× as long", ratio <= self.times
        missed = ratio / self.times
        shown = _times(ours, other)
        return Judged(seconds(ours.median), named(other), shown, target, met, missed)


@dataclass(frozen=True)
class Within:
    """Ours takes at most so many seconds."""

    seconds: float

    def judge(self, times: list[Timed]) -> Judged:
        ours = _ours(times).median
        return Judged(seconds(ours), "", "", f"≤ {self.seconds:g} s", ours <= self.seconds)


@dataclass(frozen=True)
class AsFast:
    """Ours is at least so many times as fast as one that read a part, for the same bytes."""

    times: float
    against: str

    def judge(self, times: list[Timed]) -> Judged:
        other = next(timed for timed in times if timed.contender.name == self.against)
        ours = _ours(times)
        ratio = other.whole / ours.median
        target, shown = f"≥ {self.times:g}× as fast", _times(other, ours)
        return Judged(seconds(ours.median), named(other), shown, target, ratio >= self.times)


@dataclass(frozen=True)
class Rate:
    """Ours does at least so many of `number` things a second."""

    least: int
    number: int
    what: str

    def judge(self, times: list[Timed]) -> Judged:
        rate = self.number / _ours(times).median
        target = f"≥ {self.least:,} {self.what}/s"
        return Judged(f"{digits(rate)} {self.what}/s", "", "", target, rate >= self.least)


@dataclass(frozen=True)
class Memory:
    """Ours takes at most so many bytes, all its processes together, in a run of its own."""

    bytes: int

    def judge(self, times: list[Timed]) -> Judged:
        together = peak(_ours(times).contender).together
        target = f"≤ {self.bytes / 1e9:g} GB"
        return Judged(f"{together / 1e9:.2f} GB", "", "", target, together <= self.bytes)
