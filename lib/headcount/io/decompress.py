"""Archives of one file (gzip, zstd, bzip2, xz), recognised by content, read whole or not at all."""

import itertools
from collections.abc import Callable, Iterable, Iterator

from headcount.errors import NO_INPUT, Failure
from headcount.io import interrupt

# What a damaged stream raises; each library's own errors join when it is loaded.
_ERRORS = {OSError, EOFError, ValueError}


def _gzip():
    from isal import igzip_lib  # thrice as fast as zlib, with the interface of bz2's and lzma's

    _ERRORS.add(igzip_lib.IsalError)
    return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)


def zstd_library():
    """Python's own module for zstd, where it has one, or its backport."""
    try:
        from compression import zstd  # from 3.14 on
    except ImportError:
        from backports import zstd
    return zstd


def _zstd():
    zstd = zstd_library()
    _ERRORS.add(zstd.ZstdError)
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: 27})


def _bzip2():
    import bz2

    return bz2.BZ2Decompressor()


def _xz():
    import lzma

    _ERRORS.add(lzma.LZMAError)
    return lzma.LZMADecompressor()


def _zstd_magic(head: bytes) -> bool:
    # RFC 8878: a frame, or a skippable frame (pzstd starts with one)
    return head[:4] == b"\x28\xb5\x2f\xfd" or (
        head[1:4] == b"\x2a\x4d\x18" and 0x50 <= head[0] <= 0x5F
    )


def _bzip2_magic(head: bytes) -> bool:
    # a stream's level, then a block, or at once the end of an empty stream
    return head[:3] == b"BZh" and head[4:10] in (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90")


# (name, is this its first bytes?, how every one starts, decompressor)
_FORMATS: list[tuple[str, Callable[[bytes], bool], bytes, Callable]] = [
    ("gzip", lambda head: head[:3] == b"\x1f\x8b\x08", b"\x1f\x8b\x08", _gzip),
    ("zstd", _zstd_magic, b"\x28\xb5\x2f\xfd", _zstd),
    ("bzip2", _bzip2_magic, b"BZh", _bzip2),
    ("xz", lambda head: head[:6] == b"\xfd7zXZ\x00", b"\xfd7zXZ\x00", _xz),
]
# Archives of many files: (place, the bytes there, what it is, what gets its files out).
# PKWARE's APPNOTE 4.3.7, POSIX's ustar, 7-Zip's 7zFormat.txt
_OF_MANY = [
    (0, b"PK\x03\x04", "a ZIP archive", "unzip -p"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", "7z x -so"),
    (257, b"ustar", "a tar archive", "tar -xOf"),
]
MAGIC_LENGTH = 10
MAGIC_FIRST_BYTES = b"\x1f\x28B\xfd" + bytes(range(0x50, 0x60))
_INPUT_PIECE = 64 << 10
_OUTPUT_PIECE = 256 << 10  # twice as much: zstd takes new memory from the system for each


def is_archive(head: bytes) -> bool:
    """Whether an input that starts so is one of these."""
    return any(matches(head) for _, matches, _, _ in _FORMATS)


def refuse_many(name: str, head: bytes) -> None:
    """Raises Failure for an input that starts as an archive of many files does.

    What stands between these files would be read as lines, or glued to lines.
    """
    for place, mark, kind, way in _OF_MANY:
        if head.startswith(mark, place):
            file = "FILE" if name == "-" else name
            text = f"{name}: expected lines, or an archive of one file, got {kind}"
            raise Failure(f"{text}; read what is in it from a pipe: {way} {file} | …", NO_INPUT)


def decompressed(name: str, head: bytes, chunks: Iterable[bytes]) -> Iterator[bytes] | None:
    """The content of an archive that starts with `head` and goes on with `chunks`; None for no one.

    All members of an archive are read. A truncated or damaged archive, or one followed by
    something else, raises Failure naming the input and the byte.
    """
    for format_name, matches, start, new in _FORMATS:
        if matches(head):
            return _members(name, format_name, new, itertools.chain([head], chunks))
        # a head shorter than asked for is the whole input
        if 2 <= len(head) < MAGIC_LENGTH and (start.startswith(head) or head.startswith(start)):
            raise Failure(f"{name}: truncated {format_name} data: it ends at byte {len(head)}")
    return None


def _members(name, format_name, new, chunks):
    pieces = (
        chunk[start : start + _INPUT_PIECE]
        for chunk in chunks
        for start in range(0, len(chunk), _INPUT_PIECE)
    )
    at = 0  # compressed bytes taken so far, for messages
    decompressor, begun = new(), True
    for piece in pieces:
        at += len(piece)
        while True:
            if not begun:  # between two members: padding, or the next one
                if format_name in ("gzip", "xz"):
                    piece = piece.lstrip(b"\0")
                if not piece:
                    break
                decompressor, begun = new(), True
            try:
                out = decompressor.decompress(piece, _OUTPUT_PIECE)
            except tuple(_ERRORS) as error:
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise Failure(
                    f"{name}: damaged {format_name} data at or before byte {at}: {reason}; "
                    "nothing of it was counted"
                ) from None
            if out:
                yield out
            piece = b""
            if decompressor.eof:
                piece, begun = decompressor.unused_data, False
            elif decompressor.needs_input:
                break
    if begun and not interrupt.requested():
        raise Failure(
            f"{name}: truncated {format_name} data: it ends at byte {at} inside a member; "
            "nothing of it was counted"
        )
