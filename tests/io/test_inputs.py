"""Every kind of input, whole, broken or odd: the right answer or a failure, never a guess."""

import bz2
import contextlib
import gzip
import json
import lzma
import os
import pty
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import pytest

from headcount.errors import NO_INPUT, Failure
from headcount.io import decompress, inputs, processes, whole_lines
from headcount.io.blocks import BOM
from headcount.io.decompress import zstd_library
from helpers.events import NOON, event, write_padded
from helpers.memory import peak_memory
from helpers.programs import BARE, BIN, run

TWO = b"2019-12-31\t2\n"  # the answer for FIRST + SECOND
FIRST = event(user="ann") + event("screen_view", user="cyd")
SECOND = event(user="bob") + event(user="ann", micros=NOON + 1)
SKIPPABLE = b"\x5e\x2a\x4d\x18\x04\x00\x00\x00skip"  # a zstd frame that holds no data


CHECKED = {zstd_library().CompressionParameter.checksum_flag: 1}


def zstd(data):
    options = CHECKED | {zstd_library().CompressionParameter.content_size_flag: 1}
    return zstd_library().compress(data, options=options)


def zstd_stream(data):
    """Without the size of the content in its head, as a pipe makes it."""
    compressor = zstd_library().ZstdCompressor(options=CHECKED)
    return compressor.compress(data) + compressor.flush()


# The members of an archive of FIRST + SECOND; a cut between members leaves a whole archive.
ARCHIVES = {
    "gzip": [gzip.compress(FIRST), gzip.compress(SECOND)],
    "gzip-named": [
        b"\x1f\x8b\x08\x08" + gzip.compress(FIRST)[4:10] + b"name\0" + gzip.compress(FIRST)[10:],
        gzip.compress(SECOND),
    ],
    "gzip-padded": [gzip.compress(FIRST), b"\0" * 512, gzip.compress(SECOND), b"\0" * 7],
    "gzip-empty-members": [
        gzip.compress(b""),
        gzip.compress(FIRST),
        gzip.compress(b""),
        gzip.compress(SECOND),
    ],
    "zstd": [zstd(FIRST), zstd(SECOND)],
    "zstd-stream": [zstd_stream(FIRST), zstd_stream(SECOND)],
    "zstd-skippable": [SKIPPABLE, zstd(FIRST), SKIPPABLE, zstd(b""), zstd(SECOND), SKIPPABLE],
    "bzip2": [bz2.compress(FIRST), bz2.compress(SECOND)],
    "xz": [lzma.compress(FIRST), lzma.compress(SECOND)],
    "xz-padded": [lzma.compress(FIRST), b"\0" * 8, lzma.compress(SECOND)],
}
MAGIC = {"gzip": 3, "zstd": 4, "bzip2": 10, "xz": 6}  # bytes by which a kind is recognised
every_archive = pytest.mark.parametrize("kind", ARCHIVES)


def content(path, data=None):
    """What `blocks` gives of a file, after `data` was written to it."""
    if data is not None:
        path.write_bytes(data)
    return b"".join(bytes(block.text) for block in inputs.blocks([str(path)]))


def whole_cuts(members):
    """Where a cut leaves a whole archive: between members, and anywhere in padding."""
    cuts, end = {0}, 0
    for member in members:
        end += len(member)
        cuts |= {end} if member.strip(b"\0") else set(range(end - len(member), end + 1))
    return cuts


def users_of(db):
    if not db.exists():
        return 0
    with closing(sqlite3.connect(db)) as connection:
        return connection.execute("SELECT count(*) FROM user").fetchone()[0]


# ---- archives


@pytest.mark.sample(2)
@every_archive
def test_an_archive_counts_as_its_content(kind, tmp_path):
    assert run("count-active-users", stdin=FIRST + SECOND, check=0).stdout == TWO
    path = tmp_path / "events.data"
    path.write_bytes(b"".join(ARCHIVES[kind]))
    assert run("count-active-users", path, check=0).stdout == TWO
    assert run("count-active-users", stdin=path.read_bytes(), check=0).stdout == TWO


@every_archive
def test_an_archive_in_pieces_of_one_byte(kind, monkeypatch, tmp_path):
    monkeypatch.setattr(whole_lines, "CHUNK", 1)
    assert content(tmp_path / "a", b"".join(ARCHIVES[kind])) == FIRST + SECOND


# ---- archives that another process decompresses


@pytest.fixture
def aside(monkeypatch):
    """Every archive, in parts that are small beside some lines."""
    monkeypatch.setattr(inputs, "ASIDE_SIZE", 0)
    monkeypatch.setattr(processes.Aside, "_PART", 1000)
    monkeypatch.setattr(processes.Aside, "ROOM", 300)


@pytest.mark.sample(6)
@pytest.mark.parametrize("compress", [gzip.compress, zstd, bz2.compress, lzma.compress])
@pytest.mark.parametrize("seed", range(5))
def test_another_process_decompresses_the_same(seed, compress, aside, monkeypatch, tmp_path):
    rng = random.Random(seed)
    lengths = [0, 1, 50, 299, 300, 301, 699, 700, 999, 1000, 1001, 3000, 10_000]
    for _ in range(20):
        monkeypatch.setattr(decompress, "_OUTPUT_PIECE", rng.choice([100, 999, 1000, 5000]))
        lines = [b"x" * rng.choice(lengths) for _ in range(rng.randrange(30))]
        data = b"\n".join(lines) + rng.choice([b"", b"\n"])
        path = tmp_path / "a"
        path.write_bytes(compress(data))
        texts = [bytes(block.text) for block in inputs.blocks([str(path)])]
        assert b"".join(texts) == data
        assert all(text.endswith(b"\n") for text in texts[:-1])


@pytest.mark.parametrize("length", [1, 10, 999, 1000, 1001, 2500])
def test_another_process_hands_over_full_parts(length, aside):
    chunks = [bytes([i % 256]) * length for i in range(2500 // length)]

    def breaking():
        yield from chunks
        raise Failure("damaged")

    with contextlib.closing(processes.Aside(breaking())) as content:
        parts = []
        with pytest.raises(Failure, match="damaged"):
            while (part := content.take(b"")) is not None:
                parts.append(bytes(part))
    assert b"".join(parts) == b"".join(chunks)  # also what came right before the damage
    assert all(len(part) == 1000 for part in parts[:-1])


def test_another_process_says_where_an_archive_breaks_off(aside, tmp_path):
    data = gzip.compress(random.Random(1).randbytes(50_000).hex().encode() + b"\n")
    for cut in (20, 1000, len(data) - 1):
        with pytest.raises(Failure, match=f"ends at byte {cut} inside a member"):
            content(tmp_path / "a", data[:cut])


def test_another_process_that_dies_is_a_failure(aside, monkeypatch, tmp_path):
    def members(*_):
        yield b"line\n" * 100
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(decompress, "_members", members)
    with pytest.raises(Failure, match="died"):
        content(tmp_path / "a", gzip.compress(b"line\n"))


@pytest.mark.sample(2)
@every_archive
def test_a_cut_anywhere_is_noticed(kind, tmp_path):
    """Unless it falls between two members, or leaves too little to tell what it was."""
    whole = b"".join(ARCHIVES[kind])
    valid = whole_cuts(ARCHIVES[kind])
    path = tmp_path / "a"
    for cut in range(MAGIC[kind.partition("-")[0]], len(whole)):
        if cut in valid:
            content(path, whole[:cut])
        else:
            with pytest.raises(Failure, match=rf"{path}: .* byte {cut}\b"):
                content(path, whole[:cut])


@pytest.mark.parametrize("kind", ["gzip", "zstd", "bzip2", "xz"])
def test_a_cut_in_the_first_bytes_is_noticed(kind, tmp_path):
    for cut in range(2, MAGIC[kind]):
        with pytest.raises(Failure):
            content(tmp_path / "a", ARCHIVES[kind][0][:cut])


def test_an_empty_bzip2_stream(tmp_path):
    assert content(tmp_path / "a", bz2.compress(b"")) == b""
    assert content(tmp_path / "a", bz2.compress(b"") + bz2.compress(FIRST)) == FIRST


@pytest.mark.parametrize("kind", ["gzip", "zstd", "xz"])
def test_an_archive_of_nothing(kind, tmp_path):
    nothing = {"gzip": gzip.compress, "zstd": zstd, "xz": lzma.compress}[kind](b"")
    assert content(tmp_path / "a", nothing) == b""
    assert content(tmp_path / "a", b"") == b""


@pytest.mark.sample(6)
@every_archive
def test_a_flipped_bit_is_noticed_or_harmless(kind, tmp_path):
    """Behind the first bytes, that is; gzip's head holds a time and a name without a checksum."""
    whole = bytearray(b"".join(ARCHIVES[kind]))
    path = tmp_path / "a"
    noticed = 0
    for place in range(MAGIC[kind.partition("-")[0]], len(whole)):
        for bit in (1, 16, 128):
            whole[place] ^= bit
            try:
                assert content(path, whole) == FIRST + SECOND, (place, bit)
            except Failure as failure:
                noticed += 1
                assert str(path) in str(failure) and "byte" in str(failure)
            whole[place] ^= bit
    assert noticed > len(whole)


@every_archive
@pytest.mark.parametrize(
    "garbage", [b"x", b"\n", FIRST, b"\0\0\0x", b"\x1f", b"\x28\xb5", b"\xff" * 999]
)
def test_garbage_behind_an_archive_is_noticed(kind, garbage, tmp_path):
    with pytest.raises(Failure, match="byte"):
        content(tmp_path / "a", b"".join(ARCHIVES[kind]) + garbage)


@pytest.mark.sample(4)
@pytest.mark.parametrize("kind", ["gzip", "zstd", "bzip2", "xz"])
def test_nothing_of_a_broken_archive_is_counted(kind, tmp_path):
    whole = ARCHIVES[kind][0] + ARCHIVES[kind][1]
    good = tmp_path / "good.jsonl"
    good.write_bytes(event(user="dan"))
    db = tmp_path / "a.db"
    path = tmp_path / "events.archive"
    for broken in (whole[:-1], whole[: len(ARCHIVES[kind][0]) + 20], whole + b"garbage"):
        path.write_bytes(broken)
        for stdin, files in ((b"", [good, path]), (broken, [])):
            done = run("count-active-users", *files, stdin=stdin)
            assert done.returncode not in (0, 65) and done.stdout == b""
            assert b"byte" in done.stderr and (
                b"stdin" in done.stderr or str(path).encode() in done.stderr
            )
        done = run("import-active-users", "--db", db, good, path)
        assert done.returncode not in (0, 65) and done.stdout == b""
        assert users_of(db) == 0
    path.write_bytes(whole)
    run("import-active-users", "--db", db, good, path, check=0)
    assert users_of(db) == 3


def test_a_zstd_bomb_takes_little_memory(tmp_path):
    path = tmp_path / "bomb.zst"
    path.write_bytes(zstd(b'{"a":1}\n' * 30_000_000))
    assert peak_memory(BIN / "grep-events", "user_engagement", path) < 64


@pytest.mark.parametrize(
    "compress", [gzip.compress, bz2.compress, lzma.compress], ids=["gzip", "bzip2", "xz"]
)
def test_a_bomb_takes_little_memory(compress, tmp_path):
    path = tmp_path / "bomb"
    path.write_bytes(compress(b'{"a":1}\n' * 1_000_000) * 10)
    assert peak_memory(BIN / "grep-events", "user_engagement", path) < 64


# ---- odd lines


def account_of(tmp_path, program, *arguments, stdin, check=0):
    path = tmp_path / f"{program}.account"
    done = run(program, *arguments, "--account", path, stdin=stdin, check=check)
    return done.stdout, json.loads(path.read_bytes())


@pytest.mark.parametrize("validate", [[], ["--validate"]])
def test_a_line_of_50_megabytes(tmp_path, validate):
    (tmp_path / "long.jsonl").write_bytes(event(user="bob", pad=50_000_000) + event())
    done = run("count-active-users", *validate, tmp_path / "long.jsonl", check=0)
    assert done.stdout == TWO and done.stderr == b""


def test_a_bad_line_of_50_megabytes(tmp_path):
    bad = event(user="bob", pad=50_000_000)[:-3] + b"\n"
    done = run(
        "count-active-users", "--rejects", tmp_path / "rejects", stdin=bad + event(), check=65
    )
    assert done.stdout == b"2019-12-31\t1\n"
    assert len(done.stderr) < 300, "a message is no place for the line"
    assert json.loads((tmp_path / "rejects").read_bytes())["line"] == 1


def test_a_million_empty_lines(tmp_path):
    stdin = b"\n" * 1_000_000 + event() + b"\r\n \t\n" + event(user="bob") + b"\n"
    for program, arguments in (("grep-events", ["user_engagement"]), ("parse-engagement", [])):
        _, account = account_of(tmp_path, program, *arguments, stdin=stdin)
        assert (account["lines"], account["kept"], account["filtered"]) == (1_000_005, 2, 1_000_003)
    assert run("count-active-users", "--validate", stdin=stdin, check=0).stdout == TWO


@pytest.mark.parametrize("validate", [[], ["--validate"]])
@pytest.mark.parametrize(
    "stdin",
    [
        (FIRST + SECOND).replace(b"\n", b"\r\n"),
        (FIRST + SECOND)[:-1],
        (FIRST + SECOND).replace(b"\n", b"\r\n")[:-1],
        BOM + FIRST + SECOND,
        FIRST + SECOND.replace(b"bob", b"bob\\u0000") + b"\n\n",
        b" \t" + FIRST + b"\r\n\t " + SECOND,
    ],
    ids=["crlf", "no-newline", "crlf-cut", "bom", "escaped-nul", "blanks"],
)
def test_ways_to_end_a_line(stdin, validate):
    done = run("count-active-users", *validate, stdin=stdin, check=0)
    assert done.stdout == TWO and done.stderr == b""


def test_files_that_are_read_in_turn_share_no_buffer(tmp_path):
    """One that is read to its end hands its buffer on; two that are open have one each."""
    random.seed(5)
    texts = [
        b"".join(b"%d %0*d\n" % (name, random.randrange(200), line) for line in range(lines))
        for name, lines in enumerate([3, 700, 40_000, 60_000, 5, 0, 1, 2])
    ]
    paths = [tmp_path / str(name) for name in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_bytes(text)
    for number in (1, 2, 3):
        found = dict.fromkeys(paths, b"")
        waiting = list(paths)
        opened = []
        while waiting or opened:
            while waiting and len(opened) < number:
                path = waiting.pop(0)
                opened.append((path, inputs.blocks([str(path)])))
            for at in list(opened):
                path, blocks = at
                block = next(blocks, None)
                if block is None:
                    opened.remove(at)
                else:
                    found[path] += bytes(block.text)
        assert list(found.values()) == texts


@pytest.mark.parametrize("pieces", [1, 2, 3, 5, 64])
def test_blocks_are_the_same_however_they_arrive(pieces, monkeypatch, tmp_path):
    data = BOM + b"a\n\n\r\nb\0c\n" + b"d" * 1000 + b"\n" + b"e"
    path = tmp_path / "a"
    path.write_bytes(data)
    monkeypatch.setattr(whole_lines, "CHUNK", pieces)
    blocks = inputs.blocks([str(path), str(path)])
    texts = [(block.line, bytes(block.text)) for block in blocks]  # a view lives for one turn
    assert b"".join(text for _, text in texts) == data[3:] * 2
    expected = 1
    for line, text in texts[: len(texts) // 2]:
        assert line == expected
        expected += text.count(b"\n")
    assert expected == 6


def test_bytes_that_are_no_text_are_rejects(tmp_path):
    bad = [
        b"\0",
        event().replace(b"ann", b"a\0n"),
        event().replace(b"ann", b"\xff"),
        b"\xef\xbb\xbf" * 2 + event(),
    ]
    stdin = event(user="bob") + b"".join(line.rstrip(b"\n") + b"\n" for line in bad) + event()
    rejects = tmp_path / "rejects"
    done = run("count-active-users", "--validate", "--rejects", rejects, stdin=stdin, check=65)
    assert done.stdout == TWO
    assert [json.loads(line)["line"] for line in rejects.read_bytes().splitlines()] == [2, 3, 4, 5]


def test_one_byte_at_a_time():
    data = FIRST + SECOND
    process = subprocess.Popen(
        [BIN / "count-active-users"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        env=BARE,
    )

    def write():
        for i in range(len(data)):
            process.stdin.write(data[i : i + 1])
        process.stdin.close()

    writer = threading.Thread(target=write)
    writer.start()
    assert process.stdout.read() == TWO
    writer.join()
    assert process.wait(10) == 0
    process.stdout.close()


# ---- odd files

PIPELINES = pytest.mark.parametrize("program", ["count-active-users", "import-active-users"])


def pipeline(program, tmp_path, *arguments, **options):
    """Run it, the import with a database of its own, but not for ever."""
    db = ["--db", tmp_path / "a.db", "--quiet"] if program == "import-active-users" else []
    return run(program, *db, *arguments, timeout=5, **options)


def answer(program, count):
    zero = b"0\t" if program == "import-active-users" else b""
    return b"2019-12-31\t%b%d\n" % (zero, count)


@PIPELINES
@pytest.mark.parametrize(
    "kind", ["missing", "directory", "socket", "loop", "dangling", "empty name", "too long"]
)
def test_what_is_no_input(program, kind, tmp_path):
    path = tmp_path / "input"
    if kind == "directory":
        path.mkdir()
    elif kind == "socket":
        server = socket.socket(socket.AF_UNIX)
        server.bind(os.path.relpath(path))
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "dangling":
        path.symlink_to(tmp_path / "nowhere")
    name = {"empty name": "", "too long": "x" * 300}.get(kind, path)
    (tmp_path / "good.jsonl").write_bytes(event())
    done = pipeline(program, tmp_path, tmp_path / "good.jsonl", name)
    assert done.returncode == 66 and done.stdout == b""
    assert str(name).encode() in done.stderr and b"Traceback" not in done.stderr
    assert users_of(tmp_path / "a.db") == 0
    if kind == "socket":
        server.close()


@PIPELINES
def test_an_unreadable_file(program, tmp_path, unprivileged):
    path = tmp_path / "input"
    path.write_bytes(event())
    path.chmod(0)
    done = subprocess.run(
        [
            *unprivileged,
            BIN / program,
            *(["--db", tmp_path / "a.db"] if program[0] == "i" else []),
            path,
        ],
        capture_output=True,
        env=BARE,
    )
    assert done.returncode == 66 and done.stdout == b""
    assert str(path).encode() in done.stderr and b"ermission denied" in done.stderr


@PIPELINES
def test_an_empty_file_and_no_file(program, tmp_path):
    (tmp_path / "empty").touch()
    for arguments in ([tmp_path / "empty"], ["/dev/null"], [], ["-"]):
        done = pipeline(program, tmp_path, *arguments, check=0)
        assert done.stdout == b""
        if program == "count-active-users":
            assert done.stderr == b"count-active-users: nothing to read: no lines in the input\n"


NAMES = [
    b"new\nline.jsonl",
    b"new\nline\n",
    b"tab\there",
    b"quote'\".jsonl",
    b" space ",
    b"back\\slash\\n",
    b"*",
    b"a=b",
    b"stdin",
    "Ünï😀".encode(),
    b"-",
]
DASHES = [b"-x.jsonl", b"--", b"--help"]


@pytest.mark.sample(2)
@PIPELINES
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names_of_files(program, name, tmp_path):
    path = os.fsencode(tmp_path) + b"/" + name
    with open(path, "wb") as file:
        file.write(event())
    done = pipeline(program, tmp_path, os.fsdecode(path), check=0)
    assert done.stdout == answer(program, 1) and done.stderr == b""


@pytest.mark.sample(3)
@PIPELINES
@pytest.mark.parametrize(
    "name",
    [
        *NAMES[:-1],
        *DASHES,
    ],
    ids=ascii,
)
def test_names_of_files_here_after_two_dashes(program, name, tmp_path):
    (tmp_path / os.fsdecode(name)).write_bytes(event())
    done = pipeline(program, tmp_path, "--", os.fsdecode(name), cwd=tmp_path, check=0)
    assert done.stdout == answer(program, 1) and done.stderr == b""


@pytest.mark.parametrize("name", [b"latin-\xe9.jsonl", b"\xff", b"\xed\xa0\x80"], ids=ascii)
@PIPELINES
def test_names_that_are_no_text(program, name, tmp_path):
    path = os.fsencode(tmp_path) + b"/" + name
    with open(path, "wb") as file:
        file.write(event() + b'{"user_engagement": broken\n')
    done = pipeline(
        program,
        tmp_path,
        *(["--max-rejects", "1"] if program[0] == "i" else []),
        os.fsdecode(path),
        check=65,
    )
    assert done.stdout == answer(program, 1) and b"Traceback" not in done.stderr


def test_a_message_is_one_line_whatever_the_name(tmp_path):
    path = tmp_path / "new\nline"
    path.write_bytes(b'{"user_engagement"\n')
    assert run("count-active-users", path, check=66).stderr.count(b"\n") == 1
    path.write_bytes(event() + b'{"user_engagement"\n')
    assert run("count-active-users", path, check=65).stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--validate", "new\nline"],
        ["no\nsuch"],
    ],
)
def test_a_message_is_one_line_here_too(arguments, tmp_path):
    (tmp_path / "new\nline").write_bytes(b'{"user_engagement"\n')
    done = run("count-active-users", *arguments, cwd=tmp_path)
    ours = [line for line in done.stderr.splitlines() if not line.startswith(b"count-distinct")]
    assert done.returncode in (65, 66) and len(ours) == 1


# ---- FIFOs


def wake(fifo):
    """End the wait of whoever still waits for a writer."""
    os.close(os.open(fifo, os.O_RDWR))


def write_late(fifo):
    with contextlib.suppress(OSError):  # nobody reads any more
        fifo.write_bytes(event())


@pytest.mark.parametrize(
    "program",
    [
        "count-active-users",
        "import-active-users",
    ],
)
def test_a_fifo_with_a_writer(program, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    source = tmp_path / "events.jsonl"
    source.write_bytes(FIRST + SECOND)
    writer = subprocess.Popen(["sh", "-c", 'cat "$1" >"$2"', "sh", source, fifo])
    try:
        done = pipeline(program, tmp_path, fifo, check=0)
    finally:
        writer.kill()
        writer.wait()
        wake(fifo)
    assert done.stdout == answer(program, 2) and done.stderr == b""


def test_an_import_from_a_fifo_without_a_writer_does_not_hang(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    process = subprocess.Popen(
        [BIN / "import-active-users", "--db", tmp_path / "a.db", fifo], env=BARE
    )
    try:  # what waits is what makes the rows, for a minute; so a late writer is in time
        late = threading.Timer(1, write_late, [fifo])
        late.start()
        assert process.wait(5) == 0
    finally:
        process.kill()
        process.wait()
        wake(fifo)


def test_a_fifo_without_a_writer_times_out(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "FIFO_WAIT_SECONDS", 0.2)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(Failure, match="no writer") as caught:
        content(tmp_path / "fifo")
    assert caught.value.status == NO_INPUT


def test_a_fifo_with_a_late_and_slow_writer(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "FIFO_WAIT_SECONDS", 5)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    script = 'sleep 0.3; exec >"$1"; sleep 0.3; printf "a\\nb"; sleep 0.2; printf "c\\n"'
    writer = subprocess.Popen(["sh", "-c", script, "sh", fifo])
    assert content(fifo) == b"a\nbc\n"
    assert writer.wait(5) == 0


# ---- terminals


@PIPELINES
@pytest.mark.parametrize("name", ["a.jsonl", "a - b.jsonl"])
def test_a_file_named_at_a_terminal(program, name, tmp_path):
    (tmp_path / name).write_bytes(event())
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [BIN / program, *(["--db", "a.db"] if program[0] == "i" else []), name],
            stdin=theirs,
            capture_output=True,
            env=BARE,
            cwd=tmp_path,
            timeout=20,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert (done.returncode, done.stdout) == (0, answer(program, 1)), done.stderr


# ---- limits


@PIPELINES
def test_few_file_descriptors(program, tmp_path):
    files = []
    for i in range(20):
        files.append(tmp_path / f"{i}.jsonl")
        files[-1].write_bytes(event(user=f"user {i}"))
    db = ["--db", tmp_path / "a.db"] if program == "import-active-users" else []
    done = subprocess.run(
        ["bash", "-c", 'ulimit -n 16; exec "$@"', "bash", BIN / program, *db, *files],
        capture_output=True,
        env=BARE,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == answer(program, 20)


@pytest.mark.parametrize("program", ["grep-events", "count-active-users", "parse-engagement"])
@pytest.mark.parametrize("closed", ["0", "1"])
def test_a_closed_descriptor(program, closed, tmp_path):
    """Without standard input or output it fails, and does not take another file for it."""
    arguments = ["user_engagement"] if program == "grep-events" else []
    script = 'exec "$@" <&-' if closed == "0" else 'exec "$@" >&-'
    done = subprocess.run(
        ["timeout", "--kill-after=1", "3", "bash", "-c", script, "bash", BIN / program, *arguments],
        input=event(),
        capture_output=True,
        env=BARE,
    )
    assert done.returncode == (66 if closed == "0" else 74), done.stderr
    assert done.stdout == b"" and done.stderr.count(b"\n") >= 1


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    path = tmp_path_factory.mktemp("large") / "events.jsonl"
    yield write_padded(path, 100)
    path.unlink()


def test_peak_memory_is_measured():
    assert peak_memory(sys.executable, "-c", "b'x' * 100_000_000") > 100
    assert peak_memory("true") < 30


def test_memory_of_filters_on_events_stays_small(large, tmp_path):
    assert peak_memory(BIN / "grep-events", "user_engagement", "--positions", large) < 64
    assert peak_memory(BIN / "grep-events", "screen_view", stdin=large) < 64
    assert peak_memory(BIN / "parse-engagement", large) < 64
    assert (
        peak_memory(BIN / "parse-engagement", "--valuable-events", "screen_view", stdin=large) < 64
    )


def test_memory_of_filters_on_rows_stays_small(tmp_path):
    rows = tmp_path / "rows"
    chunk = b"".join(b"%d\tuser %d\t%b\n" % (NOON, i, b"." * 1000) for i in range(1000))
    with rows.open("wb") as file:
        for _ in range(100):
            file.write(chunk)
    assert peak_memory(BIN / "local-day", rows) < 64
    assert peak_memory(BIN / "count-distinct", stdin=rows) < 64
    rows.unlink()


def test_memory_of_rejects_stays_small(tmp_path):
    bad = tmp_path / "bad"
    with bad.open("wb") as file:
        for _ in range(25):
            file.write((b"." * 999 + b"\n") * 1000)
    assert peak_memory(BIN / "parse-engagement", "--quiet", bad, status=66) < 96
    bad.write_bytes(event() + bad.read_bytes())
    rejects = ["--rejects", tmp_path / "rejects"]
    assert peak_memory(BIN / "parse-engagement", "--quiet", *rejects, bad, status=65) < 64
    assert (tmp_path / "rejects").stat().st_size > bad.stat().st_size


def test_memory_of_pipelines_stays_small(large, tmp_path):
    assert peak_memory(BIN / "count-active-users", large) < 64
    assert peak_memory(BIN / "count-active-users", "--validate", stdin=large) < 64
    assert peak_memory(BIN / "import-active-users", "--db", tmp_path / "a.db", large) < 64
