"""The targets of main: all of them, or those that names and patterns choose."""

from __future__ import annotations

from collections.abc import Iterable

from pointsman.errors import Problem
from pointsman.repo.snapshot import Snapshot
from pointsman.state.names import Pattern, Target
from pointsman.state.suggest import did_you_mean

_NAMES_SHOWN = 3


def current_targets(head: Snapshot) -> list[Target]:
    """Every target that has a manifest, sorted."""
    return sorted(
        target for target in head.targets("manifests") if "manifest.json" in head.files(f"manifests/{target}")
    )


def choose(head: Snapshot, wanted: Iterable[Target | Pattern], more: Iterable[Target] = ()) -> list[Target]:
    """The named targets, even if they do not exist, and the targets of `head` that patterns match, each once.

    `more`: others that a pattern may mean. Problem for a pattern that matches none; it names the nearest targets.
    """
    found: dict[Target, None] = {}
    every: list[Target] | None = None
    for each in wanted:
        if isinstance(each, Target):
            found[each] = None
            continue
        every = sorted({*current_targets(head), *more}) if every is None else every
        matching = [target for target in every if each.matches(target)]
        if not matching:
            raise Problem(f"no target on main matches {each}{did_you_mean(str(each), every, most=_NAMES_SHOWN)}")
        found.update(dict.fromkeys(matching))
    return list(found)
