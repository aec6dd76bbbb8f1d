"""Rule `unsigned`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Evidence
from pointsman.rules.rule import Rule


def judge(evidence: Evidence) -> Iterator[Fault]:
    for path, why in list(evidence.unsigned.items())[:1]:  # a signature covers the whole commit, so one fault is enough
        more = (
            f" (so must {len(evidence.unsigned) - 1} more paths of this commit)" if len(evidence.unsigned) > 1 else ""
        )
        says = f"must be signed by one of [audit] allowed_signers{more}, but {why}: find out who made this commit"
        yield Fault(path, "unsigned", says)


RULE = Rule(
    "unsigned",
    stops="a commit that changes what `[audit] signed` names and has no good signature by one of `allowed_signers`",
    mend="find out who made it, and look at its changes; from then on sign with an SSH key of that file",
    at=(Checkpoint.AUDIT,),
    judge=judge,
)
