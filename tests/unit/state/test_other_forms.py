"""What is no JSON is called by its name, with what to do, wherever JSON is read."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile

import pytest

from pointsman.errors import Fault, Problem
from pointsman.settings import read_settings
from pointsman.state.names import Target
from pointsman.state.observed import read_pointer
from pointsman.state.other_forms import recognised
from pointsman.state.strict_json import read, read_exactly, read_schema

DOCUMENT = b'{"v": 1}'
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 812\n"


def _zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("manifest.json", DOCUMENT)
    return file.getvalue()


OTHERS = {
    "Git LFS": LFS,
    "gunzip": gzip.compress(DOCUMENT),
    "unxz": lzma.compress(DOCUMENT),
    "bunzip2": bz2.compress(DOCUMENT),
    "unzip": _zipped(),
    "unzstd": b"\x28\xb5\x2f\xfd\x04\x00",
    "Parquet": b"PAR1\x15\x04",
    "UTF-16": '{"v": 1}'.encode("utf-16"),
    "an HTML page": b"\n<!DOCTYPE html><html><body>Sign in</body></html>",
    "XML": b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    "merge conflict": b'<<<<<<< HEAD\n{"v": 1}\n=======\n{"v": 2}\n>>>>>>> other\n',
    "it is empty": b"",
}


@pytest.mark.parametrize("names,data", OTHERS.items(), ids=OTHERS)
def test_what_is_no_json_is_called_by_its_name(names: str, data: bytes) -> None:
    for reader in (read, read_exactly, read_schema):
        fault = reader(data, "p")
        assert isinstance(fault, Fault)
        assert (fault.rule, fault.path) == ("bad-json", "p")
        assert names in fault.says
    pointer = read_pointer(data, Target("grocer", "home"), "p")
    assert isinstance(pointer, Fault)
    assert names in pointer.says
    if data:
        with pytest.raises(Problem, match=names):
            read_settings(data)


@pytest.mark.parametrize("data", [DOCUMENT, b'{"v": ', b"\xff{}", b"version 2", b"<", b"[[", b" "])
def test_what_is_json_or_only_broken_keeps_its_own_sentence(data: bytes) -> None:
    assert recognised(data) == ""
