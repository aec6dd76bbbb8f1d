"""Who has approved a change, and whose approvals are missing, as documents and people read it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pointsman.gate.gate import Gate
from pointsman.repo.snapshot import Snapshot
from pointsman.report.words import shown, some
from pointsman.rules.evidence import Consent
from pointsman.state.documents import rfc3339
from pointsman.state.objects import Oid
from pointsman.values import Approvals, ApprovedBy, PullRequest

if TYPE_CHECKING:
    from pointsman.report.review.value import ReviewedEvidence


def approvals_of(gate: Gate, base: Oid, consent: Consent | None) -> Approvals | None:
    """The approvals of a change on `base`; None if it needs none."""
    if consent is None:
        return None
    there = Snapshot(gate.repo, base)
    by = [ApprovedBy(str(each), rfc3339(gate.consents.landings.landed(there, each.path))) for each in consent.by]
    void = [*consent.void, *([consent.unproven] if consent.unproven else [])]
    return Approvals(consent.subject, consent.needed, by, list(consent.lacking), void)


def approvals_line(found: Approvals) -> str:
    """How many have approved, and who may still."""
    count = f"{len(found.by)} of {found.needed} approvals"
    by = f" (by {some([each.by for each in found.by])})" if found.by else ""
    if len(found.by) >= found.needed:
        return f"{count}{by}"
    return f"{count}{by}; {some(found.lacking) if found.lacking else 'nobody else'} may approve"


def next_step(pull: PullRequest, approvals: Approvals | None) -> str:
    """What to do with an open pull request: approve it as long as it lacks approvals, else merge it."""
    if approvals is not None and len(approvals.by) < approvals.needed:
        return f"{approvals_line(approvals)}; next: pointsman approve {pull.id}"
    return f"next: pointsman pr merge {pull.id}"


def signed_lines(approvals: Approvals | None, evidence: Sequence[ReviewedEvidence] | None) -> Iterator[str]:
    """What people and measurements say of a change, a line each."""
    if approvals is not None:
        yield f"approvals: {approvals_line(approvals)}"
        yield from (f"does not count: {shown(why, 300)}" for why in approvals.void)
    for each in evidence or ():
        says = "says what is demanded" if each.meets else f"says {each.says}" if each.by else f"is missing: {each.says}"
        by = f" by {each.by}" if each.by else ""
        yield f"evidence: {each.name} of {each.target} {each.type}{by} {shown(says, 300)}"
