"""The rules: what may not be current. Pure functions on the facts of one change; a table says where each holds.

A new rule is one function and one line in the table. It gets facts that are already read (`Case`) and yields faults;
whether a fault stops the change is the engine's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from pointsman import policy
from pointsman.documents import Manifest, Record
from pointsman.errors import Fault, Problem
from pointsman.message import Said
from pointsman.names import Target, is_name, is_version
from pointsman.plumbing import PLAIN_FILE, Change, Oid
from pointsman.settings import Settings

STATE_ROOTS = ("manifests", "registry", "holds")
READMES = ("manifests/README.md", "registry/README.md")


class Gate(Enum):
    """Where a change is judged."""

    STAGED = "pre-commit"
    CHANGE = "pull request"
    SYNC = "sync"
    TREE = "whole tree"


class Kind(Enum):
    """What a change does to one target (design: ships vouch for new bytes, restores put good earlier bytes back)."""

    SHIP = "ship"
    RESTORE = "restore"
    REMOVAL = "removal"
    EDIT = "edit"


@dataclass(frozen=True, slots=True)
class Document:
    """One path that the change leaves behind; `kind` is manifest, record, schema, readme, other or bad."""

    path: str
    kind: str
    change: Change
    size: int = 0
    value: Manifest | Record | None = None
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class TargetChange:
    """What the change does to one target's manifest, with everything on the base that the rules compare it with."""

    target: Target
    kind: Kind
    before: Manifest | None  # on the base's tip
    after: Manifest | None  # None: removed, or not readable
    said: Said | None  # what the change's message says of it
    last: Oid | None  # the commit on the base that last changed it
    undoes_first: bool = False  # a removal that puts back "was never shipped"
    records: Mapping[str, Record | None] = field(default_factory=dict)  # slot → record on the base, for `after`
    references: Sequence[Mapping[str, Record]] = ()  # states that guardrails compare with, slot → record
    taken_out: frozenset[str] = frozenset()  # changed slots that a restore took out and no Reship: puts back
    built_on: tuple[Fault, ...] = ()  # faults of the commit that last changed it: a ship would launder them
    restores_known: bool = True  # every Restores: line names a version that the slot had before

    @property
    def changed(self) -> list[str]:
        """The slots that point somewhere else than on the base."""
        before = self.before.current if self.before else {}
        return [slot for slot, uri in self.after.current.items() if before.get(slot) != uri] if self.after else []


@dataclass(frozen=True, slots=True)
class Blob:
    """What stands under one URI: size in bytes, and SHA-256 where it was read."""

    size: int | None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """All facts of one change. `blobs` is empty offline, and has only URIs of this repository's stores."""

    gate: Gate
    settings: Settings
    documents: Sequence[Document] = ()
    targets: Sequence[TargetChange] = ()
    blobs: Mapping[str, Blob] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its name, what it stops, the gates where it decides, and whether a change may accept it by name."""

    name: str
    stops: str
    judge: Callable[[Case], Iterator[Fault]]
    gates: frozenset[Gate]
    acceptable: bool = False


def path_kind(path: str) -> str:
    """What stands at a path: manifest, record, schema, readme, other (no state) or bad (state where none belongs)."""
    parts = path.split("/")
    if parts[0] not in STATE_ROOTS:
        return "other"
    if path in READMES:
        return "readme"
    match parts:
        case ["manifests", tenant, surface, "manifest.json"] if _is_target(tenant, surface):
            return "manifest"
        case ["registry", "schemas", name] if name.endswith(".schema.json") and is_name(name[: -len(".schema.json")]):
            return "schema"
        case ["registry", tenant, surface, slot, name] if _is_target(tenant, surface) and is_name(slot):
            return "record" if name.endswith(".json") and is_version(name[:-5]) else "bad"
    return "bad"


def _is_target(tenant: str, surface: str) -> bool:
    try:
        Target(tenant, surface)
    except Problem:
        return False
    return True


def expected_path(value: Manifest | Record) -> str:
    """Where a document that says this of itself belongs; "" where its names are no names."""
    try:
        return value.path if isinstance(value, Record) else Target(value.tenant, value.surface).manifest_path
    except Problem:
        return ""


def bad_path(case: Case) -> Iterator[Fault]:
    for document in case.documents:
        new = document.change.new
        if document.kind == "bad" and new is not None and new.mode == PLAIN_FILE:
            yield Fault(
                document.path,
                "bad-path",
                "no file belongs here: state stands at manifests/<tenant>/<surface>/manifest.json and "
                "registry/<tenant>/<surface>/<type>/<version>.json, names are letters, digits, '.', '_', '-'; move it",
            )


def not_a_plain_file(case: Case) -> Iterator[Fault]:
    kinds = {"120000": "a symlink", "160000": "a submodule", "100755": "an executable file"}
    for document in case.documents:
        new = document.change.new
        if document.kind != "other" and new is not None and new.mode != PLAIN_FILE:
            what = kinds.get(new.mode, f"mode {new.mode}")
            yield Fault(
                document.path,
                "not-a-plain-file",
                f"{what} where a plain file belongs: commit it as a file of mode 100644",
            )


def mixed_change(case: Case) -> Iterator[Fault]:
    kinds: dict[str, str] = {}
    for document in case.documents:
        kind = "other" if document.kind == "schema" else document.kind
        if kind != "readme":
            kinds.setdefault(kind, document.path)
    state = [kind for kind in ("manifest", "record", "bad") if kind in kinds]
    if state and "other" in kinds:
        path = kinds["other"]
        says = (
            f"one change may not touch state ({kinds[state[0]]}) and anything else: put {path} into a change of its own"
        )
        yield Fault(path, "mixed-change", says)
    if "manifest" in kinds and "record" in kinds:
        says = (
            "records and manifests may not change together, the revert of a ship would delete a record: land it first"
        )
        yield Fault(kinds["record"], "mixed-change", says)


def too_large(case: Case) -> Iterator[Fault]:
    for document in case.documents:
        if document.kind in ("manifest", "record") and document.size > case.settings.state_file_bytes:
            limit = case.settings.state_file_bytes
            says = f"{document.size} bytes, the limit is {limit} ([limits] state_file_bytes): make it smaller"
            yield Fault(document.path, "too-large", says)


def bad_json(case: Case) -> Iterator[Fault]:
    yield from (fault for document in case.documents for fault in document.faults if fault.rule == "bad-json")


def schema(case: Case) -> Iterator[Fault]:
    yield from (fault for document in case.documents for fault in document.faults if fault.rule == "schema")


def wrong_place(case: Case) -> Iterator[Fault]:
    for document in case.documents:
        if document.value is None:
            continue
        belongs = expected_path(document.value)
        if belongs != document.path:
            where = f"it belongs at {belongs}" if belongs else "its own names are no names"
            says = f"what it says of itself does not fit its path ({where}): mend the document or move the file"
            yield Fault(document.path, "wrong-place", says)


def foreign_uri(case: Case) -> Iterator[Fault]:
    ships = {change.target: change for change in case.targets if change.kind in (Kind.SHIP, Kind.EDIT)}
    for document in case.documents:
        value = document.value
        if isinstance(value, Record):
            if not _is_target(value.tenant, value.surface):
                continue  # wrong-place says so
            pairs = {value.type: (value.uri, value.version)}
            target, strict = value.target, False
        elif isinstance(value, Manifest) and _is_target(value.tenant, value.surface):
            target = Target(value.tenant, value.surface)
            versions = value.versions
            pairs = {slot: (uri, versions.get(slot, "")) for slot, uri in value.current.items()}
            strict = target in ships
        else:
            continue
        for slot, (uri, version) in pairs.items():
            changed = ships[target].changed if strict and target in ships else ()
            stores = (case.settings.store,) if slot in changed else (case.settings.store, *case.settings.former)
            if not version or uri not in [f"{store}/{target.blob_key(slot, version)}" for store in stores]:
                wanted = f"{case.settings.store}/{target.blob_key(slot, version or '<version>')}"
                yield Fault(
                    document.path, "foreign-uri", f"{slot} points to {uri}: only {wanted} is served, publish it there"
                )


def record_changed(case: Case) -> Iterator[Fault]:
    for document in case.documents:
        if document.kind == "record" and document.change.old is not None:
            did = "deletes" if document.change.new is None else "changes"
            yield Fault(
                document.path, "record-changed", f"the change {did} a record: records are append-only, take this out"
            )


def record_not_landed(case: Case) -> Iterator[Fault]:
    for change in case.targets:
        for slot, record in change.records.items():
            if record is None and change.after is not None and slot in change.after.versions:
                version = change.after.versions[slot]
                place = change.target.record_path(slot, version)
                says = f"{slot} {version[:12]} has no record on main ({place}): publish it first"
                yield Fault(change.target.manifest_path, "record-not-landed", says)


def stale_base(case: Case) -> Iterator[Fault]:
    for change in case.targets:
        if change.said is None or (change.kind is not Kind.SHIP and change.said.supersedes is None):
            continue
        replaces, last = change.said.supersedes, change.last or "none"
        if replaces != last:
            says = (
                f"{change.target} was built on a manifest that is no longer current (it replaces "
                f"{(replaces or 'nothing it names')[:12]}, main has {last[:12]}): publish again"
            )
            yield Fault(change.target.manifest_path, "stale-base", says)


def unvouched_manifest(case: Case) -> Iterator[Fault]:
    for change in case.targets:
        if change.kind is Kind.EDIT and change.after is not None:
            says = (
                "nothing vouches for these bytes: no Manifest: line of the change names them and main never had them "
                "in a good state (a hand edit, or a merge that blended two ships); use pointsman publish or rollback"
            )
            yield Fault(change.target.manifest_path, "unvouched-manifest", says)
        elif not change.restores_known:
            says = "a Restores: line names a version that this slot never had: use pointsman rollback"
            yield Fault(change.target.manifest_path, "unvouched-manifest", says)


def manifest_removed(case: Case) -> Iterator[Fault]:
    for change in case.targets:
        if change.kind is Kind.REMOVAL and not change.undoes_first:
            says = (
                "the manifest is removed: serving would have nothing; to take out one type use pointsman publish "
                "--drop, to undo a ship git revert; if it is meant, the message says "
                f"'Accept: {change.target} manifest-removed <why>'"
            )
            yield Fault(change.target.manifest_path, "manifest-removed", says)


def rolled_back(case: Case) -> Iterator[Fault]:
    for change in case.targets:
        if change.kind is Kind.SHIP and change.after is not None:
            for slot in sorted(change.taken_out):
                version = change.after.versions[slot]
                says = f"{slot} {version[:12]} was rolled back: publish with --reship if it is good after all"
                yield Fault(change.target.manifest_path, "rolled-back", says)


def blob_missing(case: Case) -> Iterator[Fault]:
    for path, slot, record, blob in _blobs(case):
        if blob.size is None:
            yield Fault(path, "blob-missing", f"{slot}: no blob at {record.uri}: publish its artifact again")
        elif blob.size != record.size:
            says = f"{slot}: the blob at {record.uri} has {blob.size} bytes, its record says {record.size}: restore it"
            yield Fault(path, "blob-missing", says)


def blob_altered(case: Case) -> Iterator[Fault]:
    for path, slot, record, blob in _blobs(case):
        if blob.sha256 is not None and blob.sha256 != record.version:
            says = f"{slot}: the bytes at {record.uri} are not those of its version: the store was altered, restore it"
            yield Fault(path, "blob-altered", says)


def _blobs(case: Case) -> Iterator[tuple[str, str, Record, Blob]]:
    """Path to blame, slot, record and blob, for every blob that was looked at."""
    for change in case.targets:
        for slot, record in change.records.items():
            if record is not None and change.after is not None and (blob := case.blobs.get(change.after.current[slot])):
                yield change.target.manifest_path, slot, record, blob
    for document in case.documents:
        if isinstance(document.value, Record) and (found := case.blobs.get(document.value.uri)) and not case.targets:
            yield document.path, document.value.type, document.value, found


def _guardrail(rule: str) -> Callable[[Case], Iterator[Fault]]:
    def judge(case: Case) -> Iterator[Fault]:
        for change in case.targets:
            if change.kind is not Kind.SHIP:
                continue
            limit = case.settings.limit(change.target, policy.GUARDRAILS[rule][0])
            after = [record for slot in change.changed if (record := change.records.get(slot)) is not None]
            for said in policy.judge(rule, limit, after, change.references):
                says = f"{said}; if it is right, publish with --accept {rule} --reason …"
                yield Fault(change.target.manifest_path, rule, says)

    return judge


_EVERY = frozenset(Gate)
_TREES = frozenset({Gate.STAGED, Gate.CHANGE, Gate.TREE})
_CHANGES = frozenset({Gate.CHANGE})
_MOVES = frozenset({Gate.CHANGE, Gate.SYNC})
_STATES = frozenset({Gate.CHANGE, Gate.SYNC, Gate.TREE})

RULES = (
    Rule("bad-path", "a state file where none belongs, or a name outside the grammar", bad_path, _EVERY),
    Rule("not-a-plain-file", "a symlink, submodule or executable where a state file belongs", not_a_plain_file, _EVERY),
    Rule(
        "mixed-change", "state changed together with anything else, or records with manifests", mixed_change, _CHANGES
    ),
    Rule("too-large", "a state file over its limit", too_large, _TREES),
    Rule("bad-json", "JSON that two readers could read differently", bad_json, _EVERY),
    Rule("schema", "a document that is no manifest, record or artifact schema", schema, _EVERY),
    Rule("wrong-place", "a document that says something else of itself than its path", wrong_place, _EVERY),
    Rule("foreign-uri", "a URI that is not the store's own for that version", foreign_uri, _EVERY),
    Rule(
        "record-changed", "a record that is changed or deleted", record_changed, frozenset({Gate.STAGED, Gate.CHANGE})
    ),
    Rule(
        "record-not-landed", "a manifest that points to a version without a record on main", record_not_landed, _STATES
    ),
    Rule("stale-base", "a ship built on a manifest that is no longer current", stale_base, _MOVES),
    Rule("unvouched-manifest", "manifest bytes that no ship made and main never had", unvouched_manifest, _MOVES),
    Rule("manifest-removed", "a manifest that is deleted", manifest_removed, _MOVES, acceptable=True),
    Rule("rolled-back", "a ship of a version that a restore took out", rolled_back, _MOVES),
    Rule("blob-missing", "a blob that is not there, or not of the recorded size", blob_missing, _STATES),
    Rule(
        "blob-altered",
        "a blob whose bytes are not those of its version",
        blob_altered,
        frozenset({Gate.CHANGE, Gate.TREE}),
    ),
    Rule(
        "items-drop",
        "a type that loses more of its items than a share",
        _guardrail("items-drop"),
        _CHANGES,
        acceptable=True,
    ),
)
BY_NAME = {rule.name: rule for rule in RULES}


def judge(case: Case) -> list[Fault]:
    """Every fault of a change, at its gate."""
    found = {fault for rule in RULES if case.gate in rule.gates for fault in rule.judge(case)}
    # Against a manifest that moved, guardrails would compare slots that the ship does not mean to change.
    stale = {fault.path for fault in found if fault.rule == "stale-base"}
    guardrails = set(policy.GUARDRAILS)
    found = {fault for fault in found if not (fault.path in stale and fault.rule in guardrails)}
    return sorted(
        found | {replace(fault, says=_launders(change, fault)) for change in case.targets for fault in change.built_on}
    )


def _launders(change: TargetChange, fault: Fault) -> str:
    since = (change.last or "")[:12]
    return f"main's own manifest breaks this rule since {since}, revert that commit before shipping on it: {fault.says}"
