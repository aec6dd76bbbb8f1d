"""Tells of targets that are new and look like a slip of the pen for one that is there. It stops nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pointsman.repo.snapshot import Snapshot
from pointsman.state.names import Target
from pointsman.state.suggest import is_slip

_MOST_NEW = 20  # who brings more new targets at once did not mistype them


def resembling(base: Snapshot, targets: Iterable[Target]) -> list[str]:
    """A line for each target that main does not know, and that resembles one that it knows."""
    new = [
        target
        for target in targets
        if base.entry(target.manifest_path) is None and base.entry(f"registry/{target}") is None
    ]
    if not 0 < len(new) <= _MOST_NEW:
        return []
    tenants = base.names("manifests")
    found = ((target, next(_near(base, tenants, target), None)) for target in new)
    return [f"{target} is new here and resembles {near}: did you mean that one?" for target, near in found if near]


def _near(base: Snapshot, tenants: list[str], target: Target) -> Iterator[str]:
    for tenant in tenants:
        if tenant == target.tenant or is_slip(target.tenant, tenant):
            for surface in base.names(f"manifests/{tenant}"):
                if is_slip(target.surface, surface) or (surface == target.surface and tenant != target.tenant):
                    yield f"{tenant}/{surface}"
