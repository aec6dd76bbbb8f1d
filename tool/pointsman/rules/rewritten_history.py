"""Rule `rewritten-history`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Evidence
from pointsman.rules.rule import Rule
from pointsman.state.names import short


def judge(evidence: Evidence) -> Iterator[Fault]:
    for seen_by, commit in evidence.lost.items():
        says = (
            f"the history of main does not contain {short(commit)}, {seen_by}: main was rewritten, or someone pushed a "
            "merge with main as its second parent (git pull without --rebase), or the remote answered with an old "
            "state; find out which, then use --accept-rewrite to go on with main as it is now"
        )
        yield Fault("main", "rewritten-history", says)


RULE = Rule(
    "rewritten-history",
    stops="main no longer descends from what was synced or audited last",
    mend="find out who rewrote it; then `--accept-rewrite` goes on with main as it is now",
    at=(
        Checkpoint.SYNC,
        Checkpoint.AUDIT,
    ),
    judge=judge,
)
