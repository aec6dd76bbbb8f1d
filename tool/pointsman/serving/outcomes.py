"""The results of sync: what it did for each target, and its calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from msgspec import Struct

from pointsman.values import CommitId, Count, Moment, TargetName, ToldFault

SyncOutcome = Literal["written", "unchanged", "healed", "refused", "kept", "pruned", "claimed"]
Called = Literal["invalidate", "webhook", "command"]


class Drift(Struct, frozen=True):
    """How a pointer that someone wrote by hand differs from main, read as recsys-service reads it."""

    readable: Annotated[bool, "whether recsys-service loads it"]
    says: Annotated[str, "why it does not"]
    changes: Annotated[Mapping[str, tuple[str | None, str | None]], "type → version on main and in serving"]
    uris: Annotated[
        Mapping[str, tuple[str | None, str | None]], "type → URI on main and in serving, of each that differs"
    ]


class Committer(Struct, frozen=True):
    """A commit of main, and its committer."""

    commit: CommitId
    by: str


class ToldClaim(Struct, frozen=True):
    """What break-glass said of a target, and whether it holds."""

    holds: bool
    says: Annotated[str, "why it holds nothing"]
    by: Annotated[str, "who signed it; of one that nobody signed, who it says it is from"]
    at: str
    until: str
    reason: str
    from_: Annotated[str, "SHA-256 of the pointer that was replaced"]
    to: Annotated[str, "SHA-256 of the manifest that was put back"]
    ended: Annotated[bool, "whether it held until its time was up or main moved on"] = False
    was_served: Annotated[bool | None, "of sync, which put main's back: true if serving had what break-glass wrote"] = (
        None
    )


class Waiting(Struct, frozen=True):
    """What a ring does not have yet, and what stands in the way."""

    waits_for: Annotated[Literal["time", "check", "stop"], "what is missing: time, a pass of its checks, a release"]
    commit: Annotated[CommitId, "the commit of main that comes next"]
    at: Annotated[Moment | None, "when it is due, if only time is missing; null: nobody can tell yet"]


class SyncedAt(Struct, frozen=True):
    """What sync did, or would do, for one target at one of several places."""

    place: str
    outcome: SyncOutcome
    faults: Sequence[ToldFault]
    drift: Annotated[Drift | None, "what someone wrote there by hand"] = None
    visible_after_seconds: Annotated[
        float | None, "of a pointer that was written: the time since its commit, by the committer's clock"
    ] = None
    lag_seconds: Annotated[
        float | None, "of a place whose own store lacks blobs: the time since the commit that it waits with"
    ] = None
    claim: Annotated[ToldClaim | None, "what break-glass said of it; one that holds nothing is told once"] = None
    waits: Annotated[Waiting | None, "of a ring: what it does not have yet"] = None


class SyncedTarget(Struct, frozen=True):
    """What sync did, or would do, for one target; at several places: the one where most is to be done."""

    target: TargetName
    outcome: SyncOutcome
    faults: Sequence[ToldFault]
    drift: Annotated[Drift | None, "what someone wrote there by hand"] = None
    visible_after_seconds: Annotated[
        float | None, "of a pointer that was written: the time since its commit, by the committer's clock"
    ] = None
    refused: Annotated[Committer | None, "the commit of main that made the manifest what it is, and its committer"] = (
        None
    )
    lag_seconds: Annotated[
        float | None, "of a place whose own store lacks blobs: the time since the commit that it waits with"
    ] = None
    claim: Annotated[ToldClaim | None, "what break-glass said of it; one that holds nothing is told once"] = None
    waits: Annotated[Waiting | None, "of a ring: what it does not have yet"] = None
    places: Annotated[Sequence[SyncedAt] | None, "of several places, or rings: each, as the settings order them"] = None

    @property
    def is_drift(self) -> bool:
        """Whether serving keeps a pointer that someone wrote by hand."""
        return self.outcome == "kept" and any(fault.rule == "drifted" for fault in self.faults)


class CallResult(Struct, frozen=True):
    """One call that the settings ask for."""

    what: Called
    target: TargetName
    ok: bool
    says: Annotated[str, "what went wrong"]
    url: Annotated[str | None, "whose cache was to be invalidated; null for the others"] = None
    place: Annotated[str | None, "of several places: whose pointer it is about"] = None


class SyncedPlace(Struct, frozen=True):
    """How a pass over one of several places ended."""

    place: str
    ok: Annotated[bool, "whether its pointers could be made those of main, but for targets that are refused"]
    says: Annotated[str, "what went wrong; its pointers are as they were"]


class LeftRing(Struct, frozen=True):
    """A ring that the settings have no more, and what is left of it."""

    ring: Annotated[str, "its last name"]
    serving: Annotated[str, "where its pointers are, as its settings had it"]
    pointers: Annotated[Count | None, "how many are there; of those taken away, how many were; null: nobody can tell"]
    outcome: Literal["kept", "pruned"]
    says: Annotated[str, "of what is kept: why, and what takes it away"]


class Synced(Struct, frozen=True):
    """What became of the pointers, and who was called."""

    commit: CommitId
    dry_run: Annotated[bool, "nothing was written: the outcomes are what would be"]
    targets: Sequence[SyncedTarget]
    calls: Annotated[Sequence[CallResult], "who was called; what failed is tried again by the next sync"]
    places: Annotated[Sequence[SyncedPlace] | None, "of several places: how each pass ended"] = None
    left: Annotated[
        Sequence[LeftRing] | None, "rings that left the settings since the last sync; with --prune all that ever did"
    ] = None
