"""What the names of inputs stand for: a folder for its files, a list for other names."""

from __future__ import annotations

import os
from collections.abc import Iterable

from headcount.errors import INTERRUPTED, NO_INPUT, Failure
from headcount.io import interrupt
from headcount.values.tsv import shown

_READ = 1 << 20  # bytes


class EmptyFolderError(Failure):
    """All that was named is a folder that has no files: to an import, none have come yet."""


def within(folder: str) -> list[str]:
    """The files of a folder and of those in it, sorted; not those that hold no data.

    A link to a file is one. Raises Failure 66 for one to another folder, which may have no end.
    """
    files = []
    for path, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_no_data(name)]
        for name in folders:
            if os.path.islink(link := os.path.join(path, name)):
                text = "a link to a folder: name that, too, or leave the link out"
                raise Failure(f"{shown(link)}: {text}", NO_INPUT)
        for name in names:
            file = os.path.join(path, name)
            if not is_no_data(name) and (os.path.islink(file) or os.path.isfile(file)):
                files.append(file)
    return sorted(files, key=os.fsencode)


def is_no_data(path: str) -> bool:
    """Programs that write folders of parts leave marks and checksums beside them."""
    return os.path.basename(path).startswith((".", "_"))


def files_of(path: str) -> list[str]:
    """The files that an input stands for: those within it, or itself.

    Raises Failure 66 for a folder without files, and for no name at all.
    """
    if not path:
        raise Failure("expected the name of an input, got an empty one", NO_INPUT)
    if not os.path.isdir(path):
        return [path]
    files = within(path)
    if not files:
        raise EmptyFolderError(f"{shown(path)}: no files in it", NO_INPUT)
    return files


def listed(path: str) -> list[str]:
    """The names in a list, each once: ended by NUL if it holds one, else by newlines.

    `path` may be - for standard input. What looks like an option is the name of a file, but for -.
    Raises Failure 66 for a list that cannot be read.
    """
    text = _content(path)
    names = text.split(b"\0" if b"\0" in text else b"\n")
    return [safe(os.fsdecode(name)) for name in dict.fromkeys(names) if name]


def safe(name: str) -> str:
    """The name of a file, so that nobody takes it for an option."""
    return f"./{name}" if name.startswith("-") and name != "-" else name


def joined(typed: Iterable[str], lists: Iterable[str]) -> list[str]:
    """The inputs that are typed and those in lists, with the files of folders in their place.

    What a folder or a list brings is left out where it is named already: it is read once.
    Raises Failure 66 for a folder without files, an EmptyFolderError if there is nothing else, or
    for a list that cannot be read.
    """
    inputs, known = [], set()
    empty = None
    for path in typed:
        try:
            files = files_of(path)
        except EmptyFolderError as error:
            empty = empty or error
            continue
        if files != [path]:
            files = [file for file in files if file not in known]
        inputs += files
        known.update(files)
    for name in (name for path in lists for name in listed(path)):
        files = [file for file in files_of(name) if file not in known]
        inputs += files
        known.update(files)
    if empty:
        raise Failure(str(empty), empty.status) if inputs else empty
    return inputs


def list_of(names: Iterable[str]) -> bytes:
    """A list that `listed` reads, whatever is in the names."""
    return b"".join(os.fsencode(name) + b"\0" for name in names)


def _content(path: str) -> bytes:
    chunks = []
    try:
        fd = 0 if path == "-" else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            while chunk := interrupt.read(fd, _READ):
                chunks.append(chunk)
        finally:
            if path != "-":
                os.close(fd)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise Failure(f"{shown(path)}: cannot read this list: {reason}", NO_INPUT) from None
    if interrupt.requested():  # it has not come whole
        raise Failure("interrupted", INTERRUPTED)
    return b"".join(chunks)
