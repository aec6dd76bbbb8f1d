"""Rule `record-changed`."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Document, Evidence
from pointsman.rules.rule import Rule
from pointsman.state.documents import Tombstone

# What is only ever added, and how it is called.
_ADDED = {"record": "a record", "tombstone": "a tombstone", "evidence": "evidence", "approval": "an approval"}


def judge(evidence: Evidence) -> Iterator[Fault]:
    for document in evidence.documents:
        if document.kind not in _ADDED or document.change.old is None or _may(document):
            continue
        does = "deletes" if document.change.new is None else "changes"
        what = "records are" if document.kind == "record" else "what somebody signed is"
        says = f"this change {does} {_ADDED[document.kind]}: {what} only ever added, so take this out"
        if document.kind == "tombstone":
            says = f"this change {does} {_why_not(document)}"
        yield Fault(document.path, "record-changed", says)


def _why_not(document: Document) -> str:
    was = document.was
    if not isinstance(was, Tombstone):
        return (
            "a tombstone that cannot be read, and that may have erased: pointsman retire --erase makes it one that does"
        )
    if was.erase:
        return "a tombstone that erases: its bytes may be gone, and nothing takes that back"
    return "a tombstone: take it back as a whole (git revert), or add a new one"


def _may(document: Document) -> bool:
    """Whether it takes back a tombstone that does not erase, or makes one that does of any other, damaged ones too."""
    if document.kind != "tombstone":
        return False
    was, now = document.was, document.value
    erased = isinstance(was, Tombstone) and bool(was.erase)
    if not erased and isinstance(now, Tombstone) and now.erase:
        return True
    return isinstance(was, Tombstone) and not erased and document.change.new is None


RULE = Rule(
    "record-changed",
    stops="a record, evidence or an approval that is changed, renamed or deleted; a tombstone with "
    '`"erase": true` that is, and any other one that is changed. It may be deleted, which takes it back, or be given '
    '`"erase": true`; one that cannot be read only that',
    mend="take that out of the change",
    at=(
        Checkpoint.STAGED,
        Checkpoint.CHANGE,
        Checkpoint.AUDIT,
    ),
    judge=judge,
)
