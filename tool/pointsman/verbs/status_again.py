"""Status again: what an earlier look found stands where nothing happened, and only the rest is looked at.

A target is calm if each place serves what main has, and nobody asks for anything else. Only calm targets are left out.
What a calm one shows depends on main, on the bytes of its pointers, on instances and on time: what is asked here is
whether the tags of its pointers are the same, whether as many instances have it, and whether its time is not over.
Whoever asks knows what main changed.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from pointsman.report.site.value import Calm
from pointsman.report.target_state import Status, TargetState
from pointsman.serving.pointers import Remembered
from pointsman.shipping.pulls import Pull
from pointsman.state.names import Target
from pointsman.state.objects import Oid
from pointsman.verbs.status import Look
from pointsman.workspace import Workspace

NEVER = 1 << 53
_DIGEST = 64  # characters


class Again(NamedTuple):
    """The targets that were looked at, which of them are calm, and those that stand as they were."""

    status: Status
    calm: Mapping[str, Calm]
    same: Collection[str]


def look_again(
    workspace: Workspace, main: Oid, pulls: Sequence[Pull], known: Mapping[str, Calm], among: Collection[Target] | None
) -> Again:
    """The state of all targets. `known`: calm ones whose documents main did not change since.

    `among`: the others that main may have; None: nobody knows them, and nothing may be known.
    """
    look = Look(workspace, main, Remembered(), pulls)
    look.list_pointers()
    standing = _standing(look, known)
    look.read_listed(standing.values())
    claimed = {str(target) for place in look.places for target in place.claims}
    read = all(place.may_stand for place in look.places)
    same = [name for name in standing if read and name not in claimed]
    if among is not None:
        among = {*among, *map(Target.parse, known.keys() - {*same})}
    shown = [look.at(target) for target in look.every(among)]
    calm = {each.target: found for each in shown if (found := _calm(look, each)) is not None}
    return Again(look.told(shown, whole=not workspace.offline), calm, same)


def _standing(look: Look, known: Mapping[str, Calm]) -> dict[str, Sequence[str]]:
    """Those whose pointers have the same tags as then, in their time, and the keys of these pointers.

    There are thousands, and mostly only their tags are to be compared.
    """
    if not all(place.may_stand for place in look.places):
        return {}
    listed = [place.listing.tags for place in look.places if place.listing is not None]
    asked, silent = {*map(str, look.pulls_of)}, not any(place.instances for place in look.places)
    found: dict[str, Sequence[str]] = {}
    for name, *keys in zip(known, *(place.place.keys(known) for place in look.places), strict=True):
        calm = known[name]
        tags = [of_place.get(key) for of_place, key in zip(listed, keys, strict=True)]
        if tags == calm.tags and look.clock < calm.until and name not in asked:
            heard = "" if silent else _heard(look, Target.parse(name), calm.heard[:_DIGEST])
            if heard == calm.heard:
                found[name] = keys
    return found


def _calm(look: Look, each: TargetState) -> Calm | None:
    """A target as the next look may find it; None if it must look."""
    late = each.instances is not None and each.instances.behind
    if each.pull_requests or each.claim is not None or late or not all(place.may_stand for place in look.places):
        return None
    target = Target.parse(each.target)
    tags = [tag for place in look.places if (tag := place.tag_of_main(target)) is not None]
    if len(tags) < len(look.places):
        return None
    sha256 = hashlib.sha256(look.places[0].served[target].data).hexdigest()
    return Calm(min(_changes(look, target, each), default=NEVER), tags, _heard(look, target, sha256))


def _heard(look: Look, target: Target, sha256: str) -> str:
    """The digest of main's manifest, and how many instances have it, have another or none; "" if none was ever seen."""
    if not any(place.instances for place in look.places):
        return ""
    found = [place.having(target, sha256) for place in look.places]
    counts = [sum(map(len, each)) for each in zip(*((it.current, it.behind, it.unknown) for it in found), strict=True)]
    return f"{sha256} {' '.join(map(str, counts))}"


def _changes(look: Look, target: Target, each: TargetState) -> Iterator[int]:
    """When time changes what it shows: a hold ends, what is current becomes too old."""
    yield from (math.ceil(datetime.fromisoformat(hold.until).timestamp()) for hold in each.holds)
    yield from look.becomes_stale(target)
