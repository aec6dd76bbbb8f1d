"""Messages as CloudEvents, with the types of CDEvents: for event buses and for tools of other makers.

CloudEvents 1.0 in its JSON format, CDEvents 0.5.1 in its data (cdevents.dev). Our own document is in `customData`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from pointsman.state.place import Place

CLOUD_EVENT = "application/cloudevents+json"
_SPEC = "0.5.1"
_TYPE_VERSION = "0.3.0"  # of each of the types below, in that version of CDEvents
_SERVICE = {"ship": "upgraded", "rollback": "rolledback", "removal": "removed"}
_INCIDENT = {"refusal": "detected", "drift": "detected", "claim": "detected", "claim-end": "resolved"}


def _now() -> datetime:
    return datetime.now(UTC)


def cloud_event(event: Mapping[str, Any], place: Place, clock: Callable[[], datetime] = _now) -> dict[str, Any]:
    """A message in the form of CloudEvents. Its `id` depends on the message and its place alone: once more, the same.

    `event`: our own document, maybe of a release to come: it was stored, and what it lacks is left out.
    """
    what, ours = str(event.get("event")), json.dumps([place.root, event], sort_keys=True)
    source = quote(place.root, safe="/:")
    subject = "service" if what in _SERVICE else "incident"
    predicate = _SERVICE.get(what) or _INCIDENT.get(what, "detected")
    if what == "ship" and event.get("first"):
        predicate = "deployed"
    context = {
        "specversion": _SPEC,
        "id": _digest(ours),
        "source": source,
        "type": f"dev.cdevents.{subject}.{predicate}.{_TYPE_VERSION}",
        "timestamp": clock().strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }
    about = str(event.get("target")) if subject == "service" else _incident(event, place, context["id"])
    data = {
        "context": context,
        "subject": {"id": about, "source": source, "content": _content(event, place.name, source, subject)},
        "customData": dict(event),
        "customDataContentType": "application/json",
    }
    return {
        "specversion": "1.0",
        **{name: context[name] for name in ("id", "source", "type")},
        "subject": about,
        "time": context["timestamp"],
        "datacontenttype": "application/json",
        "dataschema": f"https://cdevents.dev/{_SPEC}/schema/{subject}-{predicate}-event",
        "data": data,
    }


def _content(event: Mapping[str, Any], place: str, source: str, subject: str) -> dict[str, Any]:
    """What is special to the type. The artifact of a service is the manifest that a commit of main made."""
    content: dict[str, Any] = {"environment": {"id": place or "serving", "source": source}}
    if subject == "incident":
        content["description"] = _description(event)
        content["service"] = {"id": str(event.get("target")), "source": source}
    if event.get("commit") and event.get("event") != "removal":
        content["artifactId"] = f"pkg:generic/{event.get('target')}@{event['commit']}"
    return content


def _incident(event: Mapping[str, Any], place: Place, otherwise: str) -> str:
    """The same for a claim and its end."""
    claim = event.get("claim")
    if not isinstance(claim, Mapping):
        return otherwise
    return _digest(json.dumps([place.root, event.get("target"), claim.get("at"), claim.get("to")]))


def _description(event: Mapping[str, Any]) -> str:
    what, target, claim, faults = (event.get(name) for name in ("event", "target", "claim", "faults"))
    if isinstance(claim, Mapping):
        held = f"break-glass holds {target} at an earlier state, says {claim.get('by')}: {claim.get('reason')}"
        return held if what == "claim" else f"the claim of {target} has ended: {claim.get('says')}"
    if what == "drift":
        return f"serving has a manifest of {target} that main never had"
    if what != "refusal" or not isinstance(faults, list):
        return f"{what} of {target}"
    says = (str(each.get("says")) for each in faults if isinstance(each, Mapping))
    return f"{target} keeps its last good manifest: {'; '.join(says)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
