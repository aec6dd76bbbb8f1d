"""Fences: what of main was dealt with last, kept beside the serving pointers, where no rewrite of main reaches.

A fence is one small object in the store. Whoever moves it proves first that main still descends from where it stands.
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

SYNCED = ".pointsman/sync.json"  # the last commit that sync began to mirror
AUDITED = ".pointsman/audit.json"  # the last commit that audit has read up to


@dataclass(frozen=True, slots=True)
class Fence:
    """One fence as it was read: the commit it stands at, None for none yet, and the tag of what was read."""

    key: str
    commit: Oid | None
    tag: str | None


def read_fence(store: Store, key: str) -> Fence:
    """The fence under `key`; Problem for a file that is none."""
    held = store.read(key)
    if held is None:
        return Fence(key, None, None)
    try:
        commit = json.loads(held.data)["commit"]
    except (ValueError, TypeError, KeyError, RecursionError):
        commit = None
    if not isinstance(commit, str) or not re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", commit):
        raise Problem(f"{store.url}/{key} is not Pointsman's own file: delete it if main may be taken as it is now")
    return Fence(key, Oid(commit), held.tag)


def behind(gate: Gate, at: Checkpoint, fence: Fence, main: Oid) -> tuple[Fault, ...]:
    """The faults of a main that does not descend from the commit that a fence stands at."""
    if fence.commit is None or gate.repo.grew_from(fence.commit, main):
        return ()
    seen_by = "which was synced last" if fence.key == SYNCED else "which was audited last"
    return gate.faults_of_rewrite(at, {seen_by: fence.commit})


def move_fence(store: Store, fence: Fence, main: Oid) -> None:
    """Let a fence stand at `main`; MovedFirst if someone moved it since it was read."""
    if fence.commit != main:
        data = json.dumps({"v": 1, "commit": main}).encode() + b"\n"
        store.replace(fence.key, data, was=fence.tag)
