"""Moves of refs: what a killed git has left of them, and what makes them durable in a git directory of this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from pointsman.durable import sync_directories, sync_directory
from pointsman.state.objects import Oid


class Move(Struct, frozen=True):
    """The move of one ref from `was` to `new`. None: the ref does not exist."""

    ref: str
    new: Oid | None
    was: Oid | None


def rest_of(moves: Sequence[Move], now: Mapping[str, Oid]) -> list[Move] | None:
    """What a git that told of a failure has left to do; None if it did nothing.

    A git that is killed can move main, the first of all, and leave a branch that should go. A failure leaves main. A
    branch that is gone shows nothing: somebody else may have merged or closed it.
    """
    first, left = moves[0], [move for move in moves if now.get(move.ref) != move.new]
    return left if not left or (first not in left and first.new is not None) else None


# Durability: git fsyncs files (core.fsync), we fsync the directories that name them.


def sync_objects(git_dir: Path, written: set[Oid]) -> None:
    """Make the names of the objects durable, and empty the set."""
    objects = git_dir / "objects"
    if written:
        alone = [objects / oid[:2] for oid in written if (objects / oid[:2] / oid[2:]).exists()]
        sync_directories([*alone, *([objects / "pack"] if len(alone) < len(written) else [])])
        if alone:
            sync_directory(objects)
        written.clear()


def _directories(git_dir: Path, moves: Sequence[Move]) -> set[Path]:
    """All directories of the moved refs, up to the git directory."""
    return {git_dir / parent for move in moves for parent in Path(move.ref).parents}


def existing_directories(git_dir: Path, moves: Sequence[Move]) -> set[Path]:
    """Those of them that exist now."""
    return {directory for directory in _directories(git_dir, moves) if directory.is_dir()}


def sync_refs(git_dir: Path, moves: Sequence[Move], before: set[Path]) -> None:
    """Make the moved refs durable: their names, and the directories made or removed since `before`."""
    tables = git_dir / "reftable"
    if tables.is_dir():  # then refs/heads is a file; git fsyncs the tables, as it does files of refs
        sync_directories([tables])
        return
    changed = {git_dir / os.path.dirname(move.ref) for move in moves}
    changed |= {directory.parent for directory in before ^ existing_directories(git_dir, moves)}
    if any(move.new is None for move in moves):
        changed.add(git_dir)  # packed-refs is rewritten
    sync_directories(changed)
