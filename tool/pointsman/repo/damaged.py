"""Branches that an origin tells and cannot give, because what they point to is missing or damaged there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pointsman.patterns import pattern
from pointsman.repo.moves import Move
from pointsman.state.objects import Oid

_DAMAGE = pattern(r"not our ref|corrupt|bad (?:tree |tag )?object|unable to read [0-9a-f]{40}|all necessary objects")


def is_damage(says: str) -> bool:
    """Whether git says of a fetch that objects are missing or damaged, and not that nobody answers."""
    return _DAMAGE.search(says) is not None


def fetch_apart(fetch: Callable[[Sequence[str]], str], refs: Sequence[str]) -> dict[str, str]:
    """Fetch refs, as many together as can be: what git says of each that cannot be had.

    `fetch`: what git says of the damage, "" if it got them all. Git names the objects of a damaged branch, and not the
    branch, so it is searched for by halves.
    """
    says = fetch(refs) if refs else ""
    if not says:
        return {}
    if len(refs) == 1:
        return {refs[0]: says}
    half = len(refs) // 2
    return fetch_apart(fetch, refs[:half]) | fetch_apart(fetch, refs[half:])


def left_out(says: str) -> str:
    """What is told of a branch of which git says that on a fetch."""
    told = f"is left out, because the origin has it and cannot give it ({says})"
    return f"{told}: delete it there, or repair the origin, where git fsck shows the damage"


def damaged(branch: str, says: str) -> str:
    """What is told of a branch whose objects are missing in the repository itself."""
    return (
        f"{branch} is left out, because it cannot be read ({says}): delete it, or repair it, git fsck shows the damage"
    )


def not_taken(rejected: str, moves: Sequence[Move], now: Mapping[str, Oid]) -> str:
    """Why an origin with damaged branches took no push, and what its git deleted all the same; "" if it is not so."""
    if "missing necessary objects" not in rejected:
        return ""
    gone = [f"{move.ref} at {move.was}" for move in moves if move.new is None and move.ref not in now]
    lost = f". Its git deleted {' and '.join(gone)} all the same: push that again then" if gone else ""
    return f"objects of its own are missing there ({rejected}): repair it, git fsck there shows which{lost}"
