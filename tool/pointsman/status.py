"""Status: what each target has on main, since when and from whom, and whether serving follows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pointsman.artifact import window_instant
from pointsman.documents import Record, rfc3339
from pointsman.errors import Problem, Unreachable
from pointsman.events import unknown
from pointsman.facts import Facts
from pointsman.names import Target
from pointsman.outcome import Outcome
from pointsman.plumbing import Oid
from pointsman.pulls import Pull, document, seen_pulls
from pointsman.repo import Repository
from pointsman.settings import Settings
from pointsman.snapshot import Snapshot
from pointsman.store import open_store
from pointsman.stored import Held
from pointsman.sync import ever_had, pointers

# What may be asked to be no success → what serving then is.
FAILURES = {"drift": ("drifted",), "behind": ("behind", "absent")}


def status(repo: Repository, targets: Sequence[Target], *, fail_on: Collection[str] = ()) -> Outcome:
    """The state of the targets named, of all without any. Whatever it shows is success, unless it is in `fail_on`.

    With `fail_on`: exit 1 if a target is so, 3 if nobody can tell because serving cannot be read.
    """
    main = repo.refresh()
    head = Snapshot(repo, main)
    pulls, settings = seen_pulls(repo), head.settings()
    shipped = [
        Target(tenant, surface)
        for tenant in head.names("manifests")
        for surface in head.names(f"manifests/{tenant}")
        if head.entry(f"manifests/{tenant}/{surface}/manifest.json") is not None
    ]
    served = _served(settings)
    known = sorted({*shipped, *(target for pull in pulls for target in pull.targets), *(served or ())})
    for target in targets:
        if target not in known:
            raise Problem(unknown(target, [str(each) for each in known]))
    facts = Facts(repo)
    chosen = sorted(set(targets)) or known
    shown = [_one(repo, facts, settings, served, head, main, target, pulls) for target in chosen]
    return Outcome({"commit": main, "targets": shown}, _exit_code(shown, fail_on))


def _exit_code(shown: Sequence[Mapping[str, Any]], fail_on: Collection[str]) -> int:
    if fail_on and any(each["serving"] == "unknown" for each in shown):
        return Unreachable.exit_code
    fails = {serving for name in fail_on for serving in FAILURES[name]}
    wanting = (each["serving"] for each in shown if each["current"] or each["serving"] == "drifted")
    return int(any(serving in fails for serving in wanting))


def _one(
    repo: Repository,
    facts: Facts,
    settings: Settings,
    served: Mapping[Target, Held] | None,
    head: Snapshot,
    main: Oid,
    target: Target,
    pulls: Sequence[Pull],
) -> dict[str, Any]:
    manifest = facts.manifest(head, target)
    commit = facts.chain(main, target.manifest_path).at(0)
    return {
        "target": str(target),
        "current": manifest.versions if manifest else {},
        "window": _window(list(facts.records(head, target, manifest).values())),
        "shipped": {"commit": commit.oid, "at": rfc3339(commit.time), "by": commit.author} if commit else None,
        "serving": _serving(repo, settings, served, main, target, head.read(target.manifest_path) or b""),
        "pull_requests": [document(pull) for pull in pulls if target in pull.targets],
    }


def _window(records: Sequence[Record]) -> dict[str, str] | None:
    """From the earliest start to the latest end of what is current."""
    if not records:
        return None
    start = min((record.window_start for record in records), key=lambda text: window_instant(text) or (0, 0))
    end = max((record.window_end for record in records), key=lambda text: window_instant(text) or (0, 0))
    return {"start": start, "end": end}


def _served(settings: Settings) -> Mapping[Target, Held] | None:
    """Every pointer that serving has, whatever main has: what is served must not go unseen. None: cannot be read."""
    try:
        return dict(pointers(open_store(settings.serving_root, settings.access), settings))
    except Unreachable:
        return None


def _serving(
    repo: Repository,
    settings: Settings,
    served: Mapping[Target, Held] | None,
    main: Oid,
    target: Target,
    wanted: bytes,
) -> str:
    if served is None:
        return "unknown"
    try:
        store = open_store(settings.serving_root, settings.access)
        held = served.get(target) or store.read(settings.serving_key(target))
    except Unreachable:  # something stands there that is no pointer, so the listing did not have it
        return "unknown"
    if held is None:
        return "absent"
    if held.data == wanted:
        return "in-sync"
    return "behind" if ever_had(repo, main, target, held.data) else "drifted"


def render(outcome: Mapping[str, Any]) -> str:
    """A block of lines per target."""
    lines = []
    for each in outcome["targets"]:
        window, shipped = each["window"], each["shipped"]
        what = "" if each["current"] else ", and main has no manifest of it"
        lines.append(f"{each['target']}: serving is {each['serving']}{what}")
        if shipped:
            lines.append(f"  since {shipped['at']}, {shipped['commit'][:12]} by {shipped['by']}")
        if window:
            lines.append(f"  window {window['start']} to {window['end']}")
        lines += [f"  {slot} {version[:12]}" for slot, version in sorted(each["current"].items())]
        if each["pull_requests"]:
            lines.append(f"  open pull requests: {', '.join(pull['id'] for pull in each['pull_requests'])}")
    return "\n".join(lines) or "nothing was shipped yet"
