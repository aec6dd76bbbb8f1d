"""Rule `foreign-uri`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Document, Evidence, Kind
from pointsman.rules.rule import Rule
from pointsman.state.documents import Manifest, Record
from pointsman.state.names import Target
from pointsman.state.paths import is_target


def judge(evidence: Evidence) -> Iterator[Fault]:
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
    """The faults of `slots` (slot → URI, version). The `changed` ones may not point to a former store."""
    for slot, (uri, version) in slots.items():
        places = evidence.settings.places(target, slot, version or "<version>")
        if uri not in places[: 1 if slot in changed else None]:
            says = f"{slot} points to {uri}, but only {places[0]} is allowed: publish its artifact to this store"
            if isinstance(document.value, Manifest):
                says += evidence.way_back(target)
            yield Fault(document.path, "foreign-uri", says)


RULE = Rule(
    "foreign-uri",
    stops="a URI that is not exactly that of its version in the store; records and restores may name a former store",
    mend="publish the artifact to the store of this repository",
    at=(
        Checkpoint.STAGED,
        Checkpoint.CHANGE,
        Checkpoint.SYNC,
        Checkpoint.AUDIT,
        Checkpoint.TREE,
    ),
    judge=judge,
)
