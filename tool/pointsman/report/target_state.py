"""What status tells of each target, as a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from msgspec import Struct

from pointsman.retention.summary import Summary
from pointsman.serving.outcomes import LeftRing, ToldClaim
from pointsman.serving.ring_state import RingState
from pointsman.values import (
    CommitId,
    Count,
    Moment,
    PullRequest,
    Sha256,
    SlotName,
    Step,
    TargetName,
    ToldFault,
    Version,
)

Serving = Literal["in-sync", "behind", "drifted", "absent", "unknown"]


class CommittedStep(Step, frozen=True):
    """A commit of main, and who committed it."""

    committer: Annotated[str, "who merged it, where that is not the author"]


class ShippedStep(CommittedStep, frozen=True):
    """The commit that made main's manifest what it is."""

    run: Annotated[str, 'the run that shipped it, "" for none']
    kind: Annotated[Literal["ship", "restore", "removal", "edit"], "what the commit did to the target, as log says it"]
    reason: Annotated[str, 'why, "" for none']


class Window(Struct, frozen=True):
    """From the earliest start to the latest end of what is current, and the types that are older than allowed."""

    start: str
    end: str
    age_seconds: Annotated[int | None, "since its end; null: no calendar has it"]
    limit_seconds: Annotated[int | None, "window_stale; null: off"]
    stale: Annotated[Sequence[str], "the types that are older"]


class Behind(Struct, frozen=True):
    """How long serving has been without a commit, the first of so many that it lacks."""

    since: Annotated[CommittedStep, "the first commit that serving lacks"]
    seconds: int
    commits: int


class ServedDrift(Struct, frozen=True):
    """What is served that main never had, who wrote it and when, as far as the store tells."""

    by: Annotated[str | None, "who wrote it, where the store tells"]
    at: Moment | None
    readable: Annotated[bool, "whether recsys-service loads it"]
    says: Annotated[str, "why it does not"]
    changes: Mapping[str, Annotated[tuple[str | None, str | None], "the version on main and in serving"]]
    uris: Annotated[
        Mapping[str, Annotated[tuple[str | None, str | None], "the URI on main and in serving"]], "of each that differs"
    ]


class ServedAt(Struct, frozen=True):
    """What serving has of a target at one of several places."""

    place: str
    serving: Serving
    behind: Behind | None
    drift: ServedDrift | None
    lacks: Annotated[Sequence[ToldFault] | None, "of a place with its own store: blobs that are not there yet"] = None
    unread: Annotated[str | None, "of serving that is unknown: why it cannot be read"] = None
    claim: Annotated[ToldClaim | None, "what break-glass said of it there"] = None


class Late(Struct, frozen=True):
    """An instance that has another manifest than main, for so many seconds since main had it."""

    instance: str
    sha256: Sha256
    seconds: int


class RingInstances(Struct, frozen=True):
    """How the instances that read one ring stand to what it was given."""

    ring: str
    current: Count
    behind: Count
    known: Count


class Instances(Struct, frozen=True):
    """How the instances of recsys-service stand to main's manifest, or to what their ring was given, by their logs."""

    current: Annotated[Count, "that loaded it"]
    behind: Annotated[Count, "that loaded another last"]
    known: Annotated[Count, "that were heard lately; some may have loaded none of this target"]
    late: Annotated[Sequence[Late], "those behind, twenty at most"]
    rings: Annotated[Sequence[RingInstances] | None, "the same of each ring; left out where there are none"] = None


class BindingHold(Struct, frozen=True):
    """A hold that stops ships of a target now; `target` is what it is on."""

    target: str
    until: str
    reason: str


class TargetState(Struct, frozen=True):
    """Everything about one target."""

    target: TargetName
    current: Mapping[SlotName, Version]
    window: Window | None
    shipped: ShippedStep | None
    serving: Serving
    behind: Behind | None
    drift: ServedDrift | None
    refused: Annotated[Sequence[ToldFault], "rules that main's manifest breaks: sync keeps the last good one"]
    holds: Sequence[BindingHold]
    pull_requests: Sequence[PullRequest]
    claim: Annotated[ToldClaim | None, "what break-glass said of it; null: nothing"]
    instances: Annotated[Instances | None, "null: nothing was ever seen"]
    unread: Annotated[str | None, "of serving that is unknown: why it cannot be read"] = None
    updated_at: Annotated[Moment | None, "of main's manifest; null: there is none"] = None
    places: Annotated[
        Sequence[ServedAt] | None, "of several places: each; serving, behind and drift are those of the worst"
    ] = None
    rings: Annotated[Sequence[RingState] | None, "of rings: each; one that has what it is due is in-sync"] = None


class MainSeen(Struct, frozen=True):
    """How long the syncs of a place with `frozen_after`, and this look, were given no new commit of main."""

    place: Annotated[str, '"" for the one of [serving]']
    commit: Annotated[CommitId | None, "the last that was new; null: nobody knows"]
    at: Annotated[Moment | None, "when a sync was first given it; of one that no sync has had, when it was made"]
    seconds: Annotated[Count | None, "since then"]
    limit_seconds: Annotated[Count, "frozen_after"]
    frozen: Annotated[bool, "whether it is longer than that"]
    unread: Annotated[str | None, "why nobody knows"] = None


class Status(Struct, frozen=True):
    """The state of some targets at a moment."""

    commit: CommitId
    at: Annotated[Moment, "when this was looked at"]
    targets: Sequence[TargetState]
    gc: Annotated[Summary | None, "what the last gc --delete left in the store; not if targets are named"] = None
    main_seen: Annotated[Sequence[MainSeen], "of each place with frozen_after"] = ()
    left: Annotated[
        Sequence[LeftRing] | None, "rings that left the settings and still stand; not if targets are named"
    ] = None
