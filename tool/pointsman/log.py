"""Log: every ship, restore, removal and edit, from git alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pointsman.case import path_kind
from pointsman.documents import rfc3339
from pointsman.errors import Problem
from pointsman.facts import is_restore
from pointsman.message import Message, parse
from pointsman.names import Target
from pointsman.outcome import Outcome
from pointsman.plumbing import Change, Commit, Entry, Oid
from pointsman.repo import Repository
from pointsman.snapshot import versions_in


def log(repo: Repository, targets: Sequence[Target], *, records: bool = False) -> Outcome:
    """Events of the targets (all without any), newest first, one per commit and target; with `records` those too."""
    main = repo.refresh()
    paths = [target.manifest_path for target in targets] or ["manifests"]
    if records:
        paths += [f"registry/{target}" for target in targets] or ["registry"]
    commits = list(repo.history(main, *paths))
    events = list(_events(repo, commits, _moments(repo, main)))
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


def _moments(repo: Repository, main: Oid) -> dict[Oid, int]:
    """Commit → running maximum of committer times along all of main: a clock that ran backwards orders nothing."""
    clock, moments = 0, {}
    for line in reversed(repo.git.ask("rev-list", "--first-parent", "--timestamp", main).splitlines()):
        time, oid = line.split()
        clock = max(clock, int(time))
        moments[Oid(oid)] = clock
    return moments


def _events(repo: Repository, commits: Sequence[Commit], moments: Mapping[Oid, int]) -> Iterator[dict[str, Any]]:
    """Newest first, at the `moments` of their commits."""
    earlier: dict[str, list[Entry | None]] = {}
    for commit in reversed(commits):
        for change in commit.changes:
            if path_kind(change.path) == "manifest":
                earlier.setdefault(change.path, []).append(change.new)
    for commit in commits:
        message = parse(commit.message)
        recorded: list[dict[str, Any]] = []
        for change in commit.changes:
            kind = path_kind(change.path)
            if kind == "manifest":
                before = earlier[change.path]
                before.pop()
                yield _event(repo, commit, moments[commit.oid], change, message, before)
            elif kind == "record" and change.new is not None:
                _record(recorded, commit, moments[commit.oid], change, message)
        yield from recorded


def _event(
    repo: Repository, commit: Commit, at: int, change: Change, message: Message, before: Sequence[Entry | None]
) -> dict[str, Any]:
    target = Target(*change.path.split("/")[1:3])
    old, new = versions_in(repo, change.old), versions_in(repo, change.new)
    data = repo.content(change.new)
    said = message.of(target, hashlib.sha256(data).hexdigest()) if data is not None else None
    if change.new is None:
        kind = "removal"
    elif said is not None:
        kind = "restore" if is_restore(said, old, new) else "ship"
    else:
        kind = "restore" if change.new in before else "edit"
    slots = sorted(slot for slot in {*old, *new} if old.get(slot) != new.get(slot))
    event = _head(commit, at, kind, target, message)
    event["changes"] = {slot: [old.get(slot), new.get(slot)] for slot in slots}
    accepts = dict(message.accepts(target, said.manifest if said is not None else ""))
    return {**event, "accepts": accepts} if accepts else event


def _record(events: list[dict[str, Any]], commit: Commit, at: int, change: Change, message: Message) -> None:
    """Add a record to the event of its target in `events`; a second version of one type needs an event of its own."""
    _, tenant, surface, slot, name = change.path.split("/")
    target = Target(tenant, surface)
    event = next((each for each in events if each["target"] == str(target) and slot not in each["changes"]), None)
    if event is None:
        event = _head(commit, at, "record", target, message)
        events.append(event)
    event["changes"][slot] = [None, name.removesuffix(".json")]


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
