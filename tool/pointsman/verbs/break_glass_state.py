"""Which earlier state break-glass puts back, of those that sync left."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pointsman.errors import Problem
from pointsman.history.times import read_time
from pointsman.patterns import pattern
from pointsman.serving.states import State, left_of, read_states, state_key
from pointsman.state.claim import Claim
from pointsman.state.documents import Manifest
from pointsman.state.names import Target, short
from pointsman.state.suggest import did_you_mean
from pointsman.store.base import Held, Store

_HEX = pattern(r"[0-9a-f]{7,64}")


def states_at(store: Store, root: str, target: Target) -> list[State]:
    """What sync left of a target, newest first; Problem if it left nothing, with the nearest of which it did."""
    held = store.read(state_key(target))
    if held is None:
        near = did_you_mean(str(target), left_of(store), most=3, always=False)
        says = near or ": sync leaves them with each pointer that it writes"
        raise Problem(f"{root} has no earlier states of {target}{says}")
    if not (states := read_states(held.data)):
        says = "somebody else wrote it; sync writes it anew with the next pointer of this target"
        raise Problem(f"{root}/{state_key(target)} cannot be read as states: {says}")
    return states


def choose(target: Target, states: Sequence[State], held: Held | None, to: str | None, claim: Claim | None) -> State:
    """The state that `to` names; else that of an open claim, which is then finished; else the one before the pointer's.

    A pointer that is none of the states was written by somebody else: then the newest.
    """
    if to is not None:
        return _named(target, states, to)
    if claim is not None and (claimed := [each for each in states if each.sha256 == claim.to]):
        return claimed[0]
    here = [place for place, each in enumerate(states) if held is not None and each.manifest == held.data]
    if not here:
        return states[0]
    if here[0] + 1 == len(states):
        raise Problem(f"{target} has no earlier state there than the one that serving has: {_known(states)}")
    return states[here[0] + 1]


def manifest_of(target: Target, state: State) -> Manifest:
    """The manifest of a state; Problem if it cannot be read."""
    manifest = state.read(target)
    if manifest is None:
        raise Problem(f"the state of {short(state.commit)} cannot be read: choose another with --to")
    return manifest


def taken_out(states: Sequence[State], state: State) -> frozenset[bytes]:
    """The manifests that were there after this state."""
    return frozenset(each.manifest for each in states[: states.index(state)]) - {state.manifest}


def follow(target: Target, states: Sequence[State], held: Held | None, out: Collection[bytes]) -> State:
    """The state of a ring after another one in which these were taken out: what it has, or else its newest of the rest.

    So a ring that never had what was taken out stays as it is.
    """
    rest = [each for each in states if each.manifest not in out]
    if not rest:
        raise Problem(f"all states of {target} there were taken out in the ring before: {_known(states)}")
    return next((each for each in rest if held is not None and each.manifest == held.data), rest[0])


def _named(target: Target, states: Sequence[State], to: str) -> State:
    if _HEX.fullmatch(to):
        found = [each for each in states if each.commit.startswith(to) or _has(target, each, to)]
    else:
        moment = read_time(to)
        if moment is None:
            raise Problem(f"{to} is no commit, version or time: {_known(states)}")
        found = [each for each in states if (read_time(each.at) or 0) <= moment]
    if not found:
        raise Problem(f"no state of {target} there is {to}: {_known(states)}")
    return found[0]


def _has(target: Target, state: State, version: str) -> bool:
    manifest = state.read(target)
    return manifest is not None and any(each.startswith(version) for each in manifest.versions.values())


def _known(states: Sequence[State]) -> str:
    return "known are " + ", ".join(f"{short(each.commit)} of {each.at}" for each in states)
