"""What a review says, as a value; the metrics: docs/review.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Annotated, Literal

from msgspec import Struct

from pointsman.serving.ring_state import RingState
from pointsman.values import (
    Approvals,
    CommitId,
    Count,
    HoldTerms,
    JudgedFault,
    Moment,
    PullRequest,
    Shape,
    SlotName,
    TargetName,
    Version,
)

Kind = Literal["ship", "restore", "removal", "edit", "unchanged", "compared"]
Pair = tuple[float | None, float | None]
Figures = Mapping[str, float | Pair | None]
Changes = Mapping[str, tuple[Version | None, Version | None]]
Place = Annotated[int, Shape(minimum=1)]
Ids = Annotated[Sequence[str] | None, Shape(most=20)]


class Window(Struct, frozen=True):
    """The days that a version was built from."""

    start: str
    end: str


class Side(Struct, frozen=True):
    """What is recorded of a version before or after the change."""

    version: Version
    segment: str
    window: Window
    built_at: str
    recorded_at: str
    run: str
    size: Count
    summary: Mapping[str, int]


class Ranked(Struct, frozen=True):
    """An item at the top now, and the place that it had."""

    id: str
    count: Count
    rank: Place
    was_rank: Count | None


class RankedBefore(Struct, frozen=True):
    """An item at the top before, and the place that it has now."""

    id: str
    count: Count
    rank: Place
    is_rank: Count | None


class ChangedValue(Struct, frozen=True):
    """A single value of a user's own type, such as a dimension, before and after, as JSON text, cut if long."""

    place: str
    was: Annotated[str | None, "null: it was not there"]
    is_: Annotated[str | None, "null: it is not there"]


class ReviewedType(Struct, frozen=True):
    """One artifact type before and after; lists are of its contents, each as long as it is worth showing."""

    was: Side | None
    is_: Side | None
    age_days: Annotated[float | None, "from the end of the window to the commit's clock"]
    first_shipped: Annotated[str | None, "when main first pointed to the new version; null if it never did"]
    not_available: Annotated[str | None, "why contents could not be read"] = None
    top: Annotated[Sequence[Ranked] | None, Shape(most=20)] = None
    was_top: Annotated[Sequence[RankedBefore] | None, Shape(most=20)] = None
    entered: Ids = None
    entered_count: Count | None = None
    left: Ids = None
    left_count: Count | None = None
    added: Ids = None
    added_count: Count | None = None
    removed: Ids = None
    removed_count: Count | None = None
    tags_appeared: Ids = None
    tags_appeared_count: Count | None = None
    tags_vanished: Ids = None
    tags_vanished_count: Count | None = None
    values: Annotated[Sequence[ChangedValue] | None, Shape(most=20)] = None
    values_count: Count | None = None

    def tops(self) -> Iterator[tuple[RankedBefore | None, Ranked | None]]:
        """Both top lists side by side."""
        return zip_longest(self.was_top or (), self.top or ())

    def lists(self) -> Iterator[tuple[str, Sequence[str], int]]:
        """The name of each list that has anything in it, what it shows, and how many there are beyond that."""
        for name, shown, count in (
            ("entered", self.entered, self.entered_count),
            ("left", self.left, self.left_count),
            ("added", self.added, self.added_count),
            ("removed", self.removed, self.removed_count),
            ("tags appeared", self.tags_appeared, self.tags_appeared_count),
            ("tags vanished", self.tags_vanished, self.tags_vanished_count),
        ):
            if shown:
                yield name, shown, max(0, (count or 0) - len(shown))


class GuardrailFigure(Struct, frozen=True):
    """What a guardrail measured of a type, or of the whole manifest."""

    rule: str
    type: str | None
    figure: Annotated[float | str | None, "null: not measured"]
    limit: float | str | bool | Sequence[str]
    ok: bool
    says: str


class Undoes(Struct, frozen=True):
    """What a restore undoes, the state that it goes back to, and the versions that it takes out."""

    commit: CommitId | None
    title: str
    restores: CommitId | None
    restored_at: str | None
    age_days: float | None
    lost: Mapping[str, Version]


class PastShip(Struct, frozen=True):
    """What an earlier ship had of a type."""

    commit: CommitId
    at: str
    items: Count


class ReviewedTarget(Struct, frozen=True):
    """What the change means for one target."""

    target: TargetName
    kind: Kind
    changes: Annotated[Changes, "type → [old, new]"]
    metrics: Annotated[Mapping[str, Figures], "type → name → [was, is], or one figure of both; null: not measured"]
    types: Mapping[str, ReviewedType]
    guardrails: Sequence[GuardrailFigure]
    faults: Annotated[Sequence[JudgedFault], "what the change accepts first"]
    notes: Sequence[str]
    undoes: Undoes | None
    history: Annotated[
        Mapping[str, Annotated[Sequence[PastShip], Shape(most=12)]], "type → what the last ships had, oldest first"
    ]
    owners: Sequence[str]
    undo: Annotated[str, "the command that would undo this"]

    @property
    def is_stopped(self) -> bool:
        """Whether a rule stops it that nobody accepted."""
        return any(not fault.accepted for fault in self.faults)


class ReviewedHold(Struct, frozen=True):
    """What the change does to one hold; None for none, or for one that cannot be read."""

    target: Annotated[str, "tenant/surface, or all"]
    was: HoldTerms | None
    is_: HoldTerms | None


class ReviewedEvidence(Struct, frozen=True):
    """Evidence that is demanded about one version: what is there, or that there is none."""

    target: TargetName
    type: SlotName
    name: str
    by: Annotated[str | None, "null: there is none"]
    meets: Annotated[bool, "it says what is demanded"]
    says: Annotated[str, "why it does not do"]


class ReviewedRing(Struct, frozen=True):
    """What a ring shows of a target, before the change."""

    target: TargetName
    ring: str
    state: Annotated[RingState | None, "null: it cannot be read"] = None
    before: Annotated[str | None, "the ring that had them before"] = None
    took: Annotated[Sequence[Count], "seconds from there to here, of its last ships, the last one last"] = ()
    says: Annotated[str | None, "why it cannot be read"] = None


class Review(Struct, frozen=True, kw_only=True):
    """What a change means for those who get the recommendations."""

    verdict: Annotated[str, "one line: what this is, or what stops it"]
    base: CommitId
    head: CommitId | None
    pull_request: PullRequest | None
    records: Annotated[Count, "records that the change adds"]
    holds: Annotated[Sequence[ReviewedHold], "holds that the change sets, replaces or releases"]
    faults: Annotated[Sequence[JudgedFault], "those of no target's manifest"]
    targets: Annotated[Sequence[ReviewedTarget], "the unusual first"]
    approvals: Annotated[Approvals | None, "left out if it needs none"] = None
    evidence: Annotated[
        Sequence[ReviewedEvidence] | None, "what is demanded about the versions that it ships; left out if nothing is"
    ] = None
    rings: Annotated[Sequence[ReviewedRing] | None, "left out without rings"] = None
    repository: Annotated[str | None, "the origin, without credentials"] = None
    at: Annotated[Moment | None, "the clock of the head's commit"] = None
    commit_pages: Annotated[str | None, "where the forge shows a commit, but for its id, if it is known"] = None

    @property
    def is_stopped(self) -> bool:
        """Whether a rule stops any of it that nobody accepted."""
        return any(not fault.accepted for fault in self.faults) or any(each.is_stopped for each in self.targets)

    @property
    def owners(self) -> Sequence[str]:
        """Who may approve any of it, sorted."""
        return sorted({owner for target in self.targets for owner in target.owners})
