"""Plans: what a rollback makes of each target, and the proof that all it points to is still there."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec import Struct
from msgspec.structs import replace

from pointsman.errors import Problem, Refused
from pointsman.gate.gate import Gate
from pointsman.gate.unmounted import require_mounted
from pointsman.history.earlier_states import EarlierState, EarlierStates, NeverGood, NoEarlierState
from pointsman.history.targets import choose
from pointsman.repo.repository import Repository
from pointsman.repo.snapshot import Snapshot
from pointsman.retention.before_pointing import make_sure
from pointsman.shipping.branches import held_key, restore_key
from pointsman.shipping.options import accepts, bind, check_now, check_words, idle
from pointsman.state.documents import Hold, Manifest, later_moment, read_manifest
from pointsman.state.message import Said
from pointsman.state.names import Pattern, Target, short
from pointsman.state.objects import Entry, Oid
from pointsman.verbs import hold as holds
from pointsman.workspace import Workspace

_HELD_FOR = "1d"  # long enough to stop the next night's run
_SHOWN = 3  # targets


class Request(Struct, frozen=True):
    """Which targets to put back, to what, and how. Problem, when it is made, for words that cannot stand together."""

    targets: tuple[Target | Pattern, ...] = ()
    to: str | None = None
    slot: str | None = None  # this artifact type alone
    run: str | None = None  # what this pipeline run shipped, of the targets or of all
    now: bool = False
    hold: bool = False
    until: str | None = None  # when the hold ends
    reason: str = ""
    accept: tuple[str, ...] = ()
    dry_run: bool = False  # say what would change, and write nothing
    broke_glass: tuple[str, ...] = ()  # "<target> <time> <who>" of claims that it makes main's

    def __post_init__(self) -> None:
        if not self.targets and self.run is None:
            raise Problem("name the target to roll back, such as grocer/home, or the run with --run")
        if self.to is not None and self.run is not None:
            raise Problem("--run goes back to what stood before the run: leave --to out")
        check_words(self.run or "", self.accept, self.reason)
        check_now(self.now, self.reason)
        if self.hold and not self.reason:
            raise Problem("--hold needs --reason: whoever is stopped will read it")
        if self.until is not None and not self.hold:
            raise Problem("--until is when a hold ends: it needs --hold")


@dataclass(frozen=True, slots=True)
class Plan:
    """What one target's manifest becomes; None, with the reason in `says`, if it stays as it is or is removed."""

    target: Target
    before: Entry | None
    after: Entry | bytes | None
    said: Said
    to: str = ""  # the state that is restored, in words
    state: Oid | None = None  # the commit that made it
    hold: Hold | None = None  # to be set with it
    stands: Hold | None = None  # the hold on main that is asked for, or ends later
    says: str = ""
    left: bool = False  # nothing could be done for it
    removes: bool = False  # no manifest of the target was ever in good order, so none is left
    key: str = field(default="", compare=False)  # what it is, wherever it is built

    @property
    def moves(self) -> bool:
        return self.removes or (self.after is not None and self.after != self.before)


def plans(workspace: Workspace, request: Request) -> Iterator[Plan]:
    """What becomes of each target that is asked for."""
    repo, gate = workspace.repo, workspace.gate
    past = EarlierStates(gate)
    base = Snapshot(repo, repo.main)
    chosen = choose(base, request.targets)
    if request.run is not None:
        shipped = past.shipped_by(request.run)
        chosen = [target for target in shipped if target in set(chosen)] if request.targets else shipped
        if not chosen:
            raise Problem(f"{request.run} shipped none of these targets, but {', '.join(map(str, shipped[:_SHOWN]))}")
    repo.notes.extend(idle(request.accept, chosen))
    bind(request.accept, dict.fromkeys(chosen, request.accept))
    named = {each for each in request.targets if isinstance(each, Target)}
    until = holds.read_until(request.until or _HELD_FOR, workspace.now) if request.hold else ""
    repo.expect(len(chosen))
    if request.run is None:
        repo.fetch_ahead(past.tops(chosen))
        gate.documents.fetch_ahead(Snapshot(repo, repo.main), chosen)
    for target in chosen:
        try:
            plan = _plan(workspace, past, request, target)
        except NoEarlierState as problem:
            if target in named:
                raise
            entry = base.entry(target.manifest_path)
            yield Plan(target, entry, None, Said(target), says=str(problem), left=True)
            continue
        hold = Hold(str(target), until, request.reason) if until else None
        yield _held(repo, base, plan, hold) if hold is not None else plan


def _plan(workspace: Workspace, past: EarlierStates, request: Request, target: Target) -> Plan:
    repo, gate = workspace.repo, workspace.gate
    entry = Snapshot(repo, repo.main).entry(target.manifest_path)
    state: EarlierState | None
    if request.run is not None:
        state = past.before_run(target, request.run, request.slot)
        if state is None:
            what = f"no {request.slot}" if request.slot else "nothing"
            return Plan(target, entry, None, Said(target), says=f"{what} that this run shipped is current any more")
    elif request.slot is not None:
        state = past.slot(target, request.slot, request.to)
    else:
        try:
            state = past.state(target, request.to)
        except NeverGood:
            return _without(target, entry, _said(gate, request, target))
    said = _said(gate, request, target)
    earlier = _manifest(repo, target, state.entry, state.commit)
    if not state.slots:
        to = f"{short(state.commit)}: {_versions(earlier.versions)}"
        return Plan(target, entry, state.entry, said, to, state.commit, key=restore_key(said, state.entry.oid))
    if entry is None:
        raise NoEarlierState(f"{target} has no manifest on main: roll it back as a whole, without --type")
    return _with_slots(workspace, _manifest(repo, target, entry, repo.main), earlier, entry, said, state)


def _said(gate: Gate, request: Request, target: Target) -> Said:
    last = gate.lineage(gate.repo.main, target).last
    said = Said(target, supersedes=last.commit.oid if last else "none", now=request.now)
    rules = {each.rpartition(":")[2] for each in request.accept}
    said.accepts = {rule: request.reason for rule in sorted(rules) if accepts(request.accept, target, rule)}
    return said


def _without(target: Target, entry: Entry | None, said: Said) -> Plan:
    """The removal of a manifest that no commit brought in good order, as a revert of that commit would do it."""
    says = f"no manifest of it was ever in good order, so main has none now: pointsman publish --reship ships {target}"
    return Plan(target, entry, None, said, "no manifest", says=says, removes=True, key=restore_key(said, None))


def _with_slots(
    workspace: Workspace, now: Manifest, earlier: Manifest, entry: Entry, said: Said, state: EarlierState
) -> Plan:
    """The manifest of now with some types as they were earlier: new bytes, which the message vouches for."""
    put_back = {slot: earlier.current[slot] for slot in state.slots if now.current.get(slot) != earlier.current[slot]}
    if not put_back:
        return Plan(said.target, entry, entry, said)
    current = {**now.current, **put_back}
    manifest = Manifest(now.tenant, now.surface, current, later_moment(workspace.clock(), now.updated_at))
    said.manifest = hashlib.sha256(manifest.render()).hexdigest()
    said.restores = {slot: earlier.versions[slot] for slot in put_back}
    to = f"{short(state.commit)}: {_versions(said.restores)}"
    return Plan(said.target, entry, manifest.render(), said, to, state.commit, key=restore_key(said, None))


def _held(repo: Repository, base: Snapshot, plan: Plan, hold: Hold) -> Plan:
    """The same with a hold to set; one that stands and ends later stays."""
    there = holds.standing(repo, base.entry(hold.path), hold.path)
    hold = replace(hold, rollout=there.rollout if there is not None else "")
    if there is not None and (there.until >= hold.until or holds.is_same(there, hold)):
        return dataclasses.replace(plan, stands=there)
    return dataclasses.replace(plan, hold=hold, key=held_key(plan.key if plan.moves else "", hold))


def _manifest(repo: Repository, target: Target, entry: Entry, commit: Oid) -> Manifest:
    data = repo.content(entry)
    manifest = read_manifest(data, target.manifest_path) if data is not None else None
    if not isinstance(manifest, Manifest):
        raise Problem(f"{target}: the manifest of {short(commit)} cannot be read: choose another with --to")
    return manifest


def prove(gate: Gate, plans: Sequence[Plan], *, dry_run: bool) -> None:
    """Refused unless every record is on main and every blob of what is put back hashes to its version.

    A blob that is in the trash comes back first, but for a `dry_run`.
    """
    manifests = {}
    for plan in plans:
        if plan.removes:
            continue
        data = plan.after if isinstance(plan.after, bytes) else gate.repo.content(plan.after)
        manifest = read_manifest(data or b"", plan.target.manifest_path)
        assert isinstance(manifest, Manifest)
        manifests[plan.target] = manifest
    main = Snapshot(gate.repo, gate.repo.main)
    records = (target.record_path(*slot) for target, each in manifests.items() for slot in each.versions.items())
    gate.repo.fetch_ahead(map(main.entry, records))
    if not dry_run:
        make_sure(gate, main, {uri for each in manifests.values() for uri in each.current.values()})
    faults = gate.faults_of_pointers(gate.repo.main, manifests, remember=True)
    if faults:
        require_mounted(gate.documents, main, gate.settings(main))
        raise Refused(faults)


def _versions(versions: Mapping[str, str], *, digits: int = 12) -> str:
    return ", ".join(f"{slot} {version[:digits]}" for slot, version in versions.items())
