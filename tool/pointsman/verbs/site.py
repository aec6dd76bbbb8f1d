"""Site: static pages of what is current where, its timeline, what waits and what audit finds.

A page tells times and no ages, so it is written again only where something has happened. What the last run left beside
the pages says how far it came: the history before that is not read again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, NamedTuple

from msgspec import Struct, ValidationError, convert
from msgspec.structs import asdict, replace

from pointsman import __version__
from pointsman.errors import Fault, Problem, one_line
from pointsman.forge.links import called, pages_of
from pointsman.gate.gate import Gate, Verdict
from pointsman.history.events import Event, EventReader, events
from pointsman.history.signatures import Signatures
from pointsman.history.times import CommitTimes
from pointsman.outcome import Outcome, as_document
from pointsman.repo.repository import Repository
from pointsman.repo.snapshot import Snapshot
from pointsman.report.approvals import approvals_line, approvals_of
from pointsman.report.audit.document import landed
from pointsman.report.audit.value import LandedFault
from pointsman.report.html import part
from pointsman.report.site.files import SiteFiles
from pointsman.report.site.left import Left, as_bytes, go_on, in_order, made_by, read_left, targets, touched
from pointsman.report.site.now import now_of
from pointsman.report.site.pages import audit_page, overview, row_of, target_page
from pointsman.report.site.timeline import timeline
from pointsman.report.site.turn import turn
from pointsman.report.site.value import Calm, Judged, Place, TargetNow, Waiting
from pointsman.report.target_state import Status
from pointsman.settings import SETTINGS_PATH
from pointsman.shipping.pulls import Pull, is_stale, reference, seen_pulls
from pointsman.state.names import Target
from pointsman.state.objects import Change, Commit, Oid
from pointsman.state.paths import path_kind, target_of
from pointsman.store.processes import both, cores, in_processes
from pointsman.values import Count
from pointsman.verbs.audit import in_batches
from pointsman.verbs.status_again import look_again
from pointsman.workspace import Workspace

_PULLS = 200  # that are judged and told
_TOLD = ("manifest", "hold", "tombstone")  # kinds of documents that stand on the page of a target
_FEW = 16  # targets whose events are read one by one, and whose pages one process writes
_TEMPLATES = ("page.html", "site.html", "site_overview.html", "site_target.html", "site_audit.html")
_PARTS = ("page.css", "site.css", "site.js")


class Site(Struct, frozen=True):
    """What a site has become."""

    directory: str
    pages: Annotated[Count, "all that it has now"]
    written: Annotated[Count, "those that were made anew: the others stood there already"]


def site(workspace: Workspace, directory: str) -> Outcome[Site]:
    """Write the pages of all targets into a directory, or bring those that it has up to date.

    Problem for a directory that it did not make, and where a file cannot be written. What cannot be reached of serving
    or the forge is told on the pages. Another run in the same directory is waited for.
    """
    with turn(directory, workspace.progress):
        return Outcome(_made(workspace, SiteFiles(directory), directory))


def _made(workspace: Workspace, files: SiteFiles, directory: str) -> Site:
    repo = workspace.repo
    main = repo.refresh()
    pulls = seen_pulls(workspace)
    head = Snapshot(repo, main)
    settings = head.settings()
    made = hashlib.sha256("\0".join(part(each) for each in (*_TEMPLATES, *_PARTS)).encode()).hexdigest()[:16]
    place = Place(called(repo), pages_of(settings, repo) or "", f"{__version__} {made}")
    newer = _newer(repo, main, files.kept.get("main"))
    before = _before(head, files.kept.get("audit"), newer)
    if before is None:  # what is judged anew may say something else of any commit
        newer = None
    left, known, among = _known(workspace, files, place, head, newer)
    if newer is None:
        repo.git.close()  # each process reads objects through a git of its own
    (judged, told), found = both(
        partial(_judged, workspace, head, before, newer),
        partial(look_again, workspace, main, pulls, known, among),
        at_once=newer is None,
    )
    waiting = [_waiting(workspace.gate, main, pull) for pull in pulls[:_PULLS]]
    stale = _stale(place, found.status, waiting, files, newer)
    audit = _made_from([place, judged])
    rows = {each.target: row_of(each) for each in found.status.targets}
    if left is not None:
        rows |= {name: left.rows[name][1] for name in found.same}
    more = max(len(pulls) - _PULLS, 0)
    first = [*overview(place, found.status, in_order(rows), judged, waiting, more, repo.notes)]
    anew = [*(page.path for page in stale), *(path for path, _ in first)]
    files.begin([*anew, *(() if files.has("audit.html", audit) else ["audit.html"])])
    for name in found.same:
        files.keep(_page_of(name))
    _write(workspace, place, main, stale, judged, files, told)
    if not files.has("audit.html", audit):
        files.put("audit.html", audit, audit_page(place, judged))
    for path, text in first[::-1]:  # no page leads to one that is not there yet
        files.put(path, "", text)
    kept = {"main": main, "tool": place.tool, "audit": _as_audit(judged)}
    now_left = go_on(left, _by(place, head), main, workspace.now, rows, found.calm, found.same)
    count = files.done(kept, as_bytes(now_left))
    return Site(directory, count, files.written)


def _known(
    workspace: Workspace, files: SiteFiles, place: Place, head: Snapshot, newer: Sequence[Commit] | None
) -> tuple[Left | None, Mapping[str, Calm], Collection[Target] | None]:
    """What the last run left, which of its targets are calm and untouched since, and which others main may have."""
    left = read_left(files.rows, _by(place, head), files.kept.get("main"), workspace.now)
    changed = touched(newer) if newer is not None else None
    if left is None or changed is None:
        return None, {}, None
    known = {
        name: calm for name, (calm, _) in left.rows.items() if name not in changed and files.stands(_page_of(name))
    }
    return left, known, targets([*left.others, *changed, *(left.rows.keys() - known.keys())])


def _by(place: Place, head: Snapshot) -> str:
    """Who leaves rows: only the same goes on with them."""
    settings = head.entry(SETTINGS_PATH)
    return made_by(repr(place), settings.oid if settings is not None else "")


def _page_of(target: str) -> str:
    return f"targets/{target}.html"


def _newer(repo: Repository, main: Oid, old: object) -> list[Commit] | None:
    """The commits of main since the last run, newest first; None if all count as new."""
    try:
        if not isinstance(old, str) or not repo.grew_from(Oid(old), main):
            return None
    except Problem:  # no such commit any more
        return None
    return list(repo.git.first_parents(main, no_older_than=Oid(old))) if old != main else []


class _Stale(NamedTuple):
    """A page of a target that is to be made anew."""

    target: Target
    now: TargetNow
    path: str
    made_from: str


def _stale(
    place: Place, found: Status, waiting: Sequence[Waiting], files: SiteFiles, newer: Sequence[Commit] | None
) -> list[_Stale]:
    """The pages of which something is new; the others are kept."""
    waits: dict[str, list[Waiting]] = {}
    for pull in waiting:
        for name in pull.targets:
            waits.setdefault(name, []).append(pull)
    told = None if newer is None else {str(_on(change.path)) for each in newer for change in _told(each, *_TOLD)}
    stale = []
    for each in found.targets:
        now = now_of(place, each, waits.get(each.target, ()))
        path, made_from = _page_of(each.target), _made_from([place, now])
        if told is None or each.target in told or not files.has(path, made_from):
            stale.append(_Stale(Target.parse(each.target), now, path, made_from))
    return stale


def _write(
    workspace: Workspace,
    place: Place,
    main: Oid,
    stale: Sequence[_Stale],
    judged: Judged,
    files: SiteFiles,
    told: Mapping[str, Sequence[Event]] | None,
) -> None:
    """Write pages. `told`: the events of all targets, if they were read."""
    if not stale:
        return
    repo, gate, head = workspace.repo, workspace.gate, Snapshot(workspace.repo, main)
    broken = {each.commit: each.rule for each in judged.broken if each.commit is not None}
    if told is None:
        eventful = {page.target for page in stale if _has_events(gate, main, page.target)}
        some = sorted(eventful) if len(stale) <= _FEW else []
        told = _by_target(events(repo, some)) if eventful else {}
    parts = cores() if len(stale) > _FEW else 1

    def write(part: int) -> None:
        for count in range(part, len(stale), parts):
            target, now, path, _ = stale[count]
            moments, more = timeline(gate, head, target, told.get(str(target), ()), broken)
            files.write(path, target_page(place, now, moments, more))
            if part == 0:
                workspace.progress.counted("pages written", min(count + parts, len(stale)), len(stale))

    if parts > 1:
        repo.git.close()  # as above
    in_processes(write, parts)
    for page in stale:
        files.made(page.path, page.made_from)


def _has_events(gate: Gate, main: Oid, target: Target) -> bool:
    """Whether a target was ever shipped or held."""
    shipped = gate.lineage(main, target).last is not None
    return shipped or next(gate.repo.history(main, target.hold_path), None) is not None


def _by_target(every: Iterable[Event]) -> Mapping[str, Sequence[Event]]:
    found: dict[str, list[Event]] = {}
    for event in every:
        found.setdefault(event.target, []).append(event)
    return found


def _told(commit: Commit, *kinds: str) -> tuple[Change, ...]:
    """What a commit changed in documents of these kinds."""
    return tuple(change for change in commit.changes if path_kind(change.path) in kinds)


def _on(path: str) -> str:
    """The target that such a document is of; of a hold on all, "all"."""
    if path_kind(path) == "hold":
        return path.removeprefix("holds/").removesuffix(".json")
    return str(target_of(path))


def _waiting(gate: Gate, main: Oid, pull: Pull) -> Waiting:
    """A pull request, with why it is open still."""
    why = []
    if is_stale(gate, main, pull):
        why.append("main moved on since: pointsman pr refresh rebuilds it")
    verdict = gate.judge_change(main, pull.head)
    why += [f"{fault.rule}: {fault.says}" for fault in verdict.faults if fault.rule not in ("stale-base", "unapproved")]
    if (approvals := approvals_of(gate, main, gate.consent(main, pull.head))) is not None:
        why.append(approvals_line(approvals))
    why += [f"accepts {fault.rule}: {reason}" for fault, reason in verdict.accepted]
    targets = list(map(str, pull.targets))
    waits = why or ["no rule stops it: it waits for somebody to merge it"]
    return Waiting(reference(pull), pull.title, targets, pull.author, pull.opened_at, waits)


def _before(head: Snapshot, known: object, newer: Sequence[Commit] | None) -> Judged | None:
    """What the last run judged, if the same would judge the same way now."""
    before = _as_judged(known)
    if newer is None or before is None or before.by != _judge(head):
        return None
    return before if not newer or before.main == newer[-1].parents[0] else None


def _judge(head: Snapshot) -> str:
    """What judges: the settings, the signers and the tool."""
    there = (head.entry(path) for path in (SETTINGS_PATH, head.settings().allowed_signers) if path)
    return f"{__version__} {' '.join(entry.oid if entry is not None else '-' for entry in there)}"


def _judged(
    workspace: Workspace, head: Snapshot, before: Judged | None, newer: Sequence[Commit] | None
) -> tuple[Judged, Mapping[str, Sequence[Event]] | None]:
    """What audit finds in main, going on from what it found before.

    Where it begins anew it also reads every event, newest first, by target.
    """
    repo, gate, main = workspace.repo, workspace.gate, workspace.repo.main
    gate.consents.policies.always = True
    if newer is None:
        newer = repo.read_history().commits
    since = Oid(head.settings().audit_since)
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
            if reader is not None and (changes := _told(commit, "manifest", "hold")):
                found += reader.of(replace(commit, changes=changes), gate.past.message(commit))
        commits += len(judged)
        done += len(some)
        workspace.progress.counted("commits judged", done, len(newer))
    return Judged(_judge(head), main, commits, faults), _by_target(found[::-1]) if reader is not None else None


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


def _as_audit(judged: Judged) -> Mapping[str, Any]:
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


def _made_from(made: Sequence[Any]) -> str:
    """What tells two pages apart: a hash of all that stands on them."""
    return hashlib.sha256(repr(made).encode("utf-8", "backslashreplace")).hexdigest()[:24]
