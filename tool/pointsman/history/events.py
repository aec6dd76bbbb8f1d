"""Events: what each commit of main did to each target, from git alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from pointsman.errors import Problem
from pointsman.history.times import CommitTimes
from pointsman.repo.commit_graph import has_path_filters
from pointsman.repo.repository import Repository
from pointsman.repo.snapshot import versions_in
from pointsman.state.documents import HOLD_ON_ALL, Hold, read_hold, rfc3339
from pointsman.state.message import Message, is_restore, parse, vouching
from pointsman.state.names import Target
from pointsman.state.objects import Change, Commit, Entry, Oid
from pointsman.state.paths import path_kind, target_of
from pointsman.state.suggest import did_you_mean
from pointsman.values import CommitId, DemandedEvidence, Moment, RingTimes, SlotName, TargetName, Version

_FEW_PATHS = 16
_MANIFESTS_CACHED = 4096

Kind = Literal["ship", "restore", "removal", "edit", "hold", "release", "record", "retire"]
Versions = Annotated[tuple[Version | None, Version | None], "the version before and after"]
Changes = Mapping[SlotName, Versions]
Now = Annotated[Literal[True] | None, "a rollback or a hold that went straight to main"]


class ToldEvent(Struct, frozen=True):
    """The fields of an event in every document."""

    commit: CommitId
    at: Moment
    by: str
    committer: Annotated[str, "who merged it, where that is not the author"]
    kind: Kind
    target: Annotated[TargetName | Literal["all"], '"all": a hold on everything']
    changes: Changes
    run: str
    reason: str
    accepts: Annotated[Mapping[str, str] | None, "rule → reason, of what the commit accepts"] = None
    until: Annotated[str | None, "of a hold: when it ends, RFC 3339"] = None
    broke_glass: Annotated[
        str | None, "of a restore that made break-glass main's: when serving was given it, and by whom"
    ] = None
    approvals: Annotated[
        Sequence[str] | None, "whose signed approvals counted before it; left out if it needed none"
    ] = None
    evidence: Annotated[
        Sequence[DemandedEvidence] | None, "what was demanded about the versions that it ships; left out if nothing was"
    ] = None
    rings: Annotated[
        Sequence[RingTimes] | None, "of a state: when it was due, and given, in which ring; where that was looked at"
    ] = None


class LoggedEvent(ToldEvent, frozen=True):
    """An event in the document of log."""

    approved_by: Annotated[
        Sequence[str] | None, "with --approvals: who approved the pull request that it came from"
    ] = None
    now: Now = None


class Event(Struct, frozen=True):
    """What one commit did to one target. `target` is "tenant/surface", or "all" for a hold on everything."""

    commit: Commit
    at: int  # when the commit took effect, seconds since 1970
    kind: Kind
    target: str
    run: str = ""
    reason: str = ""
    changes: Changes = field(default_factory=dict)
    accepts: Mapping[str, str] = field(default_factory=dict)  # rule → reason
    until: str | None = None  # of a hold
    now: bool = False  # a rollback or a hold that went to main without a review
    broke_glass: str = ""  # of a restore: when break-glass had put it in front of serving, and who
    approved_by: tuple[str, ...] | None = None  # None: the forge was not asked, or knows no pull request
    approvals: tuple[str, ...] | None = None  # signed ones; None: it needs none, or nobody looked
    evidence: tuple[DemandedEvidence, ...] = ()
    rings: tuple[RingTimes, ...] = ()

    def told(self) -> LoggedEvent:
        """The event for the document of log."""
        return LoggedEvent(
            commit=self.commit.oid,
            at=rfc3339(self.at),
            by=self.commit.author,
            committer=self.commit.committer,
            kind=self.kind,
            target=self.target,
            changes=self.changes,
            run=self.run,
            reason=self.reason,
            accepts=self.accepts or None,
            until=self.until,
            broke_glass=self.broke_glass or None,
            approvals=self.approvals,
            evidence=self.evidence or None,
            rings=self.rings or None,
            approved_by=self.approved_by,
            now=True if self.now else None,
        )


def events(repo: Repository, targets: Sequence[Target] = (), *, records: bool = False) -> list[Event]:
    """The events of the targets on main as last fetched, newest first, one for each commit and target.

    Without targets: of all. A hold on all targets is an event of each. `records`: also the events of records. Problem
    for a target that was never shipped; it names the nearest targets.
    """
    main = repo.main
    times, walked = _commits_and_times(repo, _paths(targets, records=records), below=not targets or records)
    commits = list(walked)
    reader = EventReader(repo, times)
    changes = (change for commit in commits for change in commit.changes)
    read = (change for change in changes if path_kind(change.path) in ("manifest", "hold"))
    repo.fetch_ahead(entry for change in read for entry in (change.old, change.new))
    found = [event for commit in commits for event in reader.of(commit)][::-1]
    wanted = {"all", *map(str, targets)}
    found = [event for event in found if not targets or event.target in wanted]
    known = {event.target for event in found}
    for target in targets:
        if str(target) not in known:
            raise Problem(unknown(target, shipped_ever(repo, main)))
    return found


def _paths(targets: Sequence[Target], *, records: bool) -> list[str]:
    if not targets:
        return ["manifests", "holds", *(["registry"] if records else [])]
    return [
        *(path for target in targets for path in (target.manifest_path, target.hold_path)),
        *(f"registry/{target}" for target in targets if records),
        HOLD_ON_ALL,
    ]


def _commits_and_times(repo: Repository, paths: Sequence[str], *, below: bool) -> tuple[CommitTimes, Iterable[Commit]]:
    """The commits of main that changed one of the paths, oldest first, and the times of main.

    `below`: some of the paths are directories. Git's path filters work for one path at a time. If there are any, one
    walk for each path is faster than one walk. In a fresh clone git walks, too: at half the cost of reading what main
    did to all other paths, which the second command reads and keeps.
    """
    repo.deepen_to_first()
    if not below and not repo.is_fresh:
        found = list(repo.history(repo.main, *paths))
        return CommitTimes(repo, repo.main), reversed(found)
    from concurrent.futures import ThreadPoolExecutor  # costs 6 ms, and who only asks for names needs none

    apart = len(paths) <= _FEW_PATHS and has_path_filters(repo.git_dir)
    known: dict[Oid, Commit] = {}
    with ThreadPoolExecutor() as pool:
        walks = pool.map(partial(_walk, repo), [(path,) for path in paths] if apart else [paths])
        times = CommitTimes(repo, repo.main)
        for commit in itertools.chain.from_iterable(walks):
            there = known.get(commit.oid)
            known[commit.oid] = replace(there, changes=there.changes + commit.changes) if there else commit
    return times, sorted(known.values(), key=lambda commit: times.place(commit.oid) or 0)


def _walk(repo: Repository, paths: Sequence[str]) -> list[Commit]:
    return list(repo.git.first_parents(repo.main, *paths))


def unknown(target: Target | str, known: Sequence[str]) -> str:
    """The message for a target that was never shipped; it names the nearest."""
    return f"{target} was never shipped here{did_you_mean(str(target), known, most=3) or ': nothing was'}"


def shipped_ever(repo: Repository, main: Oid) -> list[str]:
    """Every target that ever had a manifest, sorted."""
    changes = (change for commit in repo.history_below(main, "manifests") for change in commit.changes)
    return sorted({str(target_of(change.path)) for change in changes if path_kind(change.path) == "manifest"})


class EventReader:
    """Turns commits into events, oldest first. A state that was vouched for once counts as known later."""

    def __init__(self, repo: Repository, times: CommitTimes) -> None:
        self.repo = repo
        self.times = times
        self._left: dict[tuple[str, Entry], Commit | None] = {}  # state → its commit; None: vouched for
        self._versions: dict[Entry, Mapping[str, str]] = {}

    def of(self, commit: Commit, message: Message | None = None) -> Iterator[Event]:
        """The events of one commit, its records first: reversed, they come last. `message`: if it is parsed already."""
        message = message or parse(self.repo.words(commit))
        at = self.times.of(commit.oid)
        recorded: list[Event] = []
        others: list[Event] = []
        for change in commit.changes:
            match path_kind(change.path):
                case "manifest":
                    others.append(self._manifest(commit, at, change, message))
                case "hold":
                    others.append(self._hold(commit, at, change, message))
                case "record" | "tombstone" as what if change.new is not None or what == "tombstone":
                    _record(recorded, commit, at, change, message)
        yield from reversed([*others, *recorded])

    def _manifest(self, commit: Commit, at: int, change: Change, message: Message) -> Event:
        target = target_of(change.path)
        old, new = self._read(change.old), self._read(change.new)
        data = self.repo.content(change.new)
        said = vouching(message, target, data) if data is not None else None
        kind: Kind
        if change.new is None:
            kind = "removal"
        elif said is not None:
            kind = "restore" if is_restore(said, old, new) else "ship"
        else:
            kind = "restore" if self._is_known(change) else "edit"
        if change.new is not None and (said is not None or kind != "restore"):
            self._left[change.path, change.new] = None if said is not None else commit
        slots = sorted(slot for slot in {*old, *new} if old.get(slot) != new.get(slot))
        about = said or message.about(target)
        return Event(
            commit,
            at,
            kind,
            str(target),
            message.run,
            message.reason,
            {slot: (old.get(slot), new.get(slot)) for slot in slots},
            message.accepts(target, said.manifest if said is not None else ""),
            now=about is not None and about.now,
            broke_glass=dict(message.broke_glass).get(str(target), "") if kind == "restore" else "",
        )

    def _is_known(self, change: Change) -> bool:
        """Whether the manifest had these bytes before, vouched for or trusted through `[audit] since`."""
        if change.new is None or (change.path, change.new) not in self._left:
            return False
        by = self._left[change.path, change.new]
        if by is None:
            return True
        # Imported here: it costs 20 ms, and most histories need none.
        from pointsman.gate.documents import Documents
        from pointsman.gate.lineage import Past

        lineage = Past(self.repo, Documents(self.repo)).lineage(self.repo.main, target_of(change.path))
        return lineage.is_within_since(by.oid) and lineage.of(by.oid).is_trusted

    def _read(self, entry: Entry | None) -> Mapping[str, str]:
        """The versions in a manifest. Read once, because the next commit changes what this one left."""
        if entry is None:
            return {}
        if entry not in self._versions:
            if len(self._versions) >= _MANIFESTS_CACHED:
                self._versions.clear()
            self._versions[entry] = versions_in(self.repo, entry)
        return self._versions[entry]

    def _hold(self, commit: Commit, at: int, change: Change, message: Message) -> Event:
        data = self.repo.content(change.new)
        hold = read_hold(data, change.path) if data is not None else None
        on = "all" if change.path == HOLD_ON_ALL else change.path.removeprefix("holds/").removesuffix(".json")
        now = on in message.held_now or any(said.now for said in message.said if str(said.target) == on)
        if change.new is None:
            return Event(commit, at, "release", on, message.run, message.reason, now=now)
        if not isinstance(hold, Hold):  # it stops ships all the same
            says = f"{change.path} cannot be read, and stops ships until it is corrected or removed"
            return Event(commit, at, "hold", on, message.run, says, now=now)
        return Event(commit, at, "hold", on, message.run, hold.reason, until=hold.until or None, now=now)


def _record(events: list[Event], commit: Commit, at: int, change: Change, message: Message) -> None:
    """Add a record or a tombstone to its target's event in `events`. A second version of a type gets its own event.

    A tombstone that is taken back is told as a record: its version can be used again.
    """
    _, tenant, surface, slot, name = change.path.split("/")
    target, version = f"{tenant}/{surface}", name.partition(".")[0]
    goes = path_kind(change.path) == "tombstone" and change.new is not None
    kind: Kind = "retire" if goes else "record"
    versions = (version, None) if goes else (None, version)
    for place, event in enumerate(events):
        if event.target == target and event.kind == kind and slot not in event.changes:
            events[place] = replace(event, changes={**event.changes, slot: versions})
            return
    events.append(Event(commit, at, kind, target, message.run, message.reason, {slot: versions}))
