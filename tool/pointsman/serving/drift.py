"""What a pointer has, and how it differs from main, whoever wrote it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pointsman.errors import Fault, without_secrets
from pointsman.gate.documents import Documents
from pointsman.gate.lineage import Lineage
from pointsman.repo.snapshot import Snapshot
from pointsman.serving.outcomes import Drift
from pointsman.state.names import Target
from pointsman.state.objects import PLAIN_FILE, Entry, object_id
from pointsman.state.observed import Pointer, read_pointer
from pointsman.store.base import Held

_MOST_SHOWN = 50  # types whose difference is told
_LONGEST = 300  # characters of a name or a URI that someone else wrote


def drift(documents: Documents, head: Snapshot, target: Target, held: Held) -> Drift:
    """How a pointer that main never had differs from main."""
    there, mine = read_pointer(held.data, target, ""), documents.manifest(head, target)
    if isinstance(there, Fault):
        return Drift(False, there.says, {}, {})
    was, now = (mine.current, mine.versions) if mine is not None else ({}, {})
    slots = [slot for slot in sorted({*was, *there.current}) if was.get(slot) != there.current.get(slot)]
    slots = slots[:_MOST_SHOWN]
    changes = {slot: (now.get(slot), there.versions.get(slot)) for slot in slots}
    return Drift(
        True,
        "",
        {slot[:_LONGEST]: pair for slot, pair in changes.items() if pair[0] != pair[1]},
        {slot[:_LONGEST]: (_shown(was.get(slot)), _shown(there.current.get(slot))) for slot in slots},
    )


def versions_served(held: Held | None, target: Target) -> Mapping[str, str]:
    """Type → version of a pointer, as far as recsys-service can read it."""
    there = read_pointer(held.data, target, "") if held is not None else None
    return there.versions if isinstance(there, Pointer) else {}


def _shown(uri: str | None) -> str | None:
    """A URI without what may be a credential: user, password and, but for files, everything from "?" or "#" on."""
    if uri is None:
        return None
    return without_secrets(uri if uri.startswith("file://") else re.sub(r"(?s)[?#].*", "", uri))[:_LONGEST]


def is_manifest(entry: Entry | None, held: Held) -> bool:
    """Whether a pointer has the bytes of a plain file on main. Git's ids tell, so the file is not read."""
    return entry is not None and entry.mode == PLAIN_FILE and entry.oid == object_id("blob", held.data, len(entry.oid))


def ever_had(lineage: Lineage, data: bytes) -> bool:
    """Whether main ever had these bytes as the manifest of a target."""
    oid = object_id("blob", data, len(lineage.tip or ""))
    return any(entry is not None and entry.oid == oid for step in lineage for entry in (step.before, step.after))
