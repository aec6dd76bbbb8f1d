"""Sync at one place: what serving has is read, and then made what main is.

The order is the safety (docs/decisions/0004): fence, serving, then main, which `sync_together` looks at; the fence
moves before any pointer; every write is conditional on what was read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from pointsman.errors import BLOCKED, Blocked, Bug, Fault, MovedFirst, NoAnswer, Problem, Refused, Unreachable
from pointsman.gate.lineage import Step
from pointsman.gate.unmounted import serves_from_store, unmounted
from pointsman.repo.repository import Repository
from pointsman.repo.snapshot import Snapshot
from pointsman.rollout.due import Due
from pointsman.rules.evidence import Checkpoint
from pointsman.serving.claims import claims_at
from pointsman.serving.drift import is_manifest
from pointsman.serving.fence import SYNCED, Fence, move_fence, read_fence, rewrite_faults
from pointsman.serving.notify import Difference, Notices
from pointsman.serving.others import Others
from pointsman.serving.outcomes import CallResult, SyncedTarget
from pointsman.serving.pointers import not_mounted, open_place, pointers, pointers_again
from pointsman.serving.seen import SeenPlace
from pointsman.serving.turns import Turns
from pointsman.settings import Settings
from pointsman.state.names import Target
from pointsman.state.objects import Entry, Oid
from pointsman.state.place import Place
from pointsman.store.base import Held
from pointsman.store.closed import Closed, behind
from pointsman.store.vacant import is_bare
from pointsman.verbs.sync_claim import ClaimedTargets
from pointsman.verbs.sync_target import Did, Orders, Targets
from pointsman.workspace import Workspace

DID = ("written", "healed", "pruned")


class PlaceSync:
    """One sync at one place. `done`: what was done for each target. `others`: shared by all places."""

    def __init__(
        self, workspace: Workspace, place: Place, orders: Orders, seen: SeenPlace | None, others: Others
    ) -> None:
        self.place = place
        self.done: dict[Target, SyncedTarget] = {}
        self.main: Oid | None = None  # that of the last pass that ended
        self.before: Oid | None = None  # where the fence stood at first
        self.wrote = False  # whether serving may have been changed
        self._repo = workspace.repo
        self._gate = workspace.gate
        self._now = workspace.now
        self._store = open_place(place)
        self._orders = orders
        self._seen = seen
        self._others = others
        self._fence = Fence(SYNCED, None, None)
        self._listed: Mapping[Target, Held | Blocked] = {}
        self._closed: Closed = {}  # what of the place cannot be listed

    def look_at_mounts(self, head: Snapshot) -> tuple[str, ...]:
        """What looks as if it were not mounted. Unreachable if sync would begin anew in its place."""
        settings = self._gate.settings(head)
        if says := not_mounted(self._gate.documents, head, settings, self.place):
            raise Unreachable(says)
        if not self.place.store and (says := unmounted(self._gate.documents, head, settings)):
            return (says,)
        url = self._store.url
        if serves_from_store(settings, self.place) or not is_bare(url) or not head.names("manifests"):
            return ()
        return (f"{url} was missing or empty: if this is not the first sync there, look whether it is mounted",)

    def read(self) -> None:
        """Read the fence, then what serving has. Nothing is written, and no lock is taken."""
        store, seen = self._store, self._seen
        self._fence = read_fence(store, SYNCED)
        self.before = self.before or self._fence.commit
        place, self._closed = self.place, {}
        if seen is None:
            self._listed = dict(pointers(store, place, self._closed))
        else:
            self._listed = dict(pointers_again(store, place, self._fence, seen, self._closed))

    def settle(self, main: Oid, standing: Mapping[Target, Entry]) -> None:
        """Make what `read` found what main is, which was looked at after it. MovedFirst if somebody wrote meanwhile.

        `standing`: what stands where the manifest of each target of main belongs.
        """
        with contextlib.nullcontext() if self._orders.dry_run else self._store.locked(""):
            try:
                self._settle(main, standing)
            finally:
                self._others.forget(self.place.name)
        self.main = main

    def not_looked_into(self, standing: Iterable[Target]) -> tuple[str, ...]:
        """What may have pointers that nobody sees, and has none of main."""
        keys = [self.place.key(target) for target in standing] if self._closed else []
        return tuple(
            f"{why}; what serving has there is not known"
            for directory, why in self._closed.items()
            if not any(key.startswith(directory) for key in keys)
        )

    def deliver(self) -> list[CallResult]:
        """Call whom the settings name for what was written."""
        if self.main is None or self._orders.dry_run:
            return []
        settings = self._gate.settings(Snapshot(self._repo, self.main))
        return Notices(self._store, settings, self._as_in(settings)).deliver(self._gate, self.main, self.done)

    def _settle(self, main: Oid, standing: Mapping[Target, Entry]) -> None:
        """One pass. `done` gathers outcomes: what an earlier pass did stays told, what it only found does not."""
        repo, gate, store, orders = self._repo, self._gate, self._store, self._orders
        for target in [target for target, each in self.done.items() if each.outcome not in DID]:
            del self.done[target]
        fence, listed = self._fence, {**self._listed, **dict(self._behind_closed(standing))}
        gate.remember(fence.approved)
        serving = {target: held for target, held in listed.items() if isinstance(held, Held)}
        head = Snapshot(repo, main)
        settings = gate.settings(head)
        place = self._as_in(settings)
        self._move_fence(fence, main)
        same = {target for target, held in serving.items() if is_manifest(standing.get(target), held)}
        others = [target for target in standing if target not in same]
        repo.expect(len(others))
        repo.fetch_ahead(standing[target] for target in others)
        gate.documents.fetch_ahead(head, others)
        bugs: dict[Target, Exception] = {}
        turns = self._turns(settings, main, others, listed, bugs) if settings.rings else {}
        same |= {target for target, due in turns.items() if _has(serving.get(target), due)}
        tags = {place.key(each): serving[each].tag for each in same if each in serving}
        # If the fence was at this main before the listing, whoever ended on an older one had written before that.
        if not orders.dry_run and fence.commit != main and not store.still(tags):
            raise MovedFirst("another sync wrote a pointer that was as main has it: run pointsman sync again")
        wanted = dict(_wanted(repo, standing, turns, same))
        targets = Targets(gate, store, place, settings, head, orders, wanted, turns)
        targets.make_up(serving)
        # Read after the pointers: whoever wrote a claimed pointer had written the claim before.
        closed: Closed = {}
        claims = ClaimedTargets(targets, claims_at(store, closed=closed), closed)
        if not orders.dry_run:
            differing = _differing(wanted, serving, {*same, *claims.held}, orders, turns)
            Notices(store, settings, place).promise(gate, main, differing)
        for target in sorted({*standing, *listed}):
            if orders.stopped():
                break
            held = serving.get(target)
            try:
                if isinstance(trouble := bugs.get(target, listed.get(target)), Exception):
                    raise trouble
                did = claims.settle(target, held, same=target in same)
            except (Blocked, NoAnswer) as trouble:
                did = Did("refused", (Fault(target.manifest_path, BLOCKED, str(trouble)),))
            except (Problem, OSError):
                raise
            except Exception as error:  # noqa: BLE001 - it keeps its pointer, and the others get theirs
                did = Did("refused", (Fault(target.manifest_path, "bug", str(Bug.of(error))),))
            self.wrote = self.wrote or did.outcome in (*DID, "claimed")
            earlier = self.done[target].outcome if target in self.done else None
            if earlier is None or not _adds_nothing(earlier, did.outcome):
                made = targets.told(target, held, did)
                self.done[target] = replace(made, visible_after_seconds=None) if orders.dry_run else made
        targets.all_settled()

    def _behind_closed(self, standing: Iterable[Target]) -> Iterator[tuple[Target, Blocked]]:
        """The targets of main whose pointers are in directories that cannot be listed: nobody knows what they have."""
        for target in standing if self._closed else ():
            if target not in self._listed and (why := behind(self.place.key(target), self._closed)) is not None:
                yield target, why

    def _turns(
        self,
        settings: Settings,
        main: Oid,
        targets: Sequence[Target],
        listed: Mapping[Target, Held | Blocked],
        bugs: dict[Target, Exception],
    ) -> dict[Target, Due[Step]]:
        """What a ring is due of those targets that it is given after another ring; `bugs` gets what goes wrong."""
        notes = not self._orders.dry_run
        turns = Turns(self._gate, settings, main, self.place.name, self._now, self._others, notes=notes)
        mine = [target for target in targets if turns.waits(target)]
        turns.look_ahead(mine)
        found: dict[Target, Due[Step]] = {}
        for target in mine:
            held = listed.get(target)
            try:
                pointer = held if isinstance(held, Held) else None
                found[target] = turns.of(target, pointer) or Due(None)
                unread = turns.unread(target) if found[target].coming is not None else None
                if unread is not None and _has(pointer, found[target]):  # a restore is due whatever was given
                    bugs[target] = unread
            except (Problem, OSError):
                raise
            except Exception as error:  # noqa: BLE001 - it keeps its pointer, and the others get theirs
                found[target], bugs[target] = Due(None), error
        return found

    def _as_in(self, settings: Settings) -> Place:
        """This place as settings have it; MovedFirst if they have it elsewhere."""
        mine = self.place.name, self.place.manifest, self.place.access
        for place in settings.serving:
            if (place.name, place.manifest, place.access) == mine:
                return place
        raise MovedFirst("the settings on main moved serving elsewhere meanwhile: run pointsman sync again")

    def _move_fence(self, fence: Fence, main: Oid) -> None:
        """Refused if main no longer descends from the last commit attempted; else it is `main` from here on."""
        faults = rewrite_faults(self._gate, Checkpoint.SYNC, fence, main)
        if faults and not self._orders.accept_rewrite:
            raise Refused(faults)
        if not self._orders.dry_run:
            approved = self._gate.consents.policies.approved(Snapshot(self._repo, main))
            self.wrote = self.wrote or fence.commit != main
            move_fence(self._store, fence, main, approved, now=self._now)


def _adds_nothing(earlier: str, outcome: str) -> bool:
    """Whether what an earlier pass did is told rather than what a later one found, or did again."""
    return (outcome == "unchanged" and earlier in DID) or (earlier, outcome) == ("healed", "written")


def _wanted(
    repo: Repository, standing: Mapping[Target, Entry], turns: Mapping[Target, Due[Step]], same: Container[Target]
) -> Iterator[tuple[Target, bytes | None]]:
    """What the pointers that differ become, as far as anything is due there; None for what is no plain file."""
    for target, entry in standing.items():
        state = turns[target].state if target in turns else None
        if target not in same and (state is not None or target not in turns):
            yield target, repo.content(state.after if state is not None else entry)


def _has(held: Held | None, due: Due[Step]) -> bool:
    """Whether a ring has what it is due. One that has nothing may be due nothing."""
    return held is None if due.state is None else held is not None and is_manifest(due.state.after, held)


def _differing(
    wanted: Iterable[Target],
    serving: Mapping[Target, Held],
    same: Container[Target],
    orders: Orders,
    turns: Mapping[Target, Due[Step]],
) -> Iterator[Difference]:
    """The targets whose pointers may be written, what these hold, and the place of what they get in the lineage."""
    for target in sorted({*wanted, *(serving if orders.prune else ())}):
        if target not in same:
            state = turns[target].state if target in turns else None
            yield target, serving.get(target), state.place if state is not None else 0
