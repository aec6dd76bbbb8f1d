"""Log: every ship, restore, removal, edit and hold, from git alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from msgspec import Struct
from msgspec.structs import replace

from pointsman.errors import Problem
from pointsman.history.events import Event, LoggedEvent, events, shipped_ever
from pointsman.history.targets import choose
from pointsman.history.times import Window
from pointsman.outcome import Outcome
from pointsman.repo.repository import Repository
from pointsman.repo.snapshot import Snapshot
from pointsman.state.names import Pattern, Target
from pointsman.state.objects import Oid
from pointsman.state.suggest import did_you_mean
from pointsman.verbs.at import ring_of
from pointsman.workspace import Workspace

if TYPE_CHECKING:
    from pointsman.forge.base import Forge


class Query(Struct, frozen=True):
    """Which events to tell. None: all."""

    targets: tuple[Target | Pattern, ...] = ()
    records: bool = False
    since: str | None = None
    until: str | None = None
    by: str | None = None  # in the author's or the committer's name or address
    run: str | None = None
    approvals: bool = False  # ask the forge who approved
    most: int | None = None  # the newest so many
    ring: str | None = None  # also when this ring was due each state, and given it


class Log(Struct, frozen=True):
    """Events, and what was made of them in words if one commit was to be explained."""

    events: Annotated[Sequence[LoggedEvent], "newest first, one event per commit and target"]
    explanation: Annotated[str | None, "with --explain: one paragraph"] = None


def log(workspace: Workspace, query: Query) -> Outcome[Log]:
    """The events asked for, newest first, one per commit and target."""
    window = Window.read(query.since, query.until, workspace.now)
    repo = workspace.repo
    repo.refresh()
    told = [
        event
        for event in events(repo, _targets(repo, query.targets), records=query.records)
        if window.has(event.at) and _matches(event, query)
    ][: query.most]
    told = with_approvals(workspace.forge, told) if query.approvals else told
    notes: Sequence[str] = ()
    if query.run and not told:
        runs = {event.run for event in events(repo, _targets(repo, query.targets)) if event.run}
        if query.run not in runs:
            notes = (f"no ship on main is from the run {query.run}{did_you_mean(query.run, sorted(runs), most=3)}",)
    if query.ring:
        told, more = _in_ring(workspace, told, query.ring)
        notes = (*notes, *more)
    return Outcome(Log([event.told() for event in signed(workspace, told)]), notes=tuple(notes))


def _in_ring(workspace: Workspace, told: Sequence[Event], name: str) -> tuple[list[Event], Sequence[str]]:
    """The events with when a ring was due what they made, and given it; and what could not be looked at."""
    from pointsman.report.ring_times import STATES, RingHistory  # with the gate it costs 20 ms

    main = workspace.repo.main
    ring_of(workspace.repo, main, name)
    times = RingHistory(workspace.gate, main, Snapshot(workspace.repo, main).settings().rings, name)
    times.look_ahead(sorted({Target.parse(each.target) for each in told if each.kind in STATES}))

    def in_ring(event: Event) -> Event:
        if event.kind not in STATES:
            return event
        return replace(event, rings=tuple(times.of(event.commit.oid, Target.parse(event.target))))

    found = [in_ring(each) for each in told]
    return found, times.notes


def _targets(repo: Repository, named: Sequence[Target | Pattern]) -> list[Target]:
    """The targets named; of a pattern, all that were ever shipped. Problem for one that matches none."""
    known = map(Target.parse, shipped_ever(repo, repo.main)) if any(isinstance(each, Pattern) for each in named) else ()
    return choose(Snapshot(repo, repo.main), named, more=known)


def signed(workspace: Workspace, told: Sequence[Event]) -> Sequence[Event]:
    """The events with signed approvals, and with evidence, where main demands either now; else nothing is looked at."""
    try:
        settings = Snapshot(workspace.repo, workspace.repo.main).settings()
    except Problem:  # what happened is told all the same
        return told
    if not (settings.approvals or settings.evidence):
        return told
    from pointsman.history.signed import all_signed  # with the gate it costs 20 ms

    return list(all_signed(workspace.gate, told))


def with_approvals(forge: Forge, told: Sequence[Event]) -> list[Event]:
    """The events with who approved the pull requests that they came from; Problem where nobody can approve any."""
    if not forge.knows_approvals:
        raise Problem('forge.kind is "local": nobody can approve a pull request there, so nothing is known of it')
    known: dict[Oid, tuple[str, ...] | None] = {}
    for event in told:
        if event.commit.oid not in known:
            pull = forge.merged_as(event.commit.oid)
            known[event.commit.oid] = forge.approvals(pull) if pull is not None else None
    return [replace(event, approved_by=known[event.commit.oid]) for event in told]


def _matches(event: Event, query: Query) -> bool:
    people = f"{event.commit.author}\n{event.commit.committer}".casefold()
    return (query.by or "").casefold() in people and query.run in (None, event.run)
