"""Rule `still-needed`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Evidence
from pointsman.rules.rule import Rule


def judge(evidence: Evidence) -> Iterator[Fault]:
    for path, why in sorted(evidence.needed.items()):
        yield Fault(path, "still-needed", why)


RULE = Rule(
    "still-needed",
    stops="a tombstone of a version that a rollback may need: it was current within `[retention] keep_days`, or is of "
    'the last `keep_ships` ships of its target; with `"erase": true` only of what is current',
    mend="ship another version first; retire it later",
    at=(
        Checkpoint.CHANGE,
        Checkpoint.AUDIT,
    ),
    judge=judge,
)
