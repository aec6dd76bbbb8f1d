"""Rules about files: the shape of the tree, and of every state document in it. Pure functions on a case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pointsman.errors import Fault, Problem
from pointsman.rules.evidence import Document, Evidence, Kind, State
from pointsman.state.documents import Manifest, Record
from pointsman.state.names import Target
from pointsman.state.objects import PLAIN_FILE
from pointsman.state.paths import DOCUMENTS, is_target

_MODES = {"120000": "a symlink", "160000": "a submodule", "100755": "an executable file"}


def bad_path(evidence: Evidence) -> Iterator[Fault]:
    for document in evidence.documents:
        new = document.change.new
        if document.kind == "bad" and new is not None and new.mode == PLAIN_FILE:
            says = (
                "no file belongs here: state stands at manifests/<tenant>/<surface>/manifest.json, "
                "registry/<tenant>/<surface>/<type>/<version>.json and holds/<tenant>/<surface>.json, names are "
                "letters, digits, '.', '_', '-'; move it"
            )
            yield Fault(document.path, "bad-path", says)


def unsigned(evidence: Evidence) -> Iterator[Fault]:
    for path, why in list(evidence.unsigned.items())[:1]:  # a signature is the whole commit's
        more = (
            f" (so must {len(evidence.unsigned) - 1} more paths of this commit)" if len(evidence.unsigned) > 1 else ""
        )
        says = f"must be signed by one of [audit] allowed_signers, and {why}{more}: find out who made this commit"
        yield Fault(path, "unsigned", says)


def case_collision(evidence: Evidence) -> Iterator[Fault]:
    for path, twin in evidence.twins.items():
        says = f"a clone on macOS or Windows would merge it with {twin}, which differs only in case: rename it"
        yield Fault(path, "case-collision", says)


def not_a_plain_file(evidence: Evidence) -> Iterator[Fault]:
    for document in evidence.documents:
        new = document.change.new
        if document.kind != "other" and new is not None and new.mode != PLAIN_FILE:
            says = f"{_MODES.get(new.mode, f'mode {new.mode}')} where a plain file belongs: commit it with mode 100644"
            yield Fault(document.path, "not-a-plain-file", says)


def mixed_change(evidence: Evidence) -> Iterator[Fault]:
    first: dict[str, str] = {}
    for document in evidence.documents:
        if document.kind != "readme":
            first.setdefault("other" if document.kind == "schema" else document.kind, document.path)
    state = [path for kind, path in first.items() if kind != "other"]
    if state and "other" in first:
        path = first["other"]
        says = f"one change may not touch state ({state[0]}) and anything else: put {path} into a change of its own"
        yield Fault(path, "mixed-change", says)
    if "manifest" in first and "record" in first:
        says = (
            "records and manifests may not change together, a revert of the ship would delete a record: land it first"
        )
        yield Fault(first["record"], "mixed-change", says)
    for kind in ("tombstone", "hold"):
        rides = kind == "hold" and all(
            change.kind is Kind.RESTORE or change.undoes_first for change in evidence.targets
        )
        beside = {kind, *(["manifest"] if rides else [])}
        others = [path for other, path in first.items() if other in DOCUMENTS and other not in beside]
        if kind in first and others:
            alone = "by itself or with restores" if kind == "hold" else "by itself"
            says = f"a {kind} is decided {alone}: {others[0]} is another matter, put it into a change of its own"
            yield Fault(first[kind], "mixed-change", says)


def too_large(evidence: Evidence) -> Iterator[Fault]:
    limit = evidence.settings.state_file_bytes
    restored = _restored(evidence)
    for document in evidence.documents:
        if document.kind in DOCUMENTS and document.size > limit and document.path not in restored:
            says = f"{document.size} bytes, the limit is {limit} ([limits] state_file_bytes): make it smaller"
            yield Fault(document.path, "too-large", says)


def _restored(evidence: Evidence) -> set[str]:
    """Manifests that have been right before: going back must always be possible."""
    return {change.target.manifest_path for change in evidence.targets if change.kind is Kind.RESTORE}


def bad_json(evidence: Evidence) -> Iterator[Fault]:
    yield from (fault for document in evidence.documents for fault in document.faults if fault.rule == "bad-json")


def schema(evidence: Evidence) -> Iterator[Fault]:
    yield from (fault for document in evidence.documents for fault in document.faults if fault.rule == "schema")


def schema_changed(evidence: Evidence) -> Iterator[Fault]:
    for document in evidence.documents:
        if document.change.old is not None and (record := evidence.in_use.get(document.path)) is not None:
            did = "deletes" if document.change.new is None else "changes"
            says = f"the change {did} the schema of a type that has records ({record}): it is frozen, make a new type"
            yield Fault(document.path, "schema-changed", says)


def not_formatted(evidence: Evidence) -> Iterator[Fault]:
    restored = _restored(evidence)
    for document in evidence.documents:
        if not document.formatted and document.path not in restored:
            says = (
                "its bytes are not the canonical rendering of what it says (two-space indent, members in their order, "
                "one final newline), so that a diff would show more or less than what changes: let pointsman write it"
            )
            yield Fault(document.path, "not-formatted", says)


def wrong_place(evidence: Evidence) -> Iterator[Fault]:
    for document in evidence.documents:
        if document.value is None:
            continue
        belongs = expected_path(document.value)
        if belongs != document.path:
            where = f"it belongs at {belongs}" if belongs else "its own names are no names"
            says = f"what it says of itself does not fit its path ({where}): mend the document or move the file"
            yield Fault(document.path, "wrong-place", says)


def expected_path(value: State) -> str:
    """Where a document that says this of itself belongs; "" where its names are no names."""
    try:
        return Target(value.tenant, value.surface).manifest_path if isinstance(value, Manifest) else value.path
    except Problem:
        return ""


def foreign_uri(evidence: Evidence) -> Iterator[Fault]:
    ships = {change.target: change for change in evidence.targets if change.kind in (Kind.SHIP, Kind.EDIT)}
    for document in evidence.documents:
        value = document.value
        if not isinstance(value, Manifest | Record) or not is_target(value.tenant, value.surface):
            continue  # wrong-place says so
        target = Target(value.tenant, value.surface)
        if isinstance(value, Record):
            slots, changed = {value.type: (value.uri, value.version)}, []
        else:
            versions = value.versions
            slots = {slot: (uri, versions.get(slot, "")) for slot, uri in value.current.items()}
            changed = ships[target].changed if target in ships else []
        yield from _foreign(evidence, document, target, slots, changed)


def _foreign(
    evidence: Evidence, document: Document, target: Target, slots: Mapping[str, tuple[str, str]], changed: Sequence[str]
) -> Iterator[Fault]:
    """Faults of `slots` (slot → URI and version); what a ship changes may not point to a former store."""
    for slot, (uri, version) in slots.items():
        places = evidence.settings.places(target, slot, version or "<version>")
        if uri not in places[: 1 if slot in changed else None]:
            wanted = places[0]
            says = f"{slot} points to {uri}: only {wanted} is served, publish it there"
            yield Fault(document.path, "foreign-uri", says)


def record_changed(evidence: Evidence) -> Iterator[Fault]:
    for document in evidence.documents:
        if document.kind in ("record", "tombstone") and document.change.old is not None:
            did = "deletes" if document.change.new is None else "changes"
            says = f"the change {did} a {document.kind}: records and tombstones are append-only, take this out"
            yield Fault(document.path, "record-changed", says)
