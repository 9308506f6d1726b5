"""Site activity against a slow reference: any order of lines, any repetition, any split of work."""

import gzip
import hashlib
import json
import random
import uuid

import pytest

from helpers.programs import REAL, run
from reference import site_activity as reference

SITES = ["1", "2", "10", "é", "a b", "\U0001f600", "z"]
PEOPLE = ["op1", "op2", "visitor1", "visitor2", "ann\tlee", "Ω"]


def some_ids(rng):
    """UUIDs, some alike in one half; others in spellings of their own; texts that are none."""
    half = rng.getrandbits(64)
    numbers = [rng.getrandbits(128) for _ in range(rng.choice([2, 30, 300]))]
    numbers += [(half << 64) | rng.getrandbits(64) for _ in range(5)]
    numbers += [(rng.getrandbits(64) << 64) | half for _ in range(5)]
    ids = [str(uuid.UUID(int=number)) for number in numbers]
    if rng.random() < 0.5:
        ids += [
            ids[0].upper(),
            ids[0].replace("-", ""),
            "{" + ids[0][:34] + "}",
            "x",
            "7",
            "é" * 36,
        ]
        ids += ["-" * 36, ids[1][:-1] + "g", ids[1][:-2] + " 0"]
    return ids


def some_line(rng, ids, seconds):
    status = rng.random() < 0.4
    record = {
        "id": rng.choice(ids),
        "type": "status" if status else "message",
        "from": rng.choice(PEOPLE),
        "site_id": rng.choice(SITES),
        "timestamp": rng.choice([rng.randrange(seconds), rng.randrange(seconds) - 5]),
    }
    if status:
        record["data"] = {"status": rng.choice(["online", "offline"])}
    elif rng.random() < 0.7:
        record["data"] = rng.choice(
            [{"message": "hi"}, {"status": "away"}, {"status": 7}, "hi", []]
        )
    if rng.random() < 0.1:
        record["timestamp"] = rng.choice(["7", 7.0, "7.0", "7e0", -3, True, 7.5, None, "x", 10**12])
    if rng.random() < 0.05:
        del record[rng.choice(list(record))]
    if rng.random() < 0.05:
        record[rng.choice(list(record))] = rng.choice(["", None, 7, "status", [], {}])
    items = list(record.items())
    rng.shuffle(items)
    line = json.dumps(dict(items), ensure_ascii=rng.random() < 0.5).encode()
    if rng.random() < 0.03:
        line = rng.choice([line[:-1], line + b"}", b"\xff" + line, line.replace(b":", b":NaN,", 1)])
    return line


def stream(rng):
    ids, seconds = some_ids(rng), rng.choice([3, 30, 3000])
    lines = [some_line(rng, ids, seconds) for _ in range(rng.randrange(1, 400))]
    return lines + rng.choices([b"", b" \t", b"\r"], k=3)


@pytest.mark.sample(6)
@pytest.mark.parametrize("seed", range(25))
def test_the_answer_is_the_references_in_any_order(seed, tmp_path):
    rng = random.Random(seed)
    lines = stream(rng)
    expected = reference.report(lines)
    rejected = sum(reference.said(line) is None for line in lines if line.strip())
    for number in (1, 2):
        rng.shuffle(lines)
        lines += rng.sample(lines, len(lines) // 5)  # copies change nothing
        rejected = sum(reference.said(line) is None for line in lines if line.strip())
        path = tmp_path / "chat"
        path.write_bytes(b"\n".join(lines) + rng.choice([b"", b"\n"]))
        rejects = tmp_path / f"rejects{number}"
        done = run("count-site-activity", "--jobs", number, "--rejects", rejects, path)
        assert done.stdout.decode() == expected
        assert done.returncode == (65 if rejected else 0)
        kept = rejects.read_text().count("\n") if rejects.exists() else 0
        assert kept == rejected


def test_many_files_and_archives_shared_by_processes(tmp_path):
    rng = random.Random(1)
    lines = stream(rng) + stream(rng)
    paths = []
    for i in range(7):
        data = b"\n".join(rng.sample(lines, len(lines) // 2)) + b"\n"
        paths.append(tmp_path / f"{i}")
        paths[-1].write_bytes(gzip.compress(data) if i % 2 else data)
    read = b"".join(
        gzip.decompress(path.read_bytes()) if i % 2 else path.read_bytes()
        for i, path in enumerate(paths)
    )
    expected = reference.report(read.split(b"\n"))
    for number in (1, 2, 3):
        done = run("count-site-activity", "--jobs", number, *paths)
        assert done.stdout.decode() == expected
    done = run("count-site-activity", stdin=read)
    assert done.stdout.decode() == expected


@pytest.mark.parametrize("name", ["small_input", "bad_input"])
def test_the_published_example(name):
    path = REAL / "chat" / name
    if not path.exists():
        pytest.skip(f"no real data at {path}")
    expected = {
        "small_input": (0, b"1,messages=4,emails=4,operators=2,visitors=5\n"),
        "bad_input": (65, b"1,messages=3,emails=4,operators=2,visitors=4\n"),
    }
    done = run("count-site-activity", path)
    assert (done.returncode, done.stdout) == expected[name]


def chat(seconds, sender="ann", status=None, number=[0], **more):  # noqa: B006
    number[0] += 1
    record = {"id": str(number[0]), "type": "message", "from": sender, "site_id": "a"}
    record |= {"timestamp": seconds} | more
    if status:
        record |= {"type": "status", "data": {"status": status}}
    return json.dumps(record).encode() + b"\n"


def activity(*lines):
    return run("count-site-activity", stdin=b"".join(lines), check=0).stdout.decode()


def test_a_site_goes_offline_again_and_a_status_counts_for_its_second():
    on, off = chat(10, "op", "online"), chat(20, "op", "offline")
    messages = [chat(seconds) for seconds in (9, 10, 19, 20)]
    assert activity(*messages, off, on) == "a,messages=2,emails=2,operators=1,visitors=1\n"


def test_a_site_is_online_while_any_operator_is():
    lines = [chat(10, "op", "online"), chat(12, "oz", "online"), chat(20, "op", "offline")]
    assert activity(*lines, chat(25)) == "a,messages=1,emails=0,operators=2,visitors=1\n"
    lines.append(chat(24, "oz", "offline"))
    assert activity(*lines, chat(25)) == "a,messages=0,emails=1,operators=2,visitors=1\n"


def test_offline_twice_is_offline_once():
    lines = [chat(1, "op", "offline"), chat(2, "op", "offline"), chat(3, "oz", "online")]
    assert activity(*lines, chat(4)) == "a,messages=1,emails=0,operators=2,visitors=1\n"


def test_a_site_with_only_statuses_and_one_whose_lines_are_all_copies():
    lines = [chat(1, "op", "offline"), chat(5, id="x"), chat(4, id="x", site_id="b")]
    expected = "a,messages=0,emails=0,operators=1,visitors=0\n"
    assert activity(*lines) == expected + "b,messages=0,emails=1,operators=0,visitors=1\n"


def test_ids_that_are_nearly_the_same():
    """One half of two UUIDs, and a UUID that is the hash of another id."""
    half, hashed = "11111111-2222-3333", hashlib.blake2b(b"x", digest_size=16).digest()
    ids = [f"{half}-4444-555555555555", f"{half}-4444-555555555556", "x"]
    ids += ["11111112-2222-3333-4444-555555555555", str(uuid.UUID(bytes=hashed))]
    for number in range(1, len(ids) + 1):
        lines = [chat(7, id=one) for one in ids[:number]] * 2
        assert activity(*lines) == f"a,messages=0,emails={number},operators=0,visitors=1\n"


def test_nothing_at_all():
    assert activity() == "" and activity(b"\n \n") == ""


def test_parse_chat_keeps_and_rejects_what_the_reference_does(tmp_path):
    rng = random.Random(3)
    for _ in range(5):
        lines = stream(rng)
        path = tmp_path / "chat"
        path.write_bytes(b"\n".join(lines) + b"\n")
        rows = run("parse-chat", path).stdout.decode().splitlines()
        expected = [found for line in lines if (found := reference.said(line))]
        assert len(rows) == len(expected) > 0
        for row, found in zip(rows, expected, strict=True):
            columns = row.replace("\\t", "\t" * 7).split("\t" * 7)
            columns = [column for part in columns for column in part.split("\t")]
            assert str(found.seconds) in columns
            assert row.endswith(f"\t{found.status or chr(92) + 'N'}")
            assert row.startswith(f"{found.id}\t{found.site}\t{found.seconds}\t")


@pytest.mark.parametrize("options", ["", "--broken 0.2 --sites 3", "--ties 0.9 --statuses 0.5"])
def test_made_up_chats_bring_their_answer(options, tmp_path):
    truth = tmp_path / "truth"
    made = run(
        "make-data", "chat", "--lines", 5000, "--truth", truth, *options.split(), check=0
    ).stdout
    assert made.count(b"\n") == 5000
    expected = truth.read_text()
    assert reference.report(made.split(b"\n")) == expected
    assert run("count-site-activity", stdin=made).stdout.decode() == expected
    rejected = sum(reference.said(line) is None for line in made.splitlines())
    assert (rejected > 700) if "broken" in options else rejected == 0


def test_the_same_seed_makes_the_same_chats():
    once = [run("make-data", "chat", "--seed", seed, check=0).stdout for seed in (1, 1, 2)]
    assert once[0] == once[1] != once[2]
