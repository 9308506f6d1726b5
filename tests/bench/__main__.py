"""The benchmark: runs ours and the peers in turn on the same data and prints tables in Markdown.

Each case: one round that does not count and checks the answers, then --runs rounds; wall clock of
whole processes, medians. A wrong answer ends it with status 1.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from bench import BENCH, Failure, cases, growth, machine, of_size, plan, report, year
from bench.data import Data
from bench.timing import rounds


def read_options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--size", type=_size, default="100MB", help="of the events (%(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="measured rounds (%(default)s)")
    parser.add_argument(
        "--cases", nargs="+", metavar="CASE", choices=cases.CASES, default=list(cases.CASES)
    )
    parser.add_argument("--users", type=int, default=year.USERS, help="in the year of history")
    parser.add_argument(
        "--readme", action="store_true", help="put the table into tests/bench/README.md"
    )
    parser.add_argument("--growth", action="store_true", help="instead: time and memory by size")
    parser.add_argument("--plan", action="store_true", help="instead: the cost model, and a run")
    parser.add_argument(
        "--sizes", nargs="+", type=_size, default=["100MB", "1GB", "10GB"], help="for --growth"
    )
    parser.add_argument("--data", type=Path, default=BENCH / "data", help="where to keep the data")
    options = parser.parse_args(arguments)
    if options.runs < 1:
        parser.error("--runs: at least 1")
    if options.readme and (options.growth or len(options.cases) < len(cases.CASES)):
        parser.error("--readme takes the table of all cases")
    return options


def _size(text: str) -> str:
    of_size(text)
    return text


def compare(options: argparse.Namespace) -> None:
    data = Data(options.data, options.size)
    cases.check_room(options.cases, data, options.users)
    results = []
    for name in options.cases:
        case = cases.make(name, data, options.users)
        print(f"{name}: {options.runs} rounds", file=sys.stderr)
        results.append((case, rounds(case.contenders, case.truth, options.runs)))
    text = report.targets(results)
    text += (
        f"\n{options.size}, {report.measured(options.runs)}, on {machine.host()}; "
        f"{machine.peers()}.\n"
    )
    print(text)
    print(report.details(results))
    if options.readme:
        report.rewrite_readme(text)


def main() -> int:
    options = read_options()
    try:
        if not (BENCH / "venv/bench").exists():
            raise Failure("the peers are not installed: run `make bench`")
        if options.plan:
            print(plan.chapter(options.data, options.size))
        elif options.growth:
            print(growth.table(options.data, options.sizes, options.runs))
        else:
            compare(options)
    except (Failure, subprocess.CalledProcessError) as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


sys.exit(main())
