"""The pointers that serving reads, and how they differ from main."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pointsman.gate.documents import Documents
from pointsman.gate.lineage import Lineage
from pointsman.repo.snapshot import Snapshot
from pointsman.settings import Settings
from pointsman.state.documents import Manifest, read_manifest
from pointsman.state.names import Target
from pointsman.state.objects import object_id
from pointsman.store.base import Held, Store
from pointsman.store.parallel import ask_all
from pointsman.struct import struct


@struct(frozen=True)
class Drift:
    """How a pointer that someone wrote by hand differs from main."""

    readable: bool
    changes: Annotated[Mapping[str, tuple[str | None, str | None]], "type → version on main and in serving"]


def pointers(store: Store, settings: Settings) -> Iterator[tuple[Target, Held]]:
    """The pointers that serving has, with their targets."""
    found = {key: settings.serving_target(key) for key in store.keys("", settings.serving_depth)}
    keys = [key for key, target in found.items() if target is not None]
    for key, held in zip(keys, ask_all(store.read, keys, at_once=store.at_once), strict=True):
        if (target := found[key]) is not None and held is not None:
            yield target, held


def drift(documents: Documents, head: Snapshot, target: Target, held: Held) -> Drift:
    """How a pointer that main never had differs from main."""
    there, mine = read_manifest(held.data, ""), documents.manifest(head, target)
    served = there.versions if isinstance(there, Manifest) else {}
    wanted = mine.versions if mine is not None else {}
    slots = (slot for slot in sorted({*wanted, *served}) if wanted.get(slot) != served.get(slot))
    return Drift(isinstance(there, Manifest), {slot: (wanted.get(slot), served.get(slot)) for slot in slots})


def ever_had(lineage: Lineage, data: bytes) -> bool:
    """Whether main ever had these bytes as the manifest of a target."""
    oid = object_id("blob", data, len(lineage.tip or ""))
    return any(entry is not None and entry.oid == oid for step in lineage for entry in (step.before, step.after))
