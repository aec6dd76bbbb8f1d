"""Audit: every rule over every commit of main, oldest first, so that nothing that ever went past the gate stays unseen.

The history is read once (`git log --raw`), and each commit is judged against its first parent with the settings of
that time. Append-only is proven commit by commit: a record that ever changed or went is a fault of that commit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pointsman.case import DOCUMENTS, Gate, path_kind
from pointsman.documents import rfc3339
from pointsman.errors import MovedFirst, Problem, Unreachable, one_line
from pointsman.fence import AUDITED, SYNCED, Fence, behind, move_fence, read_fence
from pointsman.gate import Gatekeeper
from pointsman.outcome import Outcome, told
from pointsman.plumbing import PLAIN_FILE, Commit, Oid
from pointsman.repo import Repository
from pointsman.rules import RULES, Rule
from pointsman.settings import Settings
from pointsman.signatures import Signatures
from pointsman.snapshot import Snapshot
from pointsman.store import open_store

_TOGETHER = 512  # commits whose documents are read at once


def audit(
    repo: Repository, *, accept_rewrite: bool = False, clock: int | None = None, rules: Sequence[Rule] = RULES
) -> Outcome:
    """Judge the commits of main after `[audit] since`, or all. Exit 1 if one broke a rule that it did not accept.

    Remembers beside the serving pointers how far it came, so that a rewrite of what was audited shows in the next one.
    """
    fences, notes = _fences(Snapshot(repo, repo.refresh()).settings())
    main = repo.refresh()  # after the fences, as in sync: a ship that was synced in between is no rewrite
    settings = Snapshot(repo, main).settings()
    gate = Gatekeeper(repo, rules=rules)
    lost = sorted({fault for fence in fences for fault in behind(gate, Gate.AUDIT, fence, main)})
    lost = [] if accept_rewrite else lost
    index = repo.read_history()
    since = Oid(settings.audit_since)
    if since and since not in index:
        raise Problem(f"[audit] since names {since[:12]}, which is no commit of main: name one that git log shows")
    judged = [commit for commit in reversed(index.commits) if not since or not index.is_older(commit.oid, since)]
    faults = [told(fault, accepted=False) for fault in lost]
    signatures = Signatures(gate.facts, main, clock=clock)
    for place, commit in enumerate(judged):
        if place % _TOGETHER == 0:
            repo.git.read_ahead(_documents(judged[place : place + _TOGETHER]))
            signatures.look(judged[place : place + _TOGETHER])
        verdict = gate.landed(main, commit, signatures.missing(commit))
        faults += [{**told(fault, accepted=False), **_where(commit)} for fault in verdict.faults]
        faults += [{**told(fault, accepted=True), **_where(commit), "reason": why} for fault, why in verdict.accepted]
    broken = any(not fault["accepted"] for fault in faults)
    if fences and not lost:
        notes += _remember(repo, settings, main, accept_rewrite=accept_rewrite)
    document = {"main": main, "since": since or None, "commits": len(judged), "faults": faults}
    return Outcome(document, 1 if broken else 0, tuple(notes))


def _documents(commits: Sequence[Commit]) -> Iterator[Oid]:
    """The contents of the state documents that these commits leave."""
    for change in (change for commit in commits for change in commit.changes):
        if change.new is not None and change.new.mode == PLAIN_FILE and path_kind(change.path) in DOCUMENTS:
            yield change.new.oid


def _where(commit: Commit) -> dict[str, str]:
    return {"commit": commit.oid, "at": rfc3339(commit.time), "by": commit.committer}


def _fences(settings: Settings) -> tuple[list[Fence], list[str]]:
    """What was synced and audited last; none, and a note, if serving cannot tell."""
    try:
        store = open_store(settings.serving_root, settings.access)
        return [read_fence(store, key) for key in (SYNCED, AUDITED)], []
    except Unreachable as error:
        return [], [f"what was synced and audited last is not known: {error}"]


def _remember(repo: Repository, settings: Settings, main: Oid, *, accept_rewrite: bool) -> list[str]:
    """Move audit's own fence on to `main`, where sync has one already; a note if that cannot be."""
    try:
        store = open_store(settings.serving_root, settings.access)
        if read_fence(store, SYNCED).commit is None:
            return []
        with store.locked(""):
            fence = read_fence(store, AUDITED)
            # Never back: another audit may have come further meanwhile.
            if accept_rewrite or fence.commit is None or repo.grew_from(fence.commit, main):
                move_fence(store, fence, main)
    except (Unreachable, MovedFirst) as error:
        return [f"how far this audit came is not remembered: {error}"]
    return []


def render(document: Mapping[str, Any]) -> str:
    """Two lines per fault and one verdict."""
    lines = []
    for fault in document["faults"]:
        accepted = f" (accepted: {one_line(fault['reason'])})" if fault["accepted"] else ""
        if "commit" in fault:
            lines.append(f"{fault['commit'][:12]}  {fault['at']}  by {fault['by']}")
        lines.append(f"  {one_line(fault['path'])}: {fault['rule']}: {one_line(fault['says'])}{accepted}")
    broken = sum(not fault["accepted"] for fault in document["faults"])
    since = f" since {document['since'][:12]}" if document["since"] else ""
    what = f"{broken} fault{'s' if broken > 1 else ''}" if broken else "no rule was broken"
    past = "a fault of the past stays one: once it is mended, move [audit] since in pointsman.toml to a later commit"
    return "\n".join([*lines, f"{document['commits']} commits of main{since}: {what}", *([past] if broken else [])])
