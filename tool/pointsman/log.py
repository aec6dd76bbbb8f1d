"""Log: every ship, restore, removal and edit, from git alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pointsman.check import is_restore
from pointsman.documents import Manifest, read_manifest, rfc3339
from pointsman.errors import Problem
from pointsman.message import Message, parse
from pointsman.names import Target
from pointsman.outcome import Outcome
from pointsman.plumbing import Change, Commit, Entry, Oid
from pointsman.repo import Repository
from pointsman.rules import path_kind


def log(repo: Repository, targets: Sequence[Target], *, records: bool = False) -> Outcome:
    """Events of the targets (all without any), newest first, one per commit and target; with `records` those too."""
    main = repo.refresh()
    paths = [target.manifest_path for target in targets] or ["manifests"]
    if records:
        paths += [f"registry/{target}" for target in targets] or ["registry"]
    commits = list(repo.history(main, *paths))
    events = list(_events(repo, commits))
    missing = [target for target in targets if not any(event["target"] == str(target) for event in events)]
    if missing:
        raise Problem(unknown(missing[0], _known(repo, main)))
    return Outcome({"events": events})


def unknown(target: Target, known: Sequence[str]) -> str:
    """The sentence for a target that never was, with the nearest that are."""
    import difflib

    near = difflib.get_close_matches(str(target), known, n=3, cutoff=0.4) or list(known)[:3]
    return f"{target} was never shipped here: {'did you mean ' + ' or '.join(near) + '?' if near else 'nothing was'}"


def _known(repo: Repository, main: Oid) -> list[str]:
    changes = (change for commit in repo.history(main, "manifests") for change in commit.changes)
    return sorted({"/".join(change.path.split("/")[1:3]) for change in changes if path_kind(change.path) == "manifest"})


def _events(repo: Repository, commits: Sequence[Commit]) -> Iterator[dict[str, Any]]:
    """Newest first. A moment is the running maximum of committer times: a clock that ran backwards orders nothing."""
    clock, moments = 0, {}
    for commit in reversed(commits):
        clock = max(clock, commit.time)
        moments[commit.oid] = clock
    earlier: dict[str, list[Oid | None]] = {}
    for commit in reversed(commits):
        for change in commit.changes:
            earlier.setdefault(change.path, []).append(change.new.oid if change.new else None)
    for commit in commits:
        message = parse(commit.message)
        for change in commit.changes:
            kind = path_kind(change.path)
            if kind == "manifest":
                before = earlier[change.path]
                before.pop()
                yield _event(repo, commit, moments[commit.oid], change, message, before)
            elif kind == "record" and change.new is not None:
                yield _recorded(commit, moments[commit.oid], change, message)


def _event(
    repo: Repository, commit: Commit, at: int, change: Change, message: Message, before: Sequence[Oid | None]
) -> dict[str, Any]:
    target = Target(*change.path.split("/")[1:3])
    old, new = _versions(repo, change.old), _versions(repo, change.new)
    data = repo.content(change.new)
    said = message.of(target, hashlib.sha256(data).hexdigest()) if data is not None else None
    if change.new is None:
        kind = "removal"
    elif said is not None:
        kind = "restore" if is_restore(said, old, new) else "ship"
    else:
        kind = "restore" if change.new.oid in before else "edit"
    slots = sorted(slot for slot in {*old, *new} if old.get(slot) != new.get(slot))
    event = _head(commit, at, kind, target, message)
    event["changes"] = {slot: [old.get(slot), new.get(slot)] for slot in slots}
    accepts = dict(message.accepts(target))
    return {**event, "accepts": accepts} if accepts else event


def _recorded(commit: Commit, at: int, change: Change, message: Message) -> dict[str, Any]:
    _, tenant, surface, slot, name = change.path.split("/")
    event = _head(commit, at, "record", Target(tenant, surface), message)
    event["changes"] = {slot: [None, name.removesuffix(".json")]}
    return event


def _head(commit: Commit, at: int, kind: str, target: Target, message: Message) -> dict[str, Any]:
    return {
        "commit": commit.oid,
        "at": rfc3339(at),
        "by": commit.author,
        "kind": kind,
        "target": str(target),
        "changes": {},
        "run": message.run,
        "reason": message.reason,
    }


def _versions(repo: Repository, entry: Entry | None) -> Mapping[str, str]:
    data = repo.content(entry)
    manifest = read_manifest(data, "") if data is not None else None
    return manifest.versions if isinstance(manifest, Manifest) else {}


def render(document: Mapping[str, Any]) -> str:
    """A block of lines per event, newest first."""
    lines = []
    for event in document["events"]:
        lines.append(f"{event['at']}  {event['kind']:<8} {event['target']}  {event['commit'][:12]}  by {event['by']}")
        for slot, (old, new) in event["changes"].items():
            lines.append(f"    {slot}: {(old or 'nothing')[:12]} → {(new or 'nothing')[:12]}")
        lines += [f"    accepted {rule}: {reason}" for rule, reason in event.get("accepts", {}).items()]
        lines += [f"    {name}: {event[name]}" for name in ("run", "reason") if event[name]]
    return "\n".join(lines) or "nothing was ever shipped here"
