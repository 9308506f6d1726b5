"""The benchmark runs, all answers agree, and a wrong one fails it; no time is judged here."""

import subprocess
import sys

import pytest

from bench import ROOT, Failure, cases, plan, report
from bench.cases import spark as spark_cases
from bench.contenders import Contender
from bench.data import SHAPES, Data
from bench.targets import AsFast, AtMost, Faster, Memory
from bench.timing import Timed, rounds, run
from helpers.programs import NO_SPARK
from helpers.thorough import long

TRUTH = "2024-03-08\t2\n"
SMALL = ["--size", "2MB", "--users", "20000", "--runs", "1"]


def bench(data, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "bench", "--data", data, *arguments],
        cwd=ROOT / "tests",
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """One folder for all tests here: the data is made once."""
    return tmp_path_factory.mktemp("bench")


@long
def test_every_case_runs_and_all_answers_agree(data):
    names = cases.CASES.keys() - {"spark"}  # which would take as long as half of the others
    done = bench(data, *SMALL, "--cases", *names)
    assert done.returncode == 0, done.stderr
    targets, details = done.stdout.split("\n\n2MB, one run, on ")
    rows = targets.splitlines()[2:]
    shapes = [name for name in names if cases.CASES[name].needs & SHAPES.keys()]
    assert len(rows) == len(names) + 6 - len(shapes) + 3  # some have several; of shapes, the worst
    assert sum(", worst shape: " in row for row in rows) == 3
    for who in ("DuckDB", "chDB", "Polars", "json loop", "SQLite", "dict loop", "httpx-sse"):
        assert f"| {who} |" in details, "who took part"
    assert "DuckDB 2" in details, "the peers' releases"
    # a second run makes no data
    again = bench(data, *SMALL, "--cases", "selective", "mau")
    assert again.returncode == 0 and "making" not in again.stderr


@pytest.mark.skipif(bool(NO_SPARK), reason=NO_SPARK or "there is one")
@long
def test_spark_and_its_peer_agree(data):
    case = spark_cases.spark(Data(data, "2MB"))
    assert [run(contender)[1] for contender in case.contenders] == [case.truth] * 2


def test_the_plan_carries_on_what_it_measures(data, monkeypatch):
    monkeypatch.setattr(plan, "_USERS", 1000)
    task, users = plan.tasks(Data(data, "2MB")), plan.sink()
    assert 1e9 < task["read"] < 5e9 and task["rows"] < 1e6 and min(users.values()) >= 0
    assert task["shuffled"] > 50 * task["rows"], "a row holds a day and an id"
    row = plan.carried(task, users, 1e9)
    assert len(row) == len(plan.PLAN) and row[0] == "1,000,000,000" and row[1].endswith(" TB")
    assert f"{task['filter']:.2f} s" in plan.stages(task, users)


def test_a_wrong_answer_fails_it(data):
    assert bench(data, *SMALL, "--cases", "selective").returncode == 0
    truth = data / "2MB" / "events.tsv"
    right = truth.read_text()
    truth.write_text(right.replace("\t", "\t1", 1))
    done = bench(data, *SMALL, "--cases", "selective")
    truth.write_text(right)
    assert done.returncode == 1 and "| case |" not in done.stdout
    assert "bench: Headcount gave a wrong answer" in done.stderr


def test_growth_prints_time_and_memory(data):
    done = bench(data, "--growth", "--sizes", "1MB", "2MB", "--runs", "1")
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in row.split("|")] for row in done.stdout.splitlines()[2:6]]
    programs = ["`count-active-users`"] * 2 + ["`import-active-users`"] * 2
    assert [row[1] for row in rows] == programs
    assert [row[2] for row in rows] == ["1MB", "2MB"] * 2
    assert all(row[5].endswith(" MB") and row[5] != "0 MB" for row in rows)


def says(name, text, status=0, **options):
    return Contender(name, ["printf", text] if not status else ["false"], **options)


@pytest.mark.parametrize("truth", [TRUTH, None])
def test_a_fast_peer_with_a_wrong_answer_is_no_peer(truth):
    with pytest.raises(Failure, match="hasty gave a wrong answer"):
        rounds([says("ours", TRUTH), says("hasty", "2024-03-08 3\n")], truth, 1)


def test_no_answer_and_a_failure_are_no_answers():
    with pytest.raises(Failure, match="mute gave a wrong answer"):
        rounds([says("mute", "")], TRUTH, 1)
    with pytest.raises(Failure, match="chatty gave no answer"):
        rounds([says("chatty", "one two three\n")], TRUTH, 1)
    with pytest.raises(Failure, match="broken ended with status 1"):
        rounds([says("broken", "", status=1)], TRUTH, 1)


def test_formats_may_differ_and_a_slice_has_an_answer_of_its_own():
    contenders = [
        says("ours", TRUTH),
        says("the slice", "2024-03-08\t1\n", role="check", share=0.1),
        says("peer", "\n2024-03-08 2\n\n"),
        says("slow", "2024-03-08 1\n", share=0.1),
    ]
    times = rounds(contenders, TRUTH, 3)
    assert [(timed.contender.name, len(timed.seconds)) for timed in times] == [
        ("ours", 3),
        ("peer", 3),
        ("slow", 3),
    ]
    contenders[3] = says("slow", "2024-03-08 2\n", share=0.1)
    with pytest.raises(Failure, match="slow gave a wrong answer"):
        rounds(contenders, TRUTH, 1)


def test_targets_are_of_medians_and_of_peers_on_all_of_the_data():
    def timed(name, role, *seconds, share=1):
        return Timed(Contender(name, [], role, share=share), list(seconds))

    times = [
        timed("ours", "ours", 1, 1, 9),
        timed("fast", "peer", 3, 3, 3),
        timed("slow", "peer", 4, 4, 0.1),
        timed("small", "peer", 0.5, 0.5, 0.4, share=0.1),
        timed("wc", "baseline", 0.5, 0.5, 0.5),
    ]
    judged = Faster(3).judge(times)
    assert (judged.against, judged.ratio, judged.met) == (
        "fast, 3.00 s",
        "3.00× (0.333 … 3.00)",
        True,
    )
    assert not Faster(3.1).judge(times).met
    assert AtMost(2, "wc").judge(times).met and not AtMost(1.9, "wc").judge(times).met
    judged = AsFast(5, "small").judge(times)
    assert (judged.against, judged.ratio, judged.met) == (
        "small, 5.00 s",
        "5.00× (0.444 … 5.00)",
        True,
    )
    assert not AsFast(5.1, "small").judge(times).met


def test_memory_is_that_of_all_processes():
    script = "import os; os.fork(); x = bytearray(50_000_000); x[:] = b'1' * len(x)"
    times = [Timed(Contender("ours", [sys.executable, "-c", script], "ours"), [1])]
    judged = Memory(90_000_000).judge(times)
    assert not judged.met and judged.ratio == ""
    assert Memory(400_000_000).judge(times).met


def test_too_little_disk_is_said_before_anything_is_made(tmp_path):
    done = bench(tmp_path, "--size", "900000TB")
    assert done.returncode == 1 and not list(tmp_path.rglob("*.jsonl"))
    assert "GB are free" in done.stderr


def test_the_readme_takes_the_table_and_nothing_else(tmp_path):
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- bench -->\nold\n<!-- bench end -->\nafter\n")
    report.rewrite_readme("new\n", page)
    assert page.read_text() == "before\n<!-- bench -->\nnew\n<!-- bench end -->\nafter\n"
    page.write_text("no marks\n")
    with pytest.raises(Failure):
        report.rewrite_readme("new\n", page)


@pytest.mark.parametrize("wrong", [["--cases", "nothing"], ["--size", "much"], ["--runs", "0"]])
def test_wrong_usage_says_so(data, wrong):
    assert bench(data, *wrong).returncode == 2
