"""Rule `mixed-change`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Evidence, Kind
from pointsman.rules.rule import Rule
from pointsman.state.paths import DOCUMENTS, SIGNED


def judge(evidence: Evidence) -> Iterator[Fault]:
    first: dict[str, str] = {}
    for document in evidence.documents:
        if document.kind != "readme":
            first.setdefault("other" if document.kind == "schema" else document.kind, document.path)
    state = [path for kind, path in first.items() if kind != "other"]
    if state and "other" in first:
        path = first["other"]
        says = f"state ({state[0]}) may not change together with anything else: put {path} into a change of its own"
        yield Fault(path, "mixed-change", says)
    for kind in ("record", *SIGNED) if "manifest" in first else ():
        if kind in first:
            what = {"record": "records", "evidence": "evidence"}.get(kind, "approvals")
            says = (
                f"{what} and manifests may not change together, because a revert of the ship would delete what is only "
                f"ever added: merge the {kind} first"
            )
            yield Fault(first[kind], "mixed-change", says)
    for kind in ("tombstone", "hold"):
        with_restores = kind == "hold" and all(
            change.kind is Kind.RESTORE or change.undoes_first for change in evidence.targets
        )
        beside = {kind, *(["manifest"] if with_restores else [])}
        others = [path for other, path in first.items() if other in DOCUMENTS and other not in beside]
        if kind in first and others:
            alone = "alone or with restores" if kind == "hold" else "alone"
            says = f"a {kind} must come {alone}: put {others[0]} into a change of its own"
            yield Fault(first[kind], "mixed-change", says)


RULE = Rule(
    "mixed-change",
    stops="state that changes together with anything else, or records, evidence or approvals with "
    "manifests; a hold may come with a restore",
    mend="split it into two changes",
    at=(
        Checkpoint.CHANGE,
        Checkpoint.AUDIT,
    ),
    judge=judge,
)
