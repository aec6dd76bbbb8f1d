"""What audit finds in main, for a site: each run goes on from what the last one judged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import ValidationError, convert
from msgspec.structs import asdict, replace

from pointsman import __version__
from pointsman.errors import Fault, one_line
from pointsman.gate.gate import Gate, Verdict
from pointsman.history.batches import in_batches
from pointsman.history.events import Event, EventReader
from pointsman.history.signatures import Signatures
from pointsman.history.times import CommitTimes
from pointsman.outcome import as_document
from pointsman.repo.repository import Repository
from pointsman.repo.snapshot import Snapshot
from pointsman.report.audit.document import landed
from pointsman.report.audit.value import LandedFault
from pointsman.report.site.value import Judged
from pointsman.settings import SETTINGS_PATH
from pointsman.state.objects import Change, Commit, Oid
from pointsman.state.paths import path_kind
from pointsman.workspace import Workspace


def judged_before(head: Snapshot, known: object, newer: Sequence[Commit] | None) -> Judged | None:
    """What the last run judged, if the same would judge the same way now."""
    before = _as_judged(known)
    if newer is None or before is None or before.by != _judge(head):
        return None
    return before if not newer or before.main == newer[-1].parents[0] else None


def _judge(head: Snapshot) -> str:
    """What judges: the settings, the signers and the tool."""
    there = (head.entry(path) for path in (SETTINGS_PATH, head.settings().allowed_signers) if path)
    return f"{__version__} {' '.join(entry.oid if entry is not None else '-' for entry in there)}"


def judge_newer(
    workspace: Workspace, head: Snapshot, before: Judged | None, newer: Sequence[Commit] | None
) -> tuple[Judged, Mapping[str, Sequence[Event]] | None]:
    """What audit finds in main, going on from what it found before.

    Where it begins anew it also reads every event, newest first, by target.
    """
    repo, gate, main = workspace.repo, workspace.gate, workspace.repo.main
    gate.consents.policies.always = True
    if newer is None:
        newer = repo.read_history().commits
    since = Oid(gate.settings(head).audit_since)
    signatures = Signatures(gate.documents, main, clock=workspace.now)
    reader = EventReader(repo, CommitTimes(repo, main)) if before is None else None
    found: list[Event] = []
    faults = list(before.faults) if before is not None else []
    commits, done = before.commits if before is not None else 0, 0
    for some in in_batches(repo, newer[::-1]):
        judged = [each for each in some if before is not None or not _is_past(repo, each, since)]
        signatures.look(judged)
        wanted = {each.oid for each in judged}
        for commit in some:
            if commit.oid in wanted:
                verdict = gate.judge_commit(main, commit, signatures.missing(commit.oid))
                faults += map(_as_text, _faults(gate, commit, verdict))
            if reader is not None and (changes := told_in(commit, "manifest", "hold")):
                found += reader.of(replace(commit, changes=changes), gate.past.message(commit))
        commits += len(judged)
        done += len(some)
        workspace.progress.counted("commits judged", done, len(newer))
    return Judged(_judge(head), main, commits, faults), by_target(found[::-1]) if reader is not None else None


def _faults(gate: Gate, commit: Commit, verdict: Verdict) -> Iterator[LandedFault]:
    """What a commit broke, and what it accepts: of guardrails, which only judge before the merge, by its message."""
    yield from (landed(fault, commit) for fault in verdict.faults)
    yield from (landed(fault, commit, reason) for fault, reason in verdict.accepted)
    told = {(fault.rule, fault.path) for fault, _ in verdict.accepted}
    for said in gate.past.message(commit).said:
        for rule, reason in said.accepts.items():
            path = said.target.manifest_path
            if (rule, path) not in told:
                yield landed(Fault(path, rule, "a guardrail, judged before the merge"), commit, reason)


def _as_text(fault: LandedFault) -> LandedFault:
    """The same as the next run can read it: a name in git may be no text."""
    told = {name: each for name, each in asdict(fault).items() if isinstance(each, str)}
    return replace(fault, **{name: one_line(each) for name, each in told.items()})


def _is_past(repo: Repository, commit: Commit, since: Oid) -> bool:
    """Whether a commit is `[audit] since` or older, and so taken as it stands."""
    index = repo.read_history()
    return bool(since) and since in index and index.is_older(commit.oid, since)


def as_kept(judged: Judged) -> Mapping[str, Any]:
    """What was judged, as the next run reads it."""
    return {
        "by": judged.by,
        "main": judged.main,
        "commits": judged.commits,
        "faults": [as_document(each) for each in judged.faults],
    }


def _as_judged(known: object) -> Judged | None:
    try:
        return convert(known, Judged)
    except ValidationError:
        return None


def by_target(every: Iterable[Event]) -> Mapping[str, Sequence[Event]]:
    """The events of each target, in the same order."""
    found: dict[str, list[Event]] = {}
    for event in every:
        found.setdefault(event.target, []).append(event)
    return found


def told_in(commit: Commit, *kinds: str) -> tuple[Change, ...]:
    """What a commit changed in documents of these kinds."""
    return tuple(change for change in commit.changes if path_kind(change.path) in kinds)
