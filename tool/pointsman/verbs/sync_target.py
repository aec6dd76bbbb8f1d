"""What a pass of sync makes of each target: its pointer becomes what main has, or stays, and why."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

from msgspec import Struct
from msgspec.structs import replace

from pointsman.errors import BLOCKED, Blocked, Fault, NoAnswer, Problem
from pointsman.gate.gate import Gate
from pointsman.gate.lineage import Step
from pointsman.repo.snapshot import Snapshot
from pointsman.retention import owners
from pointsman.retention.trash import put_back_missing
from pointsman.rollout.due import Due
from pointsman.serving.claims import Claims, Standing, end_claim, told_claim
from pointsman.serving.drift import drift, ever_had
from pointsman.serving.given import Giving, forget_given, note_given
from pointsman.serving.outcomes import Committer, SyncedTarget, SyncOutcome
from pointsman.serving.replica import Replica
from pointsman.serving.states import Left, leave_settings, leave_states
from pointsman.serving.turns import told_wait
from pointsman.settings import Settings
from pointsman.state.claim import Claim
from pointsman.state.documents import Manifest
from pointsman.state.names import Target
from pointsman.state.objects import Commit, Oid
from pointsman.state.place import Place
from pointsman.store.base import Held, Store
from pointsman.store.open import open_store
from pointsman.values import told


class Orders(Struct, frozen=True):
    """What sync may do."""

    dry_run: bool = False
    heal: bool = True
    prune: bool = False
    accept_rewrite: bool = False
    stopped: Callable[[], bool] = lambda: False  # asked between two pointers


class Did(Struct, frozen=True):
    """What was done, or found, for one target."""

    outcome: SyncOutcome
    faults: Sequence[Fault] = ()
    lags: bool = False  # blobs have not arrived in the place's own store
    standing: Standing | None = None  # of a claim

    def then(self, target: Target, also: Callable[[], None]) -> Did:
        """The same, after what comes behind the pointer. If something is in its way, the pointer is as it is told."""
        try:
            also()
        except (Blocked, NoAnswer) as trouble:
            says = f"the pointer is as it should be, but {trouble}"
            return replace(self, faults=(*self.faults, Fault(target.manifest_path, BLOCKED, says)))
        return self


class Targets:
    """The targets of one pass at one place. `wanted`: what main has of those whose pointers differ.

    `turns`: what a ring is due of those that it is given after another ring; `wanted` has that of them.
    """

    def __init__(
        self,
        gate: Gate,
        store: Store,
        place: Place,
        settings: Settings,
        head: Snapshot,
        orders: Orders,
        wanted: Mapping[Target, bytes | None],
        turns: Mapping[Target, Due[Step]],
    ) -> None:
        assert head.commit is not None
        self._gate = gate
        self._store = store
        self._place = place
        self._head = head
        self._main: Oid = head.commit
        self._settings = settings
        self._orders = orders
        self._wanted = wanted
        self._turns = turns
        self._ring = next((ring for ring in settings.rings if ring.name == place.name), None)
        self._has_left = False
        self._giving = Giving(store) if self._ring is not None and not orders.dry_run else None
        self._claims = Claims(gate, head.commit, gate.now())
        self._replica = Replica(place) if place.store else None
        manifests = dict(self._manifests())
        if self._replica is not None:
            self._replica.look_ahead(manifests)
        else:
            uris = [uri for each in manifests.values() for uri in each.current.values()]
            gate.blobs.look_ahead(settings, uris)
            if not orders.dry_run and put_back_missing(gate.blobs, head, settings, uris):
                gate.blobs.look_ahead(settings, uris)

    def make_up(self, serving: Mapping[Target, Held]) -> None:
        """Write down when a ring was given what a sync gave it and was killed before it could: now, never too early."""
        for target in self._giving.unfinished() if self._giving is not None else ():
            held = serving.get(target)
            with contextlib.suppress(Blocked):  # the ring after this one is told so
                self._note(
                    target, self._gate.lineage(self._main, target).having(held.data) if held is not None else None
                )

    def all_settled(self) -> None:
        """Every pointer that was to be written has been settled."""
        if self._giving is not None:
            self._giving.end()

    def settle(self, target: Target, held: Held | None) -> Did:
        """Make a pointer that differs from main what it has, if that may be served."""
        if target in self._turns and self._turns[target].state is None:
            says = "serving holds a manifest that main never had, and this ring is due none that could heal it yet"
            return Did("kept", (Fault(target.manifest_path, "drifted", says),))
        return self._follow(target, held) if target in self._wanted else self._gone(target, held)

    def told(self, target: Target, held: Held | None, did: Did) -> SyncedTarget:
        """What was done, with what a reader wants to know of a pointer that was drifted, written or refused."""
        drifted = did.outcome == "healed" or any(fault.rule == "drifted" for fault in did.faults)
        last = self._step(target) if did.outcome in ("written", "refused") else None
        since = self._seconds_since(last.commit) if last is not None else None
        return SyncedTarget(
            target=str(target),
            outcome=did.outcome,
            faults=list(map(told, did.faults)),
            drift=drift(self._gate.documents, self._head, target, held) if drifted and held is not None else None,
            visible_after_seconds=since if did.outcome == "written" else None,
            refused=Committer(last.commit.oid, last.commit.committer)
            if last is not None and did.outcome == "refused"
            else None,
            lag_seconds=since if did.lags else None,
            claim=told_claim(did.standing) if did.standing is not None else None,
            waits=told_wait(self._turns[target]) if target in self._turns else None,
        )

    def put(self, target: Target, held: Held | None, data: bytes) -> None:
        """Write a pointer that is not main's."""
        if not self._orders.dry_run:
            self._store.replace(self._place.key(target), data, was=held.tag if held else None)

    def end(self, target: Target, claim: Held, says: str) -> None:
        """Say of a claim that it has ended."""
        if not self._orders.dry_run:
            end_claim(self._store, target, claim, says, self._gate.now())

    def took_out(self, target: Target, claim: Claim) -> None:
        """What break-glass took out of a ring was not served since: nothing of its time counts if it comes back."""
        lineage = self._gate.lineage(self._main, target)
        if self._ring is not None and not self._orders.dry_run and lineage.has(claim.state):
            newer = {step.oid for step in islice(lineage, lineage.of(claim.state).place)}
            forget_given(self._store, self._place.name, target, newer.__contains__)

    def judge(self, target: Target, claim: Held) -> Standing:
        """What a claim means."""
        return self._claims.judge(self._place, target, claim.data)

    def _manifests(self) -> Iterator[tuple[Target, Manifest]]:
        """The manifests that may be written."""
        for target, data in self._wanted.items():
            if data is not None and (manifest := self._manifest(target)):
                yield target, manifest

    def _step(self, target: Target) -> Step | None:
        """The commit that made what the place gets."""
        return self._turns[target].state if target in self._turns else self._gate.lineage(self._main, target).last

    def _manifest(self, target: Target) -> Manifest | None:
        """What the place gets."""
        step = self._turns[target].state if target in self._turns else None
        head = Snapshot(self._gate.repo, step.oid) if step is not None else self._head
        return self._gate.documents.manifest(head, target)

    def _gone(self, target: Target, held: Held | None) -> Did:
        if faults := self._gate.faults_of_current(self._main, target):  # such a removal takes nothing away
            return Did("refused", faults)
        if self._gate.lineage(self._main, target).last is None:
            # Nothing was removed: who wrote this pointer may still serve by it, so --prune does not mean it.
            says = "main never had a manifest of this target, serving keeps its pointer: pointsman adopt takes over one"
            return Did("kept", (Fault(target.manifest_path, "gone", f"{says} of recsys-pipelines"),))
        if self._orders.prune and held is not None:
            if not self._orders.dry_run:
                self._store.delete(self._place.key(target), was=held.tag)
            return Did("pruned")
        says = "main has no manifest of this target, serving keeps its pointer: pointsman sync --prune takes it away"
        return Did("kept", (Fault(target.manifest_path, "gone", says),))

    def _follow(self, target: Target, held: Held | None) -> Did:
        data = self._wanted[target]
        faults, lacking = self._faults(target)
        if data is None and not faults:
            faults = (
                Fault(target.manifest_path, "not-a-plain-file", "no plain file stands here: remove it by a commit"),
            )
        if faults or lacking or data is None:
            return Did("refused", (*faults, *lacking), lags=bool(lacking) and not faults)
        drifted = held is not None and not ever_had(self._gate.lineage(self._main, target), held.data)
        if drifted and not self._orders.heal:
            says = "serving holds a manifest that main never had, someone wrote it by hand: run pointsman sync to heal"
            return Did("kept", (Fault(target.manifest_path, "drifted", f"{says} it"),))
        did = Did("healed" if drifted else "written")
        if self._orders.dry_run:
            return did
        self._leave(target)
        self._store.replace(self._place.key(target), data, was=held.tag if held else None)
        return did.then(target, lambda: self._note(target, self._step(target)))

    def _leave(self, target: Target) -> None:
        """Leave beside the pointers what break-glass needs, before a pointer is written."""
        if not self._has_left:
            signers = self._gate.consents.policies.signers(self._head).decode(errors="replace")
            stores = (self._place.store,) if self._place.store else (self._settings.store, *self._settings.former)
            if self._replica is None:
                with contextlib.suppress(Problem):  # what serving needs does not wait for this
                    owners.own_unless_known(open_store(self._settings.store, self._settings.access), self._gate.repo)
            leave_settings(self._store, Left(self._place.name, stores, self._place.invalidate, signers))
            if self._giving is not None:
                self._giving.begin(self._wanted)
            self._has_left = True
        newest = self._turns[target].state if target in self._turns else None
        leave_states(self._store, self._gate.lineage(self._main, target), self._settings.keep_ships, newest)

    def _note(self, target: Target, step: Step | None) -> None:
        """Write down when a ring was given what it has now: the ring after it counts from then."""
        if self._ring is not None and step is not None:
            longest = max(ring.after for ring in self._settings.rings)
            note_given(self._store, self._place.name, target, step.oid, int(self._gate.now()), longest)

    def _faults(self, target: Target) -> tuple[Sequence[Fault], Sequence[Fault]]:
        """Why what main has may not be served here at all, and what is still to arrive in the place's own store."""
        documents, replica = self._gate.documents, self._replica
        step, manifest = self._step(target), self._manifest(target)
        if step is None:
            return (), ()
        if replica is None or manifest is None:
            return tuple(dict.fromkeys(self._gate.faults_of_step(step, manifest))), ()
        there = replica.blobs(target, manifest)
        found = self._gate.faults_of_step(step, manifest, blobs=there)
        faults = tuple(dict.fromkeys(fault for fault in found if fault.rule != "blob-missing"))
        return faults, replica.lacking(target, manifest, documents.records(self._head, target, manifest))

    def _seconds_since(self, commit: Commit) -> float:
        """Seconds from a commit, by its committer's clock, until now."""
        return round(max(self._gate.now() - commit.time, 0.0), 1)
