"""Values that the documents of several commands have in common, and what schemas say of them beyond their types.

The JSON Schemas in `schemas/output/` are written from such types. There the second argument of `Annotated` is what a
member means, or the `Shape` of a text, a number or a list.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

from msgspec import Struct

from pointsman.errors import Fault
from pointsman.state.documents import Hold
from pointsman.state.names import NAME, VERSION, short
from pointsman.state.objects import Oid


class Shape(NamedTuple):
    """What a schema says of a text, a number or a list beyond its type; `name` is what its `$defs` call it."""

    name: str = ""
    says: str = ""
    pattern: str = ""
    format: str = ""
    minimum: int | None = None
    most: int | None = None  # of a list


ArtifactType = Annotated[str, Shape("type", "an artifact type", f"^{NAME}$")]
CommitId = Annotated[Oid, Shape("commit", "a commit's id", "^([0-9a-f]{40}|[0-9a-f]{64})$")]
Count = Annotated[int, Shape(minimum=0)]
Moment = Annotated[str, Shape("moment", "RFC 3339, UTC", r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z$")]
SlotName = Annotated[str, Shape(pattern=f"^{NAME}$")]
Sha256 = Annotated[str, Shape("sha256", pattern=f"^{VERSION}$")]
TargetName = Annotated[str, Shape("target", "tenant/surface", f"^{NAME}/{NAME}$")]
BlobOutcome = Annotated[Literal["created", "present"] | None, "null in a dry run"]
ShipOutcome = Literal[
    "opened", "updated", "unchanged", "merged", "superseded", "dry-run", "recorded", "waits", "refused", "moved-first"
]
Version = Annotated[str, Shape("version", "the SHA-256 of an artifact's blob", f"^{VERSION}$")]


class Step(Struct, frozen=True):
    """A commit of main, when it came into force, and its author."""

    commit: CommitId
    at: Moment
    by: str


class PullRequest(Struct, frozen=True):
    """An open pull request as other documents refer to it."""

    id: Annotated[str, "what pr merge takes"]
    url: Annotated[str | None, "null on the local forge"]
    branch: str


class HoldTerms(Struct, frozen=True):
    """Until when a hold stops ships, which ship it keeps from further rings, and why."""

    until: Annotated[Annotated[str, Shape(format="date-time")] | None, "null: ships pass"]
    reason: str
    rollout: Annotated[CommitId | None, "this ship, and all before it, reach no further ring"] = None

    @classmethod
    def of(cls, hold: Hold | None) -> HoldTerms | None:
        """The terms of a hold; None of none."""
        return cls(hold.until or None, hold.reason, Oid(hold.rollout) if hold.rollout else None) if hold else None

    def __str__(self) -> str:
        """What it stops and how long, as words that follow "hold"."""
        stops = f"to keep {short(self.rollout)} from further rings" if self.rollout else ""
        return " ".join(filter(None, (f"until {self.until}" if self.until else "", stops)))


class ToldFault(Struct, frozen=True):
    """A fault as documents have it."""

    rule: str
    path: str
    says: Annotated[str, "what is wrong and how to fix it"]

    def __str__(self) -> str:
        return str(Fault(self.path, self.rule, self.says))


class RingTimes(Struct, frozen=True):
    """When a ring was due what a commit made of a target, and when it was given it."""

    ring: str
    due_at: Annotated[Moment | None, "when its turn came, or will; null: it did not, or nobody can tell"]
    given_at: Annotated[Moment | None, "when sync gave it that, by its clock; null: nobody wrote down that it did"]
    says: Annotated[str, "what its turn came by, or why it did not, and what is not known"]

    def __str__(self) -> str:
        says = f" ({self.says})" if self.says else ""
        if self.due_at is None and self.given_at is None:
            return f"{self.ring}: not due so far{says}"
        due = f"due {self.due_at}, " if self.due_at else ""
        given = f"given {self.given_at}" if self.given_at else "not given as far as is known"
        return f"{self.ring}: {due}{given}{says}"


class DemandedEvidence(Struct, frozen=True):
    """Evidence that was demanded about a version that a commit ships: what was there, or that there was none."""

    type: SlotName
    name: str
    by: Annotated[str | None, "whose signature it is; null: there was none"]
    meets: Annotated[bool, "it says what is demanded"]
    says: Annotated[str, "why it does not do"]

    def __str__(self) -> str:
        by = f" by {self.by}" if self.by else ""
        return f"{self.name} of {self.type}{by}{'' if self.meets else f': {self.says}'}"


class ApprovedBy(Struct, frozen=True):
    """One person who approved."""

    by: Annotated[str, "as the file of signers names the owner of the key"]
    at: Annotated[Moment, "when it landed on main"]


class Approvals(Struct, frozen=True):
    """Who has approved a change, and who else may."""

    subject: Annotated[Sha256, "what is approved: the SHA-256 over the lines of the change"]
    needed: Annotated[int, "persons"]
    by: Sequence[ApprovedBy]
    lacking: Annotated[Sequence[str], "who else may approve"]
    void: Annotated[Sequence[str], "why other signatures do not count"]


class ShippedTarget(Struct, frozen=True):
    """What a ship made of one target."""

    target: TargetName
    outcome: ShipOutcome
    pull_request: PullRequest | None
    manifest_sha256: Annotated[
        Sha256 | None, "of the manifest as `commit` has it; where that is null, as main has it; null: it has none"
    ]
    commit: Annotated[CommitId | None, "merged or unchanged: of main; else the head of its pull request"]
    faults: Annotated[Sequence[ToldFault] | None, "why it waits, or is not merged"] = None
    says: Annotated[str | None, "why it is not done, if no rule says so"] = None
    reopens: Annotated[str | None, "a person had closed the same before: who, when and why, or where to see it"] = None
    approvals: Annotated[Approvals | None, "of its pull request; left out if it needs none, or is merged"] = None


class JudgedFault(ToldFault, frozen=True):
    """A fault of a change that may accept it."""

    accepted: Annotated[bool, "the change accepts this fault by name"]
    reason: Annotated[str | None, "why it is accepted"] = None


def told(fault: Fault) -> ToldFault:
    """A fault as documents have it."""
    return ToldFault(fault.rule, fault.path, fault.says)


def judged(fault: Fault, reason: str | None = None) -> JudgedFault:
    """The same of a fault that a change breaks, or that it accepts for a reason."""
    return JudgedFault(fault.rule, fault.path, fault.says, reason is not None, reason)
