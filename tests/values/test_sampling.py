"""sample-lines keeps the same lines every time, as many as it was told, by key all or none."""

import json
import random

import pytest

from helpers.programs import run


def sample(text, *options):
    return run("sample-lines", *options, stdin=text, check=0).stdout


def test_a_smaller_sample_is_part_of_a_larger_one_in_any_order_and_by_any_number_of_processes(
    tmp_path,
):
    lines = [b"line %d\n" % i for i in range(20_000)]
    before = set()
    for fraction in ("0", "0.001", "0.1", "0.5", "0.999", "1"):
        kept = sample(b"".join(lines), "--fraction", fraction).splitlines(keepends=True)
        chosen = set(kept)
        assert kept == [line for line in lines if line in chosen], "in their order"
        assert abs(len(kept) - 20_000 * float(fraction)) <= 4 * (20_000 * 0.25) ** 0.5
        assert before <= set(kept)
        before = set(kept)
    assert before == set(lines)
    path = tmp_path / "lines"
    path.write_bytes(b"".join(lines))
    half = sample(b"", "--fraction", "0.5", "--jobs", "3", path)
    mixed = random.Random(1).sample(lines, len(lines))
    assert sorted(half.splitlines()) == sorted(
        sample(b"".join(mixed), "--fraction", "0.5").splitlines()
    )


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_by_key_all_lines_of_a_value_or_none(fraction):
    rng = random.Random(2)
    records = [{"user": f"u{rng.randrange(500)}", "n": n} for n in range(5000)]
    text = b"".join(json.dumps(record).encode() + b"\n" for record in records)
    kept = sample(text, "--fraction", fraction, "--key", "user").splitlines()
    users = {json.loads(line)["user"] for line in kept}
    assert len(kept) == sum(record["user"] in users for record in records)
    assert 0 < len(users) < 500 and abs(len(users) - 500 * fraction) < 60
