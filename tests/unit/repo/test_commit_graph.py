"""Whether there are path filters: files that are damaged, or none, have none."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pointsman.repo.commit_graph import has_path_filters


def instead(path: Path, make: Callable[[Path], None]) -> None:
    path.unlink()
    make(path)


GRAPH = b"CGPH\1\1\1\0" + b"BIDX" + bytes(8)
DAMAGED: dict[str, Callable[[Path, Path], object]] = {
    "no text": lambda chain, _: chain.write_bytes(b"\xff\xfe"),
    "a NUL": lambda chain, _: chain.write_bytes(b"a\0b"),
    "too long": lambda chain, _: chain.write_text("one\n" * 20_000),
    "a pipe": lambda chain, _: instead(chain, os.mkfifo),
    "a pipe as its file": lambda _, graph: instead(graph, os.mkfifo),
    "a directory as its file": lambda _, graph: instead(graph, os.mkdir),
}


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    graphs = tmp_path / "objects" / "info" / "commit-graphs"
    graphs.mkdir(parents=True)
    (graphs / "graph-one.graph").write_bytes(GRAPH)
    (graphs / "commit-graph-chain").write_text("one\n")
    return graphs / "commit-graph-chain"


def test_there_are_filters_where_each_file_has_them(tmp_path: Path, chain: Path) -> None:
    assert has_path_filters(tmp_path)
    chain.write_text("one\ntwo\n")
    assert not has_path_filters(tmp_path)


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED.keys())
def test_what_is_damaged_has_none(tmp_path: Path, chain: Path, damage: Callable[[Path, Path], object]) -> None:
    damage(chain, chain.with_name("graph-one.graph"))
    assert not has_path_filters(tmp_path)
