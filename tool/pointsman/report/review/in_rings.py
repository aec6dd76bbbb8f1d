"""What each ring shows of the targets of a review, and what the last ships took from ring to ring.

A ring that cannot be read is told, and asked once for all targets: it is no part of what is reviewed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from pointsman.errors import Unreachable, trouble_of
from pointsman.gate.lineage import Lineage
from pointsman.repo.snapshot import Snapshot
from pointsman.report.review.value import ReviewedRing
from pointsman.serving.others import Others
from pointsman.serving.pointers import not_mounted, open_place
from pointsman.serving.turns import Turns
from pointsman.settings import Settings
from pointsman.state.names import Target
from pointsman.state.ring import Ring, ring_before
from pointsman.workspace import Workspace

MOST = 10  # targets; the rings of more would cost more than they tell
_LAST = 3  # ships


def in_rings(workspace: Workspace, targets: Sequence[str]) -> list[ReviewedRing] | None:
    """The rings of the first of these targets, in order; None without rings, or where nothing may be read."""
    repo, gate = workspace.repo, workspace.gate
    settings = gate.settings(Snapshot(repo, repo.main))
    if not settings.rings or workspace.offline:
        return None
    others = Others()
    rings = [_Ring(workspace, settings, ring, others) for ring in settings.rings]
    lineages = (gate.lineage(repo.main, Target.parse(each)) for each in targets[:MOST])
    return [each.of(lineage) for lineage in lineages if lineage.last is not None for each in rings] or None


class _Ring:
    """One ring, for all targets."""

    def __init__(self, workspace: Workspace, settings: Settings, ring: Ring, others: Others) -> None:
        self._away = workspace.away
        self._documents, self._head = workspace.gate.documents, Snapshot(workspace.repo, workspace.repo.main)
        self._settings, self._rings = settings, settings.rings
        self._ring = ring
        self._turns = Turns(workspace.gate, settings, workspace.repo.main, ring.name, workspace.now, others)
        self._store = open_place(ring.place)

    def of(self, lineage: Lineage) -> ReviewedRing:
        """What it shows of a target."""
        target, name = lineage.target, self._ring.name
        found = ring_before(self._rings, name, target)
        before = found[1] if found is not None and found[1].name not in self._away else None
        try:
            if name in self._away:
                return ReviewedRing(str(target), name, says=self._away[name])
            if says := not_mounted(self._documents, self._head, self._settings, self._ring.place):
                raise Unreachable(says)
            held = self._store.read(self._ring.place.key(target))
            due = self._turns.of(target, held) if before is not None else None
            state = self._turns.state(target, held, due, look=True)
        except Exception as error:  # noqa: BLE001 - the review is made all the same
            problem = trouble_of(error)
            if isinstance(problem, Unreachable):
                self._away[name] = str(problem)
            return ReviewedRing(str(target), name, says=str(problem))
        took = list(self._took(before, lineage))[-_LAST:] if before is not None else []
        return ReviewedRing(str(target), name, state, before.name if before is not None and took else None, took)

    def _took(self, before: Ring, lineage: Lineage) -> Iterator[int]:
        """Seconds from the ring before to this one, of each ship that both were given."""
        earlier = self._turns.given(before, lineage.target)
        for commit, at in self._turns.given(self._ring, lineage.target).items():
            with contextlib.suppress(KeyError):
                if commit in earlier and lineage.of(commit).is_ship:
                    yield max(0, at - earlier[commit])
