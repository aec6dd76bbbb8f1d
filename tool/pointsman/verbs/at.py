"""At: what was current for a target at a moment or at a commit, and by whose commit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pointsman.errors import Problem
from pointsman.gate.documents import Documents
from pointsman.gate.lineage import Past
from pointsman.history.events import shipped_ever, unknown
from pointsman.history.times import CommitTimes, read_past
from pointsman.outcome import Outcome
from pointsman.state.names import Target, short
from pointsman.struct import struct
from pointsman.values import CommitId, Moment, Step, TargetName
from pointsman.workspace import Workspace


@struct(frozen=True)
class InForce:
    """What a target had at a moment, by whose commit, and until when."""

    target: TargetName
    main: Annotated[CommitId, "where main stood"]
    commit: Annotated[CommitId, "who put it there"]
    at: Moment
    by: str
    manifest: Annotated[
        Mapping[str, object] | str | None, "the manifest; null: taken out; a string: what no one can read as JSON"
    ]
    until: Annotated[Step | None, "what ended it; null: nothing has"]


def at(workspace: Workspace, when: str, target: Target) -> Outcome[InForce]:
    """The manifest in force at `when`, a time (that second included) or a commit of main.

    A manifest of None was taken out by then. Problem for what was not shipped yet, with when it was.
    """
    repo = workspace.repo
    main = repo.refresh()
    moments = CommitTimes(repo, main)
    now = workspace.now
    time, commit = read_past(when, now), moments.commit_at(when, now)
    place = moments.place(commit)
    assert place is not None
    by, later = Past(repo, Documents(repo)).lineage(main, target).last, None  # no judge is needed
    while by is not None and (moments.place(by.commit.oid) or 0) > place:
        by, later = by.older, by
    if by is None:
        if later is None:
            raise Problem(unknown(target, shipped_ever(repo, main)))
        first = moments.step(later.commit)
        raise Problem(f"{target} was not shipped yet at {when}: {short(first.commit)} shipped it first, {first.at}")
    data = repo.content(by.after)
    ahead = time is not None and time > now
    step, manifest = moments.step(by.commit), _read(data) if data is not None else None
    until = moments.step(later.commit) if later is not None else None
    return Outcome(
        InForce(str(target), commit, step.commit, step.at, step.by, manifest, until),
        notes=(f"{when} is still to come: this is what is current now",) if ahead else (),
    )


def _read(data: bytes) -> Any:
    """A manifest's JSON; what a hand made unreadable is told as its text."""
    try:
        return json.loads(data)
    except ValueError:
        return data.decode(errors="replace")
