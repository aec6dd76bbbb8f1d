"""What an audit reports, as a value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Struct

from pointsman.history.events import Now, ToldEvent
from pointsman.history.signatures import Signature
from pointsman.serving.outcomes import ToldClaim
from pointsman.values import ArtifactType, CommitId, Count, Moment, TargetName, ToldFault, Version

AuditedKind = Literal["ship", "restore", "removal", "edit", "hold", "release"]


class DatedCommit(Struct, frozen=True):
    """A commit of main, and when it came into force."""

    commit: CommitId
    at: Moment


class Period(Struct, frozen=True):
    """The first and the last commit judged."""

    first: DatedCommit
    last: DatedCommit


class Told(Struct, frozen=True):
    """The part of the history that a report tells, both ends included; null: without an end."""

    since: Moment | None
    until: Moment | None
    outside: Annotated[Count, "faults of commits outside of it that no commit accepts, and that are not told"]


class Counts(Struct, frozen=True):
    """How many events of each kind there were, and what was unusual."""

    ship: Count
    restore: Count
    removal: Count
    edit: Count
    hold: Count
    release: Count
    now: Annotated[Count, "rollbacks and holds that went straight to main"]
    broke_glass: Annotated[Count, "restores that made break-glass main's"]
    accepted: Annotated[Count, "guardrails that commits accepted"]
    broken: Annotated[Count, "faults that no commit accepts"]


class AuditedEvent(ToldEvent, frozen=True, kw_only=True):
    """An event as an audit tells it."""

    kind: AuditedKind
    now: Now = None
    subject: Annotated[str, "the first line of the commit's message"]
    signature: Annotated[Signature | None, "of the commit, where [audit] names allowed signers"] = None
    must_sign: Annotated[Literal[True] | None, "the commit must be signed"] = None


class LandedFault(ToldFault, frozen=True):
    """A fault of a commit of main, or of main as a whole, of which no commit is told."""

    accepted: Annotated[bool, "the commit accepts this fault by name"]
    commit: CommitId | None = None
    at: Annotated[str | None, "its committer's clock, RFC 3339, UTC"] = None
    by: Annotated[str | None, "its committer"] = None
    author: Annotated[str | None, "its author"] = None
    subject: Annotated[str | None, "the first line of its message"] = None
    reason: Annotated[str | None, "why it is accepted"] = None


class Person(Struct, frozen=True):
    """How many commits someone made, and how many were committed or merged by the same."""

    who: str
    authored: Annotated[Count, "commits"]
    committed: Annotated[Count, "commits; after a squash, merged"]


class Signer(Struct, frozen=True):
    """Who signed so many commits, with which key."""

    signer: str
    key: Annotated[str, "its fingerprint"]
    commits: Count


class Signed(Struct, frozen=True):
    """What had to be signed, and what of it is."""

    allowed_signers: Annotated[str, "the file on main"]
    signed: Annotated[Sequence[str], "what must be signed by now"]
    asked: Annotated[Count, "commits that had to be signed"]
    good: Annotated[Count, "of them, those that are"]
    signers: Sequence[Signer]


class RetiredVersion(Struct, frozen=True):
    """A version that has a tombstone on main, by whom and since when."""

    target: TargetName
    type: ArtifactType
    version: Version
    erase: bool
    gone: Annotated[bool, "its bytes may be gone: the tombstone is ripe, or was by earlier settings"]
    reason: Annotated[str | None, "null: the tombstone cannot be read"]
    commit: CommitId
    at: Moment
    by: Annotated[str, "its author"]
    committer: str


class OpenClaim(Struct, frozen=True):
    """A claim of break-glass that has not ended, and where it stands."""

    target: TargetName
    place: Annotated[str, 'of several places: its name; "": there is one']
    claim: ToldClaim


class Audit(Struct, frozen=True):
    """Everything that an audit found."""

    main: CommitId
    since: Annotated[CommitId | None, "taken as it stands, with all before it"]
    commits: Annotated[Count, "how many were judged, of those that window has if there is one"]
    period: Annotated[Period | None, "the first and the last of them, null if there was none"]
    counts: Counts
    events: Annotated[Sequence[AuditedEvent], "oldest first, as log tells them"]
    people: Annotated[Sequence[Person], "those with the most commits first"]
    signatures: Annotated[Signed | None, "null where [audit] names no allowed_signers"]
    faults: Sequence[LandedFault]
    retired: Annotated[Sequence[RetiredVersion], "every version that has a tombstone on main"] = ()
    claims: Annotated[
        Sequence[OpenClaim] | None, "of break-glass, open now; left out where a place could not tell, and of an archive"
    ] = None
    repository: Annotated[str | None, "the origin, without credentials; not of an archive"] = None
    commit_pages: Annotated[str | None, "where the forge shows a commit, but for its id, if it is known"] = None
    window: Annotated[Told | None, "with --since or --until: what came into force outside of it is left out"] = None
