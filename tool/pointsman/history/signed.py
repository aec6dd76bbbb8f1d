"""What people and measurements had signed for a commit when main got it: approvals, and evidence about its versions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from pointsman.gate.gate import Gate
from pointsman.history.events import Event
from pointsman.rules.evidence import Attested, Consent
from pointsman.state.names import Target
from pointsman.values import DemandedEvidence

_OF_MANIFESTS = ("ship", "restore", "removal", "edit")


def with_signed(event: Event, consent: Consent | None, attested: Sequence[Attested]) -> Event:
    """An event of a manifest with who approved it, if it needed that, and the evidence that was demanded."""
    needed = consent is not None and f"manifests/{event.target}/manifest.json" in consent.paths
    return replace(
        event,
        approvals=tuple(map(str, consent.by)) if consent is not None and needed else None,
        evidence=tuple(
            DemandedEvidence(each.slot, each.name, each.by or None, each.meets, each.says) for each in attested
        ),
    )


def all_signed(gate: Gate, events: Sequence[Event]) -> Iterator[Event]:
    """The same of many events of main; those that change no manifest as they are."""
    gate.repo.expect(len(events))
    for event in events:
        if event.kind in _OF_MANIFESTS:
            step = gate.lineage(gate.repo.main, Target.parse(event.target)).of(event.commit.oid)
            yield with_signed(event, *gate.signed(step))
        else:
            yield event
