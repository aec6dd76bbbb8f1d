"""Site: static pages of what is current where, its timeline, what waits and what audit finds.

A page tells times and no ages, so it is written again only where something has happened. What the last run left beside
the pages says how far it came: the history before that is not read again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, NamedTuple

from msgspec import Struct

from pointsman import __version__
from pointsman.errors import Problem
from pointsman.forge.links import called, pages_of
from pointsman.gate.gate import Gate
from pointsman.history.events import Event, events
from pointsman.outcome import Outcome
from pointsman.repo.repository import Repository
from pointsman.repo.snapshot import Snapshot
from pointsman.report.approvals import approvals_line, approvals_of
from pointsman.report.html import part
from pointsman.report.site.files import SiteFiles
from pointsman.report.site.judged import as_kept, by_target, judge_newer, judged_before, told_in
from pointsman.report.site.left import Left, as_bytes, go_on, in_order, made_by, read_left, targets, touched
from pointsman.report.site.now import now_of
from pointsman.report.site.pages import audit_page, make_ready, overview, row_of, target_page
from pointsman.report.site.timeline import timeline
from pointsman.report.site.turn import turn
from pointsman.report.site.value import Calm, Judged, Place, TargetNow, Waiting
from pointsman.report.target_state import Status
from pointsman.settings import SETTINGS_PATH
from pointsman.shipping.pulls import Pull, is_stale, reference, seen_pulls
from pointsman.state.names import Target
from pointsman.state.objects import Commit, Oid
from pointsman.state.paths import path_kind, target_of
from pointsman.store.processes import both, cores, in_processes
from pointsman.values import Count
from pointsman.verbs.status_again import look_again
from pointsman.workspace import Workspace

_PULLS = 200  # that are judged and told
_TOLD = ("manifest", "hold", "tombstone")  # kinds of documents that stand on the page of a target
_MANY = 1_000  # targets that are worth a process that looks at them beside this one
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
    before = judged_before(head, files.kept.get("audit"), newer)
    if before is None:  # what is judged anew may say something else of any commit
        newer = None
    left, known, among = _known(workspace, files, place, head, newer)
    many = left is None or len(left.rows) - len(known) > _MANY
    if many:
        repo.git.close()  # each process reads objects through a git of its own
    (judged, told, waiting), found = both(
        partial(_from_main, workspace, head, before, newer, pulls),
        partial(look_again, workspace, main, pulls, known, among),
        at_once=many,
    )
    stale = _stale(place, found.status, waiting, files, newer)
    audit = _made_from([place, judged])
    rows = {each.target: row_of(each) for each in found.status.targets}
    if left is not None:
        rows |= {name: left.rows[name][1] for name in found.same}
    more = max(len(pulls) - _PULLS, 0)
    first = [*overview(place, found.status, in_order(rows), judged, waiting, more, repo.notes)]
    anew = [*(page.path for page in stale), *(path for path, _ in first)]
    files.begin([*anew, *(() if files.has("audit.html", audit) else ["audit.html"])])
    files.keep(map(_page_of, found.same))
    _write(workspace, place, main, stale, judged, files, told)
    if not files.has("audit.html", audit):
        files.put("audit.html", audit, audit_page(place, judged))
    for path, text in first[::-1]:  # no page leads to one that is not there yet
        files.put(path, "", text)
    kept = {"main": main, "tool": place.tool, "audit": as_kept(judged)}
    now_left = go_on(left, _by(place, head), main, workspace.now, rows, found.calm, found.same)
    count = files.done(kept, as_bytes(now_left))
    return Site(directory, count, files.written)


def _from_main(
    workspace: Workspace, head: Snapshot, before: Judged | None, newer: Sequence[Commit] | None, pulls: Sequence[Pull]
) -> tuple[Judged, Mapping[str, Sequence[Event]] | None, Sequence[Waiting]]:
    """What `judge_newer` returns and which pull requests wait: all that pages need but serving."""
    judged, told = judge_newer(workspace, head, before, newer)
    waiting = [_waiting(workspace.gate, workspace.repo.main, pull) for pull in pulls[:_PULLS]]
    make_ready(targets=newer != [])
    return judged, told, waiting


def _known(
    workspace: Workspace, files: SiteFiles, place: Place, head: Snapshot, newer: Sequence[Commit] | None
) -> tuple[Left | None, Mapping[str, Calm], Collection[Target] | None]:
    """What the last run left, which of its targets are calm and untouched since, and which others main may have."""
    left = read_left(files.rows, _by(place, head), files.kept.get("main"), workspace.now)
    changed = touched(newer) if newer is not None else None
    if left is None or changed is None:
        return None, {}, None
    whole = files.whole()
    known = {name: calm for name, (calm, _) in left.rows.items() if name not in changed and _page_of(name) in whole}
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
    told = None if newer is None else {str(_on(change.path)) for each in newer for change in told_in(each, *_TOLD)}
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
        told = by_target(events(repo, some)) if eventful else {}
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


def _made_from(made: Sequence[Any]) -> str:
    """What tells two pages apart: a hash of all that stands on them."""
    return hashlib.sha256(repr(made).encode("utf-8", "backslashreplace")).hexdigest()[:24]
