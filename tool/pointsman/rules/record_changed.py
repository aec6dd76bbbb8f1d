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
            was = document.was
            erases = isinstance(was, Tombstone) and was.erase
            says = (
                f"this change {does} a tombstone that erases: its bytes may be gone, and nothing takes that back"
                if erases
                else f"this change {does} a tombstone: take it back as a whole (git revert), or add a new one"
            )
        yield Fault(document.path, "record-changed", says)


def _may(document: Document) -> bool:
    """Whether it takes back a tombstone that does not erase, or makes one of it that does."""
    was, now = document.was, document.value
    if not isinstance(was, Tombstone) or was.erase:
        return False
    return document.change.new is None or (isinstance(now, Tombstone) and bool(now.erase))


RULE = Rule(
    "record-changed",
    stops="a record, evidence or an approval that is changed, renamed or deleted; a tombstone with "
    '`"erase": true` that is, and any other one that is changed. It may be deleted, which takes it back, or be given '
    '`"erase": true`',
    mend="take that out of the change",
    at=(
        Checkpoint.STAGED,
        Checkpoint.CHANGE,
        Checkpoint.AUDIT,
    ),
    judge=judge,
)
