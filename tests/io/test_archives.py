"""Archives of many files: refused, with the way to their content; that way gives the answer."""

import gzip
import io
import tarfile
import zipfile

import pytest

from headcount.errors import NO_INPUT, Failure
from headcount.io import inputs
from helpers.events import event
from helpers.programs import run

# as Amplitude's Export API has it: gzip within ZIP
MEMBERS = {f"{user}.json.gz": gzip.compress(event(user=user)) for user in ("ann", "bob")}


def zipped() -> bytes:
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w") as archive:
            for name, data in MEMBERS.items():
                archive.writestr(name, data)
        return file.getvalue()


def tarred() -> bytes:
    with io.BytesIO() as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            for name, data in MEMBERS.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        return file.getvalue()


ARCHIVES = {
    "a ZIP archive": zipped(),
    "a tar archive": tarred(),
    "a 7z archive": b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(24),
}


@pytest.mark.parametrize("kind", ARCHIVES)
@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_refused_with_the_way_out(kind, compress, tmp_path):
    path = tmp_path / "events"
    path.write_bytes(compress(ARCHIVES[kind]))
    with pytest.raises(Failure, match=f"{path}: expected lines, .*, got {kind}; .* [|]") as caught:
        list(inputs.blocks([str(path)]))
    assert caught.value.status == NO_INPUT


@pytest.mark.parametrize("kind", list(ARCHIVES)[:2])
@pytest.mark.parametrize(
    "program", ["count-active-users", "parse-comments", "count-site-activity", "parse-chat"]
)
def test_nothing_is_counted(kind, program, tmp_path):
    path = tmp_path / "events"
    path.write_bytes(ARCHIVES[kind])
    for given in ([path], []):
        done = run(program, *given, stdin=b"" if given else ARCHIVES[kind], check=66)
        assert not done.stdout
        assert kind.encode() in done.stderr


@pytest.mark.parametrize("kind", list(ARCHIVES)[:2])
def test_the_way_out(kind, tmp_path):
    path = tmp_path / "events"
    path.write_bytes(ARCHIVES[kind])
    # what `unzip -p` and `tar -xOf` print, where they are not installed, too
    if kind == "a ZIP archive":
        with zipfile.ZipFile(path) as archive:
            content = b"".join(map(archive.read, archive.namelist()))
    else:
        with tarfile.open(path) as archive:
            content = b"".join(archive.extractfile(member).read() for member in archive)
    assert run("count-active-users", stdin=content).stdout == b"2019-12-31\t2\n"
