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

    `event`: our own document.
    """
    what, ours = str(event["event"]), json.dumps([place.root, event], sort_keys=True)
    source = quote(place.root, safe="/:")
    subject, predicate = ("service", _SERVICE[what]) if what in _SERVICE else ("incident", _INCIDENT[what])
    if what == "ship" and event.get("first"):
        predicate = "deployed"
    context = {
        "specversion": _SPEC,
        "id": _digest(ours),
        "source": source,
        "type": f"dev.cdevents.{subject}.{predicate}.{_TYPE_VERSION}",
        "timestamp": clock().strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }
    about = str(event["target"]) if subject == "service" else _incident(event, place, context["id"])
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
        content["service"] = {"id": str(event["target"]), "source": source}
    if event["commit"] is not None and event["event"] != "removal":
        content["artifactId"] = f"pkg:generic/{event['target']}@{event['commit']}"
    return content


def _incident(event: Mapping[str, Any], place: Place, otherwise: str) -> str:
    """The same for a claim and its end."""
    claim = event.get("claim")
    if claim is None:
        return otherwise
    return _digest(json.dumps([place.root, event["target"], claim["at"], claim["to"]]))


def _description(event: Mapping[str, Any]) -> str:
    target = event["target"]
    if (claim := event.get("claim")) is not None:
        held = f"break-glass holds {target} at an earlier state, says {claim['by']}: {claim['reason']}"
        return held if event["event"] == "claim" else f"the claim of {target} has ended: {claim['says']}"
    if event["event"] == "drift":
        return f"serving has a manifest of {target} that main never had"
    return f"{target} keeps its last good manifest: " + "; ".join(str(each["says"]) for each in event["faults"])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
