"""What stands where JSON should be, told by its first bytes, and what to do about it."""

from __future__ import annotations

_LFS = (
    "it is a pointer of Git LFS, not the file itself: for a file to publish run git lfs pull; "
    "a file of this repository must not be tracked by LFS: git lfs untrack it, git add --renormalize ., and commit"
)
_UNPACK = "it is packed with {}, not JSON: unpack it first ({})"
_TELL = "so a server or a proxy answered in place of the store: look what stands there, and fetch it again"
_FORMS: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs.github.com/spec/", _LFS),
    (b"\x1f\x8b", _UNPACK.format("gzip", "gunzip")),
    (b"\x28\xb5\x2f\xfd", _UNPACK.format("zstd", "unzstd")),
    (b"\xfd7zXZ\x00", _UNPACK.format("xz", "unxz")),
    (b"BZh", _UNPACK.format("bzip2", "bunzip2")),
    (b"PK\x03\x04", _UNPACK.format("zip", "unzip")),
    (b"PAR1", "it is a Parquet file, not JSON: write the artifact as JSON"),
    (b"\xff\xfe", "it is UTF-16, not UTF-8: save it as UTF-8"),
    (b"\xfe\xff", "it is UTF-16, not UTF-8: save it as UTF-8"),
    (b"<<<<<<< ", "it has the marks of a merge conflict: resolve it, and commit the file again"),
)
_MARKUP = (("<!doctype html", "an HTML page"), ("<html", "an HTML page"), ("<?xml", "XML"), ("<error", "XML"))


def recognised(data: bytes) -> str:
    """What these bytes are and what to do; "" if they are nothing that is known, JSON included."""
    if not data:
        return "it is empty, not JSON: write it again"
    for magic, says in _FORMS:
        if data.startswith(magic):
            return says
    head = data[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for tag, kind in _MARKUP:
        if head.startswith(tag.encode()):
            return f"it is {kind}, not JSON, {_TELL}"
    return ""
