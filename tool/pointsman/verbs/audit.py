"""Audit: every rule over every commit of main, oldest first, so that nothing that ever went past the gate stays unseen.

The history is read once (`git log --raw`), and each commit is judged against its first parent with the settings of
that time. Append-only is proven commit by commit: a record that ever changed or went is a fault of that commit.
How the report reads is for `audit_text`, `audit_markdown` and `audit_html`.
"""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from pointsman.errors import MovedFirst, Problem, Unreachable
from pointsman.forge.links import called, pages_of
from pointsman.gate.gate import Gate
from pointsman.gate.unmounted import require_mounted, serves_from_store
from pointsman.history.batches import in_batches
from pointsman.history.former_keys import FormerKeys
from pointsman.history.signatures import Signatures
from pointsman.history.times import Window, clock_ahead
from pointsman.outcome import Outcome
from pointsman.progress import SILENCE, Progress
from pointsman.repo.repository import Repository
from pointsman.repo.snapshot import Snapshot
from pointsman.report.audit.document import Report
from pointsman.report.audit.value import Audit, OpenClaim
from pointsman.report.ring_times import RingHistory
from pointsman.report.status import claimed
from pointsman.retention.ripe import Tombstones
from pointsman.rules.evidence import Checkpoint
from pointsman.serving.claims import Claims, claims_at, told_claim
from pointsman.serving.fence import AUDITED, SYNCED, Fence, move_fence, read_fence, rewrite_faults
from pointsman.serving.pointers import open_place
from pointsman.settings import Settings
from pointsman.state.names import short
from pointsman.state.objects import Oid
from pointsman.state.place import Place
from pointsman.store.closed import Closed
from pointsman.trust.bundle import open_bundle, require_free, write_bundle
from pointsman.trust.keygen import NoKeygen
from pointsman.workspace import Workspace

_FROM_OUTSIDE = (
    "an archive does not show whether main was written anew before it was made: compare its commit, {}, with what "
    "you know of main from elsewhere"
)


def verify_bundle(
    path: str, progress: Progress = SILENCE, *, since: str | None = None, until: str | None = None
) -> Outcome[Audit]:
    """Audit the main of an archive, with neither network, store nor repository. Problem if it is no such archive."""
    with open_bundle(Path(path)) as repo:
        return audit(Workspace(repo, progress=progress, offline=True), since=since, until=until)


def audit(
    workspace: Workspace,
    *,
    accept_rewrite: bool = False,
    bundle: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> Outcome[Audit]:
    """Judge the commits of main after `[audit] since`, or all, and report what they did. Exit 1 if one broke a rule
    that it did not accept.

    Remembers beside the serving pointers how far it came, so that a rewrite of what was audited shows in the next one.
    Offline it neither knows that nor claims. `bundle`: a new file for the archive of what was judged.
    `since`, `until`: times; what came into force outside of them is judged and not told, and fails nothing.
    """
    window = Window.read(since, until, workspace.now)
    if bundle is not None:
        require_free(Path(bundle))
    repo, gate = workspace.repo, workspace.gate
    gate.consents.policies.always = True
    fences, notes = _fences(workspace, Snapshot(repo, repo.refresh())) if not workspace.offline else ([], [])
    gate.remember(next((fence.approved for fence in fences if fence.approved is not None), None))
    main = repo.refresh()  # after the fences, as in sync: a ship that was synced in between is no rewrite
    settings = gate.settings(Snapshot(repo, main))
    lost = sorted({fault for fence in fences for fault in rewrite_faults(gate, Checkpoint.AUDIT, fence, main)})
    lost = [] if accept_rewrite else lost
    index = repo.read_history()
    start = Oid(settings.audit_since)
    if start and start not in index:
        raise Problem(f"[audit] since names {short(start)}, which is no commit of main: name one that git log shows")
    signatures = Signatures(gate.documents, main, clock=workspace.now)
    report = Report(gate.past, main, start or None, signatures, window)
    report.lost(lost)
    former = FormerKeys(gate, main)
    every = index.commits[::-1]
    for some in in_batches(repo, every):
        judged = [commit for commit in some if not start or not index.is_older(commit.oid, start)]
        signatures.look(judged)
        report.pass_over(some[: len(some) - len(judged)])
        for commit in judged:
            verdict = gate.judge_commit(main, commit, signatures.missing(commit.oid))
            report.add(commit, verdict)
            former.look(verdict)
    if fences and not lost:
        for each in settings.serving:
            notes += _remember(repo, each, main, accept_rewrite=accept_rewrite)
    claims: list[OpenClaim] | None = None
    if workspace.offline:
        notes.append(_FROM_OUTSIDE.format(main))
    else:
        claims, unknown = _claims(gate, settings, main, workspace.now)
        notes += [f"{each.target}{_named(each.place)}: {claimed(each.claim)}" for each in claims] + unknown
        claims = None if unknown else claims
    times = RingHistory(gate, main, settings.rings) if settings.rings and not workspace.offline else None
    if ahead := clock_ahead(((commit.oid, commit.time) for commit in every), workspace.now):
        notes.append(ahead)
    if note := former.note():
        notes.append(note)
    if bundle is not None:
        size = write_bundle(repo, main, settings.allowed_signers, Path(bundle))
        notes.append(f"wrote {bundle}, {size:,} bytes")
    found = replace(report.value(Tombstones(gate, main, workspace.now), times), claims=claims)
    notes += times.notes if times is not None else []
    if found.window and found.window.outside:
        notes.append(f"faults outside of this time: {found.window.outside:,}; pointsman audit tells them")
    if not workspace.offline:
        found = replace(found, repository=called(repo), commit_pages=pages_of(settings, repo))
    return Outcome(found, 1 if found.counts.broken else 0, tuple(notes))


def _fences(workspace: Workspace, head: Snapshot) -> tuple[list[Fence], list[str]]:
    """What was synced and audited last at each place; a note for each that cannot tell."""
    settings = workspace.gate.settings(head)
    fences: list[Fence] = []
    notes = []
    for place in settings.serving:
        try:
            if serves_from_store(settings, place):
                require_mounted(workspace.gate.documents, head, settings)
            store = open_place(place)
            fences += [read_fence(store, key) for key in (SYNCED, AUDITED)]
        except Unreachable as error:
            notes.append(f"what was synced and audited last{_at(place)} is not known: {error}")
    return fences, notes


def _claims(gate: Gate, settings: Settings, main: Oid, now: int) -> tuple[list[OpenClaim], list[str]]:
    """The open claims of break-glass, and a note for each place that cannot tell."""
    claims = Claims(gate, main, now)
    found: list[OpenClaim] = []
    unknown = []
    for place in settings.serving:
        try:
            closed: Closed = {}
            for target, held in claims_at(open_place(place), closed=closed).items():
                found.append(OpenClaim(str(target), place.name, told_claim(claims.judge(place, target, held.data))))
            unknown += [f"which claims are open{_at(place)} is not known: {why}" for why in closed.values()]
        except (Unreachable, NoKeygen) as error:
            unknown.append(f"which claims are open{_at(place)} is not known: {error}")
    return found, unknown


def _at(place: Place) -> str:
    return _named(place.name)


def _named(place: str) -> str:
    return f" at {place}" if place else ""


def _remember(repo: Repository, place: Place, main: Oid, *, accept_rewrite: bool) -> list[str]:
    """Move audit's own fence on to `main`, where sync has one already; a note if that cannot be."""
    try:
        store = open_place(place)
        if read_fence(store, SYNCED).commit is None:
            return []
        with store.locked(""):
            fence = read_fence(store, AUDITED)
            # Never back: another audit may have come further meanwhile.
            if accept_rewrite or fence.commit is None or repo.grew_from(fence.commit, main):
                move_fence(store, fence, main)
    except (Unreachable, MovedFirst) as error:
        return [f"how far this audit came is not remembered{_at(place)}: {error}"]
    return []
