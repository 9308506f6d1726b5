"""The files that a benchmark reads: made once for each size, and kept in .bench/data."""

import gzip
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bench import BIN, Failure, of_size
from headcount.io.decompress import zstd_library

_MEAN_LINE = 2400
_SMALL = 1_000_000
_SLICE = 100_000_000  # at most: for programs that take seconds for it
_COPY = 1 << 20

# The room that each kind takes, in sizes of the events (compressed ones well overestimated).
ROOM = {"events": 1, "escapes": 1, "gz": 0.2, "zst": 0.2, "small": 1, "slice": 0.1, "day": 1}
ROOM |= {
    "dimensions": 1.1,
    "chats": 1.7,
    "history": 1.5,
    "stream": 3,
    "comments": 0.7,
    "event metrics": 0.4,
    "source": 0.2,
}


# What data may be other than usual, with make-data's options.
SHAPES = {
    "once a day": ["--users", "ONCE_A_DAY", "--days", "7", "--mixed", "1"],
    "300 bytes": ["--line-bytes", "300"],
    "8 KB": ["--line-bytes", "8000"],
    "few users": ["--users", "200"],
    "a year": ["--days", "365"],
}
ROOM |= dict.fromkeys(SHAPES, 1)


class Data:
    """The files of one size; each method makes its file if need be and returns the path."""

    def __init__(self, folder: Path, size: str):
        self.bytes = of_size(size)
        self.size = size
        self.folder = folder / size
        self.folder.mkdir(parents=True, exist_ok=True)
        self.work = self.folder / "work"  # for what a run writes
        self.work.mkdir(exist_ok=True)

    def check_room(self, kinds: set[str], besides: int = 0) -> None:
        """Raises Failure if the disk has too little room for what is still to be made."""
        present = sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
        needed = int(sum(ROOM[kind] for kind in kinds) * self.bytes) + besides - present
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise Failure(
                f"the data needs {needed / 1e9:.1f} GB more in {self.folder}, "
                f"and {free / 1e9:.1f} GB are free: choose another --size or fewer --cases"
            )

    def truth(self, events: Path) -> str:
        """What make-data says is the answer for these events."""
        return events.with_suffix(".tsv").read_text()

    def events(self) -> Path:
        return self._generated("events.jsonl")

    def shape(self, name: str) -> Path:
        """Events of one of the SHAPES."""
        users = str(max(1, self.bytes // _MEAN_LINE // 7))
        options = [users if option == "ONCE_A_DAY" else option for option in SHAPES[name]]
        return self._generated(f"{name.replace(' ', '-')}.jsonl", *options)

    def with_dimensions(self) -> Path:
        """Events whose users each have a platform, a version, a country and a city."""
        return self._generated("dimensions.jsonl", "--with-dimensions")

    def escapes(self) -> Path:
        """Four of five lines have JSON escapes, some of them in names."""
        return self._generated("escapes.jsonl", "--escapes", "0.8")

    def day(self) -> Path:
        """One local day of so many users that most of them come once."""
        users = max(1, self.bytes // _MEAN_LINE)
        return self._generated("day.jsonl", "--days", "1", "--users", str(users))

    def chats(self) -> Path:
        """10 million chat lines in 1 GB (in fact, they take 1.6)."""
        return self._chats("chat.jsonl", self.bytes // 100)

    def more_chats(self) -> Path:
        """One more for each hundred of them."""
        return self._chats("more-chat.jsonl", self.bytes // 10_000, "--seed", "2")

    def chats_slice(self) -> Path:
        return self._slice("chat-slice.jsonl", self.chats())

    def _chats(self, name: str, lines: int, *options: str) -> Path:
        def write(path: Path) -> None:
            truth = (self.folder / name).with_suffix(".tsv")
            command = [BIN / "make-data", "chat", "--lines", str(lines), "--truth", truth]
            with path.open("wb") as out:
                subprocess.run([*command, *options], stdout=out, check=True)

        return self._made(name, write)

    def stream(self) -> tuple[Path, int]:
        """A million events of recent changes in 1 GB (in fact, they take 1.4), and how many."""
        events = self.bytes // 1000
        command = [BIN / "make-data", "recent-changes", "--sse", "--events", str(events)]

        def write(path: Path) -> None:
            with path.open("wb") as out:
                subprocess.run(
                    [*command, "--duplicates", "0", "--canaries", "0"], stdout=out, check=True
                )

        return self._made("stream.sse", write), events

    def comments(self) -> tuple[Path, Path]:
        """Crawls with a hundred times the real comments in 1 GB (in fact, 300 MB), and posts."""
        posts = self.folder / "posts.parquet"

        def write(path: Path) -> None:
            command = [BIN / "make-data", "comments", "--comments", str(self.bytes // 864)]
            truth = (self.folder / "crawls.jsonl").with_suffix(".tsv")
            with path.open("wb") as out:
                subprocess.run(
                    [*command, "--posts", posts, "--truth", truth], stdout=out, check=True
                )

        return self._made("crawls.jsonl", write), posts

    def event_metrics(self) -> list[Path]:
        """A million events in 1 GB (in fact, 110 MB), in 24 files."""
        events = self.bytes // 1000

        def write(folder: Path) -> None:
            command = [BIN / "make-data", "event-metrics", "--count", str(events), "--files", "24"]
            subprocess.run([*command, "--dimensions", "1000", "--folder", folder], check=True)

        return sorted(self._made("event-metrics", write).glob("events-*"))

    def source(self, name: str) -> Path:
        """A fifth of the size in events of another tracker, without odd spellings."""
        size = self.bytes // 5

        def write(path: Path) -> None:
            command = [BIN / "make-data", name, "--size", str(size), "--unusual", "0"]
            truth = self.folder / f"{name}.tsv"
            with path.open("wb") as out:
                subprocess.run([*command, "--truth", truth], stdout=out, check=True)

        return self._made(f"{name}.jsonl", write)

    def gz(self) -> Path:
        def write(path: Path) -> None:
            # as gzip does it by default
            with self.events().open("rb") as plain, gzip.open(path, "wb", 6) as packed:
                shutil.copyfileobj(plain, packed, _COPY)

        return self._made("events.jsonl.gz", write)

    def zst(self) -> Path:
        def write(path: Path) -> None:
            # as zstd does it by default
            options = {zstd_library().CompressionParameter.checksum_flag: 1}
            with (
                self.events().open("rb") as plain,
                zstd_library().open(path, "wb", options=options) as packed,
            ):
                shutil.copyfileobj(plain, packed, _COPY)

        return self._made("events.jsonl.zst", write)

    def slice(self) -> Path:
        """The first tenth of the events, to the end of a line."""
        return self._slice("slice.jsonl", self.events())

    def _slice(self, name: str, whole: Path) -> Path:
        def write(path: Path) -> None:
            with whole.open("rb") as plain:
                path.write_bytes(plain.read(min(self.bytes // 10, _SLICE)) + plain.readline())

        return self._made(name, write)

    def small(self) -> list[Path]:
        """The events in files of 1 MB, each to the end of a line."""

        def write(folder: Path) -> None:
            folder.mkdir()
            with self.events().open("rb") as plain:
                number = 0
                while part := plain.read(_SMALL):
                    (folder / f"{number:05}.jsonl").write_bytes(part + plain.readline())
                    number += 1

        return sorted(self._made("small", write).iterdir())

    def _generated(self, name: str, *options: str) -> Path:
        def write(path: Path) -> None:
            truth = (self.folder / name).with_suffix(".tsv")
            command = [BIN / "make-data", "engagement", "--size", self.size, "--truth", truth]
            with path.open("wb") as out:
                subprocess.run([*command, *options], stdout=out, check=True)

        return self._made(name, write)

    def _made(self, name: str, write: Callable[[Path], None]) -> Path:
        return made(self.folder / name, write)


def made(path: Path, write: Callable[[Path], None]) -> Path:
    """The path, after `write` has made it under another name: what is half made is made anew."""
    if not path.exists():
        print(f"making: {path.parent.name}/{path.name} (once)", file=sys.stderr)
        unfinished = path.with_name("unfinished." + path.name)
        for left in path.parent.glob(unfinished.name + "*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        write(unfinished)
        unfinished.rename(path)
    return path
