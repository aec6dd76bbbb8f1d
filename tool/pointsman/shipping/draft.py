"""Drafts: the next manifests of some targets, built on main as it is now and judged before anything is written.

A target that may not become current stops nobody else: `Drafts.judge` says which ones wait, and why.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct, field

from pointsman.errors import Fault, Problem, Refused, trouble_of
from pointsman.repo.snapshot import Snapshot
from pointsman.report.review import commit_message
from pointsman.report.review.document import describe
from pointsman.settings import SETTINGS_PATH, Settings
from pointsman.shipping.branches import digits_of, ship_key
from pointsman.shipping.options import ShipOptions, accepts, accepts_fault, bind
from pointsman.state.documents import Manifest, Record, later_moment
from pointsman.state.message import Said, compose, subject_of
from pointsman.state.names import Target
from pointsman.state.objects import Oid
from pointsman.state.paths import DOCUMENTS, path_kind, target_of
from pointsman.state.ring import NOT_SOAKED
from pointsman.workspace import Workspace

Waiting = dict[Target, list[Fault]]  # why each of these targets may not become current


class Terms(Struct, frozen=True):
    """How to ship: the options, and words for the message and for the user."""

    command: str  # the command to run again after a lost race
    asked: ShipOptions
    together: bool = False  # one pull request for all targets of a run, not one for each target
    note: str = ""  # free text for the commit message


class Want(Struct):
    """The wish for one target: type → record, the types to drop, and what is recorded without being shipped."""

    target: Target
    records: dict[str, Record] = field(default_factory=dict)
    drops: set[str] = field(default_factory=set)
    history: list[Record] = field(default_factory=list)
    again: bool = False  # also if main has these versions already

    @property
    def every_record(self) -> list[Record]:
        """The records that have to be on main."""
        return [*self.history, *self.records.values()]

    @property
    def ships(self) -> bool:
        """Whether anything shall become current, or stop being it."""
        return bool(self.records or self.drops or self.again)


class Ship(Struct, frozen=True):
    """The next manifests of one pull request, built on `main`, with the message that vouches for them."""

    main: Oid
    manifests: Mapping[Target, Manifest]
    said: tuple[Said, ...]
    message: str
    branch: str

    @property
    def files(self) -> dict[str, bytes]:
        return {target.manifest_path: manifest.render() for target, manifest in self.manifests.items()}


class Stopped(Refused):
    """Some targets of a draft may not become current; `waiting` says which and why. The others may."""

    def __init__(self, waiting: Waiting) -> None:
        self.waiting = waiting
        super().__init__([fault for faults in waiting.values() for fault in faults])


class Drafts:
    """Makes drafts. `at_hand`: version → payload, for versions that the store may not have yet."""

    def __init__(
        self,
        workspace: Workspace,
        settings: Settings,
        terms: Terms,
        at_hand: Mapping[str, Callable[[], bytes]] | None = None,
    ) -> None:
        self.clock = workspace.clock
        self.repo = workspace.repo
        self.gate = workspace.gate
        self.gate.blobs.contents.provide(at_hand or {})
        self.settings = settings
        self.terms = terms
        self.notes: list[str] = []
        # targets → the commits that they were judged against
        self._judged: dict[tuple[Target, ...], tuple[str, ...]] = {}
        self._accept: Sequence[str] = terms.asked.accept
        self._accepted: dict[Target, dict[str, str]] = {}
        self._reports: dict[tuple[Target, ...], str] = {}  # targets → the short review of their ship

    def groups(self, wants: Sequence[Want]) -> list[Sequence[Want]]:
        """The wants of each pull request."""
        return [wants] if self.terms.together and wants else [[want] for want in wants]

    def judge(self, wants: Sequence[Want]) -> Waiting:
        """The targets that may not become current, with all faults of each. The others may.

        Problem if a guardrail is accepted without a target, and several need that.
        """
        if not self.settings.rings and any(each.rpartition(":")[2] == NOT_SOAKED for each in self.terms.asked.accept):
            raise Problem(f"--accept {NOT_SOAKED}: {SETTINGS_PATH} has no [[ring]], so no ship waits: leave it out")
        waiting = self._judge_records(wants)
        self.repo.expect(len(wants))
        self.gate.documents.fetch_ahead(Snapshot(self.repo, self.repo.main), (want.target for want in wants))
        for group in self.groups([want for want in without(wants, waiting) if want.ships]):
            while left := without(group, waiting):
                try:
                    self.next(left)
                    break
                except Stopped as stopped:
                    waiting.update(stopped.waiting)
                except Problem:
                    raise
                except Exception as error:  # noqa: BLE001 - it stops the targets that brought it out
                    says = str(trouble_of(error))
                    waiting.update({each.target: [Fault(each.target.manifest_path, "bug", says)] for each in left})
        self._accept = bind(self._accept, {want.target: self._accepted.get(want.target, {}) for want in wants})
        return waiting

    def _judge_records(self, wants: Sequence[Want]) -> Waiting:
        """The targets whose records may not be added to main: all records land in one commit."""
        waiting: Waiting = {}
        base = Snapshot(self.repo, self.repo.main)
        while True:
            records = {
                record.path: record.render()
                for want in without(wants, waiting)
                for record in want.every_record
                if base.entry(record.path) is None
            }
            faults = self.gate.judge_proposed(self.repo.main, {}, records, "").faults if records else ()
            if not faults:
                return waiting
            waiting.update(_by_target(faults, without(wants, waiting)))

    def next(self, group: Sequence[Want]) -> Ship | None:
        """The ship that main needs next, judged; None if main has it already. Stopped if it breaks a rule."""
        main = self.repo.main
        self.repo.expect(len(group))
        base = Snapshot(self.repo, main)
        manifests: dict[Target, Manifest] = {}
        said: list[Said] = []
        stopped: Waiting = {}
        for want in group:
            try:
                before, after = self._current_and_next(want, base)
            except Refused as error:
                stopped[want.target] = error.faults
                continue
            if after is not None:
                manifests[want.target] = after
                said.append(self._message_about(want, before, after))
        if stopped:
            raise Stopped(stopped)
        if not manifests:
            return None
        targets, replaced = tuple(manifests), tuple(str(each.supersedes) for each in said)
        if self._judged.get(targets) != replaced:
            self._judge(self._compose(main, manifests, said), group)
            self._judged[targets] = replaced
        for each in said:
            each.accepts = self._accepted.get(each.target, {})
        return self._compose(main, manifests, said)

    def _current_and_next(self, want: Want, base: Snapshot) -> tuple[Manifest | None, Manifest | None]:
        """The manifest on main, and the next one; None if main has that already."""
        gate, main, target = self.gate, self.repo.main, want.target
        before = gate.documents.manifest(base, target)
        if before is None and base.entry(target.manifest_path) is not None:
            raise Refused(gate.faults_of_current(main, target) or [_unreadable(target)])
        current = dict(before.current) if before else {}
        uris = {slot: self.settings.uri(target, slot, record.version) for slot, record in want.records.items()}
        after = {slot: uri for slot, uri in {**current, **uris}.items() if slot not in want.drops}
        if after == current and not want.again:
            if before is not None and (faults := gate.faults_of_current(main, target)):
                raise Refused(faults)  # main has these versions, but sync does not serve their manifest
            return before, None
        if not after:
            says = "it would have no type left: to stop serving it, delete its manifest in a commit"
            raise Refused([Fault(target.manifest_path, "manifest-removed", says)])
        updated_at = later_moment(self.clock(), before.updated_at if before else None)
        return before, Manifest(target.tenant, target.surface, after, updated_at)

    def _message_about(self, want: Want, before: Manifest | None, after: Manifest) -> Said:
        """The lines of the commit message about one target."""
        main, target = self.repo.main, want.target
        last = self.gate.lineage(main, target).last
        current = before.current if before else {}
        changed = {
            slot: record.version
            for slot, record in want.records.items()
            if current.get(slot) != after.current.get(slot)
        }
        vouched = hashlib.sha256(after.render()).hexdigest()
        said = Said(target, vouched, last.commit.oid if last else "none", changed)
        said.drops = {slot for slot in want.drops if slot in current}
        if self.terms.asked.reship:
            said.reships = {(slot, changed[slot]) for slot in self.gate.past.taken_out(main, target, changed)}
        return said

    def _judge(self, ship: Ship, group: Sequence[Want]) -> None:
        """Stopped if the gate says so. Guardrails that the options accept get an Accept: line instead."""
        records = {record.path: record.render() for want in group for record in want.records.values()}
        base = Snapshot(self.repo, ship.main)
        records = {path: data for path, data in records.items() if base.entry(path) is None}
        verdict = self.gate.judge_proposed(ship.main, records, ship.files, ship.message)
        stopping = [fault for fault in verdict.faults if not accepts_fault(self._accept, fault)]
        for target in ship.manifests:
            broken = {fault.rule for fault in verdict.faults if fault.path == target.manifest_path}
            accepted = broken - {fault.rule for fault in stopping if fault.path == target.manifest_path}
            if accepts(self._accept, target, NOT_SOAKED):
                accepted.add(NOT_SOAKED)
            self._accepted[target] = dict.fromkeys(sorted(accepted), self.terms.asked.reason)
        # It can only come once the records are on main: the pull request waits for it.
        stopping = [fault for fault in stopping if fault.rule != "evidence-missing"]
        if stopping:
            raise Stopped(_by_target(stopping, group))
        self.notes += [note for note in map(str, verdict.notes) if note not in self.notes]
        self._reports[tuple(ship.manifests)] = commit_message.render(
            describe(self.gate, ship.main, None, verdict, brief=True)
        )

    def _compose(self, main: Oid, manifests: Mapping[Target, Manifest], said: Sequence[Said]) -> Ship:
        slots = [(each.target, slot, version) for each in said for slot, version in sorted(each.records.items())]
        gone = [f"without {slot}" for each in said for slot in sorted(each.drops)]
        gone = gone if slots or gone else ["again"]
        subject = f"ship: {subject_of(slots, gone, [each.target for each in said])}"
        reason = self.terms.asked.reason if any(each.accepts or each.reships for each in said) else ""
        place = "run" if self.terms.together else said[0].target.place
        branch = f"ship/{place}/{digits_of([ship_key(each) for each in said])}"
        note = "\n\n".join(filter(None, (self.terms.note, self._reports.get(tuple(manifests)))))
        message = compose(subject, said, run=self.terms.asked.run, reason=reason, note=note)
        return Ship(main, manifests, tuple(said), message, branch)


def without(wants: Sequence[Want], waiting: Waiting) -> list[Want]:
    """The wants of all other targets."""
    return [want for want in wants if want.target not in waiting]


def _by_target(faults: Sequence[Fault], group: Sequence[Want]) -> Waiting:
    """The faults of each target. One that names none of these targets stops all of them."""
    targets = {want.target for want in group}
    waiting: Waiting = {}
    for fault in faults:
        kind = path_kind(fault.path)
        named = {target_of(fault.path)} if kind in DOCUMENTS and kind != "hold" else set()
        for target in named & targets or targets:
            waiting.setdefault(target, []).append(fault)
    return waiting


def _unreadable(target: Target) -> Fault:
    says = f"the manifest on main cannot be read: run pointsman rollback {target}"
    return Fault(target.manifest_path, "schema", says)
