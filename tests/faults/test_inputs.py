"""Rows 13 to 17: lines, archives and files of every nastiness."""

import bz2
import gzip
import json
import lzma
import os
import random
import socket
import subprocess
import threading

import pytest

from faults.databases import content, differences, problems
from faults.pipelines import attempt, imported
from helpers.programs import BARE, ROOT
from helpers.sessions import query
from helpers.thorough import IN_FULL

try:  # Python's own, from 3.14 on
    from compression import zstd
except ImportError:
    from backports import zstd

# What no pipeline takes for a line of its own, each without a line end.
HOSTILE = [
    b"\x00",
    b"\xff\xfe{\x00}\x00",
    b'{"event_name": "user_engagement", "event_timestamp": NaN}',
    b'{"event_name":"user_engagement"} trailing',
    b'"\xed\xa0\x80 a lone surrogate"',
    b"[" * 100_000,
    b'{"a":' * 5000,
    b"9" * 5000,
    b"x" * (1 << 20),
    b"\xe2\x80\xa8 not a line end",
    b"[]",
    b"null",
    b"{}",
    bytes(range(1, 10)) + bytes(range(14, 256)),
]


def lenient(pipeline):
    return pipeline._replace(strict=(*pipeline.strict, *pipeline.lenient))


@pytest.mark.sample(2)
@pytest.mark.fault(13)
def test_hostile_lines(start, db, injected, tmp_path):
    """Each is one reject, with its place; all others count."""
    lines = start.files[1].read_bytes().splitlines(keepends=True)
    head, lines = (lines[:1], lines[1:]) if start.pipeline.header else ([], lines)
    dice = random.Random(1)
    mixed, places = list(head), []
    for i, line in enumerate(lines):
        if i % (1 + len(lines) // 30) == 0:
            places.append(len(mixed) + 1)
            mixed.append(HOSTILE[len(places) % len(HOSTILE)] + b"\n")
        mixed.append(line.replace(b"\n", b"\r\n") if dice.random() < 0.3 else line)
    path, bad = tmp_path / "hostile", tmp_path / "bad"
    path.write_bytes(b"".join(mixed))
    pipeline = lenient(start.pipeline)
    pipeline = pipeline._replace(strict=(*pipeline.strict, "--rejects", str(bad)))
    with injected(pipeline.name, len(places)):
        done = attempt(pipeline, db, path)
        assert done.returncode == 65 and b"Traceback" not in done.stderr, done.stderr
        assert differences(db, start.golden) == [] and problems(db) == []
        letters = [json.loads(line) for line in bad.read_text().splitlines()]
        assert sorted({letter["line"] for letter in letters}) == places
        assert all(letter["file"] == str(path) and letter["reason"] for letter in letters)


@pytest.mark.sample(3)
@pytest.mark.fault(13)
def test_nothing_but_line_ends(start, db, injected, tmp_path):
    """Ten million of them, around what counts."""
    count = 5_000_000 if IN_FULL else 50_000
    path, lines = tmp_path / "blank", start.files[1].read_bytes()
    head = lines[: lines.index(b"\n") + 1] if start.pipeline.header else b""
    path.write_bytes(head + b"\n" * count + lines[len(head) :] + b"\n" * count)
    with injected(start.pipeline.name):
        done = attempt(start.pipeline, db, path)
        assert done.returncode == 0, done.stderr
        assert differences(db, start.golden) == [] and problems(db) == []


@pytest.mark.sample(4)
@pytest.mark.fault(13)
def test_a_line_without_an_end(start, db, injected, tmp_path):
    """A gigabyte of it: one reject, or no memory for it, and then nothing is imported."""
    size = 1 << 30 if IN_FULL else 8 << 20
    if IN_FULL and os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") < 16 << 30:
        pytest.skip("needs 16 GB of memory")
    path = tmp_path / "long"
    with open(path, "wb") as file:
        file.write(start.files[1].read_bytes())
        for _ in range(size >> 20):
            file.write(b"x" * (1 << 20))
        file.write(b"\n")
    before = content(db)
    with injected(start.pipeline.name):
        done = attempt(lenient(start.pipeline), db, path)
        path.unlink()
        assert b"Traceback" not in done.stderr
        if done.returncode == 65:
            assert differences(db, start.golden) == []
        else:
            assert done.returncode == 1 and b"memory" in done.stderr, done.stderr
            assert start.pipeline.keeps or differences(db, before) == []
        imported(start.pipeline, db, *start.files[:2])
        assert differences(db, start.golden) == [] and problems(db) == []


ARCHIVES = {
    "gz": gzip.compress,
    "zst": lambda data: zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1}),
    "bz2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.mark.sample(60)
@pytest.mark.fault(14)
@pytest.mark.parametrize("kind", ARCHIVES)
def test_damaged_archives(kind, start, db, injected, tmp_path):
    """All of a file or nothing; after it has come whole, all is as it should be."""
    whole = ARCHIVES[kind](start.files[1].read_bytes())
    dice = random.Random(f"{kind}{start.pipeline.name}")
    cuts = range(1, len(whole), 1 + len(whole) // (200 if IN_FULL else 3))
    damaged = [whole[:cut] for cut in cuts]
    for _ in range(40 if IN_FULL else 2):
        flipped = bytearray(whole)
        flipped[dice.randrange(10, len(whole))] ^= 1 << dice.randrange(8)
        damaged.append(bytes(flipped))
    path = tmp_path / f"events.{kind}"
    before = content(db)
    for archive in damaged:
        with injected(start.pipeline.name):
            path.write_bytes(archive)
            done = attempt(lenient(start.pipeline), db, path)
            assert b"Traceback" not in done.stderr
            if len(archive) < 6 and done.returncode in (0, 65):  # nobody can know what it is
                assert differences(db, before) == []
                continue
            if done.returncode == 0:  # bits of no meaning
                assert differences(db, start.golden) == []
                continue
            assert done.returncode not in (65, 2), done.stderr
            assert path.name.encode() in done.stderr
            if not start.pipeline.keeps:
                assert differences(db, before) == [] or differences(db, start.golden) == []
    path.write_bytes(whole)
    imported(start.pipeline, db, path)
    assert differences(db, start.golden) == [] and problems(db) == []


@pytest.mark.sample(8)
@pytest.mark.fault(15)
def test_a_file_that_grows(start, db, injected, tmp_path):
    """Cut anywhere, also within a line: when it is whole, all is there once."""
    data = start.files[1].read_bytes()
    path = tmp_path / "growing"
    dice = random.Random(start.pipeline.name)
    cuts = sorted(dice.sample(range(1, len(data)), 30 if IN_FULL else 3))
    for cut in cuts:
        with injected(start.pipeline.name):
            with open(path, "ab") as file:
                file.write(data[os.path.getsize(path) if path.exists() else 0 : cut])
            done = attempt(lenient(start.pipeline), db, path)
            assert done.returncode in (0, 65, 1), done.stderr
            assert b"Traceback" not in done.stderr
    with open(path, "ab") as file:
        file.write(data[cuts[-1] :])
    attempt(lenient(start.pipeline), db, path)
    assert differences(db, start.golden) == [] and problems(db) == []


@pytest.mark.sample(12)
@pytest.mark.fault(16)
@pytest.mark.parametrize("how", ["rename", "copytruncate", "same name"])
def test_rotation(how, start, db, injected, tmp_path):
    """What stood in the file when it was read counts once, wherever it is now."""
    path, old = tmp_path / "log", tmp_path / "log.1"
    path.write_bytes(start.files[0].read_bytes())
    with injected(start.pipeline.name):
        imported(start.pipeline, db, path)
        if how == "rename":
            path.rename(old)
        elif how == "copytruncate":
            old.write_bytes(path.read_bytes())
            os.truncate(path, 0)
        if how == "same name":
            path.unlink()
        with open(path, "ab") as file:
            file.write(start.files[1].read_bytes())
        files = [file for file in (old, path) if file.exists()]
        imported(start.pipeline, db, *files)
        assert differences(db, start.golden) == [] and problems(db) == []


@pytest.mark.sample(12)
@pytest.mark.fault(17)
@pytest.mark.parametrize("kind", ["missing", "folder", "socket", "loop", "unreadable"])
def test_what_is_no_input(kind, start, db, injected, tmp_path, unprivileged):
    path = tmp_path / "input"
    if kind == "folder":
        path.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            os.chdir(tmp_path)
            server.bind("input")
            os.chdir(ROOT)
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "unreadable":
        path.touch(0o000)
    before = content(db)
    with injected(start.pipeline.name):
        command = [*unprivileged, *start.pipeline.command(db, path)]
        done = subprocess.run(command, env=BARE, capture_output=True, timeout=60)
        # a folder that has no files yet is a quiet night
        is_quiet = kind == "folder" and not start.pipeline.kind
        assert done.returncode == (0 if is_quiet else 66), done.stderr
        assert b"input" in done.stderr
        assert b"Traceback" not in done.stderr and differences(db, before) == []
        # another one beside it is not imported alone
        done = attempt(start.pipeline, db, start.files[1], path)
        assert done.returncode == 66 or kind == "unreadable"
        imported(start.pipeline, db, *start.files[:2])
        assert differences(db, start.golden) == [] and problems(db) == []


@pytest.mark.sample(2)
@pytest.mark.fault(17)
def test_an_empty_file_and_a_pipe(start, db, injected, tmp_path):
    empty, fifo = tmp_path / "empty", tmp_path / "fifo"
    empty.touch()
    os.mkfifo(fifo)
    with injected(start.pipeline.name, 2):
        before = content(db)
        imported(start.pipeline, db, empty)
        assert differences(db, before) == []
        writer = threading.Thread(target=lambda: fifo.write_bytes(start.files[1].read_bytes()))
        writer.start()
        imported(start.pipeline, db, fifo)
        writer.join()
        assert differences(db, start.golden) == [] and problems(db) == []
        assert query(db, "SELECT count(*) FROM run WHERE status = 'done'")[0][0] >= 3
