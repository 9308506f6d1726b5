"""Made-up comments: the truth that comes with them is what a slow reference finds in them."""

import csv
import json

import pytest

from helpers.programs import run
from reference import comments as reference

OPTIONS = [
    ["--comments", 400],
    ["--comments", 7000, "--seed", 2],
    ["--comments", 3000, "--odd", 0.2, "--broken", 0.1, "--depth", 6],
    ["--comments", 1500, "--odd", 1, "--days", 2],
    ["--comments", 1],
    ["--comments", 0],
]


@pytest.mark.sample(2)
@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: " ".join(map(str, options)))
def test_the_truth_is_what_the_reference_finds(options, tmp_path):
    posts, texts, truth = tmp_path / "posts.csv", tmp_path / "text.csv", tmp_path / "truth"
    beside = ["--posts", posts, "--text", texts, "--truth", truth]
    crawls = run("make-data", "comments", *options, *beside, check=0).stdout
    found = reference.Crawls(crawls.splitlines())
    with open(posts, newline="") as file:
        types = {row["post_h_id"]: row["type"] for row in csv.DictReader(file)}
    rows = reference.reports(found.comments, types)
    assert truth.read_text() == "".join("\t".join(row) + "\n" for row in rows)
    made = options[1]
    assert len(found.comments) == made
    assert (found.rejects > 0) == ("--broken" in options)
    counted = run("count-comments", "--info", "-", "--posts", posts, stdin=crawls)
    assert counted.stdout == truth.read_bytes()
    if made > 1000:
        parents = [parent for _, parent, _, _ in found.comments.values()]
        assert 0.1 < sum(map(bool, parents)) / made < 0.6
        assert found.records > 1.3 * made, "crawls overlap"
        assert "(unknown)" in {row[1] for row in rows}
        with open(texts, newline="") as file:
            ids = [row["h_id"] for row in csv.DictReader(file)]
        assert len(ids) > len(set(ids)), "some texts come twice"
        assert set(ids) - set(found.comments) and set(found.comments) - set(ids)


def test_deep_threads_and_what_is_odd(tmp_path):
    made = run("make-data", "comments", "--comments", 4000, "--depth", 6, "--odd", 0.3, check=0)
    comments = reference.Crawls(made.stdout.splitlines()).comments
    assert max(depth for depth, _ in reference.threads(comments).values()) >= 3
    parents = {ident: row[1] for ident, row in comments.items()}
    assert any(parent and parent not in comments for parent in parents.values()), "orphans"
    assert any(parents.get(parent) == ident for ident, parent in parents.items()), "cycles"
    assert b"+0530" in made.stdout and b'"up_likes":"' in made.stdout


def test_same_seed_same_bytes_with_or_without_tables(tmp_path):
    args = ["comments", "--comments", 3000, "--seed", 5]
    alone = run("make-data", *args, check=0).stdout
    assert run("make-data", *args, "--posts", tmp_path / "p.csv", check=0).stdout == alone
    assert run("make-data", *args[:-1], 6, check=0).stdout != alone
    pytest.importorskip("pyarrow")
    run("make-data", *args, "--posts", tmp_path / "p.parquet", check=0)
    tables = [
        [json.loads(line) for line in run("read-table", path, check=0).stdout.splitlines()]
        for path in (tmp_path / "p.csv", tmp_path / "p.parquet")
    ]
    assert tables[0] == tables[1] and len(tables[0]) > 100
