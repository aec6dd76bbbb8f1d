"""Git's commit-graph. With path filters in it, git finds the commits of one path without reading all others.

Source of the format: gitformat-commit-graph(5).
"""

from __future__ import annotations

from pathlib import Path

from pointsman.files import open_file, read_file

WRITE = "git commit-graph write --reachable --changed-paths"
_HEADER = 8  # bytes: signature, version, version of the hash, number of chunks, number of base graphs
_CHUNK = 12  # bytes: the name and the place of a chunk
_FILTERS = b"BIDX"
_LONGEST_CHAIN = 1 << 16  # bytes; git merges the files of a chain long before


def has_path_filters(git_dir: Path) -> bool:
    """Whether a repository has a commit-graph with changed-path filters in each of its files."""
    info = git_dir / "objects" / "info"
    try:
        chain = read_file(info / "commit-graphs" / "commit-graph-chain", _LONGEST_CHAIN).decode("ascii").split()
        files = [info / "commit-graphs" / f"graph-{name}.graph" for name in chain]
    except FileNotFoundError:
        files = [info / "commit-graph"]
    except (OSError, UnicodeDecodeError):
        return False
    try:
        return all(_FILTERS in _chunks(file) for file in files)
    except (OSError, ValueError):  # a name with a NUL in it is no name
        return False


def _chunks(file: Path) -> list[bytes]:
    """The names of a file's chunks."""
    fd, _ = open_file(file)
    with open(fd, "rb") as stream:
        header = stream.read(_HEADER)
        count = header[6] if header[:4] == b"CGPH" and len(header) == _HEADER else 0
        table = stream.read(_CHUNK * count)
    return [table[place : place + 4] for place in range(0, len(table), _CHUNK)]
