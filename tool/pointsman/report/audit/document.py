"""What an audit reports, gathered commit by commit, oldest first: what happened, who did it, what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import get_args

from msgspec.structs import replace

from pointsman.errors import Fault
from pointsman.gate.documents import retired_by
from pointsman.gate.gate import Verdict
from pointsman.gate.lineage import Past
from pointsman.history.events import Event, EventReader
from pointsman.history.signatures import Signatures
from pointsman.history.signed import with_signed
from pointsman.history.times import CommitTimes, Window
from pointsman.report.audit.value import (
    Audit,
    AuditedEvent,
    AuditedKind,
    Counts,
    DatedCommit,
    LandedFault,
    Period,
    Person,
    RetiredVersion,
    Signed,
    Signer,
    Told,
)
from pointsman.report.ring_times import STATES, RingHistory
from pointsman.retention.ripe import Tombstones
from pointsman.state.documents import rfc3339
from pointsman.state.names import Target
from pointsman.state.objects import Commit, Oid
from pointsman.state.paths import path_kind


class Report:
    """The report of an audit of all of main after `since`, under construction. Of it `window` alone is told."""

    def __init__(self, past: Past, main: Oid, since: Oid | None, signatures: Signatures, window: Window) -> None:
        self._past, self._main, self._since, self._signatures = past, main, since, signatures
        self._window, self._outside = window, 0
        self._moments = CommitTimes(past.repo, main)
        self._reader = EventReader(past.repo, self._moments)
        self._commits: list[Commit] = []
        self._events: list[AuditedEvent] = []
        self._faults: list[LandedFault] = []
        self._asked: list[Oid] = []
        self._graves: dict[str, Commit] = {}  # tombstone on main → the commit that left it so

    def lost(self, faults: Sequence[Fault]) -> None:
        """What is wrong with main as a whole."""
        self._faults += [LandedFault(each.rule, each.path, each.says, accepted=False) for each in faults]

    def pass_over(self, commits: Sequence[Commit]) -> None:
        """Commits that are taken as they stand: later ones may go back to what they left."""
        for commit in commits:
            self._told(commit)

    def add(self, commit: Commit, verdict: Verdict) -> None:
        """One judged commit."""
        if not self._window.has(self._moments.of(commit.oid)):
            self._outside += len(verdict.faults)
            self.pass_over([commit])
            return
        self._commits.append(commit)
        judged = verdict.evidence
        assert judged is not None
        attested = {str(target): every for target, every in judged.attested.items()}
        told = (with_signed(event, judged.consent, attested.get(event.target, ())) for event in self._told(commit))
        self._events += map(self._event, told)
        if self._signatures.required(commit.oid):
            self._asked.append(commit.oid)
        self._faults += [landed(fault, commit) for fault in verdict.faults]
        self._faults += [landed(fault, commit, why) for fault, why in verdict.accepted]

    def value(self, tombstones: Tombstones, times: RingHistory | None = None) -> Audit:
        """What was reported so far. `tombstones`: those of main now. `times`: of the rings, where there are any."""
        if times is not None:
            states = [(each, Target.parse(each.target)) for each in self._events if each.kind in STATES]
            times.look_ahead(sorted({target for _, target in states}))
            known = {id(each): times.of(each.commit, target) for each, target in states}
            self._events = [replace(each, rings=known.get(id(each))) for each in self._events]
        return Audit(
            main=self._main,
            since=self._since,
            commits=len(self._commits),
            period=self._period(),
            counts=self._counts(),
            events=self._events,
            people=self._people(),
            signatures=self._signed(),
            faults=self._faults,
            window=self._told_window(),
            retired=[self._retired(tombstones, path, commit) for path, commit in sorted(self._graves.items())],
        )

    def _retired(self, tombstones: Tombstones, path: str, commit: Commit) -> RetiredVersion:
        target, slot, version = retired_by(path)
        verdict = tombstones.verdict(target, slot, version)
        tombstone = verdict.tombstone if verdict is not None else None
        return RetiredVersion(
            target=str(target),
            type=slot,
            version=version,
            erase=tombstone is not None and bool(tombstone.erase),
            gone=tombstones.may_be_gone(target, slot, version),
            reason=tombstone.reason if tombstone is not None else None,
            commit=commit.oid,
            at=rfc3339(self._moments.of(commit.oid)),
            by=commit.author,
            committer=commit.committer,
        )

    def _told_window(self) -> Told | None:
        ends = self._window.since, self._window.until
        if ends == (None, None):
            return None
        since, until = (rfc3339(end) if end is not None else None for end in ends)
        return Told(since, until, self._outside)

    def _period(self) -> Period | None:
        if not self._commits:
            return None
        first, last = (
            DatedCommit(commit.oid, rfc3339(self._moments.of(commit.oid)))
            for commit in (self._commits[0], self._commits[-1])
        )
        return Period(first, last)

    def _counts(self) -> Counts:
        kinds = Counter(event.kind for event in self._events)
        return Counts(
            **{kind: kinds[kind] for kind in get_args(AuditedKind)},
            now=sum(event.now is not None for event in self._events),
            broke_glass=sum(event.broke_glass is not None for event in self._events),
            accepted=sum(len(event.accepts or ()) for event in self._events),
            broken=sum(not fault.accepted for fault in self._faults),
        )

    def _told(self, commit: Commit) -> list[Event]:
        """What a commit did to manifests and holds. Keeps what it did to tombstones."""
        for change in commit.changes:
            if path_kind(change.path) == "tombstone":
                self._graves.pop(change.path, None)
                if change.new is not None:
                    self._graves[change.path] = commit
        changes = tuple(change for change in commit.changes if path_kind(change.path) in ("manifest", "hold"))
        if not changes:
            return []
        told = commit if len(changes) == len(commit.changes) else replace(commit, changes=changes)
        return [*self._reader.of(told, self._past.message(commit))][::-1]

    def _event(self, event: Event) -> AuditedEvent:
        told = event.told()
        assert event.kind != "record"
        assert event.kind != "retire"
        return AuditedEvent(
            commit=told.commit,
            at=told.at,
            by=told.by,
            committer=told.committer,
            kind=event.kind,
            target=told.target,
            changes=told.changes,
            run=told.run,
            reason=told.reason,
            accepts=told.accepts,
            until=told.until,
            broke_glass=told.broke_glass,
            approvals=told.approvals,
            evidence=told.evidence,
            now=told.now,
            subject=_subject(event.commit),
            signature=self._signatures.of(event.commit.oid),
            must_sign=True if self._signatures.required(event.commit.oid) else None,
        )

    def _people(self) -> list[Person]:
        """Who made and who committed what, those first who did most. After a squash the committer is who merged."""
        authored = Counter(commit.author for commit in self._commits)
        committed = Counter(commit.committer for commit in self._commits)
        names = sorted({*authored, *committed}, key=lambda who: (-authored[who] - committed[who], who))
        return [Person(who, authored[who], committed[who]) for who in names]

    def _signed(self) -> Signed | None:
        settings = self._signatures.settings
        if not settings.allowed_signers and not self._asked:
            return None
        found = {commit.oid: self._signatures.of(commit.oid) for commit in self._commits}
        signers = Counter((each.signer, each.key) for each in found.values() if each is not None and each.signer)
        good = [oid for oid in self._asked if (signature := found[oid]) is not None and signature.signer]
        return Signed(
            allowed_signers=settings.allowed_signers,
            signed=list(settings.signed),
            asked=len(self._asked),
            good=len(good),
            signers=[Signer(signer, key, count) for (signer, key), count in signers.most_common()],
        )


def landed(fault: Fault, commit: Commit, reason: str | None = None) -> LandedFault:
    """A fault of a commit of main, with the reason if the commit accepts it."""
    return LandedFault(
        rule=fault.rule,
        path=fault.path,
        says=fault.says,
        accepted=reason is not None,
        commit=commit.oid,
        at=rfc3339(commit.time),
        by=commit.committer,
        author=commit.author,
        subject=_subject(commit),
        reason=reason,
    )


def _subject(commit: Commit) -> str:
    return commit.message.partition("\n")[0]
