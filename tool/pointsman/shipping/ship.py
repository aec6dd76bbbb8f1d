"""Shipping: one pull request with the next manifests of some targets. It is judged, opened or adopted, and merged.

Publish, ship and adopt do this when the records are on main. Nothing here changes anything but manifests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pointsman.errors import Fault, MovedFirst, Problem, Refused
from pointsman.forge.base import Opened
from pointsman.repo.origin import Move
from pointsman.repo.retry import until_settled
from pointsman.repo.snapshot import Snapshot
from pointsman.report.review import commit_message
from pointsman.report.review.document import describe
from pointsman.settings import Settings
from pointsman.shipping import merge, pulls
from pointsman.shipping.options import ShipOptions, accepts_fault, bind
from pointsman.shipping.pulls import Pull
from pointsman.shipping.supersede import Superseding
from pointsman.state.documents import Manifest, Record, later_moment
from pointsman.state.message import Said, compose, subject_of
from pointsman.state.names import Target
from pointsman.state.objects import Oid
from pointsman.struct import replace
from pointsman.values import ShipOutcome, ShippedTarget, told
from pointsman.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Terms:
    """How to ship: the options, and words for the message and for the user."""

    command: str  # the command to run again after a lost race
    asked: ShipOptions
    together: bool = False  # one pull request for all targets of a run, not one for each target
    note: str = ""  # free text for the commit message


@dataclass(slots=True)
class Want:
    """The wish for one target: type → record, and the types to drop."""

    target: Target
    records: dict[str, Record] = field(default_factory=dict)
    drops: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Ship:
    """The next manifests of one pull request, built on `main`, with the message that vouches for them."""

    main: Oid
    manifests: Mapping[Target, Manifest]
    said: tuple[Said, ...]
    message: str
    branch: str

    @property
    def files(self) -> dict[str, bytes]:
        return {target.manifest_path: manifest.render() for target, manifest in self.manifests.items()}


class Shipping:
    """Makes one pull request after another. The methods are in the order in which they are called.

    `at_hand`: version → payload, for versions that the store may not have yet.
    """

    def __init__(
        self,
        workspace: Workspace,
        settings: Settings,
        terms: Terms,
        at_hand: Mapping[str, Callable[[], bytes]] | None = None,
    ) -> None:
        self.workspace = workspace
        self.repo = workspace.repo
        self.gate = workspace.gate
        self.gate.blobs.contents.provide(at_hand or {})
        self.settings = settings
        self.terms = terms
        self.progress = workspace.progress
        self.notes: list[str] = []
        # targets → the commits that they were judged against
        self._judged: dict[tuple[Target, ...], tuple[str, ...]] = {}
        self._accept: Sequence[str] = terms.asked.accept
        self._accepted: dict[Target, dict[str, str]] = {}
        self._reports: dict[tuple[Target, ...], str] = {}  # targets → the short review of their ship
        self._opened: list[Pull] = []
        self._superseding = Superseding(workspace, self.notes)

    # before anything is written

    def judge(self, groups: Sequence[Sequence[Want]]) -> None:
        """Refused, with all faults of all manifests that would result."""
        faults: list[Fault] = []
        self.repo.expect(sum(map(len, groups)))
        wanted = (want.target for group in groups for want in group)
        self.gate.documents.fetch_ahead(Snapshot(self.repo, self.repo.main), wanted)
        for group in groups:
            try:
                self._next(group)
            except Refused as error:
                faults += error.faults
        if faults:
            raise Refused(faults)
        self._accept = bind(self._accept, self._accepted)

    def preview(self, group: Sequence[Want]) -> list[ShippedTarget]:
        ship = self._next(group)
        if ship is None:
            return [self._shipped(want.target, "unchanged") for want in group]
        return [
            self._shipped(want.target, "dry-run" if want.target in ship.manifests else "unchanged", ship)
            for want in group
        ]

    # the pull request

    def ship(self, groups: Sequence[Sequence[Want]]) -> list[ShippedTarget]:
        """Open, adopt or rebuild the pull request of each group of targets. Merge it if the options say so."""
        shipped = [each for group in groups for each in self._ship(group)]
        gone = self._superseding.look_again(self._opened)
        return [replace(each, outcome="superseded") if each.target in gone else each for each in shipped]

    def _ship(self, group: Sequence[Want]) -> list[ShippedTarget]:
        try:
            return until_settled(self.repo, lambda: self._try(group))
        except _OthersWork as error:
            return [self._shipped(want.target, "unchanged", says=str(error)) for want in group]
        except MovedFirst as error:
            says = f"{error}; run: {self.terms.command} again"
            return [self._shipped(want.target, "opened", says=says) for want in group]
        except Refused as error:
            return [self._shipped(want.target, "refused", faults=error.faults) for want in group]

    def _try(self, group: Sequence[Want]) -> list[ShippedTarget]:
        ship = self._next(group)
        if ship is None:
            self.close_merged({want.target for want in group})
            return [self._shipped(want.target, "unchanged") for want in group]
        pull, outcome = self._open(ship)
        outcome = self._superseding.give_way(pull) or outcome
        commit = None
        if self.terms.asked.merge and outcome != "superseded":
            commit, outcome = merge.merge_pull(self.workspace, pull), "merged"
        elif self.settings.auto_merge and outcome != "superseded":
            commit = merge.merge_when_ready(self.workspace, pull)
            outcome = "merged" if commit is not None else outcome
        self.progress(f"{outcome} {pull.branch}")
        if outcome in ("opened", "updated"):
            self._opened.append(pull)
        return [
            self._shipped(want.target, outcome, ship, pull, commit)
            if want.target in ship.manifests
            else self._shipped(want.target, "unchanged")
            for want in group
        ]

    def _next(self, group: Sequence[Want]) -> Ship | None:
        """The ship that main needs next, judged; None if main has it already. Refused if it breaks a rule."""
        main = self.repo.main
        self.repo.expect(len(group))
        base = Snapshot(self.repo, main)
        manifests: dict[Target, Manifest] = {}
        said: list[Said] = []
        for want in group:
            before, after = self._current_and_next(want, base)
            if after is None:
                continue
            manifests[want.target] = after
            said.append(self._message_about(want, before, after))
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
        if after == current:
            if before is not None and (faults := gate.faults_of_current(main, target)):
                raise Refused(faults)  # main has these versions, but sync does not serve their manifest
            return before, None
        if not after:
            raise Problem(f"{target} would have no type left: to stop serving it, delete its manifest in a commit")
        updated_at = later_moment(self.workspace.clock(), before.updated_at if before else None)
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
        """Refused if the gate says so. Guardrails that the options accept get an Accept: line instead."""
        records = {record.path: record.render() for want in group for record in want.records.values()}
        base = Snapshot(self.repo, ship.main)
        records = {path: data for path, data in records.items() if base.entry(path) is None}
        verdict = self.gate.judge_proposed(ship.main, records, ship.files, ship.message)
        stopping = [fault for fault in verdict.faults if not accepts_fault(self._accept, fault)]
        if stopping:
            raise Refused(stopping)
        self.notes += [note for note in map(str, verdict.notes) if note not in self.notes]
        for target in ship.manifests:
            broken = {fault.rule for fault in verdict.faults if fault.path == target.manifest_path}
            self._accepted[target] = dict.fromkeys(sorted(broken), self.terms.asked.reason)
        self._reports[tuple(ship.manifests)] = commit_message.render(
            describe(self.gate, ship.main, None, verdict, brief=True)
        )

    def _compose(self, main: Oid, manifests: Mapping[Target, Manifest], said: Sequence[Said]) -> Ship:
        slots = [(each.target, slot, version) for each in said for slot, version in sorted(each.records.items())]
        gone = [f"without {slot}" for each in said for slot in sorted(each.drops)]
        subject = f"ship: {subject_of(slots, gone, [each.target for each in said])}"
        reason = self.terms.asked.reason if any(each.accepts or each.reships for each in said) else ""
        names = "\n".join(f"{each.target}\n" + "\n".join(each.rebuildable) for each in said)
        place = "run" if self.terms.together else said[0].target.place
        branch = f"ship/{place}/{hashlib.sha256(names.encode()).hexdigest()[:12]}"
        note = "\n\n".join(filter(None, (self.terms.note, self._reports.get(tuple(manifests)))))
        message = compose(subject, said, run=self.terms.asked.run, reason=reason, note=note)
        return Ship(main, manifests, tuple(said), message, branch)

    def _open(self, ship: Ship) -> tuple[Pull, ShipOutcome]:
        ref = f"refs/heads/{ship.branch}"
        was = self.repo.heads.get(ref)
        if was is not None:
            pull = pulls.read_pull(self.repo, Opened(ship.branch, was))
            replaces = {said.target: said.supersedes for said in pull.message.said}
            if replaces == {said.target: said.supersedes for said in ship.said}:
                return pulls.show_on_forge(self.workspace, ship.branch, was), "unchanged"
            if other := pulls.others_work(self.repo, pull):
                raise _OthersWork(
                    f"{ship.branch} is out of date, and has a commit that no publish made ({other}): "
                    f"close it with pointsman pr close {pull.id}; run: {self.terms.command} again"
                )
        commit = self._commit(ship)
        self.repo.move([Move(ref, commit, was)])
        pull = pulls.show_on_forge(self.workspace, ship.branch, commit, updated=was is not None)
        return pull, "opened" if was is None else "updated"

    def _commit(self, ship: Ship, author: str | None = None) -> Oid:
        tree = self.repo.tree_with(self.repo.tree_of(ship.main), dict(ship.files))
        return self.repo.commit(tree, [ship.main], ship.message, author=author)

    def rebuilt(self, group: Sequence[Want]) -> Ship | None:
        """The ship that a stale pull request of these targets should be now, judged; None if main has it."""
        return self._next(group)

    def push(self, ship: Ship, pull: Pull) -> Pull:
        """Replace the commit of a pull request with a ship."""
        commit = self._commit(ship, pull.author)
        self.repo.move([Move(pull.opened.ref, commit, pull.head)])
        return pulls.renew(self.workspace, pull, commit)

    def close_merged(self, targets: set[Target]) -> None:
        """Finish a merge that was killed between moving main and deleting the branch."""
        for pull in pulls.open_pulls(self.workspace):
            if targets & set(pull.targets) and merge.merged_as(self.repo, self.repo.main, pull) is not None:
                pulls.close_pull(self.workspace, pull)
                self.progress(f"closed {pull.branch}, which main has")

    # the result

    def _shipped(
        self,
        target: Target,
        outcome: ShipOutcome,
        ship: Ship | None = None,
        pull: Pull | None = None,
        commit: Oid | None = None,
        *,
        faults: Sequence[Fault] = (),
        says: str = "",
    ) -> ShippedTarget:
        data = ship.manifests[target].render() if ship is not None and target in ship.manifests else None
        if pull is not None and outcome != "merged":
            data = Snapshot(self.repo, pull.head).read(target.manifest_path)
        if data is None:
            data = Snapshot(self.repo, self.repo.main).read(target.manifest_path)
        return ShippedTarget(
            target=str(target),
            outcome=outcome,
            pull_request=pulls.reference(pull) if pull is not None else None,
            manifest_sha256=hashlib.sha256(data).hexdigest() if data is not None else None,
            commit=commit or (pull.head if pull is not None else self.repo.main if outcome == "unchanged" else None),
            faults=list(map(told, faults)) or None,
            says=says or None,
        )


class _OthersWork(Exception):
    """The branch that would be rebuilt has commits of someone else."""


def _unreadable(target: Target) -> Fault:
    says = f"the manifest on main cannot be read: run pointsman rollback {target}"
    return Fault(target.manifest_path, "schema", says)
