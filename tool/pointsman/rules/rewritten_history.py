"""Rule `rewritten-history`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Evidence
from pointsman.rules.rule import Rule


def judge(evidence: Evidence) -> Iterator[Fault]:
    for seen_by, commit in evidence.lost.items():
        says = (
            f"main did not grow from {commit[:12]}, {seen_by}: it was rewritten, or a merge was pushed that has it "
            "as a side (git pull without --rebase), or the remote answered with an old state; find out which, then "
            "--accept-rewrite goes on from what main is now"
        )
        yield Fault("main", "rewritten-history", says)


RULE = Rule(
    "rewritten-history",
    stops="main no longer descends from what was synced or audited last",
    mend="find out who rewrote it; `--accept-rewrite` goes on from what main is now",
    at=(
        Checkpoint.SYNC,
        Checkpoint.AUDIT,
    ),
    judge=judge,
)
