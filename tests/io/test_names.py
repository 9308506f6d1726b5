"""The names of inputs: folders and lists."""

import os

import pytest

from headcount.errors import Failure
from headcount.io import names


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A folder with data and with what is none, as the working directory's `d`."""
    monkeypatch.chdir(tmp_path)
    for path in ("d/b", "d/a/z", "d/a-", "d/.hidden", "d/_SUCCESS", "d/_temporary/x", "d/.x/y"):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        (tmp_path / path).write_bytes(b"")
    return tmp_path


def test_a_folder_stands_for_its_files(tree):
    assert names.files_of("d") == ["d/a-", "d/a/z", "d/b"]
    assert names.files_of("d/_temporary") == ["d/_temporary/x"]  # named by whoever wants it
    assert names.files_of("d/b") == ["d/b"] and names.files_of("none") == ["none"]


def test_a_folder_without_files(tree):
    os.makedirs("empty/deep")
    (tree / "empty" / "_SUCCESS").write_bytes(b"")
    with pytest.raises(Failure, match=r"^empty: no files in it$") as failed:
        names.files_of("empty")
    assert failed.value.status == 66


def test_what_is_in_a_folder_and_is_no_plain_file(tree):
    """A link to a file is one, even if it leads nowhere; a FIFO would make everybody wait."""
    os.symlink("b", "d/link")
    os.symlink("nowhere", "d/broken")
    os.mkfifo("d/fifo")
    assert names.files_of("d") == ["d/a-", "d/a/z", "d/b", "d/broken", "d/link"]
    os.symlink("d", "whole")
    assert "whole/a/z" in names.files_of("whole")
    os.symlink("..", "d/a/up")
    with pytest.raises(Failure, match=r"^d/a/up: a link to a folder: ") as failed:
        names.files_of("d")
    assert failed.value.status == 66


@pytest.mark.parametrize(
    "text, expected",
    [
        (b"b\na b\n", ["b", "a b"]),
        (b"b\n\na b", ["b", "a b"]),
        (b"a\nb\0c\0", ["a\nb", "c"]),
        (b"a\nb\0", ["a\nb"]),
        (b"b\nb\n", ["b"]),
        (b"-\n-x\n--all\n", ["-", "./-x", "./--all"]),
        (b"\xff\r\n", ["\udcff\r"]),
        (b"", []),
        (b"\n\n", []),
    ],
)
def test_a_list(text, expected, tmp_path):
    (tmp_path / "list").write_bytes(text)
    assert names.listed(str(tmp_path / "list")) == expected
    (tmp_path / "again").write_bytes(names.list_of(expected))
    assert names.listed(str(tmp_path / "again")) == expected


@pytest.mark.parametrize("path, why", [("none", "No such file"), ("d", "Is a directory")])
def test_a_list_that_cannot_be_read(path, why, tree):
    with pytest.raises(Failure, match=f"^{path}: cannot read this list: {why}") as failed:
        names.listed(path)
    assert failed.value.status == 66


def test_what_folders_and_lists_bring_counts_once(tree):
    (tree / "list").write_bytes(b"d/b\nlist\nd\n")
    assert names.joined(["d/b", "d"], ["list"]) == ["d/b", "d/a-", "d/a/z", "list"]
    assert names.joined(["list", "list"], []) == ["list", "list"]  # as `cat` would
