"""Status: what each target has on main, since when and from whom, and whether serving follows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from pointsman.errors import Blocked, Fault, Problem, Unreachable
from pointsman.gate.lineage import Lineage
from pointsman.guardrails.comparison import window_age
from pointsman.guardrails.limits import Age
from pointsman.history.events import shipped_ever, unknown
from pointsman.history.targets import choose, current_targets
from pointsman.history.times import CommitTimes
from pointsman.outcome import Outcome
from pointsman.repo.snapshot import Snapshot
from pointsman.report.target_state import (
    Behind,
    BindingHold,
    CommittedStep,
    ServedDrift,
    Serving,
    ShippedStep,
    Status,
    TargetState,
    Window,
)
from pointsman.rules.evidence import Checkpoint
from pointsman.serving.drift import drift
from pointsman.serving.fence import SYNCED, read_fence, rewrite_faults
from pointsman.serving.pointers import pointers
from pointsman.settings import Settings
from pointsman.shipping.pulls import Pull, reference, seen_pulls
from pointsman.state.documents import Record, rfc3339
from pointsman.state.names import Pattern, Target
from pointsman.state.objects import Commit, Oid, object_id
from pointsman.state.times import window_instant
from pointsman.store.base import Held, Store
from pointsman.store.open import open_store
from pointsman.store.parallel import ask_all
from pointsman.values import told
from pointsman.workspace import Workspace

# What may be asked to be no success → what serving then is. The age of a window is asked for apart.
FAILURES = {"drift": ("drifted",), "behind": ("behind", "absent"), "stale": ()}


def status(
    workspace: Workspace, named: Sequence[Target | Pattern], *, fail_on: Collection[str] = ()
) -> Outcome[Status]:
    """The state of the targets named, of all without any. Whatever it shows is success, unless it is in `fail_on`.

    With `fail_on`: exit 1 if a target is so, 3 if nobody can tell because serving cannot be read.
    """
    main = workspace.repo.refresh()
    look = _Look(workspace, main)
    shown = [look.at(target) for target in look.chosen(named)]
    return Outcome(Status(main, rfc3339(look.clock), shown), exit_code(shown, fail_on))


def exit_code(shown: Sequence[TargetState], fail_on: Collection[str]) -> int:
    """What a command ends with that shows these targets."""
    if {"drift", "behind"} & set(fail_on) and any(each.serving == "unknown" for each in shown):
        return Unreachable.exit_code
    fails = {serving for name in fail_on for serving in FAILURES[name]}
    wanting = (each.serving for each in shown if each.current or each.serving == "drifted")
    stale = "stale" in fail_on and any(each.window and each.window.stale for each in shown)
    return int(stale or any(serving in fails for serving in wanting))


class _Served(NamedTuple):
    """What serving has of a target, against what main has."""

    serving: Serving
    refused: Sequence[Fault] = ()
    behind: Behind | None = None
    drift: ServedDrift | None = None
    unread: str | None = None  # why nobody knows what serving has


class _Look:
    """One look at main and at serving, at a moment."""

    def __init__(self, workspace: Workspace, main: Oid) -> None:
        self.repo = repo = workspace.repo
        self.main = main
        self.clock = workspace.now
        self.head = Snapshot(repo, main)
        self.settings: Settings = self.head.settings()
        self.gate = workspace.gate
        self.moments = CommitTimes(repo, main)
        self.pulls_of: dict[Target, list[Pull]] = {}
        for pull in seen_pulls(workspace):
            for target in pull.targets:
                self.pulls_of.setdefault(target, []).append(pull)
        self.store: Store | None = None  # None: it cannot be reached
        self.unread = ""  # why not
        self.served: dict[Target, Held] = {}

    def chosen(self, named: Sequence[Target | Pattern]) -> list[Target]:
        """The targets to show, their pointers read; without any named all that main, serving or a pull request has."""
        patterns, listed = any(isinstance(each, Pattern) for each in named), set[Target]()
        found: list[Target] | None = None
        try:
            self.store = open_store(self.settings.serving_root, self.settings.access)
            listed = self._listed(self.store) if patterns else listed
            found = self._named(named, listed)
            read = self._pointers(self.store, found) if named else pointers(self.store, self.settings)
            self.served = {target: held for target, held in read if isinstance(held, Held)}
        except Unreachable as problem:
            self.store, self.unread = None, str(problem)
        found = self._named(named, listed) if found is None else found
        if named:
            for target in found:
                self._expect(target)
        else:
            found = sorted({*current_targets(self.head), *self.pulls_of, *self.served})
        self.repo.expect(len(found))
        self.gate.documents.fetch_ahead(self.head, found)
        return found

    def _named(self, named: Sequence[Target | Pattern], listed: Iterable[Target]) -> list[Target]:
        return sorted(choose(self.head, named, more=(*self.pulls_of, *listed)))

    def _listed(self, store: Store) -> set[Target]:
        """Every target of which serving has something, without reading it."""
        keys = store.keys("", self.settings.serving_depth)
        return {target for target in map(self.settings.serving_target, keys) if target is not None}

    def _pointers(self, store: Store, targets: Sequence[Target]) -> Iterable[tuple[Target, Held | Blocked]]:
        """What serving holds of these; one that is no file is left to whoever looks at it alone."""

        def read(target: Target) -> Held | None:
            try:
                return store.read(self.settings.serving_key(target))
            except Unreachable:
                return None

        held = ask_all(read, targets, at_once=store.at_once)
        return ((target, each) for target, each in zip(targets, held, strict=True) if each is not None)

    def _expect(self, target: Target) -> None:
        """Problem for a target that nobody has ever heard of, with the nearest."""
        there = self.head.entry(target.manifest_path) is not None or target in self.served
        if there or target in self.pulls_of:
            return
        if str(target) not in (known := shipped_ever(self.repo, self.main)):
            raise Problem(unknown(target, known))

    def at(self, target: Target) -> TargetState:
        """Everything about one target."""
        documents = self.gate.documents
        manifest = documents.manifest(self.head, target)
        lineage = self.gate.lineage(self.main, target)
        served = self._serving(lineage)
        return TargetState(
            target=str(target),
            current=manifest.versions if manifest else {},
            window=self._window(target, documents.records(self.head, target, manifest)),
            shipped=self._shipped(lineage.last.commit) if lineage.last is not None else None,
            serving=served.serving,
            behind=served.behind,
            drift=served.drift,
            unread=served.unread,
            refused=list(map(told, served.refused)),
            holds=[
                BindingHold(hold.target, hold.until, hold.reason)
                for hold in documents.holds(self.head, target).values()
                if hold is not None and hold.binds(self.clock)
            ],
            pull_requests=list(map(reference, self.pulls_of.get(target, ()))),
        )

    def _shipped(self, commit: Commit) -> ShippedStep:
        step = self.moments.step(commit)
        return ShippedStep(step.commit, step.at, step.by, commit.committer, self.gate.past.message(commit).run)

    def _window(self, target: Target, records: Mapping[str, Record]) -> Window | None:
        if not records:
            return None
        first = min(records.values(), key=lambda record: window_instant(record.window_start) or (0, 0))
        last = max(records.values(), key=lambda record: window_instant(record.window_end) or (0, 0))
        limit = self.settings.limit(target, "window_stale")
        ages = {slot: window_age(record, self.clock) for slot, record in records.items()}
        old = [slot for slot, age in ages.items() if isinstance(limit, Age) and (age is None or age > limit.seconds)]
        most = limit.seconds if isinstance(limit, Age) else None
        return Window(first.window_start, last.window_end, window_age(last, self.clock), most, sorted(old))

    def _serving(self, lineage: Lineage) -> _Served:
        """What serving has, and what is behind it where that is not what main has."""
        target = lineage.target
        if self.store is None:
            return _Served("unknown", unread=self.unread)
        key = self.settings.serving_key(target)
        try:
            held = self.served.get(target) or self.store.read(key)
        except Unreachable as problem:  # something stands there that is no pointer
            return _Served("unknown", unread=str(problem))
        if held is not None and held.data == (self.head.read(target.manifest_path) or b""):
            return _Served("in-sync")
        refused = (*self._rewritten, *self.gate.faults_of_current(self.main, target))
        if held is None:
            last = lineage.last
            return _Served("absent", refused, self._since(last.commit, 1) if last is not None else None)
        oid, missing = object_id("blob", held.data, len(self.main)), None
        for step in lineage:
            if step.after is not None and step.after.oid == oid:
                return _Served("behind", refused, self._since(missing or step.commit, step.place))
            if step.before is not None and step.before.oid == oid:
                return _Served("behind", refused, self._since(step.commit, step.place + 1))
            missing = step.commit
        return _Served("drifted", refused, drift=self._drift(self.store, target, key, held))

    @cached_property
    def _rewritten(self) -> Sequence[Fault]:
        """Why sync refuses everything, if main does not descend from what was synced last."""
        if self.store is None:
            return ()
        try:
            return rewrite_faults(self.gate, Checkpoint.SYNC, read_fence(self.store, SYNCED), self.main)
        except Unreachable:
            return ()

    def _since(self, commit: Commit, commits: int) -> Behind:
        step, seconds = self.moments.step(commit), max(self.clock - self.moments.of(commit.oid), 0)
        return Behind(CommittedStep(step.commit, step.at, step.by, commit.committer), seconds, commits)

    def _drift(self, store: Store, target: Target, key: str, held: Held) -> ServedDrift:
        written, found = store.written(key), drift(self.gate.documents, self.head, target, held)
        at = rfc3339(int(written)) if written is not None else None
        return ServedDrift(store.writer(key), at, found.readable, found.says, found.changes, found.uris)
