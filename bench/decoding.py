"""Decode blobs with the project's own reader, nothing else: `python decoding.py TYPE FILE…`."""

from __future__ import annotations

import sys
from pathlib import Path

from pointsman.artifact.content import decode


def _main(artifact_type: str, *files: str) -> None:
    for file in files:
        decode(artifact_type, Path(file).read_bytes())


if __name__ == "__main__":
    _main(*sys.argv[1:])
