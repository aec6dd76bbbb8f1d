"""Recorded versions: where the records of a version stand on main, found by the first digits of its name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pointsman.errors import Problem
from pointsman.repo.snapshot import Snapshot
from pointsman.state.names import Target, is_name, is_version
from pointsman.state.paths import is_target

_FEWEST = 4  # digits
_SHOWN = 3


@dataclass(frozen=True, slots=True, order=True)
class Recorded:
    """One recorded version. Its name is the hash of what names its target and type, so it has one place."""

    version: str
    target: Target
    slot: str


def find_version(head: Snapshot, text: str) -> Recorded:
    """The one recorded version that begins with `text`; Problem, with the nearest, if there is none or several."""
    if not re.fullmatch(r"[0-9a-f]{4,64}", text):
        raise Problem(f"{text!r} is no version: give at least {_FEWEST} of its 64 hex digits")
    found = [each for each in recorded(head) if each.version.startswith(text)]
    if len(found) == 1:
        return found[0]
    if found:
        some = ", ".join(f"{each.version[:12]} ({each.target} {each.slot})" for each in sorted(found)[:_SHOWN])
        raise Problem(
            f"{text} begins {len(found)} versions: {some}{' …' if len(found) > _SHOWN else ''}: give more digits"
        )
    raise Problem(f"no version {text} is recorded here{_nearest(head, text)}")


def recorded(head: Snapshot) -> Iterator[Recorded]:
    """Every version that has a record."""
    for tenant in head.names("registry"):
        for surface in head.names(f"registry/{tenant}"):
            if is_target(tenant, surface):
                yield from _of_target(head, Target(tenant, surface))


def _of_target(head: Snapshot, target: Target) -> Iterator[Recorded]:
    for slot in head.names(f"registry/{target}"):
        for name in head.files(f"registry/{target}/{slot}"):
            version = name.removesuffix(".json")
            if is_name(slot) and is_version(version):
                yield Recorded(version, target, slot)


def alike(one: str, other: str) -> int:
    """How many first digits are the same."""
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def _nearest(head: Snapshot, text: str) -> str:
    near = sorted(recorded(head), key=lambda each: (-alike(each.version, text), each))[:_SHOWN]
    return (
        "; the nearest are " + ", ".join(f"{each.version[:12]} ({each.target} {each.slot})" for each in near)
        if near
        else ""
    )
