"""Rollout: what each ring has and is due, and with `check` what its checks say, and what follows from a failure.

A failing verdict stops the state from the moment that it is written down, beside the pointers of the ring. Then main
gets the hold that says so, or goes back to the state before. Of many targets the trouble of one stops no other.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from pointsman.errors import Blocked, MovedFirst, NoAnswer, NotAllowed, Problem, Refused, Unreachable, trouble_of
from pointsman.gate.lineage import Step
from pointsman.history.events import shipped_ever, unknown
from pointsman.history.targets import choose, current_targets
from pointsman.outcome import Outcome
from pointsman.repo.snapshot import Snapshot
from pointsman.serving.asking import Failure, Waiting, ask, why_not_back
from pointsman.serving.claims import Claims, claims_at, unknown_claim
from pointsman.serving.others import Others
from pointsman.serving.pointers import not_mounted, open_place
from pointsman.serving.prometheus import Prometheus
from pointsman.serving.ring_state import RingState, known_checks
from pointsman.serving.turns import Turns, stopped_by_hold
from pointsman.serving.verdicts import Verdict, Verdicts, note_verdicts, verdicts_of
from pointsman.settings import SETTINGS_PATH
from pointsman.state.documents import Hold, read_hold, rfc3339
from pointsman.state.names import Pattern, Target, short
from pointsman.state.objects import Oid
from pointsman.state.ring import Ring, ring_before
from pointsman.store.base import Held, Store
from pointsman.store.closed import Closed
from pointsman.store.parallel import ask_all
from pointsman.trust.keygen import NoKeygen
from pointsman.values import CommitId, PullRequest, TargetName
from pointsman.verbs import hold, rollback
from pointsman.workspace import Workspace

_SHARE = 5  # at most one in so many of the targets that wait goes back in one run, one at least
_LONGEST = 900  # characters of a reason


class Request(Struct, frozen=True):
    """Which targets, all by default; `check`: ask the checks, and act on what they say, or with `dry_run` only tell."""

    targets: tuple[Target | Pattern, ...] = ()
    check: bool = False
    dry_run: bool = False


class Acted(Struct, frozen=True):
    """What followed from a check that fails, or would follow."""

    outcome: Annotated[
        Literal["stopped", "rolled-back"], "in force once it is on main; what failed reaches no further ring meanwhile"
    ]
    state: Annotated[CommitId, "the commit whose state failed"]
    check: str
    commit: Annotated[CommitId | None, "the commit that says so: of main, or of the pull request; none in a dry run"]
    pull_request: Annotated[PullRequest | None, "where main may not be pushed"]
    says: str


class RolledTarget(Struct, frozen=True):
    """The rings of one target, in their order."""

    target: TargetName
    rings: Sequence[RingState]
    acted: Annotated[Sequence[Acted] | None, "with --check: what followed from failures"] = None
    says: Annotated[str | None, "what could not be done or told"] = None


class RolledOut(Struct, frozen=True):
    """What every ring has of the targets."""

    commit: CommitId
    targets: Sequence[RolledTarget]
    dry_run: Annotated[bool, "nothing was written: what was done is what would be"] = False


def rollout(workspace: Workspace, request: Request) -> Outcome[RolledOut]:
    """Show the rings of the targets. With `check`, ask about what waits, write down the verdicts, stop what fails.

    With `dry_run`, too, the checks are asked, and nothing is written.
    Exit 1 if a check failed in this run, 3 if one was asked and decided nothing, or a ring cannot be reached.
    """
    repo = workspace.repo
    head = Snapshot(repo, repo.refresh())
    targets = choose(head, request.targets) if request.targets else current_targets(head)
    for target in targets:
        if head.entry(target.manifest_path) is None and str(target) not in (known := shipped_ever(repo, repo.main)):
            raise Problem(unknown(target, known))
    if not workspace.gate.settings(head).rings:
        raise Problem(f"{SETTINGS_PATH} has no [[ring]], so every ship is everywhere at once: docs/rings.md says more")
    repo.expect(len(targets))
    workspace.gate.documents.fetch_ahead(head, targets)
    run = _Run(workspace, targets, request.dry_run)
    prometheus = Prometheus()
    try:
        looked = [run.look(target, prometheus if request.check else None) for target in targets]
        if request.check:
            run.act(looked, prometheus)
    finally:
        prometheus.close()
    value = RolledOut(run.main, [each.told() for each in looked], request.dry_run)
    return Outcome(value, _exit_code(looked, run.away.values()), tuple(run.notes))


class _Looked(Struct):
    """What was seen of one target, and done about it."""

    target: Target
    rings: list[RingState] = field(default_factory=list)
    failed: list[tuple[Waiting, Verdict]] = field(default_factory=list)  # also those of earlier runs
    new: list[Failure] = field(default_factory=list)
    acted: list[Acted] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    waits: bool = False
    undecided: bool = False  # a check was asked, and decided nothing

    def told(self) -> RolledTarget:
        says = "; ".join(dict.fromkeys(map(str, self.problems)))
        return RolledTarget(str(self.target), self.rings, self.acted or None, says or None)

    def why(self, waiting: Waiting, verdict: Verdict) -> str:
        """Why a state is stopped, in words for a commit."""
        told = (each.says for each in self.new if (each.step.oid, each.check.name) == (verdict.commit, verdict.check))
        return next(told, f"check {verdict.check} failed at {rfc3339(verdict.at)}") + f" in {waiting.before.name}"


def _exit_code(looked: Sequence[_Looked], away: Iterable[Problem]) -> int:
    if any(each.new for each in looked):
        return Refused.exit_code
    codes = {problem.exit_code for each in looked for problem in each.problems} | {each.exit_code for each in away}
    if Unreachable.exit_code in codes or any(each.undecided for each in looked):
        return Unreachable.exit_code
    return max(codes, default=0)


class _Run:
    """One run: what is read once for all targets, and what is told in the end."""

    def __init__(self, workspace: Workspace, targets: Sequence[Target], dry_run: bool) -> None:
        self.notes: list[str] = []
        self.away: dict[str, Problem] = {}  # rings that cannot be reached
        self.main = workspace.repo.main
        self._workspace = workspace
        self._dry_run = dry_run
        self._gate = workspace.gate
        self._settings = workspace.gate.settings(Snapshot(workspace.repo, self.main))
        self._now = workspace.now
        self._stores: dict[str, Store] = {}
        self._turns: dict[str, Turns] = {}
        self._held: dict[tuple[str, Target], Held | Blocked | None] = {}
        self._claims: dict[str, Mapping[Target, Held]] = {}
        self._closed: dict[str, Closed] = {ring.name: {} for ring in self._settings.rings}
        others = Others()
        for ring in self._settings.rings:
            self._stores[ring.name] = open_place(ring.place)
            self._turns[ring.name] = Turns(self._gate, self._settings, self.main, ring.name, self._now, others)
            self._read(ring, targets)

    def _read(self, ring: Ring, targets: Sequence[Target]) -> None:
        store = self._stores[ring.name]

        def read(target: Target) -> Held | Blocked | None:
            try:
                return store.read(ring.place.key(target))
            except (Blocked, NoAnswer) as trouble:
                return Blocked(str(trouble))

        try:
            if says := not_mounted(
                self._gate.documents, Snapshot(self._workspace.repo, self.main), self._settings, ring.place
            ):
                raise Unreachable(says)
            found = ask_all(read, targets, at_once=store.at_once)
            self._claims[ring.name] = claims_at(store, closed=self._closed[ring.name])
        except Unreachable as problem:
            self.away[ring.name] = problem
            self.notes.append(f"{ring.name}: {problem}")
            return
        self._held |= {(ring.name, target): held for target, held in zip(targets, found, strict=True)}
        self._turns[ring.name].look_ahead(targets)

    # looking

    def look(self, target: Target, prometheus: Prometheus | None) -> _Looked:
        """The rings of a target; with `prometheus`, after asking about what waits."""
        looked = _Looked(target)
        if self._gate.lineage(self.main, target).last is None:
            return looked
        for ring in self._settings.rings:
            try:
                if ring.name not in self.away:
                    looked.rings.append(self._look(looked, ring, prometheus))
            except Exception as error:  # noqa: BLE001 - the others are told all the same
                looked.problems.append(trouble_of(error))
        return looked

    def _look(self, looked: _Looked, ring: Ring, prometheus: Prometheus | None) -> RingState:
        target, turns = looked.target, self._turns[ring.name]
        if isinstance(held := self._held[ring.name, target], Blocked):
            raise held
        if (unknown := unknown_claim(target, self._closed[ring.name])) is not None:
            raise unknown
        lineage = self._gate.lineage(self.main, target)
        has = lineage.having(held.data) if held is not None else None
        kept = self._is_kept(ring, target)
        found, due = ring_before(self._settings.rings, ring.name, target), turns.of(target, held)
        if found is None or due is None or due.coming is None:
            return turns.state(target, held, due, look=True, kept=kept)
        if (unread := turns.unread(target)) is not None:
            looked.problems.append(unread)
        looked.waits = looked.waits or due.waits_for != "stop"
        checks = [self._settings.checks[name] for name in ring.checks]
        known = turns.verdicts(ring, target)
        said = known_checks(checks, known, due.coming, self._now)
        waiting = Waiting(ring, found[1], lineage, has, due, turns.given(found[1], target), known)
        if prometheus is not None and checks:
            if due.waits_for != "stop":
                asked = ask(waiting, checks, prometheus, self._now)
                said, known = asked.said, self._note(ring, target, asked.verdicts)
                turns.learn(ring, target, known)
                looked.new += asked.failures
                looked.undecided = looked.undecided or asked.trouble
                due = turns.of(target, held) or due
            looked.failed += [
                (waiting, each) for each in known.every if each.verdict == "fail" and each.check in ring.checks
            ]
        return turns.state(target, held, due, look=True, kept=kept, said=said)

    def _is_kept(self, ring: Ring, target: Target) -> bool:
        """Whether break-glass holds a target in a ring, so that sync gives it nothing."""
        claim = self._claims.get(ring.name, {}).get(target)
        claims = Claims(self._gate, self.main, self._now)
        with contextlib.suppress(NoKeygen):
            return claim is not None and claims.judge(ring.place, target, claim.data).holds
        return False

    def _note(self, ring: Ring, target: Target, said: Sequence[Verdict], settled: Sequence[Oid] = ()) -> Verdicts:
        store = self._stores[ring.name]
        if self._dry_run:
            return verdicts_of(store, ring.name, target).after(said, settled)
        with store.locked(""):
            return note_verdicts(store, ring.name, target, said, settled)

    # acting

    def act(self, looked: Sequence[_Looked], prometheus: Prometheus) -> None:
        """Stop what failed, or put the state before it back."""
        waiting = sum(each.waits for each in looked)
        back = [each for each in looked if any(failure.check.rolls_back for failure in each.new)]
        many = len(back) > max(1, waiting // _SHARE)
        if many:
            says = f"{len(back)} of {waiting} targets that wait fail a check at once, so it may be none of them"
            self.notes.append(f"{says}: nothing is rolled back, they are stopped")
        for each in looked:
            try:
                self._act(each, None if many else prometheus)
            except Exception as error:  # noqa: BLE001 - the others go on; the verdict stops it meanwhile
                each.problems.append(trouble_of(error))

    def _act(self, looked: _Looked, prometheus: Prometheus | None) -> None:
        """`prometheus`: to ask whether a state may be rolled back; None: none may."""
        open_ = []
        for waiting, verdict in looked.failed:
            step = self._still_waits(waiting, verdict)
            if step is None:
                self._note(waiting.ring, looked.target, [], [verdict.commit])
            else:
                open_.append((step, waiting, verdict))
        if not open_:
            return
        step, waiting, verdict = min(open_, key=lambda each: each[0].place)
        why = looked.why(waiting, verdict)[:_LONGEST]
        new = [each for each in looked.new if each.check.rolls_back and each.step.oid == step.oid]
        if prometheus is not None and new:
            if stays := why_not_back(waiting, new[0], self._earlier(step), prometheus):
                self.notes.append(f"{looked.target} is stopped and not rolled back: {stays}")
            else:
                try:
                    looked.acted.append(self._back(looked.target, step, verdict, why))
                    return
                except Problem as problem:
                    looked.problems.append(problem)
        looked.acted.append(self._stop(looked.target, step, verdict, why))

    def _still_waits(self, waiting: Waiting, verdict: Verdict) -> Step | None:
        """The state that failed, if it would go on; None if it is gone, or a hold on main stops it, or did."""
        lineage, target = waiting.lineage, waiting.lineage.target
        try:
            step = lineage.of(verdict.commit)
        except KeyError:
            return None
        if waiting.has is not None and step.place >= waiting.has.place:
            return None
        changed = {slot: each for slot, each in step.versions.items() if step.versions_before.get(slot) != each}
        if changed and self._gate.past.taken_out(self.main, target, changed) == set(changed):
            return None
        for commit in {*self._holds_since(target, verdict.main), *stopped_by_hold(self._gate, self.main, target)}:
            with contextlib.suppress(KeyError):
                if lineage.of(commit).place <= step.place:
                    return None
        return step

    def _holds_since(self, target: Target, before: Oid) -> Iterator[Oid]:
        """The commits that holds of a target have stopped on main since it was `before`."""
        repo = self._workspace.repo
        for commit in repo.history(self.main, target.hold_path):
            if repo.grew_from(commit.oid, before):
                return
            for change in commit.changes:
                data = repo.content(change.new) if change.path == target.hold_path else None
                found = read_hold(data, change.path) if data is not None else None
                if isinstance(found, Hold) and found.rollout:
                    yield Oid(found.rollout)

    def _earlier(self, step: Step) -> Step | None:
        older = step.lineage.since(step.place + 1)
        return next((each for each in older if each.after is not None and each.is_good), None)

    def _back(self, target: Target, step: Step, verdict: Verdict, why: str) -> Acted:
        workspace, earlier = self._workspace.again(), self._earlier(step)
        last = workspace.gate.lineage(workspace.repo.refresh(), target).last
        if earlier is None or last is None or last.oid != step.oid:
            raise MovedFirst(f"{target}: main has a newer state than {short(step.oid)}, so nothing is rolled back")
        asked = rollback.Request((target,), to=earlier.oid, now=True, reason=why, dry_run=self._dry_run)
        try:
            found = rollback.roll_back(workspace, asked)
        except NotAllowed:
            found = rollback.roll_back(workspace, replace(asked, now=False))
        (done,) = found.value.targets
        return Acted("rolled-back", step.oid, verdict.check, done.commit, done.pull_request, why)

    def _stop(self, target: Target, step: Step, verdict: Verdict, why: str) -> Acted:
        workspace = self._workspace.again()
        asked = hold.Request(str(target), rollout=step.oid, reason=why, now=True, dry_run=self._dry_run)
        try:
            done = hold.change_hold(workspace, asked).value
        except NotAllowed:
            done = hold.change_hold(workspace, replace(asked, now=False)).value
        return Acted("stopped", step.oid, verdict.check, done.commit, done.pull_request, why)
