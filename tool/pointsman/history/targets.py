"""Which targets are meant: those that are named, and those of main that a pattern matches."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from pointsman.errors import Problem
from pointsman.repo.snapshot import Snapshot
from pointsman.state.names import Pattern, Target
from pointsman.state.paths import is_target

_SHOWN = 3


def current_targets(head: Snapshot) -> list[Target]:
    """Every target that has a manifest, sorted."""
    return sorted(
        Target(tenant, surface)
        for tenant in head.names("manifests")
        for surface in head.names(f"manifests/{tenant}")
        if is_target(tenant, surface) and "manifest.json" in head.files(f"manifests/{tenant}/{surface}")
    )


def choose(head: Snapshot, wanted: Iterable[Target | Pattern]) -> list[Target]:
    """The targets named, whether there are any such or not, and those of `head` that patterns match, each once.

    Problem for a pattern that matches none, with the nearest.
    """
    found: dict[Target, None] = {}
    every: list[Target] | None = None
    for each in wanted:
        if isinstance(each, Target):
            found[each] = None
            continue
        every = current_targets(head) if every is None else every
        matching = [target for target in every if each.matches(target)]
        if not matching:
            raise Problem(f"no target on main matches {each}{nearest(str(each), every)}")
        found.update(dict.fromkeys(matching))
    return list(found)


def nearest(text: str, known: Sequence[object]) -> str:
    """ "; the nearest are …" for what may have been meant, "" where there is nothing."""
    every = list(map(str, known))
    near = difflib.get_close_matches(text, every, n=_SHOWN, cutoff=0.3) or every[:_SHOWN]
    return f"; the nearest {'are' if len(near) > 1 else 'is'} {', '.join(near)}" if near else ""
