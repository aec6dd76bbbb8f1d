"""Fences: the last commits of main that sync and audit worked on.

A fence is one small object beside the serving pointers, where no rewrite of main reaches. Before it is moved, the
mover checks that main still descends from its commit.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from pointsman.errors import Fault, Problem
from pointsman.gate.gate import Gate
from pointsman.rules.evidence import Checkpoint
from pointsman.state.objects import Oid
from pointsman.store.base import Store

SYNCED = ".pointsman/sync.json"  # the last commit that sync began to work on
AUDITED = ".pointsman/audit.json"  # the last commit that audit has read


@dataclass(frozen=True, slots=True)
class Fence:
    """A fence as it was read: its commit, None if there is no fence yet, and the tag of the object."""

    key: str
    commit: Oid | None
    tag: str | None


def read_fence(store: Store, key: str) -> Fence:
    """The fence under `key`; Problem if the object is not a fence."""
    held = store.read(key)
    if held is None:
        return Fence(key, None, None)
    try:
        commit = json.loads(held.data)["commit"]
    except (ValueError, TypeError, KeyError, RecursionError):
        commit = None
    if not isinstance(commit, str) or not re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", commit):
        raise Problem(f"{store.url}/{key} is not a file of Pointsman: delete it if main is right as it is now")
    return Fence(key, Oid(commit), held.tag)


def rewrite_faults(gate: Gate, at: Checkpoint, fence: Fence, main: Oid) -> tuple[Fault, ...]:
    """The faults of a main that does not descend from the commit of a fence."""
    if fence.commit is None or gate.repo.grew_from(fence.commit, main):
        return ()
    seen_by = "which was synced last" if fence.key == SYNCED else "which was audited last"
    return gate.faults_of_rewrite(at, {seen_by: fence.commit})


def move_fence(store: Store, fence: Fence, main: Oid) -> None:
    """Move a fence to `main`; MovedFirst if someone else moved it since it was read."""
    if fence.commit != main:
        data = json.dumps({"v": 1, "commit": main}).encode() + b"\n"
        store.replace(fence.key, data, was=fence.tag)
