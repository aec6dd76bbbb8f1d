"""Rule `wrong-place`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault, Problem
from pointsman.rules.evidence import Checkpoint, Evidence, State
from pointsman.rules.rule import Rule
from pointsman.state.documents import Manifest, Signed
from pointsman.state.names import Target
from pointsman.state.paths import target_of


def judge(evidence: Evidence) -> Iterator[Fault]:
    for document in evidence.documents:
        if document.value is None:
            continue
        belongs = expected_path(document.value, document.path)
        if belongs != document.path:
            other = "it is about other versions" if isinstance(document.value, Signed) else "they are not valid names"
            where = f"it belongs at {belongs}" if belongs else other
            says = f"the names in it do not fit its path ({where}): correct the document or move the file"
            if isinstance(document.value, Manifest):
                says += evidence.way_back(target_of(document.path))
            yield Fault(document.path, "wrong-place", says)
    yield from (fault for fault in evidence.contents if fault.rule == "wrong-place")


def expected_path(value: State, path: str) -> str:
    """The path where a document belongs by the names in it; "" if they are not valid. `path`: where it is."""
    if isinstance(value, Signed):
        return signed_path(value, path)
    try:
        return Target(value.tenant, value.surface).manifest_path if isinstance(value, Manifest) else value.path
    except Problem:
        return ""


def signed_path(value: Signed, path: str) -> str:
    """Where a signed file belongs; "" if evidence is about other versions than that of its path."""
    if value.statement is None:
        return value.approval_path
    *_, slot, name = path.split("/")
    subject = target_of(path), slot, name.partition(".")[0]
    return value.evidence_path(*subject) if subject in value.statement.subjects else ""


RULE = Rule(
    "wrong-place",
    stops="a document that names another tenant, surface, type or version than its path; or a "
    "blob of a ship that says something else than its record",
    mend="correct the document or move the file; publish the artifact",
    at=(
        Checkpoint.STAGED,
        Checkpoint.CHANGE,
        Checkpoint.SYNC,
        Checkpoint.AUDIT,
        Checkpoint.TREE,
    ),
    judge=judge,
)
