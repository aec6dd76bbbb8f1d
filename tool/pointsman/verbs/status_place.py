"""What serving has at one place, against what main has."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple, Protocol

from pointsman.errors import BLOCKED, Blocked, Fault, Problem, Unreachable
from pointsman.gate.gate import Gate
from pointsman.gate.lineage import Lineage, Step
from pointsman.history.times import CommitTimes
from pointsman.repo.snapshot import Snapshot
from pointsman.report.target_state import Behind, MainSeen, ServedAt, ServedDrift, Serving
from pointsman.rollout.due import Due
from pointsman.rules.evidence import Checkpoint
from pointsman.serving.claims import Claims, Standing, claims_at, told_claim, unknown_claim
from pointsman.serving.drift import drift, is_manifest
from pointsman.serving.fence import SYNCED, Fence, read_fence, rewrite_faults
from pointsman.serving.instances import Having, Instance, having, read_instances
from pointsman.serving.others import Others
from pointsman.serving.pointers import Listing, Remembered, not_mounted, open_place
from pointsman.serving.replica import Replica
from pointsman.serving.ring_state import RingState
from pointsman.serving.turns import Turns
from pointsman.settings import Settings
from pointsman.state.documents import rfc3339
from pointsman.state.names import Target
from pointsman.state.objects import PLAIN_FILE, Commit, Entry, Oid, object_id
from pointsman.state.place import Place
from pointsman.store.base import Held, Store
from pointsman.store.closed import Closed
from pointsman.store.parallel import ask_all
from pointsman.trust.keygen import NoKeygen
from pointsman.values import told

_FEW = 20  # targets; of more that nobody named, when a ring was given what main has is not read


class Look(Protocol):
    """One look at main."""

    gate: Gate
    head: Snapshot
    main: Oid
    clock: int  # seconds since 1970
    others: Others

    moments: CommitTimes
    settings: Settings

    def since(self, commit: Commit, commits: int) -> Behind:
        """How long serving has been without a commit, the first of so many."""


class Served(NamedTuple):
    """What serving has of a target, against what main has. `lacks`: what has not arrived in the place's own store."""

    serving: Serving
    refused: Sequence[Fault] = ()
    behind: Behind | None = None
    drift: ServedDrift | None = None
    unread: str | None = None  # why nobody knows what serving has
    lacks: Sequence[Fault] | None = None
    claim: Standing | None = None
    ring: RingState | None = None


class PlaceLook:
    """One look at the pointers of one place."""

    def __init__(self, look: Look, place: Place) -> None:
        self.place = place
        self.served: dict[Target, Held] = {}
        self.claims: dict[Target, Held] = {}
        self._closed: Closed = {}  # where claims may be that nobody sees
        self.listing: Listing | None = None  # if it was listed
        self._look = look
        self._store: Store | None = None  # None: it cannot be reached
        self._unread = ""  # why not
        self.instances: list[Instance] = []

    def listed(self) -> set[Target]:
        """Every target of which this place has something, as far as it can be listed, without reading it."""
        try:
            keys = list(open_place(self.place).keys("", self.place.depth, {}))
        except Unreachable as problem:
            self._unread = str(problem)
            return set()
        return {target for target in map(self.place.target, keys) if target is not None}

    def read(self, targets: Sequence[Target]) -> None:
        """Read the pointers of these targets. Who could not be listed is not asked again."""
        if self._unread:
            return
        with self._reaching():
            self._check_mounted()
            store = open_place(self.place)
            self._take(store, self._some(store, targets), targets)
            self._read_instances(store)

    def list_pointers(self, remembered: Remembered) -> None:
        """List the pointers that there are, and read what is known of instances."""
        with self._reaching():
            self._check_mounted()
            self.listing = remembered.listing(self.place)
            self._read_instances(self.listing.store)

    def read_listed(self, remembered: Remembered, but: Collection[str]) -> None:
        """Read the pointers that were listed, without those of some keys."""
        if (listing := self.listing) is not None:
            with self._reaching():
                every = remembered.pointers(self.place, listing, but)
                self._take(listing.store, every.items(), None)

    @contextlib.contextmanager
    def _reaching(self) -> Iterator[None]:
        """Remember why a place cannot be reached."""
        try:
            yield
        except Unreachable as problem:
            self._store, self._unread, self.instances = None, str(problem), []

    def _check_mounted(self) -> None:
        if says := not_mounted(self._look.gate.documents, self._look.head, self._look.settings, self.place):
            raise Unreachable(says)

    def _take(
        self, store: Store, read: Iterable[tuple[Target, Held | Blocked]], targets: Sequence[Target] | None
    ) -> None:
        self._store = store
        self.served = {target: held for target, held in read if isinstance(held, Held)}
        self._closed = {}
        self.claims = claims_at(store, targets, self._closed)
        if self._turns is not None:
            head = self._look.head
            found = self.served.items()
            self._turns.look_ahead(
                [each for each, held in found if not is_manifest(head.entry(each.manifest_path), held)]
            )

    def _read_instances(self, store: Store) -> None:
        with contextlib.suppress(Unreachable):  # what serving has is known all the same
            self.instances = read_instances(store, self._look.clock)

    def _some(self, store: Store, targets: Sequence[Target]) -> Iterable[tuple[Target, Held | Blocked]]:
        """What serving holds of these; one that is no file is left to whoever looks at it alone."""

        def read(target: Target) -> Held | None:
            try:
                return store.read(self.place.key(target))
            except Unreachable:
                return None

        held = ask_all(read, targets, at_once=store.at_once)
        return ((target, each) for target, each in zip(targets, held, strict=True) if each is not None)

    @property
    def may_stand(self) -> bool:
        """Whether what it has of a target can be as it was, if the tag of its pointer is."""
        few = self._turns is not None and self._is_few
        return self.listing is not None and not self._unread and not few

    def tag_of(self, target: Target) -> str | None:
        """The tag of a pointer by the listing; None if there is no pointer, or if that is not sure."""
        return self.listing.tags.get(self.place.key(target)) if self.listing is not None else None

    def tag_of_main(self, target: Target) -> str | None:
        """The same of a pointer that was read and is what main has; None of any other."""
        held, tag = self.served.get(target), self.tag_of(target)
        entry = self._look.head.entry(target.manifest_path)
        return tag if held is not None and held.tag == tag and is_manifest(entry, held) else None

    def having(self, target: Target, sha256: str) -> Having:
        """How the instances of this place stand to a manifest."""
        return having(self.instances, target, sha256, self._look.clock, self.place.instance_ttl)

    def at(self, lineage: Lineage) -> Served:
        """What serving has, what is behind it where that is not what main has, and what break-glass says of it."""
        there = self.claims.get(lineage.target)
        claim = self._standing(lineage.target, there) if there is not None else None
        return self._at(lineage, kept=claim is not None and claim.holds)._replace(claim=claim)

    def _standing(self, target: Target, claim: Held) -> Standing:
        look = self._look
        try:
            return Claims(look.gate, look.main, look.clock).judge(self.place, target, claim.data)
        except NoKeygen as problem:
            return Standing(None, says=str(problem))

    def _at(self, lineage: Lineage, *, kept: bool) -> Served:
        look, target = self._look, lineage.target
        if self._store is None:
            return Served("unknown", unread=self._unread)
        key = self.place.key(target)
        try:
            held = self.served.get(target) or self._store.read(key)
        except Unreachable as problem:  # something stands there that is no pointer
            return Served("unknown", unread=str(problem))
        is_main = held is not None and held.data == look.head.read(target.manifest_path)
        due = self._due(lineage, held) if not is_main else None
        ring = self._ring(lineage, held, due, kept=kept)
        state = due.state if due is not None else lineage.last
        if is_main or (due is not None and held is not None and state is not None and is_manifest(state.after, held)):
            return Served("in-sync", tuple(self._unknown(target, due)), ring=ring)
        unknown = unknown_claim(target, self._closed)
        blocked = [Fault(target.manifest_path, BLOCKED, str(unknown))] if unknown is not None else []
        refused = (*self._rewritten, *blocked, *look.gate.faults_of_current(look.main, target))
        lacks = self._lacks(target)
        if held is None:
            since = look.since(state.commit, 1) if state is not None else None
            return Served("absent", refused, since, lacks=lacks, ring=ring)
        served = Entry(PLAIN_FILE, object_id("blob", held.data, len(look.main)))
        missing, first = None, state.place if state is not None else 0
        for step in lineage.since(first):
            if step.after == served:
                since = look.since(missing or step.commit, step.place - first)
                return Served("behind", refused, since, lacks=lacks, ring=ring)
            if step.before == served:
                since = look.since(step.commit, step.place + 1 - first)
                return Served("behind", refused, since, lacks=lacks, ring=ring)
            missing = step.commit
        found = self._drift(self._store, target, key, held)
        return Served("drifted", refused, drift=found, lacks=lacks, ring=ring)

    @cached_property
    def _turns(self) -> Turns | None:
        look = self._look
        if all(ring.name != self.place.name for ring in look.settings.rings):
            return None
        return Turns(look.gate, look.settings, look.main, self.place.name, look.clock, look.others)

    def _due(self, lineage: Lineage, held: Held | None) -> Due[Step] | None:
        """What a ring is due; None for a place that follows main."""
        return self._turns.of(lineage.target, held) if self._turns is not None and lineage.last is not None else None

    def _unknown(self, target: Target, due: Due[Step] | None) -> Iterator[Fault]:
        """Why sync cannot tell what a ring is due, as it says so itself."""
        unread = self._turns.unread(target) if self._turns is not None and due is not None and due.coming else None
        if unread is not None:
            yield Fault(target.manifest_path, BLOCKED, str(unread))

    def _ring(self, lineage: Lineage, held: Held | None, due: Due[Step] | None, *, kept: bool) -> RingState | None:
        """What a ring has and waits for; None for a place that is none."""
        if self._turns is None:
            return None
        few = self._is_few
        return self._turns.state(lineage.target, held, due, look=few or due is not None, kept=kept, versions=few)

    @property
    def _is_few(self) -> bool:
        """Whether so few targets are looked at that all is read of each."""
        return self.listing is None or len(self.listing.tags) <= _FEW

    def told(self, served: Served) -> ServedAt:
        """The same as documents have it."""
        lacks = list(map(told, served.lacks)) if served.lacks is not None else None
        claim = told_claim(served.claim) if served.claim is not None else None
        return ServedAt(self.place.name, served.serving, served.behind, served.drift, lacks, served.unread, claim)

    def main_seen(self) -> MainSeen | None:
        """How long nobody was given a new commit of main; None if the settings do not ask."""
        limit, look = self.place.frozen_after, self._look
        if limit is None:
            return None
        try:
            if self._unread:
                raise Unreachable(self._unread)
            fence = self._fence
        except Problem as problem:  # also of a fence that is none
            return MainSeen(self.place.name, None, None, None, limit, frozen=False, unread=str(problem))
        commit, at = fence.commit, fence.at
        if at is None or commit is None or (commit != look.main and look.gate.repo.grew_from(commit, look.main)):
            commit, at = look.main, max(at or 0, min(look.moments.of(look.main), look.clock))
        seconds = max(look.clock - at, 0)
        return MainSeen(self.place.name, commit, rfc3339(at), seconds, limit, frozen=seconds > limit)

    @cached_property
    def _rewritten(self) -> Sequence[Fault]:
        """Why sync refuses everything, if main does not descend from what was synced last."""
        if self._store is None:
            return ()
        try:
            fence = self._fence
        except Unreachable:
            return ()
        self._look.gate.remember(fence.approved)
        return rewrite_faults(self._look.gate, Checkpoint.SYNC, fence, self._look.main)

    @cached_property
    def _fence(self) -> Fence:
        return read_fence(self._store or open_place(self.place), SYNCED)

    @cached_property
    def _replica(self) -> Replica | None:
        return Replica(self.place) if self.place.store else None

    def _lacks(self, target: Target) -> Sequence[Fault] | None:
        """What has not arrived in the place's own store; None if it has none, or does not answer."""
        documents, head = self._look.gate.documents, self._look.head
        manifest = documents.manifest(head, target)
        if self._replica is None or manifest is None:
            return None
        try:
            return self._replica.lacking(target, manifest, documents.records(head, target, manifest))
        except Unreachable:
            return None

    def _drift(self, store: Store, target: Target, key: str, held: Held) -> ServedDrift:
        written, found = store.written(key), drift(self._look.gate.documents, self._look.head, target, held)
        at = rfc3339(int(written)) if written is not None else None
        return ServedDrift(store.writer(key), at, found.readable, found.says, found.changes, found.uris)
