"""Status: what each target has on main, since when and from whom, and whether serving follows."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence

from pointsman.errors import Problem, Unreachable
from pointsman.gate.lineage import Lineage, Step
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
    Instances,
    Late,
    MainSeen,
    RingInstances,
    ShippedStep,
    Status,
    TargetState,
    Window,
)
from pointsman.retention.summary import read_summary
from pointsman.serving.claims import told_claim
from pointsman.serving.left_rings import ever_left, look_at_left
from pointsman.serving.others import Others
from pointsman.serving.outcomes import LeftRing
from pointsman.serving.pointers import Remembered
from pointsman.settings import Settings
from pointsman.shipping.pulls import Pull, reference, seen_pulls
from pointsman.state.documents import Record, rfc3339
from pointsman.state.names import Pattern, Target
from pointsman.state.objects import PLAIN_FILE, Commit, Oid
from pointsman.state.times import unix, window_instant
from pointsman.store.open import open_store
from pointsman.values import told
from pointsman.verbs.status_place import PlaceLook, Served
from pointsman.workspace import Workspace

# What may be asked to be no success → what serving then is. The age of a window is asked for apart.
_WORST = ("unknown", "drifted", "absent", "behind", "in-sync")
_LATE = 20  # instances that are named
FAILURES = {"drift": ("drifted",), "behind": ("behind", "absent"), "stale": (), "frozen": ()}


def status(
    workspace: Workspace,
    named: Sequence[Target | Pattern],
    *,
    fail_on: Collection[str] = (),
    remembered: Remembered | None = None,
) -> Outcome[Status]:
    """The state of the targets named, of all without any. Whatever it shows is success, unless it is in `fail_on`.

    With `fail_on`: exit 1 if a target is so, 3 if nobody can tell because serving cannot be read. `remembered`: what
    earlier looks read of serving.
    """
    look = Look(workspace, workspace.repo.refresh(), remembered or Remembered())
    if "frozen" in fail_on and all(place.frozen_after is None for place in look.settings.serving):
        raise Problem('--fail-on frozen: no [serving] has a frozen_after: add one to pointsman.toml, such as "2d"')
    if named:
        chosen = look.chosen(named)
    else:
        look.list_pointers()
        look.read_listed()
        chosen = look.every()
    shown = [look.at(target) for target in chosen]
    found = look.told(shown, whole=not named and not workspace.offline)
    note = workspace.gate.consents.policies.note(look.head)
    return Outcome(found, _exit_code(shown, found.main_seen, fail_on), (note,) if note else ())


def _exit_code(shown: Sequence[TargetState], seen: Sequence[MainSeen], fail_on: Collection[str]) -> int:
    unread = "frozen" in fail_on and any(each.unread is not None for each in seen)
    if unread or ({"drift", "behind"} & set(fail_on) and any(each.serving == "unknown" for each in shown)):
        return Unreachable.exit_code
    if "frozen" in fail_on and any(each.frozen for each in seen):
        return 1
    fails = {serving for name in fail_on for serving in FAILURES[name]}
    wanting = (each.serving for each in shown if each.current or each.serving == "drifted")
    stale = "stale" in fail_on and any(each.window and each.window.stale for each in shown)
    return int(stale or any(serving in fails for serving in wanting))


class Look:
    """One look at main and at serving, at a moment."""

    def __init__(
        self, workspace: Workspace, main: Oid, remembered: Remembered, pulls: Sequence[Pull] | None = None
    ) -> None:
        self.repo = repo = workspace.repo
        self.remembered = remembered
        self.main = main
        self.clock = workspace.now
        self.head = Snapshot(repo, main)
        self.gate = workspace.gate
        self.settings: Settings = self.gate.settings(self.head)
        self.moments = CommitTimes(repo, main)
        self.pulls_of: dict[Target, list[Pull]] = {}
        for pull in seen_pulls(workspace) if pulls is None else pulls:
            for target in pull.targets:
                self.pulls_of.setdefault(target, []).append(pull)
        self.others = Others()
        self.places = [PlaceLook(self, place) for place in self.settings.serving]

    def told(self, shown: Sequence[TargetState], *, whole: bool) -> Status:
        """The states of some targets, with what else there is to tell. `whole`: also of what belongs to no target."""
        summary = read_summary(open_store(self.settings.store, self.settings.access)) if whole else None
        seen = [each for place in self.places if (each := place.main_seen()) is not None]
        left = self._left() or None if whole else None
        return Status(self.main, rfc3339(self.clock), shown, summary, seen, left)

    def _left(self) -> list[LeftRing]:
        """What is still there of rings that left the settings."""
        found = (look_at_left(self.gate, self.main, place) for place in ever_left(self.gate, self.head))
        return [each for each in found if each is not None]

    def chosen(self, named: Sequence[Target | Pattern]) -> list[Target]:
        """The targets that somebody named, their pointers read."""
        listed = set[Target]()
        if any(isinstance(each, Pattern) for each in named):
            listed = {target for place in self.places for target in place.listed()}
        found = sorted(choose(self.head, named, more=(*self.pulls_of, *listed)))
        for place in self.places:
            place.read(found)
        served = {target for place in self.places for target in place.served}
        for target in found:
            self._expect(target, served)
        return self._announced(found)

    def list_pointers(self) -> None:
        """List what serving has at each place."""
        for place in self.places:
            place.list_pointers(self.remembered)

    def every(self, among: Iterable[Target] | None = None) -> list[Target]:
        """All targets that main, a pull request or what was read of serving has. `among`: those that main may have."""
        mine = current_targets(self.head) if among is None else filter(self._is_current, among)
        served = (target for place in self.places for target in place.served)
        return self._announced(sorted({*mine, *self.pulls_of, *served}))

    def read_listed(self, but: Iterable[Sequence[str]] = ()) -> None:
        """Read the pointers that were listed. `but`: of each target that needs no look its key at each place."""
        keys = [*zip(*but, strict=True)] or [()] * len(self.places)
        for place, some in zip(self.places, keys, strict=True):
            place.read_listed(self.remembered, {*some})

    def _is_current(self, target: Target) -> bool:
        entry = self.head.entry(target.manifest_path)
        return entry is not None and entry.mode == PLAIN_FILE

    def _announced(self, found: list[Target]) -> list[Target]:
        self.repo.expect(len(found))
        self.gate.documents.fetch_ahead(self.head, found)
        return found

    def _expect(self, target: Target, served: Container[Target]) -> None:
        """Problem for a target that nobody has ever heard of, with the nearest."""
        there = self.head.entry(target.manifest_path) is not None or target in served
        if there or target in self.pulls_of:
            return
        if str(target) not in (known := shipped_ever(self.repo, self.main)):
            raise Problem(unknown(target, known))

    def at(self, target: Target) -> TargetState:
        """Everything about one target."""
        documents = self.gate.documents
        manifest = documents.manifest(self.head, target)
        lineage = self.gate.lineage(self.main, target)
        found = [(place, place.at(lineage)) for place in self.places]
        served = min((each for _, each in found), key=lambda each: _WORST.index(each.serving))
        claims = [told_claim(each.claim) for _, each in found if each.claim is not None]
        refused = dict.fromkeys(fault for _, each in found for fault in each.refused)
        return TargetState(
            target=str(target),
            current=manifest.versions if manifest else {},
            updated_at=manifest.updated_at if manifest else None,
            window=self._window(target, documents.records(self.head, target, manifest)),
            shipped=self._shipped(lineage.last) if lineage.last is not None else None,
            serving=served.serving,
            behind=served.behind,
            drift=served.drift,
            unread=served.unread,
            refused=list(map(told, refused)),
            holds=[
                BindingHold(hold.target, hold.until, hold.reason)
                for hold in documents.holds(self.head, target).values()
                if hold is not None and hold.binds(self.clock)
            ],
            pull_requests=list(map(reference, self.pulls_of.get(target, ()))),
            instances=self._instances(lineage, found),
            claim=next(iter(sorted(claims, key=lambda claim: not claim.holds)), None),
            places=[place.told(each) for place, each in found] if found[0][0].place.name else None,
            rings=[each.ring for _, each in found if each.ring is not None] or None,
        )

    def _instances(self, lineage: Lineage, found: Sequence[tuple[PlaceLook, Served]]) -> Instances | None:
        """How instances stand to main's manifest, and those of a ring to what it was given.

        None if nothing was ever seen, or main has no manifest.
        """
        target, last = lineage.target, lineage.last
        data = self.head.read(target.manifest_path)
        if data is None or last is None or not any(place.instances for place, _ in found):
            return None
        late: list[Late] = []
        counts: list[RingInstances] = []
        for place, served in found:
            wanted, since = data, self.moments.of(last.commit.oid)
            if (ring := served.ring) is not None and ring.commit is not None:
                wanted = self.repo.content(lineage.of(ring.commit).after) or data
                since = (unix(ring.given_at) if ring.given_at is not None else None) or since
            each = place.having(target, hashlib.sha256(wanted).hexdigest())
            seconds = max(self.clock - since, 0)
            late += [Late(name, load.sha256, seconds) for name, load in each.behind.items()]
            current, behind = len(each.current), len(each.behind)
            counts.append(RingInstances(place.place.name, current, behind, current + behind + len(each.unknown)))
        rings = counts if self.settings.rings else None
        return Instances(
            sum(each.current for each in counts), len(late), sum(each.known for each in counts), late[:_LATE], rings
        )

    def _shipped(self, last: Step) -> ShippedStep:
        step = self.moments.step(last.commit)
        said = last.message
        return ShippedStep(step.commit, step.at, step.by, last.commit.committer, said.run, last.kind, said.reason)

    def _window(self, target: Target, records: Mapping[str, Record]) -> Window | None:
        if not records:
            return None
        first = min(records.values(), key=lambda record: window_instant(record.window_start) or (0, 0))
        last = max(records.values(), key=lambda record: window_instant(record.window_end) or (0, 0))
        ages = {slot: window_age(record, self.clock) for slot, record in records.items()}
        most = self._oldest(target)
        limits = {slot: self._oldest(target, slot) for slot in ages}
        old = [slot for slot, age in ages.items() if (each := limits[slot]) is not None and (age is None or age > each)]
        return Window(first.window_start, last.window_end, window_age(last, self.clock), most, sorted(old))

    def becomes_stale(self, target: Target) -> Iterator[int]:
        """When each type that is current becomes older than allowed, in seconds since 1970; of older ones nothing."""
        documents = self.gate.documents
        for slot, record in documents.records(self.head, target, documents.manifest(self.head, target)).items():
            age, limit = window_age(record, self.clock), self._oldest(target, slot)
            if age is not None and limit is not None and age <= limit:
                yield self.clock - age + limit + 1

    def _oldest(self, target: Target, slot: str | None = None) -> int | None:
        """The seconds that window_stale allows; None: any."""
        limit = self.settings.limit(target, "window_stale", slot)
        return limit.seconds if isinstance(limit, Age) else None

    def since(self, commit: Commit, commits: int) -> Behind:
        step, seconds = self.moments.step(commit), max(self.clock - self.moments.of(commit.oid), 0)
        return Behind(CommittedStep(step.commit, step.at, step.by, commit.committer), seconds, commits)
