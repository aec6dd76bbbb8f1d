"""Landing together: who pushes main in its turn also lands the records of all that wait in the line behind it.

Each becomes a commit of its own, with the message and the author of its publisher, in the order of the line. What
does nothing but add records that the gate passes is landed for anybody, also for a publisher that has died. Everything
else that waits is left to its owner: only who may push main lands a manifest.
"""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.forge.base import Opened
from pointsman.repo.moves import Move
from pointsman.repo.origin import MAIN
from pointsman.repo.retry import until_settled
from pointsman.repo.snapshot import Snapshot
from pointsman.repo.turns import Ticket
from pointsman.settings import Settings
from pointsman.shipping.additions import Additions
from pointsman.shipping.pulls import read_pull
from pointsman.shipping.record_pull import RecordPull
from pointsman.state.names import short
from pointsman.state.objects import Entry, Oid
from pointsman.state.paths import SIGNED, path_kind
from pointsman.workspace import Workspace

_INSTEAD = 'set [forge] records = "pull-request" (on a forge that merges by itself), or let this user push main'

_ADDED = ("record", *SIGNED)
_MOST = 256  # tickets that one push looks at: whoever floods the line holds nobody up for long


def add_to_main(workspace: Workspace, settings: Settings, additions: Additions) -> None:
    """Add them to main in one commit, pushed or merged. What main has already stays as it is."""
    if settings.records == "pull-request":
        RecordPull(workspace).add(additions)
    else:
        _push(workspace, additions)


def _push(workspace: Workspace, additions: Additions) -> None:
    repo = workspace.repo

    def built() -> Oid:
        """The commit that adds to main what it lacks; main itself if it lacks nothing."""
        missing = additions.missing(repo)
        return additions.commit(repo, missing) if missing else repo.main

    def push() -> None:
        commit = built()
        if commit != repo.main:
            others = push_together(workspace, commit)
            also = f", and landed the records of {others} others" if others else ""
            workspace.progress(f"recorded {len(additions.every)} versions in {short(commit)}{also}")

    until_settled(repo, push, "main moved at every try to push the records: run the command again", offer=built)


def push_together(workspace: Workspace, commit: Oid) -> int:
    """Push `commit`, a child of main, and with it the records of all that wait; how many these were."""
    repo = workspace.repo
    moves, tip = [], commit
    if repo.turns.held:
        repo.fetch_commits([ticket.oid for ticket in repo.turns.waiting[:_MOST]])
        for ticket, landed in _landings(workspace, commit):
            tip = landed
            moves.append(Move(ticket.ref, None, ticket.oid))
    repo.move([Move(MAIN, tip, repo.main), *moves], _INSTEAD)
    return len(moves)


def _landings(workspace: Workspace, tip: Oid) -> Iterator[tuple[Ticket, Oid]]:
    """Each ticket whose records may land, and the commit on which main then stands."""
    for ticket in workspace.repo.turns.waiting[:_MOST]:
        try:
            landed = _landed(workspace, tip, ticket)
        except Exception:  # noqa: BLE001, S112 - its owner is told when it tries by itself, also of a bug
            continue
        if landed is not None:
            tip = landed
            yield ticket, tip


def _landed(workspace: Workspace, tip: Oid, ticket: Ticket) -> Oid | None:
    """The records of a ticket as a commit on `tip`, or `tip` if it has them all; None if that is not what it adds."""
    repo = workspace.repo
    fork = repo.merge_base(tip, ticket.oid)
    changes = repo.differences(fork, ticket.oid) if fork is not None else []
    if not changes or any(path_kind(change.path) not in _ADDED or change.old is not None for change in changes):
        return None
    base = Snapshot(repo, tip)
    files: dict[str, bytes | Entry | None] = {
        change.path: change.new for change in changes if base.entry(change.path) is None
    }
    if not files:
        return tip
    if workspace.gate.judge_change(tip, ticket.oid, notes=False).faults:
        return None
    theirs = read_pull(repo, Opened(ticket.ref, ticket.oid))
    return repo.commit(repo.tree_with(repo.tree_of(tip), files), [tip], theirs.text, author=theirs.author)
