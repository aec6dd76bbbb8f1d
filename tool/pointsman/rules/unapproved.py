"""Rule `unapproved`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Consent, Evidence
from pointsman.rules.rule import Rule
from pointsman.state.paths import path_kind, target_of

_NAMED = 5  # persons


def judge(evidence: Evidence) -> Iterator[Fault]:
    consent = evidence.consent
    if consent is None or consent.is_given:
        return
    for path in sorted(consent.paths):
        yield Fault(path, "unapproved", f"{missing(consent)}: {_way(evidence.checkpoint, path)}")


def missing(consent: Consent) -> str:
    """How many have approved a change, and who still may."""
    count = f"it has {len(consent.by)} of {consent.needed} approvals"
    if consent.unproven:
        return f"{count} that can be proven ({consent.unproven})"
    by = f" (by {_some(list(map(str, consent.by)))})" if consent.by else ""
    void = f"; {'; '.join(consent.void[:_NAMED])}" if consent.void else ""
    who = f"{_some(consent.lacking)} may approve" if consent.lacking else "nobody else may approve"
    return f"{count}{by}{void}; {who}"


def _way(checkpoint: Checkpoint, path: str) -> str:
    if checkpoint in (Checkpoint.SYNC, Checkpoint.AUDIT):
        if path_kind(path) == "manifest":
            return f"it must not be served; run pointsman rollback {target_of(path)}"
        return "what it changed does not count; revert it, or change it again with approvals"
    return "run pointsman approve with this pull request"


def _some(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


RULE = Rule(
    "unapproved",
    stops="a ship, a removal, a restore of what a restore took out, or a change of the settings or of the signers, "
    "without the signed approvals that `[policy] approvals` demands",
    mend="sign it with `pointsman approve`; a pull request that was rebuilt must be approved again",
    at=(
        Checkpoint.CHANGE,
        Checkpoint.SYNC,
        Checkpoint.AUDIT,
    ),
    judge=judge,
)
