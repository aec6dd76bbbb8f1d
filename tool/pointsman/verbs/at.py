"""At: what was current for a target at a moment or at a commit, and by whose commit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Struct

from pointsman.errors import Fault, Problem, Unreachable
from pointsman.gate.documents import Documents
from pointsman.gate.lineage import Past
from pointsman.gate.lineage import Step as LineageStep
from pointsman.history.events import shipped_ever, unknown
from pointsman.history.times import CommitTimes, read_past
from pointsman.outcome import Outcome
from pointsman.repo.repository import Repository
from pointsman.repo.snapshot import Snapshot
from pointsman.serving.given import given_states
from pointsman.serving.pointers import not_mounted, open_place
from pointsman.state import strict_json
from pointsman.state.documents import rfc3339
from pointsman.state.names import Target, short
from pointsman.state.objects import Entry, Oid
from pointsman.state.ring import Ring
from pointsman.state.suggest import did_you_mean
from pointsman.values import CommitId, Moment, Step, TargetName
from pointsman.workspace import Workspace

_UNREADABLE = "that is no manifest that can be read: sync refuses it, and serving keeps what it had before"


class InForce(Struct, frozen=True):
    """What a target had at a moment, by whose commit, and until when."""

    target: TargetName
    main: Annotated[CommitId, "where main stood"]
    commit: Annotated[CommitId, "who put it there"]
    at: Moment
    by: str
    manifest: Annotated[
        Mapping[str, object] | str | None,
        "the manifest; null: taken out; a string: what no one can read as JSON, or no plain file",
    ]
    until: Annotated[Step | None, "what ended it; null: nothing has"]
    ring: Annotated[str | None, "the ring that was asked about: its times are when sync gave it that"] = None


def at(workspace: Workspace, when: str, target: Target, ring: str = "") -> Outcome[InForce]:
    """The manifest in force at `when`, a time (that second included) or a commit of main.

    A manifest of None was taken out by then. Problem for what was not shipped yet, with when it was. `ring`: what that
    ring was given by then, as far as sync wrote it down beside its pointers.
    """
    repo = workspace.repo
    main = repo.refresh()
    moments = CommitTimes(repo, main)
    now = workspace.now
    time, commit = read_past(when, now), moments.commit_at(when, now)
    place = moments.place(commit)
    assert place is not None
    if ring:
        moment = time if time is not None else moments.of(commit)
        return Outcome(_in_ring(repo, main, moments, target, ring_of(repo, main, ring), moment))
    by, later = Past(repo, Documents(repo)).lineage(main, target).last, None  # no judge is needed
    while by is not None and (moments.place(by.commit.oid) or 0) > place:
        by, later = by.older, by
    if by is None:
        if later is None:
            raise Problem(unknown(target, shipped_ever(repo, main)))
        first = moments.step(later.commit)
        raise Problem(f"{target} was not shipped yet at {when}: {short(first.commit)} shipped it first, {first.at}")
    ahead = time is not None and time > now
    step, manifest = moments.step(by.commit), _manifest(repo, by.after)
    until = moments.step(later.commit) if later is not None else None
    return Outcome(
        InForce(str(target), commit, step.commit, step.at, step.by, manifest, until),
        notes=(
            *([f"{when} is still to come: this is what is current now"] if ahead else []),
            *([_UNREADABLE] if isinstance(manifest, str) else []),
        ),
    )


def ring_of(repo: Repository, main: Oid, name: str) -> Ring:
    """The ring of this name in the settings of main; Problem if there is none."""
    rings = {ring.name: ring for ring in Snapshot(repo, main).settings().rings}
    if not rings:
        raise Problem(f"--ring {name}: the settings on main have no [[ring]]")
    if name not in rings:
        raise Problem(f"there is no ring {name}{did_you_mean(name, rings)}")
    return rings[name]


def _in_ring(repo: Repository, main: Oid, moments: CommitTimes, target: Target, ring: Ring, moment: int) -> InForce:
    """What a ring was given last by a moment, seconds since 1970. Unreachable if its store does not answer."""
    documents = Documents(repo)
    if says := not_mounted(documents, Snapshot(repo, main), documents.settings(Snapshot(repo, main)), ring.place):
        raise Unreachable(says)
    given = list(given_states(open_place(ring.place), ring.name, target).items())
    place = max((place for place, (_, at) in enumerate(given) if at <= moment), default=None)
    if place is None:
        first = f"what is written down begins at {rfc3339(given[0][1])}" if given else "nothing is written down of it"
        raise Problem(f"what {ring.name} had of {target} at {rfc3339(moment)} is not known: {first}")
    lineage = Past(repo, documents).lineage(main, target)
    try:
        steps = [_given(moments, lineage.of(commit), at) for commit, at in given[place : place + 2]]
        manifest = _manifest(repo, lineage.of(given[place][0]).after)
    except KeyError as error:
        raise Problem(f"{ring.name} was given a commit that main does not have: {error.args[0]}") from error
    step, until = steps[0], steps[1] if len(steps) > 1 else None
    return InForce(str(target), main, step.commit, step.at, step.by, manifest, until, ring.name)


def _given(moments: CommitTimes, step: LineageStep, at: int) -> Step:
    """A commit of main, with the time at which a ring was given it."""
    return Step(step.oid, rfc3339(at), moments.step(step.commit).by)


def _manifest(repo: Repository, entry: Entry | None) -> Any:
    """A manifest's JSON; what a hand made unreadable is told as its text, what is no plain file as "no plain file"."""
    if entry is None:
        return None
    data = repo.content(entry)
    if data is None:
        return "no plain file"
    found = strict_json.read(data, "")
    return data.decode(errors="replace") if isinstance(found, Fault) else found
