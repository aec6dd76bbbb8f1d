"""`gc`: collect what no record names and what was retired, by way of the trash; and bring back what is in it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Annotated, Literal, overload

from msgspec import Struct

from pointsman.errors import Fault as Broken
from pointsman.errors import Problem, Refused
from pointsman.gate.unmounted import require_mounted, serves_from_store
from pointsman.outcome import Outcome
from pointsman.repo.snapshot import Snapshot
from pointsman.retention import owners
from pointsman.retention.by_digits import in_store, matching, only
from pointsman.retention.collect import Collector, Orders, Run, Unfinished
from pointsman.retention.erasing import Erasing, erasing
from pointsman.retention.look import Party
from pointsman.retention.markers import wait_for_markers
from pointsman.retention.stored import Blobs, Stored
from pointsman.retention.summary import Summary, write_summary
from pointsman.retention.trash import TRASH, put_back, read_place, slot_of
from pointsman.state.documents import Tombstone, read_tombstone, rfc3339
from pointsman.state.names import short
from pointsman.state.times import HOW_LONG, duration
from pointsman.store.base import Store, listed
from pointsman.store.open import open_store
from pointsman.store.vacant import is_bare
from pointsman.values import ArtifactType, Count, TargetName, ToldFault, Version, told
from pointsman.workspace import Workspace

_SHOWN = 3
Left = Annotated[Literal[True] | None, "with --delete: this run did not take it"]


class Request(Struct, frozen=True):
    """How to collect. `grace`: a time with its unit. `no_trash`: the first digits of versions."""

    delete: bool = False
    grace: str = "24h"
    max_share: float = 0.2
    no_trash: tuple[str, ...] = ()


class Orphan(Struct, frozen=True):
    """A blob that no record names."""

    uri: str
    size: Count
    age_seconds: Count
    left: Left = None


class Orphans(Sequence[Orphan]):
    """Each is made when it is looked at: there may be very many. `gone`: as in `_left_by`. `now`: since 1970."""

    def __init__(self, blobs: Blobs, url: str, now: float, gone: Collection[str] | None) -> None:
        self._blobs = blobs
        self._url = url
        self._now = now
        self._gone = gone

    def __len__(self) -> int:
        return len(self._blobs)

    def __iter__(self) -> Iterator[Orphan]:
        for blob in self._blobs:
            age = max(int(self._now - blob.written), 0)
            yield Orphan(f"{self._url}/{blob.key}", blob.size, age, _left_by(self._gone, blob))

    @overload
    def __getitem__(self, place: int) -> Orphan: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Orphan]: ...

    def __getitem__(self, place: int | slice) -> Orphan | Sequence[Orphan]:
        return list(self)[place]

    @property
    def size(self) -> int:
        """The bytes of all of them."""
        return self._blobs.size


class Retired(Struct, frozen=True):
    """A blob whose version has a ripe tombstone."""

    target: TargetName
    type: ArtifactType
    version: Version
    size: Count
    erase: Annotated[bool, "its bytes must go, says its tombstone"]
    left: Left = None


class Kept(Struct, frozen=True):
    """A blob that could go, and why it stays."""

    uri: str
    says: str


class Collected(Struct, frozen=True):
    """What is in the store, and what gc did or, in a dry run, would do."""

    listed: Annotated[Count, "blobs"]
    live: Annotated[Count, "blobs that a record needs"]
    live_bytes: Count
    young: Annotated[Count, "blobs that no record names, younger than the grace"]
    orphans: Sequence[Orphan]
    retired: Sequence[Retired]
    kept: Annotated[Sequence[Kept], "orphaned or retired, and something still speaks for it"]
    trash: Annotated[Count, "blobs in the trash, before this run took any"]
    trash_bytes: Count
    unknown: Annotated[Count, "objects that gc never touches: their keys are no blobs', or their target has no record"]
    deleted: Annotated[Count, "blobs that are gone from their place"]
    taken: Annotated[Count, "the same: they went into the trash"]
    purged: Annotated[Count, "blobs that are gone from the trash, for good; in a dry run, that would go"]
    restored: Annotated[Count, "blobs that were put back from the trash; in a dry run, that would be"]
    dry_run: bool
    versions: Annotated[
        Literal["yes", "no", "unknown"] | None, "whether the store keeps earlier versions of what is erased"
    ] = None
    erasing: Annotated[Sequence[Erasing] | None, "what is to be erased and still waits"] = None
    faults: Annotated[Sequence[ToldFault] | None, "why nothing is taken, or what of --no-trash is left"] = None


def seconds(text: str) -> int:
    """The seconds of a time such as 24h; Problem for one without a unit."""
    found = duration(text, zero=True)
    if found is None:
        raise Problem(f"--grace {text} is no time: {HOW_LONG}")
    return found


def gc(workspace: Workspace, request: Request, also: Sequence[Workspace] = ()) -> Outcome[Collected]:
    """Survey the store and, with `delete`, collect. `also`: other repositories whose blobs are in the same store.

    Exit 1 if there are more orphans than may be: nothing is taken then.
    """
    grace = seconds(request.grace)
    parties = [Party.of(each) for each in (workspace, *also)]
    settings = parties[0].settings
    require_mounted(workspace.gate.documents, Snapshot(workspace.repo, parties[0].main), parties[0].settings)
    store = open_store(settings.store, settings.access)
    owners.require_sole_owner(store, [party.workspace.repo for party in parties])
    if request.delete:
        owners.own(store, workspace.repo)
    no_trash = _goes_for_good(store, parties[0], request.no_trash)
    orders = Orders(request.delete, grace, request.max_share, no_trash)
    now = workspace.clock().timestamp()
    try:
        run = Collector(store, parties, orders, now, workspace.progress).run()
    except Unfinished as error:
        before = f" ({len(error.run.taken)} blobs had been taken by then)" if error.run.taken else ""
        raise type(error.problem)(f"{error.problem}{before}") from error
    if request.delete:
        write_summary(store, _summary(run, rfc3339(int(now))))
    return _outcome(store, parties[0], run, request, now, no_trash)


def _goes_for_good(store: Store, party: Party, wanted: Collection[str]) -> dict[str, str]:
    """The whole versions of --no-trash, and the keys of their blobs.

    Problem for one that nobody knows, or that main has without a tombstone that erases: it could be taken back.
    """
    head = Snapshot(party.workspace.repo, party.main)
    found = {}
    for text in wanted:
        key = only(text, in_store(store, text))
        slot = slot_of(key)
        assert slot is not None
        target, *version = slot
        if head.entry(target.record_path(*version)) is not None:
            path = target.tombstone_path(*version)
            stone = read_tombstone(data, path) if (data := head.read(path)) is not None else None
            if not isinstance(stone, Tombstone) or not stone.erase:
                says = "its tombstone can be taken back" if data is not None else "it has no tombstone"
                way = f"pointsman retire {short(version[1])} --erase --reason TEXT"
                raise Problem(f"{short(version[1])} is recorded, and {says}: first merge what {way} opens")
        found[version[1]] = key
    return found


def restore(workspace: Workspace, wanted: Sequence[str], *, dry_run: bool = False) -> Outcome[Collected]:
    """Put versions back from the trash. Refused for one with a tombstone; Problem for one that is not there.

    With `dry_run` the bytes in the trash are hashed, and nothing is written.
    """
    head = Snapshot(workspace.repo, workspace.repo.refresh())
    settings = workspace.gate.settings(head)
    require_mounted(workspace.gate.documents, head, settings)
    store = open_store(settings.store, settings.access)
    trash = [place[1] for each in listed(store, TRASH) if (place := read_place(each.key)) is not None]
    keys = {only(text, list(matching(trash, text)) or in_store(store, text)) for text in wanted}
    _refuse_retired(workspace, head, keys)
    if not dry_run:
        wait_for_markers(store, {key[-69:-5] for key in keys})
        _refuse_retired(workspace, Snapshot(workspace.repo, workspace.repo.refresh()), keys)  # that may take minutes
    restored, troubles = 0, list[Problem]()
    for key in sorted(keys):
        try:
            if _put_back(store, key, dry_run=dry_run):
                restored += 1
                workspace.progress(f"{'would be ' if dry_run else ''}put back from the trash: {store.url}/{key}")
        except Problem as problem:  # the others are not to wait for this one
            troubles.append(problem)
    if troubles:
        more = f"; {len(troubles) - 1} more are not back" if len(troubles) > 1 else ""
        raise type(troubles[0])(f"{troubles[0]}{more}") from troubles[0]
    return Outcome(
        Collected(
            listed=0, live=0, live_bytes=0, young=0, orphans=[], retired=[], kept=[], trash=len(set(trash)),
            trash_bytes=0, unknown=0, deleted=0, taken=0, purged=0, restored=restored, dry_run=dry_run,
        )
    )  # fmt: skip


def _refuse_retired(workspace: Workspace, head: Snapshot, keys: Collection[str]) -> None:
    faults = []
    for target, *version in filter(None, map(slot_of, keys)):
        path = target.tombstone_path(*version)
        if head.entry(path) is not None:
            stone = workspace.gate.documents.tombstone(head, target, *version)
            says = "it was retired, and nothing puts back what was: revert its tombstone by a pull request first"
            if stone is None:
                says = "its tombstone cannot be read: pointsman check says why"
            elif stone.erase:
                says = "it was retired to be erased, and nothing takes that back"
            faults.append(Broken(path, "retired", says))
    if faults:
        raise Refused(faults)


def _put_back(store: Store, key: str, *, dry_run: bool) -> bool:
    """Whether a blob was put back; False if it is in its place. Problem if its bytes are nowhere, or others there."""
    there = store.digest(key)
    if there is not None and there[1] != key[-69:-5]:
        raise Problem(f"{store.url}/{key}: what stands there are not its bytes: find out who put them there, move them")
    if there is None and not put_back(store, key, dry_run=dry_run):
        raise Problem(f"{store.url}/{key}: no bytes in the trash hash to this version; publish its artifact again")
    return there is None


# the result


def freed(found: Collected) -> int:
    """The bytes of all that can go, without a look at each."""
    orphans = found.orphans
    size = orphans.size if isinstance(orphans, Orphans) else sum(each.size for each in orphans)
    return size + sum(each.size for each in found.retired)


def _summary(run: Run, at: str) -> Summary:
    taken = {blob.key for blob in run.taken}
    orphans, retired = run.orphans.without(taken), run.retired.without(taken)
    return Summary(
        at=at,
        live=run.found.live,
        live_bytes=run.found.live_bytes,
        orphans=len(orphans),
        orphan_bytes=orphans.size,
        retired=len(retired),
        retired_bytes=retired.size,
        trash=len(run.found.trash) + len(run.taken) - len(run.purged),
        trash_bytes=run.found.trash.size + run.taken.size - run.purged.size,
        unknown=run.found.unknown,
        taken=len(run.taken),
        purged=len(run.purged),
        restored=len(run.restored),
    )


def _left(store: Store, run: Run, request: Request, no_trash: Mapping[str, str]) -> Iterator[Broken]:
    """What was to go for good and is still there: whoever erases must not take silence for done.

    Of a dry run: what would be.
    """
    trash = run.in_trash(no_trash)
    there = "is still there" if request.delete else "would still be there"
    goes = set() if request.delete else {place[1] for blob in run.purged if (place := read_place(blob.key)) is not None}
    why = {key[-69:-5]: says for key, says in run.spared.items()}
    other = f"its blob is younger than --grace {request.grace}, its target has no record, or the run took nothing"
    for version, key in sorted(no_trash.items()):
        if version in trash or (key not in goes and store.size(key) is not None):
            yield Broken(store.url, "no-trash", f"{short(version)} {there}: {why.get(version, other)}")


def _outcome(
    store: Store, party: Party, run: Run, request: Request, now: float, no_trash: Mapping[str, str]
) -> Outcome[Collected]:
    gone = None if not request.delete else {blob.key for blob in run.taken}
    retired = [_told_retired(blob, party.erases(blob), _left_by(gone, blob)) for blob in run.retired]
    faults = []
    if run.too_many(request.max_share):
        says = (
            f"{len(run.orphans)} of {run.found.known} blobs are orphans, more than a share of {request.max_share:g}: "
            f"look whether this is the right repository, and whether records are missing on main. "
            f"The first: {', '.join(blob.key for blob in islice(run.orphans, _SHOWN))}. "
            f"If it is right: pointsman gc --delete --max-share {run.enough():g}"
        )
        faults.append(Broken(store.url, "max-share", says))
    faults += _left(store, run, request, no_trash)
    notes = [str(fault) for fault in faults]
    if run.unfinished:
        notes.append(run.unfinished)
    versions = store.keeps_versions(".pointsman/gc.json") if any(each.erase for each in retired) else None
    if elsewhere := [*party.settings.former, *(place.store for place in party.settings.serving if place.store)]:
        notes.append(f"gc does not look into former stores, nor into those of places: {', '.join(elsewhere)}")
    apart = (place.root for place in party.settings.serving if not serves_from_store(party.settings, place))
    if bare := list(filter(is_bare, apart)):
        notes.append(f"nothing is in {', '.join(bare)}, so nothing that serving reads there was kept: is it mounted?")
    collected = Collected(
        listed=run.found.listed,
        live=run.found.live,
        live_bytes=run.found.live_bytes,
        young=run.found.young,
        orphans=Orphans(run.orphans, store.url, now, gone),
        retired=retired,
        kept=[Kept(f"{store.url}/{key}", why) for key, why in sorted(run.spared.items())],
        trash=len(run.found.trash),
        trash_bytes=run.found.trash.size,
        unknown=run.found.unknown,
        deleted=len(run.taken),
        taken=len(run.taken),
        purged=len(run.purged),
        restored=len(run.restored),
        dry_run=not request.delete,
        versions=versions,
        erasing=erasing(store, party, run) or None,
        faults=list(map(told, faults)) or None,
    )
    return Outcome(collected, 1 if faults else 4 if run.unfinished else 0, tuple(notes))


def _told_retired(blob: Stored, erase: bool, left: Literal[True] | None) -> Retired:
    target, slot, version = blob.slot
    return Retired(str(target), slot, version, blob.size, erase, left)


def _left_by(gone: Collection[str] | None, blob: Stored) -> Literal[True] | None:
    """Whether a run did not take a blob. `gone`: the keys that it took; None for a dry run, which leaves everything."""
    return True if gone is not None and blob.key not in gone else None
