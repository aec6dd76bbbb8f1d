"""Claims: what break-glass says of a target while git cannot be reached, beside the pointers that it is about."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Problem
from pointsman.serving.pointers import open_place
from pointsman.settings import Settings
from pointsman.state.names import Target
from pointsman.state.place import Place

DIRECTORY = ".pointsman/claims/"


def every_claim(settings: Settings) -> Iterator[tuple[Place, Target, bytes]]:
    """The bytes of every claim at every place, whether it holds or not. Unreachable if a place cannot be listed."""
    for place in settings.serving:
        store = open_place(place)
        for key in store.keys(DIRECTORY, 2):
            target, held = _target_of(key), store.read(key)
            if target is not None and held is not None:
                yield place, target, held.data


def claim_key(target: Target) -> str:
    """The key of the claim of a target below the root of a place."""
    return f"{DIRECTORY}{target.tenant}/{target.surface}.json"


def _target_of(key: str) -> Target | None:
    tenant, _, name = key.removeprefix(DIRECTORY).partition("/")
    try:
        return Target(tenant, name.removesuffix(".json")) if name.endswith(".json") else None
    except Problem:
        return None
