"""Recording: blobs go into the store, then their records onto main. Publish and adopt do this before they ship.

Every step is create-only or a compare-and-swap. So a crash leaves no record without its blob, and the same command run
again finishes the work.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from pointsman import __version__
from pointsman.errors import BLOCKED, Blocked, Fault, NoAnswer, Refused, Unreachable
from pointsman.intake.staging import Source
from pointsman.repo.snapshot import Snapshot
from pointsman.retention import owners
from pointsman.retention.markers import wait_for_markers
from pointsman.settings import Settings
from pointsman.shipping.additions import of_records
from pointsman.shipping.landing import add_to_main
from pointsman.state.documents import Record
from pointsman.state.names import short
from pointsman.store.base import Store
from pointsman.store.open import open_store
from pointsman.store.parallel import ask_all
from pointsman.values import BlobOutcome
from pointsman.workspace import Workspace

# Size in bytes and SHA-256 of the object under a key; None if there is none, Blocked if that cannot be told.
Stored = tuple[int, str] | Blocked | None


def record_of(source: Source, settings: Settings, run: str, now: str) -> Record:
    """The record of an artifact whose blob goes into the store of these settings."""
    read = source.artifact
    return Record(
        tenant=read.tenant,
        surface=read.surface,
        segment=read.segment,
        type=read.type,
        version=read.version,
        window_start=read.window_start,
        window_end=read.window_end,
        uri=settings.uri(source.target, read.type, read.version),
        size=source.size,
        built_at=read.built_at,
        source_hash=read.source_hash,
        summary=read.summary,
        recorded_at=now,
        run=run,
        commit=os.environ.get("GITHUB_SHA", ""),
        tool=f"pointsman {__version__}",
    )


def retired(base: Snapshot, source: Source) -> Fault | None:
    """The fault of an artifact whose version has a tombstone on `base`: nothing puts such a version back."""
    slot, version = source.artifact.type, source.artifact.version
    place = source.target.tombstone_path(slot, version)
    if base.entry(place) is None:
        return None
    says = f"{source.target} {slot} {short(version)} was retired ({place}), and nothing puts it back: publish another"
    return Fault(source.path, "retired", f"{says} version; pointsman show {short(version)} says why")


class Recording:
    """Stores blobs and adds their records to main. The caller calls `put` before `records`."""

    def __init__(self, workspace: Workspace, settings: Settings) -> None:
        self.workspace = workspace
        self.repo = workspace.repo
        self.settings = settings
        self.progress = workspace.progress
        self.store: Store = open_store(settings.store, settings.access)

    def stored(self, sources: Sequence[Source], *, most: int = 0) -> list[Stored]:
        """What the store has under the key of each blob. Up to `most` bytes are hashed, or its size if that is more.

        Blocked if that cannot be told of any.
        """

        def look(source: Source) -> Stored:
            try:
                return self.store.digest(_key(source), max(source.size, most))
            except (Blocked, NoAnswer) as trouble:
                return Blocked(str(trouble))

        found = list(ask_all(look, sources, at_once=self.store.at_once))
        blocked = [each for each in found if isinstance(each, Blocked)]
        if blocked and len(blocked) == len(found):
            raise blocked[0]
        return found

    def altered(self, source: Source, stored: Stored) -> Fault | None:
        """The fault of a key that has other bytes than its blob, or cannot be read; None if neither is so."""
        if isinstance(stored, Blocked):
            return self._blocked(_key(source), stored)
        return None if stored is None or stored[1] == source.artifact.version else self._altered(_key(source))

    def put(self, sources: Sequence[Source], stored: Sequence[Stored]) -> list[BlobOutcome | Fault]:
        """Store each blob, create-only, then read it back and check its hash, whoever stored it.

        `stored`: what `stored()` has returned, without `altered` ones. A Fault stops its own artifact alone.
        Unreachable if none can be stored.
        """
        puts = [(source, there is not None) for source, there in zip(sources, stored, strict=True)]
        outcomes: list[BlobOutcome | Fault] = []
        for source, put in zip(sources, ask_all(self._put, puts, at_once=self.store.at_once), strict=True):
            outcomes.append(put)
            self.progress.counted("blobs put", len(outcomes), len(sources))
            if not isinstance(put, Fault):
                self.progress(f"{put} {self.store.url}/{_key(source)}")
        blocked = [put for put in outcomes if isinstance(put, Fault) and put.rule == BLOCKED]
        if blocked and len(blocked) == len(outcomes):
            raise Unreachable(blocked[0].says)
        return outcomes

    def _put(self, put: tuple[Source, bool]) -> BlobOutcome | Fault:
        """Store a blob and check its hash, unless it is `proven` to be there."""
        source, proven = put
        key = _key(source)
        try:
            if proven and self.store.keep(key):
                return "present"
            created = self.store.create(key, source.payload())
            stored = self.store.digest(key, source.size)
        except Refused as refused:
            return refused.faults[0]
        except (Blocked, NoAnswer) as trouble:
            return self._blocked(key, trouble)
        if stored is None or stored[1] != source.artifact.version:
            return self._altered(key)
        return "created" if created else "present"

    def _blocked(self, key: str, trouble: Unreachable) -> Fault:
        return Fault(f"{self.store.url}/{key}", BLOCKED, str(trouble))

    def _altered(self, key: str) -> Fault:
        says = "the bytes here do not hash to this version: someone changed the store; move them away, run again"
        return Fault(f"{self.store.url}/{key}", "blob-altered", says)

    def records(self, records: Sequence[Record], *, run: str = "", note: str = "") -> None:
        """Add the records to main in one commit, pushed or merged. Records that main has already stay as they are."""
        add_to_main(self.workspace, self.settings, of_records(records, run=run, note=note))

    def put_missing(self, sources: Sequence[Source]) -> list[tuple[Source, Fault]]:
        """Store blobs again that gc took before their record was on main. From now on the record keeps them.

        Not those that were retired meanwhile.
        """
        base = Snapshot(self.repo, self.repo.main)
        gone = [(source, retired(base, source)) for source in sources]
        sources = [source for source, fault in gone if fault is None]
        wait_for_markers(self.store, {source.artifact.version for source in sources})
        keys = [_key(source) for source in sources]
        sizes = list(ask_all(self._size, keys, at_once=self.store.at_once))
        lost = [source for source, size in zip(sources, sizes, strict=True) if size != source.size]
        puts = ((source, self._put((source, False))) for source in lost)
        return [(source, fault) for source, fault in (*gone, *puts) if isinstance(fault, Fault)]

    def own_store(self) -> list[str]:
        """Write down whose blobs are in the store. What a reader should know if that fails: gc does it, too.

        Before `put_missing`: a gc of another repository that did not see this has its marker there by then.
        """
        try:
            owners.own_unless_known(self.store, self.repo)
        except Unreachable as error:
            return [f"the store does not know yet that it is this repository's ({error})"]
        return []

    def _size(self, key: str) -> int | None:
        try:
            return self.store.size(key)
        except (Blocked, NoAnswer):  # putting it again tells why
            return None


def _key(source: Source) -> str:
    return source.target.blob_key(source.artifact.type, source.artifact.version)
