"""The last part of the name of a branch: twelve digits that say what its pull request does, wherever it is built."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from pointsman.state.documents import Hold
from pointsman.state.message import Said
from pointsman.state.names import branch_place, short
from pointsman.state.objects import Oid


def digits_of(keys: Sequence[str]) -> str:
    """The digits of one pull request, from the key of each of its targets."""
    return short(sha256("\n".join(keys).encode()).hexdigest())


def ship_key(said: Said) -> str:
    """What a ship makes of one target."""
    return f"{said.target}\n" + "\n".join(said.rebuildable)


def hold_branch(target: str) -> str:
    """The branch of the one pull request that sets or releases the hold on a target, or on "all"."""
    return f"hold/{branch_place(target)}/{digits_of([f'hold {target}'])}"


def held_key(key: str, hold: Hold) -> str:
    """The key of a restore, "" if there is none, that comes with a hold."""
    return f"{key} hold {hold.target} {hold.reason}"


def restore_key(said: Said, manifest: Oid | None) -> str:
    """What a restore makes of one target. `manifest`: the blob, if a whole state is restored."""
    versions = ", ".join(f"{slot} {version}" for slot, version in sorted(said.restores.items()))
    return f"{said.target} {versions or manifest} {said.supersedes}"
