"""Templates as they were compiled before, kept where Python keeps the compiled modules of this package.

Whoever can write there can replace what Python itself runs. Where nothing can be kept, each process compiles anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import sys
from pathlib import Path

import jinja2
from jinja2.bccache import Bucket

from pointsman.files import write_new

_MADE_BY = (__file__, os.path.join(os.path.dirname(__file__), "html.py"))  # what a compiled template depends on


class Compiled(jinja2.BytecodeCache):
    """One file for each template. It counts only for the same text, and for the same jinja and settings of it."""

    def load_bytecode(self, bucket: Bucket) -> None:
        """What was kept of a template, if it is whole and of the same text."""
        try:
            with open(_file(bucket.key), "rb") as file:
                bucket.load_bytecode(file)
        except Exception:  # noqa: BLE001 - there is none, or none that pickle can read, which raises anything
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep a template, whole or not at all."""
        if sys.dont_write_bytecode:
            return
        path = _file(bucket.key)
        new = path.with_name(f"{path.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                write_new(new, bucket.bytecode_to_string())
                new.replace(path)
            except OSError:
                new.unlink()

    def get_cache_key(self, name: str, filename: str | None = None) -> str:
        """The name of a template of ours is one."""
        return name

    def get_source_checksum(self, source: str) -> str:
        """Of all that a compiled template depends on."""
        texts = [source, jinja2.__version__, *(Path(each).read_text("utf-8") for each in _MADE_BY)]
        return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def _file(name: str) -> Path:
    return Path(importlib.util.cache_from_source(os.path.join(os.path.dirname(__file__), f"{name}.py")))
