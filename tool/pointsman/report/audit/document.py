"""What an audit reports, gathered commit by commit, oldest first: what happened, who did it, what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from pointsman.errors import Fault
from pointsman.gate.gate import Verdict
from pointsman.gate.lineage import Past
from pointsman.history.events import Event, EventReader
from pointsman.history.signatures import Signatures
from pointsman.history.times import CommitTimes
from pointsman.outcome import as_document, told
from pointsman.state.documents import rfc3339
from pointsman.state.objects import Commit, Oid
from pointsman.state.paths import path_kind

KINDS = ("ship", "restore", "removal", "edit", "hold", "release")


class Report:
    """The document of an audit of all of main after `since`, under construction."""

    def __init__(self, past: Past, main: Oid, since: Oid | None, signatures: Signatures) -> None:
        self._past, self._main, self._since, self._signatures = past, main, since, signatures
        self._moments = CommitTimes(past.repo, main)
        self._reader = EventReader(past.repo, self._moments)
        self._commits: list[Commit] = []
        self._events: list[dict[str, Any]] = []
        self._faults: list[dict[str, Any]] = []
        self._asked: list[Oid] = []

    def lost(self, faults: Sequence[Fault]) -> None:
        """What is wrong with main as a whole."""
        self._faults += [told(fault, accepted=False) for fault in faults]

    def pass_over(self, commits: Sequence[Commit]) -> None:
        """Commits that are taken as they stand: later ones may go back to what they left."""
        for commit in commits:
            self._told(commit)

    def add(self, commit: Commit, verdict: Verdict) -> None:
        """One judged commit."""
        self._commits.append(commit)
        self._events += [self._event(event) for event in self._told(commit)]
        if self._signatures.required(commit.oid):
            self._asked.append(commit.oid)
        about = {
            "commit": commit.oid,
            "at": rfc3339(commit.time),
            "by": commit.committer,
            "author": commit.author,
            "subject": _subject(commit),
        }
        self._faults += [{**told(fault, accepted=False), **about} for fault in verdict.faults]
        self._faults += [{**told(fault, accepted=True), **about, "reason": why} for fault, why in verdict.accepted]

    def document(self) -> dict[str, Any]:
        ends = [
            {"commit": commit.oid, "at": rfc3339(self._moments.of(commit.oid))}
            for commit in (self._commits[:1] + self._commits[-1:])
        ]
        kinds = Counter(event["kind"] for event in self._events)
        return {
            "main": self._main,
            "since": self._since,
            "commits": len(self._commits),
            "period": {"first": ends[0], "last": ends[1]} if ends else None,
            "counts": {
                **{kind: kinds[kind] for kind in KINDS},
                "now": sum("now" in event for event in self._events),
                "accepted": sum(len(event.get("accepts", ())) for event in self._events),
                "broken": sum(not fault["accepted"] for fault in self._faults),
            },
            "events": self._events,
            "people": self._people(),
            "signatures": self._signed(),
            "faults": self._faults,
        }

    def _told(self, commit: Commit) -> list[Event]:
        """What a commit did to manifests and holds."""
        changes = tuple(change for change in commit.changes if path_kind(change.path) in ("manifest", "hold"))
        if not changes:
            return []
        told = commit if len(changes) == len(commit.changes) else replace(commit, changes=changes)
        return [*self._reader.of(told, self._past.message(commit))][::-1]

    def _event(self, event: Event) -> dict[str, Any]:
        signature = self._signatures.of(event.commit.oid)
        signed = {"signature": asdict(signature)} if signature is not None else {}
        return {**as_document(event.told()), "subject": _subject(event.commit), **signed}

    def _people(self) -> list[dict[str, Any]]:
        """Who made and who committed what, those first who did most. After a squash the committer is who merged."""
        authored = Counter(commit.author for commit in self._commits)
        committed = Counter(commit.committer for commit in self._commits)
        names = sorted({*authored, *committed}, key=lambda who: (-authored[who] - committed[who], who))
        return [{"who": who, "authored": authored[who], "committed": committed[who]} for who in names]

    def _signed(self) -> dict[str, Any] | None:
        settings = self._signatures.settings
        if not settings.allowed_signers and not self._asked:
            return None
        found = {commit.oid: self._signatures.of(commit.oid) for commit in self._commits}
        signers = Counter((each.signer, each.key) for each in found.values() if each is not None and each.signer)
        good = [oid for oid in self._asked if (signature := found[oid]) is not None and signature.signer]
        return {
            "allowed_signers": settings.allowed_signers,
            "signed": list(settings.signed),
            "asked": len(self._asked),
            "good": len(good),
            "signers": [
                {"signer": signer, "key": key, "commits": count} for (signer, key), count in signers.most_common()
            ],
        }


def _subject(commit: Commit) -> str:
    return commit.message.partition("\n")[0]
