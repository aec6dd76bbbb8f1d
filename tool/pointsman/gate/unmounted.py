"""A `file://` store that is not mounted: an empty directory in its place, while main has records of blobs in it.

Whoever would go on would make a second store there in silence, or say of every blob that it is lost.
"""

from __future__ import annotations

from pointsman.errors import Unreachable
from pointsman.gate.documents import Documents
from pointsman.repo.snapshot import Snapshot
from pointsman.settings import Settings
from pointsman.state.place import Place
from pointsman.store.vacant import is_vacant


def unmounted(documents: Documents, head: Snapshot, settings: Settings) -> str:
    """What is wrong with a store that is empty although main has records of blobs in it; "" if nothing is.

    `settings`: those that count. Main is looked at only if the store is empty. Without former stores every record is
    of a blob in it. With them that is certain only of what the manifests point to.
    """
    if not is_vacant(settings.store):
        return ""
    if settings.former:
        has = any(
            uri.startswith(f"{settings.store}/")
            for target in head.targets("manifests")
            if (manifest := documents.manifest(head, target)) is not None
            for uri in manifest.current.values()
        )
    else:
        has = next(head.targets("registry"), None) is not None
    if not has:
        return ""
    path = settings.store.removeprefix("file://")
    return (
        f"no blob is in {settings.store}, but main has records of blobs there: is it mounted? Mount it and run the "
        f"command again. If it is really lost, make a directory for one of its tenants (mkdir -p {path}/<tenant>) and "
        "publish again"
    )


def require_mounted(documents: Documents, head: Snapshot, settings: Settings) -> None:
    """Unreachable if the store is not mounted, as far as that can be told."""
    if says := unmounted(documents, head, settings):
        raise Unreachable(says)


def serves_from_store(settings: Settings, place: Place) -> bool:
    """Whether the pointers of a place stand below the store of the blobs, and not in a store of their own."""
    return f"{place.root}/".startswith(f"{settings.store}/")
