"""Fences: the last commits of main that sync and audit worked on.

A fence is one small object beside the serving pointers, where no rewrite of main reaches. Before it is moved, the
mover checks that main still descends from its commit. It is written only where main moved, so its time tells how long
nobody was given a new commit.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping

from msgspec import Struct

from pointsman.errors import Fault, Problem
from pointsman.gate.gate import Gate
from pointsman.gate.policies import Policy
from pointsman.rules.evidence import Checkpoint
from pointsman.settings import read_settings
from pointsman.state.documents import rfc3339
from pointsman.state.objects import Oid
from pointsman.state.times import unix
from pointsman.store.base import Store

SYNCED = ".pointsman/sync.json"  # the last commit that sync began to work on
AUDITED = ".pointsman/audit.json"  # the last commit that audit has read


class Fence(Struct, frozen=True):
    """A fence as it was read: its commit, None if there is no fence yet, and the tag of the object."""

    key: str
    commit: Oid | None
    tag: str | None
    approved: Policy | None = None  # the settings and the signers that counted then, if they demand approvals
    at: int | None = None  # seconds since 1970, by the clock of a sync: when main was first seen at this commit


def read_fence(store: Store, key: str) -> Fence:
    """The fence under `key`; Problem if the object is not a fence."""
    held = store.read(key)
    if held is None:
        return Fence(key, None, None)
    approved = at = None
    try:
        document = json.loads(held.data)
        commit = document["commit"]
        if "approved" in document:
            approved = _read_policy(document["approved"])
        at = unix(str(document.get("at", "")))
    except (ValueError, TypeError, KeyError, RecursionError, AttributeError, Problem):
        commit = None
    if not isinstance(commit, str) or not re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", commit):
        raise Problem(f"{store.url}/{key} is not a file of Pointsman: delete it if main is right as it is now")
    return Fence(key, Oid(commit), held.tag, approved, at)


def rewrite_faults(gate: Gate, at: Checkpoint, fence: Fence, main: Oid) -> tuple[Fault, ...]:
    """The faults of a main that does not descend from the commit of a fence."""
    if fence.commit is None or gate.repo.grew_from(fence.commit, main):
        return ()
    seen_by = "which was synced last" if fence.key == SYNCED else "which was audited last"
    return gate.faults_of_rewrite(at, {seen_by: fence.commit})


def move_fence(
    store: Store, fence: Fence, main: Oid, approved: Policy | None = None, *, now: int | None = None
) -> None:
    """Move a fence to `main`; MovedFirst if someone else moved it since it was read.

    `approved`: what counts from then on, also if `main` should say something else without approvals. `now`: in seconds
    since 1970, for a fence that keeps when main moved. A time that is still to come is no such time.
    """
    keeps = fence.commit == main and fence.at is not None and now is not None and fence.at <= now
    at = fence.at if keeps else now
    if (fence.commit, fence.approved, fence.at) != (main, approved, at):
        document: dict[str, object] = {"v": 1, "commit": main}
        if at is not None:
            document["at"] = rfc3339(at)
        if approved is not None:
            document["approved"] = _as_document(approved)
        store.replace(fence.key, json.dumps(document).encode() + b"\n", was=fence.tag)


def _as_document(policy: Policy) -> Mapping[str, str | None]:
    signers = base64.b64encode(policy.signers).decode()
    return {"commit": policy.commit, "settings": policy.text.decode(), "signers": signers}


def _read_policy(document: Mapping[str, str]) -> Policy:
    """Raises what a document of another form raises, and Problem for settings that cannot be read."""
    text = document["settings"].encode()
    signers = base64.b64decode(document["signers"], validate=True)
    return Policy(read_settings(text), text, signers, Oid(document["commit"]))
