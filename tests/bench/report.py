"""The tables, in Markdown, and their place in the README beside this."""

import re
from pathlib import Path

from bench import Failure
from bench.case import Case
from bench.targets import Judged, digits, seconds
from bench.timing import Timed

README = Path(__file__).with_name("README.md")
_PLACE = re.compile(r"(<!-- bench -->\n).*?(<!-- bench end -->)", re.DOTALL)


def measured(runs: int) -> str:
    return f"medians of {runs} runs" if runs > 1 else "one run"


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def targets(results: list[tuple[Case, list[Timed]]]) -> str:
    """A row for each target; of the shapes of a case's data, one for the worst."""
    found: dict[tuple, tuple[str, Judged]] = {}
    for case, times in results:
        for target in case.targets:
            judged = target.judge(times)
            key = case.title, target, bool(case.shape)
            title = f"{case.title}, worst shape: {case.shape}" if case.shape else case.title
            if key not in found or judged.missed > found[key][1].missed:
                found[key] = title, judged
    rows = [
        [title, judged.ours, judged.against, judged.ratio, judged.target, _yes(judged.met)]
        for title, judged in found.values()
    ]
    return table(["case", "ours", "against", "ratio", "target", "met"], rows)


def _yes(met: bool) -> str:
    return "yes" if met else "no"


def details(results: list[tuple[Case, list[Timed]]]) -> str:
    """A row for each contender of each case."""
    rows = []
    for case, times in results:
        ours = next(timed for timed in times if timed.contender.role == "ours")
        for timed in times:
            part = timed.contender.share
            note = ""
            if part < 1:
                note = (
                    f"read {part:.1%} of it; in proportion {seconds(timed.whole)}, ÷ ours of that"
                )
            if timed.contender.inside:
                note = "without the start of the program"
            rows.append(
                [
                    f"{case.title}, {case.shape}" if case.shape else case.title,
                    timed.contender.name,
                    seconds(timed.median),
                    f"{seconds(min(timed.seconds))} … {seconds(max(timed.seconds))}",
                    f"{digits(timed.whole / ours.median)}×",
                    note,
                ]
            )
    head = ["case", "who", "median", "fastest … slowest", "÷ ours", "note"]
    return table(head, rows)


def rewrite_readme(text: str, path: Path = README) -> None:
    """Put the text between the README's marks. Raises Failure if it has none."""
    before = path.read_text()
    after, found = _PLACE.subn(lambda place: place[1] + text + place[2], before)
    if not found:
        raise Failure(f"{path.name} has no marks <!-- bench --> and <!-- bench end -->")
    path.write_text(after)
