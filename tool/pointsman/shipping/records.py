"""Landing: blobs into the store, then their records onto main. What publish and adopt do before any pull request.

Every step is create-only or a compare-and-swap: dying anywhere leaves nothing that points to what is not there, and
running again finishes the job.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from pointsman import __version__
from pointsman.errors import Fault, Refused
from pointsman.intake.staging import Source
from pointsman.repo.origin import MAIN, Move
from pointsman.repo.retry import until_settled
from pointsman.repo.snapshot import Snapshot
from pointsman.settings import Settings
from pointsman.shipping.record_pull import RecordPull, commit_of
from pointsman.state.documents import Record
from pointsman.store.base import Store
from pointsman.store.open import open_store
from pointsman.store.parallel import ask_all
from pointsman.values import BlobOutcome
from pointsman.workspace import Workspace

Standing = tuple[int, str] | None  # size in bytes and SHA-256 of what stands under a key, None if nothing does


def record_of(source: Source, settings: Settings, run: str, now: str) -> Record:
    """The record of an artifact that is to stand in the store of these settings."""
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


class Recording:
    """Puts blobs and lands records of one repository, in the order in which it is asked."""

    def __init__(self, workspace: Workspace, settings: Settings) -> None:
        self.workspace = workspace
        self.repo = workspace.repo
        self.settings = settings
        self.progress = workspace.progress
        self.store: Store = open_store(settings.store, settings.access)

    def standing(self, sources: Sequence[Source]) -> list[Standing]:
        """What stands in the store where each blob belongs."""
        keys = [_key(source) for source in sources]
        return list(ask_all(self.store.digest, keys, at_once=self.store.at_once))

    def altered(self, source: Source, stands: Standing) -> Fault | None:
        """Why nothing can be put where a blob belongs: other bytes stand there."""
        return None if stands is None or stands[1] == source.artifact.version else self._altered(_key(source))

    def put(self, sources: Sequence[Source], standing: Sequence[Standing]) -> list[BlobOutcome]:
        """Put each blob, create-only, and prove what is stored by its own bytes, whoever put it there.

        `standing` is what was seen there; Refused, with nothing put, if that is not what belongs there.
        """
        seen = list(zip(sources, standing, strict=True))
        wrong = [fault for each in seen if (fault := self.altered(*each)) is not None]
        if wrong:
            raise Refused(wrong)
        puts = [(source, stands is not None) for source, stands in seen]
        outcomes: list[BlobOutcome] = []
        for source, created in zip(sources, ask_all(self._put, puts, at_once=self.store.at_once), strict=True):
            outcomes.append("created" if created else "present")
            self.progress.counted("blobs put", len(outcomes), len(sources))
            self.progress(f"{outcomes[-1]} {self.store.url}/{_key(source)}")
        return outcomes

    def _put(self, put: tuple[Source, bool]) -> bool:
        """Put a blob, unless it is proven to stand there, and read back what does. Whether this put it there."""
        source, proven = put
        key = _key(source)
        if proven and self.store.keep(key):
            return False
        created = self.store.create(key, source.payload())
        stands = self.store.digest(key)
        if stands is None or stands[1] != source.artifact.version:
            raise Refused([self._altered(key)])
        return created

    def _altered(self, key: str) -> Fault:
        says = "the bytes stored here are not those of this version: the store was altered; move them away, run again"
        return Fault(f"{self.store.url}/{key}", "blob-altered", says)

    def records(self, records: Sequence[Record], *, run: str = "", note: str = "") -> None:
        """Main has these records on return; known versions are left as they are. One commit, pushed or merged."""
        if self.settings.records == "pull-request":
            RecordPull(self.workspace).land(records, run=run, note=note)
        else:
            self._push_records(records, run=run, note=note)

    def _push_records(self, records: Sequence[Record], *, run: str, note: str) -> None:
        def push() -> None:
            main = self.repo.main
            base = Snapshot(self.repo, main)
            missing = [record for record in records if base.entry(record.path) is None]
            if missing:
                commit = commit_of(self.repo, missing, run=run, note=note)
                self.repo.move([Move(MAIN, commit, main)])
                self.progress(f"recorded {len(missing)} versions in {commit[:12]}")

        until_settled(self.repo, push, "main moved at every try to land the records: run the command again")

    def look_again(self, sources: Sequence[Source]) -> None:
        """The record is on main now and keeps its blob; what was taken away before that is put again."""
        keys = [_key(source) for source in sources]
        sizes = list(ask_all(self.store.size, keys, at_once=self.store.at_once))
        for source, size in zip(sources, sizes, strict=True):
            if size != source.size:
                self._put((source, False))


def _key(source: Source) -> str:
    return source.target.blob_key(source.artifact.type, source.artifact.version)
