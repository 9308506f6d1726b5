"""Three filters in one program, and several processes in place of one: the same comes out."""

import bz2
import contextlib
import gzip
import json
import lzma
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from itertools import pairwise

import pytest

from headcount.cli.main import start
from headcount.errors import FAILED, NO_INPUT, Failure
from headcount.filters import results, runner
from headcount.io import inputs, whole_lines, workers
from headcount.io.blocks import BOM
from headcount.io.decompress import zstd_library
from headcount.io.splits import cut, total_size
from headcount.pipelines.active_users import active_rows, fused
from helpers.events import event, write_padded
from helpers.memory import peak_memory
from helpers.programs import BARE, BIN, run
from pipelines.active_users.test_reference import program, some_options, stream, typed
from reference.active_users import Options

GREP, PARSE, LOCAL_DAY = map(program, ["grep-events", "parse-engagement", "local-day"])


@pytest.fixture(autouse=True)
def in_time():
    """Processes that wait for each other fail a test instead of holding up all."""

    def late(_number, _frame):
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


# ---- one program and three


def each_in_its_line(rows):
    """Rows that were many in one line."""
    lines = []
    for line in rows.splitlines(keepends=True):
        if line.startswith(runner.USERS):
            day, signals, *users = line.removeprefix(runner.USERS).rstrip(b"\n").split(b"\t")
            assert 0 < len(users) <= active_rows._IN_ONE
            lines += [b"%b\t%b\t%b\n" % (day, user, signals) for user in users]
        else:
            lines.append(line)
    return b"".join(lines)


class Here:
    """Runs programs in forked processes, which is cheap, and where sizes can be others."""

    def __init__(self, folder, stdin=os.devnull, fifo=None, fifo_content=None):
        self.folder = folder
        self.stdin = stdin
        self.fifo, self.fifo_content = fifo, fifo_content

    def run(self, main, prog, *arguments, chunk=None, split=None):
        """Standard output, rejects and account; fails unless the status is 0 or 65."""
        out, err, rejects, account = (self.folder / name for name in ("o", "e", "r", "a"))
        for path in (rejects, account):
            path.unlink(missing_ok=True)
        writer = None
        if str(self.fifo) in arguments:
            command = ["sh", "-c", 'cat "$0" >"$1"', self.fifo_content, self.fifo]
            writer = subprocess.Popen(command)
        pid = os.fork()
        if not pid:
            try:
                results._SPLIT = split or results._SPLIT
                whole_lines.CHUNK = chunk or whole_lines.CHUNK
                active_rows._HELD = chunk or active_rows._HELD
                os.dup2(os.open(self.stdin, os.O_RDONLY), 0)
                os.dup2(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
                sys.stderr = err.open("w", buffering=1, errors="backslashreplace")
                sys.argv = [prog, "--account", str(account), *arguments]
                if prog == "parse-engagement":
                    sys.argv += ["--rejects", str(rejects)]
                start(main)
            except BaseException:
                traceback.print_exc()
            finally:  # never back into pytest
                os._exit(99)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if writer:
            writer.wait()
        assert status in (0, 65), err.read_text()
        rejected = rejects.read_bytes() if rejects.exists() else b""
        assert (status == 65) == bool(rejected) and "Traceback" not in err.read_text()
        return out.read_bytes(), rejected, json.loads(account.read_bytes())

    def separate(self, paths, options, validate=False):
        """What the three filters make of the inputs."""
        arguments = typed(options)
        zone = [word for word in arguments if word.startswith("--tz=")]
        parse = [word for word in arguments if word not in zone]
        if options.tz == "device":
            parse.append("--with-offset")
        before, first = 0, None
        if not validate:
            names = ["user_engagement", *options.valuable_events]
            names += ["engagement_time_msec"] if options.definition == "summed" else []
            names = ",".join(names)
            found, _, first = self.run(
                GREP.main, "grep-events", names, "--positions", "--jobs", "1", *paths
            )
            before = first["filtered"]
            paths = [self.save("found", found)]
            parse.append("--positions")
        rows, rejects, account = self.run(
            PARSE.main, "parse-engagement", *parse, "--jobs", "1", *paths
        )
        first = first or account
        rows, _, last = self.run(LOCAL_DAY.main, "local-day", *zone, self.save("rows", rows))
        assert last["kept"] == account["kept"]
        filtered = before + account["filtered"]
        return self.said(rows, rejects, first, last["kept"], filtered, account["reasons"])

    def together(self, paths, options, *more, **sizes):
        """What the one program makes of them."""
        arguments = [*typed(options), *more, *paths]
        rows, rejects, account = self.run(fused.main, "parse-engagement", *arguments, **sizes)
        rows = each_in_its_line(rows)
        assert rows.count(b"\n") == account["kept"]
        used = account["kept"] + account["duplicate"]
        return self.said(rows, rejects, account, used, account["filtered"], account["reasons"])

    def save(self, name, content):
        path = self.folder / name
        path.write_bytes(content)
        return str(path)

    @staticmethod
    def said(rows, rejects, first, used, filtered, reasons):
        """In an order that shows what is wrong."""
        assert first["lines"] == used + filtered + sum(reasons.values())
        return {
            "rejects": rejects,
            "reasons": reasons,
            "inputs": first["inputs"],
            "lines": (first["lines"], used, filtered),
            "rows": sorted(set(rows.splitlines())),
        }


SIZES = [
    {},
    *({"split": split, "chunk": chunk} for split, chunk in [(1, 97), (500, 64), (9999, 2000)]),
]
JOBS = [1, 2, 3, 7]


def check_same(here, paths, options, validate, sizes=SIZES):
    """However many processes there are, and however large the splits."""
    expected = here.separate(paths, options, validate)
    more = ["--validate"] if validate else []
    for number in JOBS:
        for size in sizes:
            found = here.together(paths, options, *more, "--jobs", str(number), **size)
            for what, value in expected.items():
                assert found[what] == value, (what, number, size)
    return expected


def nasty_files(rng, lines, folder):
    """Files, archives, and what stands for standard input and for a FIFO."""
    some = lambda: rng.sample(lines, rng.randrange(1, len(lines) // 3))  # noqa: E731
    long = event(user="long", pad=30_000)
    bad = b'{"event_name":"user_engagement",\n'
    contents = {
        "plain": b"\n".join(some()) + b"\n",
        "cut": b"\n".join(some()),
        "crlf": b"\r\n".join(some()) + b"\r\n",
        "crlf cut": b"\r\n".join([*some(), b""]) + bad[:-1] + b"\r\r",
        "mark": BOM + b"\n".join(some()) + b"\n",
        "two marks": BOM + BOM + bad + bad + event(),
        "only a mark": BOM,
        "empty": b"",
        "a newline": b"\n",
        "blank": b"\n \t\n\r\n\r\r\n" * 50 + bad + event() + b"\n" * 50,
        "long": bad + long + bad + long[:-1] + bad + long[:-1],
        "most are bad": bad * 40 + event(),
        "tab\tback\\slash\\n\nname": bad + b"\n".join(some()),
        os.fsdecode(b"no text \xff"): bad + event(),
        "a.gz": gzip.compress(event() + b"\r\n".join(some()), 1) + gzip.compress(bad),
        "a.bz2": bz2.compress(b"\n".join(some())),
        "a.xz": lzma.compress(BOM + bad + event()),
        "a.zst": zstd_library().compress(b"\n".join(some()) + b"\n"),
        "stdin": bad + b"\n".join(some()),
        "in the FIFO": bad + b"\n".join(some()) + b"\n",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    os.mkfifo(folder / "fifo")
    paths = [str(folder / name) for name in contents if name not in ("stdin", "in the FIFO")]
    paths += ["-", str(folder / "fifo"), *rng.sample(paths, 3)]
    rng.shuffle(paths)
    return paths, Here(folder, folder / "stdin", folder / "fifo", folder / "in the FIFO")


KINDS = {
    "default": Options(),
    "events": Options(valuable_events=("purchase", "user_engagement")),
    "summed": Options(definition="summed", min_engagement="2.5"),
    "summed events": Options(definition="summed", valuable_events=("first_open",), tz="device"),
    "device": Options(tz="device"),
    "users": Options(user=("user_id", "user_pseudo_id"), tz="Asia/Kathmandu"),
}


@pytest.mark.sample(12)
@pytest.mark.parametrize("validate", [False, True], ids=["", "validate"])
@pytest.mark.parametrize("kind", [*KINDS, 1, 2, 3])
def test_one_program_does_what_three_do(kind, validate, tmp_path):
    rng = random.Random(f"{kind} {validate}")
    options = KINDS.get(kind) or some_options(rng)
    paths, here = nasty_files(rng, stream(rng, options, 300), tmp_path)
    found = check_same(here, paths, options, validate)
    assert found["rejects"].count(b"\n") > 50 and len(found["rows"]) > 10


@pytest.mark.parametrize("kind", KINDS)
def test_the_count_is_that_of_count_distinct(kind, tmp_path):
    rng, options = random.Random(kind), KINDS[kind]
    path = tmp_path / "events"
    path.write_bytes(b"\n".join(stream(rng, options, 2000)))
    more = ["--sum-at-least", options.min_engagement] if options.definition == "summed" else []
    rows, _, _ = Here(tmp_path).run(
        fused.main, "parse-engagement", *typed(options), "--jobs", "2", str(path)
    )
    rows = each_in_its_line(rows)
    distinct = run("count-distinct", "--all-of", "engaged,valuable", *more, stdin=rows, check=0)
    for number in (1, 2):
        counted = run("count-active-users", *typed(options), "--jobs", number, path)
        assert counted.returncode in (0, 65) and counted.stdout == distinct.stdout != b""


@pytest.mark.parametrize("validate", [False, True], ids=["", "validate"])
def test_one_program_does_what_three_do_with_large_pieces(validate, tmp_path):
    """Twenty megabytes as the export has them: two splits, of the size that is usual."""
    more = "--broken 0.05 --escapes 0.3 --duplicates 0.05 --late 0.05 --engagements 0.3"
    made = run("make-data", "engagement", "--size", "20MB", *more.split(), check=0)
    (tmp_path / "events").write_bytes(made.stdout)
    paths = [str(tmp_path / "events")]
    sizes = [{}, {"split": 1 << 20}]
    found = check_same(Here(tmp_path), paths, Options(), validate, sizes)
    assert found["rejects"].count(b"\n") > 50 and len(found["rows"]) > 50


def made(folder, *options):
    """Events as the export has them, most of which repeat what earlier ones have said."""
    data = run("make-data", "engagement", "--size", "6MB", "--users", 30, *options).stdout
    (folder / "events").write_bytes(data)
    return [str(folder / "events")]


VALUABLE = Options(valuable_events=("push_received", "screen_view"))
SMALL = [{"split": 1 << 20}, {"split": 1 << 18, "chunk": 50_000}]


@pytest.mark.parametrize("escapes", [0, 0.3])
def test_events_that_repeat_what_is_known_are_counted_all_the_same(escapes, tmp_path):
    paths = made(tmp_path, "--escapes", escapes, "--late", "0.05", "--duplicates", "0.05")
    found = check_same(Here(tmp_path), paths, VALUABLE, False, SMALL)
    assert found["lines"][1] > 5 * len(found["rows"]) > 1_000


def test_of_broken_events_those_that_repeat_what_is_known_may_pass_unseen(tmp_path):
    """No row comes of one; with --validate, none passes."""
    paths, here = made(tmp_path, "--broken", "0.2"), Here(tmp_path)
    expected = here.separate(paths, VALUABLE)
    rejects = expected["rejects"].splitlines()
    for number in JOBS:
        for size in SMALL:
            found = here.together(paths, VALUABLE, "--jobs", str(number), **size)
            assert found["rows"] == expected["rows"]
            assert set(found["rejects"].splitlines()) <= set(rejects)
            assert len(rejects) // 2 < found["rejects"].count(b"\n") <= len(rejects)
    check_same(here, paths, VALUABLE, True, SMALL)


def sparse_and_dense(rng):
    """Stretches in which most lines, or few, hold a name; what is broken among them holds none."""
    lines = []
    for dense in rng.choices([True, False], k=30):
        for _ in range(rng.choice([1, 7, 40])):
            roll = rng.random()
            if roll < 0.15:
                lines.append(rng.choice([b'{"event_name":\n', b"\n", b" \r\n", b"\xff\n", b"{}\n"]))
            elif roll < 0.2:
                lines.append(b'{"user_engagement"\n')
            elif dense:
                lines.append(event(user=f"user {rng.randrange(50)}", pad=rng.randrange(50)))
            else:
                lines.append(event("screen_view", user=rng.choice(["ann", None])))
    return b"".join(lines)


@pytest.mark.parametrize("seed", range(5))
def test_lines_without_a_name_are_left_out_wherever_names_are_not_looked_for(seed, tmp_path):
    """Where most lines of a block hold one, those of the next block are all parsed."""
    data = sparse_and_dense(random.Random(seed))
    (tmp_path / "events").write_bytes(data)
    sizes = [{"split": split, "chunk": chunk} for split, chunk in [(5000, 1000), (1 << 20, 3000)]]
    found = check_same(Here(tmp_path), [str(tmp_path / "events")], Options(), False, sizes)
    assert found["reasons"] == {"not JSON": data.count(b'{"user_engagement"\n')}


def test_standard_input_named_twice(tmp_path):
    """Whoever comes second finds nothing; two at once would tear lines."""
    data = b"".join(event(user=f"user {i}", pad=1000) for i in range(10_000))
    expected = run("count-active-users", "--jobs", 1, "-", "-", stdin=data, check=0)
    assert expected.stdout == b"2019-12-31\t10000\n"
    for files in (["-", "-"], ["/dev/stdin", "-"], ["-", "/dev/stdin", "-"]):
        done = run("count-active-users", "--jobs", 3, *files, stdin=data)
        assert (done.returncode, done.stdout) == (0, expected.stdout)
        assert done.stderr.count(b"\n") == (files != ["-", "-"])  # of the other, that it is empty


@pytest.mark.parametrize("number", ["0", "-1", "1.5", "", "x", "10000", "²"])
def test_a_bad_number_of_processes_is_a_usage_error(number):
    for name in ("count-active-users", "parse-engagement"):
        done = run(name, f"--jobs={number}", check=2)
        assert b"--jobs" in done.stderr and done.stdout == b""


# ---- the filters that take --jobs, by themselves


@pytest.mark.sample(2)
@pytest.mark.parametrize("name", ["grep-events", "parse-engagement"])
@pytest.mark.parametrize("seed", range(2))
def test_a_filter_prints_the_same_with_any_number_of_processes(name, seed, tmp_path):
    """Here the rows, too, are the same in the same order, and every count is."""
    rng = random.Random(seed)
    paths, here = nasty_files(rng, stream(rng, Options(), 300), tmp_path)
    main = {"grep-events": GREP, "parse-engagement": PARSE}[name].main
    before = ["user_engagement", "--positions"] if name == "grep-events" else []
    expected = here.run(main, name, *before, "--jobs", "1", *paths)
    for number in JOBS:
        for size in SIZES:
            arguments = [*before, "--jobs", str(number), *paths]
            assert here.run(main, name, *arguments, **size) == expected, (number, size)


# ---- splits


def some_lines(rng):
    ends = rng.choice([[b"\n"], [b"\r\n"], [b"\n", b"\n\n\n"]])
    lengths = rng.choices([0, 1, 5, 20, 300], k=rng.randrange(40))
    text = b"".join(rng.randbytes(n).replace(b"\n", b"x") + rng.choice(ends) for n in lengths)
    text = rng.choice([b"", b"", BOM]) + b"x" + text  # of no archive
    return text[: rng.choice([-1, -2, None, None])]


@pytest.mark.parametrize("seed", range(20))
def test_splits_are_all_lines_in_order(seed, monkeypatch, tmp_path):
    rng = random.Random(seed)
    path = str(tmp_path / "a")
    several = 0
    for _ in range(30):
        data = some_lines(rng)
        (tmp_path / "a").write_bytes(data)
        monkeypatch.setattr(whole_lines, "CHUNK", rng.choice([1, 3, 16, 1 << 18]))
        size = rng.choice([1, 2, 10, 50, 200])
        splits = list(cut([path], size, {}))
        several += len(splits) > 1
        starts, stops = [split.start for split in splits], [split.stop for split in splits]
        assert starts[0] == 0 and stops == [*starts[1:], None]
        assert starts == sorted(set(starts))
        assert all(data[start - 1 : start] == b"\n" for start in starts[1:])
        # a split is no longer than asked for, but for its last line
        assert all(
            stop - start >= size and b"\n" not in data[start + size : stop - 1]
            for start, stop in pairwise(starts)
        )
        lines = 0
        for split in splits:
            text, line = b"", 1
            for block in inputs.split_blocks(split):
                assert block.line == line and block.name == path
                text += bytes(block.text)
                line += block.lines()
            expected = data[split.start : split.stop]
            assert text == (expected if split.start else expected.removeprefix(BOM))
            lines += line - 1
        assert lines == sum(block.lines() for block in inputs.blocks([path]))
    assert several > 10


def test_only_large_plain_files_are_cut(tmp_path):
    paths = ["-", str(tmp_path / "none"), str(tmp_path), "nul\0", str(tmp_path / "fifo")]
    os.mkfifo(paths[-1])
    for name, content in {
        "a.gz": gzip.compress(random.randbytes(10_000)),
        "small": b"a\n" * 99,
        "large": b"a\n" * 100,
        "one line": b"a" * 1000,
    }.items():
        paths.append(str(tmp_path / name))
        (tmp_path / name).write_bytes(content)
    found = [tuple(split) for split in cut([*paths, paths[-2]], 100, {})]
    large = [(paths[-2], 0, 100), (paths[-2], 100, None)]
    assert found == [
        *((path, 0, None) for path in paths[:-2]),
        *large,
        (paths[-1], 0, None),
        *large,
    ]


def test_a_file_that_grows_or_shrinks_behind_its_pieces(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"line\n" * 100)
    splits = list(cut([str(path)], 100, {}))

    def texts():
        return [b"".join(bytes(b.text) for b in inputs.split_blocks(split)) for split in splits]

    assert texts() == [b"line\n" * 20] * 5
    path.write_bytes(b"line\n" * 150)
    assert texts() == [*[b"line\n" * 20] * 4, b"line\n" * 70]
    path.write_bytes(b"line\n" * 30 + b"cu")
    assert texts() == [b"line\n" * 20, b"line\n" * 10 + b"cu", b"", b"", b""]


@pytest.mark.parametrize("number", [1, 2, 5])
def test_progress_adds_up_to_all_bytes(number, monkeypatch, tmp_path):
    monkeypatch.setattr(whole_lines, "CHUNK", 1000)
    monkeypatch.setattr(results, "_SPLIT", 5000)
    plain, archive = tmp_path / "plain", tmp_path / "archive"
    plain.write_bytes(event() * 200)
    archive.write_bytes(gzip.compress(event() * 200, 0))
    paths, counts, lines = [str(plain), str(archive), str(plain)], [], 0
    process = lambda block: results.Result(b"", 0, block.lines())  # noqa: E731
    for _, count, result in results.results(paths, process, number, counts.append, {}):
        assert result.filtered == count
        lines += count
    assert sum(counts) == total_size(paths, {}) and lines == 600


# ---- results in order


def descriptors_and_children():
    children = f"/proc/self/task/{os.getpid()}/children"
    with open(children) as file:
        return sorted(os.listdir("/proc/self/fd")), file.read()


@pytest.fixture
def nothing_is_left():
    before = descriptors_and_children()
    yield
    assert descriptors_and_children() == before


def some_results(split):
    """As many as its number, of odd sizes and at odd times."""
    rng = random.Random(split)
    for i in range(split % 4):
        time.sleep(rng.choice([0, 0, 0.002]))
        yield split, i, rng.randbytes(rng.choice([0, 10, 100_000]))


@pytest.mark.parametrize("number", [1, 2, 3, 7, 20])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 10, 30])
def test_results_come_in_order(number, count, nothing_is_left):
    expected = [result for split in range(count) for result in some_results(split)]
    assert list(workers.in_order(range(count), some_results, number)) == expected


def slow_then_much(split):
    """The first split holds up all others, which have more than anybody holds."""
    if split == 0:
        time.sleep(0.5)
    for i in range(12):
        yield split, i, bytes([split]) * 1_500_000


@pytest.mark.parametrize("number", [2, 3, 4])
def test_large_results_of_uneven_pieces(number, nothing_is_left):
    expected = [(split, i) for split in range(8) for i in range(12)]
    found = []
    for split, i, content in workers.in_order(range(8), slow_then_much, number):
        assert content == bytes([split]) * 1_500_000
        found.append((split, i))
    assert found == expected


def test_a_result_larger_than_what_is_held(nothing_is_left):
    work = lambda split: [bytes([split]) * 30_000_000]  # noqa: E731
    for split, content in enumerate(workers.in_order(range(4), work, 3)):
        assert content == bytes([split]) * 30_000_000


def test_others_do_not_get_far_ahead(tmp_path, nothing_is_left):
    """While the first is slow, what the second has sent is bounded."""

    def work(split):
        if split == 0:
            time.sleep(0.5)
            yield 0, (tmp_path / "sent").stat().st_size
        for _ in range(100 if split else 0):
            with (tmp_path / "sent").open("ab") as file:
                file.write(b".")
            yield 1, b"." * 1_000_000

    (tmp_path / "sent").touch()
    first, *rest = workers.in_order(range(2), work, 2)
    assert 8 <= first[1] <= 12 and len(rest) == 100


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_first_failure_in_order_is_raised(number, nothing_is_left):
    def work(split):
        if split == 1:
            time.sleep(0.1)  # the later one fails earlier
        yield split
        if split in (1, 2):
            raise Failure(f"nothing behind split {split}, ü", NO_INPUT + split)

    found = []
    with pytest.raises(Failure, match="nothing behind split 1, ü") as caught:
        found.extend(workers.in_order(range(9), work, number))
    assert caught.value.status == NO_INPUT + 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("where", ["before", "behind"])
def test_a_process_that_dies_is_a_failure(where, number, nothing_is_left):
    def work(split):
        if split == 2 and where == "before":
            os.kill(os.getpid(), number)
        yield split
        if split == 2:
            os.kill(os.getpid(), number)

    found = []
    with pytest.raises(Failure, match="died") as caught:
        for result in workers.in_order(range(9), work, 3):
            found.append(result)
    # what stands before it may have come
    assert found == list(range(len(found))) and len(found) <= (2 if where == "before" else 3)
    assert caught.value.status == FAILED


def test_a_process_that_dies_in_a_message_is_a_failure(nothing_is_left):
    def work(split):
        if split == 1:  # when its pipe is full, and the rest of the message is to come
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
        yield b"." * (30_000_000 if split else 1)

    with pytest.raises(Failure, match="died"):
        for _ in workers.in_order(range(2), work, 2):
            time.sleep(0.4)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_more_pieces_than_turns(number, monkeypatch, nothing_is_left):
    """Then some splits in a row are one turn."""
    monkeypatch.setattr(workers, "_ENTRIES", 7)
    work = lambda split: [split] * (split % 3)  # noqa: E731
    for count in (6, 7, 8, 13, 14, 15, 100):
        expected = [result for split in range(count) for result in work(split)]
        assert list(workers.in_order(range(count), work, number)) == expected


def test_the_next_piece_goes_to_whoever_is_free(nothing_is_left):
    """While one process is slow, the other does the rest."""

    def work(split):
        if split == 0:
            time.sleep(0.5)
        yield os.getpid()

    slow, *others = workers.in_order(range(20), work, 2)
    assert slow not in others and len(set(others)) == 1


def test_an_error_in_the_work_is_shown_and_a_failure(capfd, nothing_is_left):
    def work(split):
        yield split
        if split == 1:
            raise ZeroDivisionError("of split 1")

    found = []
    with pytest.raises(Failure, match="died"):
        for result in workers.in_order(range(4), work, 2):
            found.append(result)
    error = capfd.readouterr().err
    assert "Traceback" in error and "ZeroDivisionError: of split 1" in error
    assert found in ([], [0], [0, 1])


def test_no_memory_in_the_work_is_a_failure(nothing_is_left):
    def work(split):
        yield split
        raise MemoryError

    with pytest.raises(Failure, match="out of memory"):
        list(workers.in_order(range(2), work, 2))


def test_nothing_is_left_where_nobody_wants_more(nothing_is_left):
    """Not even of a process that would work for ever."""

    def work(split):
        yield split
        time.sleep(1000)

    found = workers.in_order(range(5), work, 3)
    assert next(found) == 0
    found.close()


def test_what_the_work_prints_goes_nowhere(capfd, nothing_is_left):
    """Standard output is the rows' alone."""
    work = lambda split: [os.write(1, b"stray\n")]  # noqa: E731
    assert list(workers.in_order(range(2), work, 2)) == [6, 6]
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("call", ["fork", "pipe"])
def test_nothing_is_left_where_there_can_be_no_more_processes(call, monkeypatch, nothing_is_left):
    """What it then does, tests/faults says."""
    real, left = getattr(os, call), [None]

    def refuses(*arguments):
        if not left:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        left.pop()
        return real(*arguments)

    monkeypatch.setattr(os, call, refuses)
    with contextlib.suppress(OSError, Failure):
        assert list(workers.in_order(range(4), some_results, 3)) == [
            result for split in range(4) for result in some_results(split)
        ]


# ---- memory


def test_memory_of_several_processes_stays_small(tmp_path):
    path = write_padded(tmp_path / "events", 200)
    for more in ([], ["--validate"]):
        assert peak_memory(BIN / "count-active-users", "--jobs", 2, *more, path) < 64
    path.unlink()


def test_memory_of_several_processes_stays_small_where_every_line_is_rejected(tmp_path):
    path = tmp_path / "events"
    with path.open("wb") as file:
        file.write(event())
        for _ in range(100):
            file.write((b'{"user_engagement"' + b"." * 980 + b"\n") * 1000)
    rejects = ["--rejects", tmp_path / "rejects"]
    command = [BIN / "count-active-users", "--jobs", 2, *rejects, path]
    assert peak_memory(*command, status=65) < 64
    kept = subprocess.run(["wc", "-l", tmp_path / "rejects"], capture_output=True, env=BARE)
    assert kept.stdout.startswith(b"100000 ")
    path.unlink()
    (tmp_path / "rejects").unlink()
