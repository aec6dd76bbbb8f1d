"""What whoever points to a version owes gc: its record stands, so wait for markers, and look that the blob is there.

Only then is it safe to point to it (docs/decisions/0014). Usually this is one empty listing and the look that a proof
of the blobs is anyway.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from pointsman.errors import Problem
from pointsman.gate.gate import Gate
from pointsman.progress import SILENCE, Progress
from pointsman.repo.snapshot import Snapshot
from pointsman.retention import owners
from pointsman.retention.markers import wait_for_markers
from pointsman.retention.trash import put_back_missing
from pointsman.state.documents import version_in
from pointsman.store.open import open_store
from pointsman.store.vacant import is_vacant


def make_sure(gate: Gate, head: Snapshot, uris: Iterable[str], progress: Progress = SILENCE) -> None:
    """Wait while gc may be taking one of these blobs, then put back from the trash what is missing."""
    settings = gate.settings(head)
    mine = [uri for uri in uris if uri.startswith(f"{settings.store}/")]
    versions = {version for uri in mine if (version := version_in(uri)) is not None}
    if not versions or gate.blobs.offline:
        return
    store = open_store(settings.store, settings.access)
    if not is_vacant(settings.store):  # nothing is made where a store is not mounted
        with contextlib.suppress(Problem):  # a rollback must not wait for this; what stops it, stops the next step, too
            owners.own_unless_known(store, gate.repo)
    wait_for_markers(store, versions)
    put_back_missing(gate.blobs, head, settings, mine, progress)
