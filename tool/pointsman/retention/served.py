"""The versions that serving names, or may name soon: of pointers, claims, rings, and recsys-pipelines' own pointers.

gc asks again before each batch. Only what has another tag is read again.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from functools import partial
from itertools import islice

from msgspec import Struct, field

from pointsman.gate.gate import Gate
from pointsman.patterns import pattern
from pointsman.repo.snapshot import Snapshot
from pointsman.serving.claims import open_claims
from pointsman.serving.drift import is_manifest
from pointsman.serving.pointers import open_place, pointers
from pointsman.settings import Settings
from pointsman.state.names import Target
from pointsman.state.objects import Oid
from pointsman.state.place import Place
from pointsman.store.base import Held, Store
from pointsman.store.open import open_store
from pointsman.store.parallel import ask_all

_HEX = pattern("[0-9A-Fa-f]{64}")
_PIPELINES = "registry/current"  # below the blobs: where recsys-pipelines keeps its pointers if nobody says otherwise


def versions_named(data: bytes) -> frozenset[str]:
    """Every run of 64 hex digits in a document, also in what JSON writes in another way. Nothing is judged."""
    text = data.decode("utf-8", "replace")
    with contextlib.suppress(ValueError, RecursionError):
        text += json.dumps(json.loads(text), ensure_ascii=False)
    return frozenset(found.lower() for found in _HEX.findall(text))


def places(settings: Settings) -> Iterator[Place]:
    """Every place whose pointers count: those that serving reads, and the one of recsys-pipelines beside the blobs."""
    yield from settings.serving
    template = f"{settings.store}/{_PIPELINES}/{{tenant}}/{{surface}}/manifest.json"
    if all(place.manifest != template for place in settings.serving):
        yield Place("", template, settings.access)


class Served(Struct):
    """What serving named when it was looked at last."""

    _known: dict[str, tuple[str | None, frozenset[str]]] = field(default_factory=dict)  # URL → tag, what it names

    def look(self, settings: Settings) -> set[str]:
        """Every version that a pointer or a claim names now. Unreachable if one cannot be read."""
        known, self._known = self._known, {}
        for place in places(settings):
            store = open_place(place)
            found = store.tags(place.depth, (), place.file)
            tags = {key: tag for key, tag in found.items() if place.target(key) is not None}
            unread = []
            for key, tag in tags.items():
                was = known.get(f"{store.url}/{key}")
                if was is not None and tag is not None and was[0] == tag:
                    self._known[f"{store.url}/{key}"] = was
                else:
                    unread.append(key)
            for key, names in zip(unread, ask_all(partial(_read, store), unread, at_once=store.at_once), strict=True):
                self._known[f"{store.url}/{key}"] = tags[key], names
        claims = (versions_named(data) for _, _, data in open_claims(settings))
        return set().union(*(names for _, names in self._known.values()), *claims)


def waiting(gate: Gate, settings: Settings, main: Oid) -> set[str]:
    """The versions of every state of main that is newer than what some ring has: it may be given each of them still."""
    head, found = Snapshot(gate.repo, main), set[str]()
    for ring in settings.rings:
        for target, held in pointers(open_place(ring.place), ring.place):
            if isinstance(held, Held) and not is_manifest(head.entry(target.manifest_path), held):
                lineage = gate.lineage(main, target)
                has = lineage.having(held.data)
                newer = islice(lineage, has.place if has is not None else None)
                found.update(version for step in newer for version in step.versions.values())
    return found


def claimed(settings: Settings) -> set[Target]:
    """The targets that somebody claims at one of the places: whatever a claim says, nothing retired of them goes."""
    return {target for _, target, _ in open_claims(settings)}


def recorded_by_pipelines(settings: Settings) -> set[str]:
    """The versions that recsys-pipelines recorded beside a place's pointers, but for those beside the blobs."""
    found: set[str] = set()
    for place in settings.serving:
        above, _, name = place.root.rpartition("/")
        if name == "current" and above != f"{settings.store}/registry" and above.count("/") > 2:
            keys = open_store(above, place.access).keys("records/", 4)
            found.update(key[-69:-5] for key in keys if _HEX.fullmatch(key[-69:-5]))
    return found


def _read(store: Store, key: str) -> frozenset[str]:
    held = store.read(key)
    return versions_named(held.data) if held is not None else frozenset()
