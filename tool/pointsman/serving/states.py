"""States: the last good manifests of each target, left beside the pointers for the day on which git cannot be reached.

Sync writes them before the pointer. So the newest state is what serving has, or is about to have.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import asdict

from pointsman.gate.lineage import Lineage, Step
from pointsman.patterns import pattern
from pointsman.state.documents import Manifest, read_manifest, rfc3339
from pointsman.state.names import Target
from pointsman.state.objects import Oid
from pointsman.state.strict_json import read
from pointsman.store.base import Store

_DIRECTORY = ".pointsman/states/"
_LEAST, _MOST = 2, 100  # states of a target, whatever [retention] keep_ships says
_COMMIT = pattern(r"[0-9a-f]{40}([0-9a-f]{24})?")


class State(Struct, frozen=True):
    """A manifest that main had in good order, the commit that made it, and its time (RFC 3339, UTC)."""

    commit: Oid
    at: str
    manifest: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.manifest).hexdigest()

    def read(self, target: Target) -> Manifest | None:
        """The manifest; None if nobody can read it."""
        found = read_manifest(self.manifest, target.manifest_path)
        return found if isinstance(found, Manifest) else None


def state_key(target: Target) -> str:
    """The key of the states of a target below the root of a place."""
    return f"{_DIRECTORY}{target.tenant}/{target.surface}.json"


def left_of(store: Store) -> list[str]:
    """The targets of which a place has states, as far as their keys say so."""
    return [key.removeprefix(_DIRECTORY).removesuffix(".json") for key in store.keys(_DIRECTORY, 2)]


def read_states(data: bytes) -> list[State]:
    """The states in an object, newest first; none if it is none of ours."""
    document = read(data, "")
    found = document.get("states") if isinstance(document, dict) and document.get("v") == 1 else None
    states = []
    for each in found if isinstance(found, list) else ():
        texts = [each.get(name) for name in ("commit", "at", "manifest")] if isinstance(each, dict) else [None]
        if not all(isinstance(text, str) for text in texts) or not _COMMIT.fullmatch(str(texts[0])):
            return []
        commit, at, manifest = map(str, texts)
        states.append(State(Oid(commit), at, manifest.encode()))
    return states


def leave_states(store: Store, lineage: Lineage, keep: int, newest: Step | None = None) -> None:
    """Write the last good states of a target. MovedFirst if somebody else did meanwhile.

    `newest`: what a ring is given, if that is not for main to say. What it was never given then counts only at first.
    """
    held = store.read(state_key(lineage.target))
    known = read_states(held.data) if held is not None else []
    states = _newest(lineage, known, min(max(keep, _LEAST), _MOST), newest)
    if states != known:
        store.replace(state_key(lineage.target), _render(lineage.target, states), was=held.tag if held else None)


def _newest(lineage: Lineage, known: Sequence[State], most: int, newest: Step | None) -> list[State]:
    """The newest good states, none of which a restore took out. What is known of them already is not judged again."""
    found: list[State] = []
    skipped_to: bytes | None = None  # a restore to these bytes took out all in between
    for state, goes_back in _good(lineage, known, newest):
        if skipped_to is not None and state.manifest != skipped_to:
            continue
        skipped_to = state.manifest if goes_back else None
        if all(state.manifest != each.manifest for each in found):
            found.append(state)
        if len(found) == most:
            break
    else:
        if skipped_to is not None and known:  # what it went back to is older than what is known
            return _newest(lineage, (), most, newest)
    return found


def _good(lineage: Lineage, known: Sequence[State], newest: Step | None) -> Iterator[tuple[State, bool]]:
    """Each good state, newest first, and whether its commit went back to an older one."""
    for step in lineage.since(newest.place if newest is not None else 0):
        if known and (step.commit.oid == known[0].commit or (newest is not None and step is not newest)):
            yield from ((state, False) for state in known)
            return
        data = lineage.repo.content(step.after)
        state = State(step.commit.oid, rfc3339(step.commit.time), data) if data is not None else None
        if state is not None and step.is_good and state.read(lineage.target) is not None:
            yield state, _goes_back(step)


def _goes_back(step: Step) -> bool:
    """Whether a step has the bytes of an older one."""
    return not step.is_ship and any(step.lineage.leaving(step.after, step.place + 1))


def _render(target: Target, states: Sequence[State]) -> bytes:
    told = [{"commit": each.commit, "at": each.at, "manifest": each.manifest.decode()} for each in states]
    return json.dumps({"v": 1, "target": str(target), "states": told}, indent=1).encode() + b"\n"


class Left(Struct, frozen=True):
    """What sync leaves of the settings, for commands that have no checkout. No secret, and no word of it is trusted."""

    place: str
    stores: tuple[str, ...] = ()  # where the blobs are that manifests of this place point to
    invalidate: tuple[str, ...] = ()
    allowed_signers: str = ""  # the text of main's file


LEFT_KEY = ".pointsman/break-glass.json"


def leave_settings(store: Store, left: Left) -> None:
    """Write the copy of the settings where it differs. MovedFirst if somebody else did meanwhile."""
    held = store.read(LEFT_KEY)
    data = json.dumps({"v": 1, **asdict(left)}, indent=1).encode() + b"\n"
    if held is None or held.data != data:
        store.replace(LEFT_KEY, data, was=held.tag if held else None)


def read_left(store: Store) -> Left:
    """The copy of the settings; an empty one if there is none."""
    held = store.read(LEFT_KEY)
    document = read(held.data, "") if held is not None else None
    if not isinstance(document, dict):
        return Left("")
    place, signers = (str(document.get(name, "")) for name in ("place", "allowed_signers"))
    stores, urls = (tuple(map(str, document.get(name) or ())) for name in ("stores", "invalidate"))
    return Left(place, stores, urls, signers)
