"""The evidence of one change: all facts that the rules judge by, read before they are asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from enum import Enum

from msgspec import Struct, field

from pointsman.errors import Fault
from pointsman.guardrails.comparison import Likeness
from pointsman.settings import Settings
from pointsman.state.documents import Hold, Manifest, Record, Signed, Tombstone
from pointsman.state.message import Said
from pointsman.state.names import Target, short
from pointsman.state.objects import Change, Oid
from pointsman.state.paths import target_of


class Checkpoint(Enum):
    """Where a change is judged."""

    STAGED = "pre-commit"
    CHANGE = "pull request"
    SYNC = "sync"
    AUDIT = "audit"
    TREE = "whole tree"


class Kind(Enum):
    """What a change does to a manifest: vouch for new bytes, put a good state back, delete it, or none of these."""

    SHIP = "ship"
    RESTORE = "restore"
    REMOVAL = "removal"
    EDIT = "edit"


class Approval(Struct, frozen=True):
    """One person's consent: all names that their key has, and the file that says so."""

    names: tuple[str, ...]
    path: str

    def __str__(self) -> str:
        return " = ".join(self.names)


class Consent(Struct, frozen=True):
    """Who has approved a change, of those who may by the settings and the file of signers before it."""

    subject: str  # the SHA-256 over `lines`
    lines: tuple[str, ...]
    needed: int  # persons
    paths: frozenset[str] = frozenset()  # of what changes, which needs it
    by: tuple[Approval, ...] = ()
    void: tuple[str, ...] = ()  # of each signature that does not count: why
    lacking: tuple[str, ...] = ()  # who else may approve
    unproven: str = ""  # why signatures cannot be verified here

    @property
    def is_given(self) -> bool:
        """Whether enough have approved."""
        return len(self.by) >= self.needed


class Attested(Struct, frozen=True):
    """Evidence that is demanded about one version that a ship brings: what is there, or that there is none."""

    name: str
    by: str = ""  # all names of its signer; "": there is none, and `says` says why
    path: str = ""
    says: str = ""  # why it does not do
    slot: str = ""
    meets: bool = False
    against: bool = False  # it says something else than is demanded


State = Manifest | Record | Tombstone | Hold | Signed


class Document(Struct, frozen=True):
    """One changed path; `kind` is that of `path_kind`."""

    path: str
    kind: str
    change: Change
    size: int = 0
    value: State | None = None
    faults: tuple[Fault, ...] = ()
    formatted: bool = True  # its bytes are what pointsman would write
    was: State | None = None  # of a tombstone: what it was before


class TargetChange(Struct, frozen=True):
    """What the change does to one target's manifest, and all that the rules compare it with on the base."""

    target: Target
    kind: Kind
    before: Manifest | None  # on the base's tip
    after: Manifest | None  # None: removed, or not readable
    said: Said | None  # what the change's message says about it
    last: Oid | None  # the commit on the base that last changed it
    undoes_first: bool = False  # a removal that undoes the first ship
    records: Mapping[str, Record | None] = field(default_factory=dict)  # slot → record on the base, for `after`
    unreadable: frozenset[str] = frozenset()  # slots of `after` whose record stands on the base and cannot be read
    references: Sequence[Mapping[str, Record]] = ()  # states that guardrails compare with, slot → record
    likeness: Mapping[tuple[str, str], Likeness] = field(default_factory=dict)  # of an earlier and a new version
    taken_out: frozenset[str] = frozenset()  # changed slots: a restore took their version out, and no Reship: line
    built_on: tuple[Fault, ...] = ()  # faults of the commit that last changed it: a ship may not hide them
    unsaid: tuple[str, ...] = ()  # slots that change although the message, which has to say so, does not
    passenger: bool = False  # a restore or removal that the message, which names other targets, does not tell of
    restores_known: bool = True  # every Restores: line names a version that the slot had before
    retired: frozenset[str] = frozenset()  # slots of `after` whose version has a tombstone on the base
    holds: Mapping[str, Hold | None] = field(default_factory=dict)  # path → hold on the base; None: not readable

    @property
    def changed(self) -> list[str]:
        """The slots that point to another place than on the base."""
        before = self.before.current if self.before else {}
        return [slot for slot, uri in self.after.current.items() if before.get(slot) != uri] if self.after else []

    def versions_of(self, slots: Iterable[str]) -> str:
        """The versions that `after` has in these slots, as a sentence names them."""
        versions = self.after.versions if self.after is not None else {}
        return ", ".join(f"{slot} {short(versions[slot])}" for slot in sorted(slots) if slot in versions)


class Blob(Struct, frozen=True):
    """What the store has under one URI: its size in bytes, None if nothing, and its SHA-256 if it was read."""

    size: int | None
    sha256: str | None = None


class Evidence(Struct, frozen=True):
    """All facts of one change. `blobs` is empty offline, and has only URIs of this repository's stores."""

    checkpoint: Checkpoint
    settings: Settings
    documents: Sequence[Document] = ()
    targets: Sequence[TargetChange] = ()
    blobs: Mapping[str, Blob] = field(default_factory=dict)
    contents: Sequence[Fault] = ()  # of blobs that a ship brings: what in them is not as their records say
    clock: int = 0  # the committer's, seconds since 1970
    twins: Mapping[str, str] = field(default_factory=dict)  # path → another that differs from it only in case
    in_use: Mapping[str, str] = field(default_factory=dict)  # path of a schema → a record of its type on the base
    needed: Mapping[str, str] = field(default_factory=dict)  # tombstone → why its version is still needed on the base
    unrecorded: frozenset[str] = frozenset()  # tombstones of versions without a record on the base
    odd: Mapping[str, str] = field(default_factory=dict)  # directory → why its tree is none that git writes
    lost: Mapping[str, Oid] = field(default_factory=dict)  # who saw it → a commit that main no longer descends from
    unsigned: Mapping[str, str] = field(default_factory=dict)  # path → why its signature is missing
    consent: Consent | None = None  # None: the change needs no approval
    attested: Mapping[Target, Sequence[Attested]] = field(default_factory=dict)  # what is demanded about versions

    def way_back(self, target: Target) -> str:
        """Advice at the end of a sentence about a target whose change may be merged; "" if it is only proposed."""
        if self.checkpoint in (Checkpoint.STAGED, Checkpoint.CHANGE):
            return ""
        return f"; if it is on main already, run pointsman rollback {target} first"

    def unreadable(self, rule: str) -> Iterator[Fault]:
        """The faults of one rule that stand in documents themselves; of a manifest with the way back."""
        for document in self.documents:
            back = self.way_back(target_of(document.path)) if document.kind == "manifest" else ""
            yield from (replace(fault, says=f"{fault.says}{back}") for fault in document.faults if fault.rule == rule)

    @property
    def restored(self) -> set[str]:
        """The manifests of restores. Some rules let them pass, because going back must always be possible."""
        return {change.target.manifest_path for change in self.targets if change.kind is Kind.RESTORE}

    def seen_blobs(self) -> Iterator[tuple[str, str, Record, Blob]]:
        """Path to blame, slot, record and blob, for every blob that was looked at and has to be there."""
        for change in self.targets:
            for slot, record in change.records.items():
                if record is None or change.after is None or slot in change.retired:
                    continue  # of what is retired the bytes may be gone, and rule `retired` speaks of it
                if blob := self.blobs.get(change.after.current[slot]):
                    yield change.target.manifest_path, slot, record, blob
        for document in self.documents if not self.targets else ():
            if isinstance(document.value, Record) and (found := self.blobs.get(document.value.uri)):
                yield document.path, document.value.type, document.value, found
