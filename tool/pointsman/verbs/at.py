"""At: what was current for a target at a moment or at a commit, and by whose commit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pointsman.errors import Problem
from pointsman.history.events import shipped_ever, unknown
from pointsman.history.times import CommitTimes, read_time
from pointsman.outcome import Outcome
from pointsman.state.documents import rfc3339
from pointsman.state.names import Target
from pointsman.state.objects import Commit
from pointsman.workspace import Workspace


def at(workspace: Workspace, when: str, target: Target) -> Outcome[Mapping[str, Any]]:
    """The manifest in force at `when`, a time (that second included) or a commit of main.

    A manifest of None was taken out by then. Problem for what was not shipped yet, with when it was.
    """
    repo = workspace.repo
    main = repo.refresh()
    moments = CommitTimes(repo, main)
    time, commit = read_time(when), moments.commit_at(when)
    place = moments.place(commit)
    assert place is not None
    by, later = workspace.gate.lineage(main, target).last, None
    while by is not None and (moments.place(by.commit.oid) or 0) > place:
        by, later = by.older, by
    if by is None:
        if later is None:
            raise Problem(unknown(target, shipped_ever(repo, main)))
        first = _told(moments, later.commit)
        raise Problem(f"{target} was not shipped yet at {when}: {first['commit'][:12]} shipped it first, {first['at']}")
    data = repo.content(by.after)
    ahead = time is not None and time > workspace.now
    return Outcome(
        {
            "target": str(target),
            "main": commit,
            **_told(moments, by.commit),
            "manifest": _read(data) if data is not None else None,
            "until": _told(moments, later.commit) if later is not None else None,
        },
        notes=(f"{when} is still to come: this is what is current now",) if ahead else (),
    )


def _told(moments: CommitTimes, commit: Commit) -> dict[str, Any]:
    return {"commit": commit.oid, "at": rfc3339(moments.of(commit.oid)), "by": commit.author}


def _read(data: bytes) -> Any:
    """A manifest's JSON; what a hand made unreadable is told as its text."""
    try:
        return json.loads(data)
    except ValueError:
        return data.decode(errors="replace")
