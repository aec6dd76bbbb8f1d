"""The calls after pointers were written: caches to invalidate, people to notify.

What still has to be called is stored in one small object beside the fence. It is stored before the first pointer is
written and removed when done, so a crash leaves it to the next sync. Each call is made at least once. Lasting refusals
and drifts are stored as well, so that each is reported once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, get_args

from msgspec import Struct, field

from pointsman.errors import MovedFirst
from pointsman.gate.gate import Gate
from pointsman.gate.lineage import Lineage, Step
from pointsman.outcome import as_document
from pointsman.serving.calls import INVALIDATE_HEADERS, NOTIFY_HEADERS, Calls
from pointsman.serving.cloud_events import CLOUD_EVENT, cloud_event
from pointsman.serving.drift import versions_served
from pointsman.serving.outcomes import Called, CallResult, SyncedTarget
from pointsman.settings import Settings
from pointsman.state.documents import rfc3339
from pointsman.state.names import Target
from pointsman.state.objects import Oid, object_id
from pointsman.state.place import Place
from pointsman.store.base import Held, Store
from pointsman.store.parallel import ask_all

KEY = ".pointsman/aftermath.json"
_UPDATE_TRIES = 8
_MOST_EVENTS = 20  # of one target; serving may be behind by more commits
_AT_ONCE = 32  # of those who are called
_LAG_SECONDS = 900  # a replica that is later is told of: S3's Replication Time Control promises less
# recsys-service keeps manifests and all artifacts under this one name, whatever their types.
_TO_INVALIDATE = ["popularity"]
_DONE_OUTCOMES = ("written", "healed", "pruned", "unchanged")

CHANNELS: tuple[Called, ...] = get_args(Called)

Difference: TypeAlias = tuple[Target, Held | None, int]  # the pointer that serving has, the place of what it gets


# What is owed to whom for a target: to "invalidate" a list of URLs, to "webhook" and "command" a list of events.
Owed: TypeAlias = Mapping[str, Sequence[Any]]


class _State(Struct, frozen=True):
    """The object as it was read."""

    tag: str | None = None
    pending: dict[str, Owed] = field(default_factory=dict)  # by target
    reported: dict[str, str] = field(default_factory=dict)  # "<channel> <target>" → hash of its trouble


class _Call(Struct, frozen=True):
    """One call that is due. `what`: the URL to invalidate, or the event to tell. `trouble`: the hash it reports."""

    channel: Called
    target: Target
    what: Any
    trouble: str = ""


class Notices:
    """The calls of one sync about one place, to those that the settings name."""

    def __init__(self, store: Store, settings: Settings, place: Place) -> None:
        self._store = store
        self._settings = settings
        self._place = place
        told: dict[Called, str] = {"webhook": settings.notify_webhook, "command": settings.notify_command}
        self._told = [channel for channel, named in told.items() if named]

    @property
    def wanted(self) -> bool:
        """Whether the settings name anyone."""
        return bool(self._place.invalidate or self._told)

    def promise(self, gate: Gate, main: Oid, differing: Iterable[Difference]) -> None:
        """Store the calls for pointers that will be written. MovedFirst if another sync stored something meanwhile."""
        if not self.wanted:
            return
        state = self._read()
        pending = dict(state.pending)
        for target, held, place in differing:
            events = list(map(self._named, _events_since(gate.lineage(main, target), held, place)))
            earlier = pending.get(str(target), {})
            owed: dict[str, Sequence[Any]] = {"invalidate": list(self._place.invalidate)}
            for channel in self._told:
                failed = [event for event in earlier.get(channel, ()) if event not in events]
                owed[channel] = [*failed, *events][-_MOST_EVENTS:]
            pending[str(target)] = {channel: owed.get(channel, []) for channel in CHANNELS}
        if pending != state.pending:
            self._write(state, pending, state.reported)

    def deliver(self, gate: Gate, main: Oid, done: Mapping[Target, SyncedTarget]) -> list[CallResult]:
        """Make the stored calls for targets whose pointer is now that of main. Report each lasting trouble once.

        Whoever is called has a thread, so that one who is slow or away keeps nobody waiting.
        """
        if not self.wanted:
            return []
        state, calls = self._read(), Calls()
        due = list(self._due(gate, main, state, done))
        lanes: dict[str, list[_Call]] = {}
        for call in due:
            lanes.setdefault(call.what if call.channel == "invalidate" else call.channel, []).append(call)

        def make(lane: list[_Call]) -> list[tuple[_Call, CallResult]]:
            return [(call, self._make(calls, call)) for call in lane]

        made = [each for lane in ask_all(make, list(lanes.values()), at_once=_AT_ONCE) for each in lane]
        failed = [call for call, answer in made if not answer.ok]
        seen = {str(target) for target, each in done.items() if each.outcome in _DONE_OUTCOMES}
        lasting = {target for target, each in done.items() if each.outcome not in _DONE_OUTCOMES}
        in_trouble = {str(target) for target in lasting if _lasting_trouble(done[target])}
        remaining = _remaining(failed)
        finished = {name: (owed, remaining.get(name, {})) for name, owed in state.pending.items() if name in seen}
        reported = {_report(call): call.trouble for call, answer in made if call.trouble and answer.ok}
        self._update(finished, reported, {str(target) for target in done} - in_trouble, in_trouble)
        return [answer for _, answer in sorted(made, key=lambda each: each[0].target)]

    # the calls

    def _due(self, gate: Gate, main: Oid, state: _State, done: Mapping[Target, SyncedTarget]) -> Iterator[_Call]:
        for target, each in done.items():
            owed, trouble = state.pending.get(str(target), {}), _lasting_trouble(each)
            if trouble:
                for channel in self._told:
                    call = _Call(channel, target, self._named(_trouble_event(gate, main, target, each)), trouble)
                    if state.reported.get(_report(call)) != trouble:
                        yield call
            if each.outcome in _DONE_OUTCOMES:
                urls = (url for url in owed.get("invalidate", ()) if url in self._place.invalidate)
                yield from (_Call("invalidate", target, url) for url in urls)
                for channel in self._told:
                    yield from (_Call(channel, target, event) for event in owed.get(channel, ()))

    def _make(self, calls: Calls, call: _Call) -> CallResult:
        target, url = call.target, None
        if call.channel == "invalidate":
            url = _of_target(str(call.what), target)
            wrong = invalidate(calls, str(call.what), target)
        elif call.channel == "webhook":
            document, kind = self._written(call.what)
            wrong = calls.post(self._settings.notify_webhook, document, NOTIFY_HEADERS, kind=kind)
        else:
            wrong = calls.run(self._settings.notify_command, self._written(call.what)[0])
        return CallResult(call.channel, str(target), not wrong, wrong, url, self._place.name or None)

    def _written(self, event: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
        """An event in the form that the settings ask for, and its media type."""
        if self._settings.notify_format == "cloudevents" and isinstance(event, Mapping):
            return cloud_event(event, self._place), CLOUD_EVENT
        return event, "application/json"

    def _named(self, event: dict[str, Any]) -> dict[str, Any]:
        """An event with the name of the place that it is of, if there are several."""
        return {**event, "place": self._place.name} if self._place.name else event

    # the object

    def _read(self) -> _State:
        held = self._store.read(KEY)
        if held is None:
            return _State()
        try:
            document = json.loads(held.data)
            owed: dict[str, Owed] = {str(name): {channel: list(todo[channel]) for channel in CHANNELS}
                    for name, todo in document["owed"].items()}  # fmt: skip
            return _State(held.tag, owed, {str(name): str(text) for name, text in document["told"].items()})
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return _State(held.tag)  # nobody can use it, so it is overwritten

    def _write(self, state: _State, pending: Mapping[str, Any], reported: Mapping[str, str]) -> None:
        document = {"v": 1, "owed": pending, "told": reported}
        self._store.replace(KEY, (json.dumps(document, sort_keys=True) + "\n").encode(), was=state.tag)

    def _update(
        self,
        finished: Mapping[str, tuple[Owed, Owed]],
        reported: dict[str, str],
        recovered: set[str],
        in_trouble: set[str],
    ) -> None:
        """Leave of what was done what remains, and add what was reported. Keep what others have stored meanwhile."""
        for _ in range(_UPDATE_TRIES):
            with self._store.locked(""), contextlib.suppress(MovedFirst):
                state = self._read()
                pending = {}
                for name, owed in state.pending.items():
                    was, remains = finished.get(name, (None, {}))
                    left = remains if owed == was else owed
                    if name not in in_trouble and any(left.values()):
                        pending[name] = left
                known = {key: text for key, text in state.reported.items() if key.partition(" ")[2] not in recovered}
                known |= reported
                if (pending, known) != (state.pending, state.reported):
                    self._write(state, pending, known)
                return


def invalidate(calls: Calls, template: str, target: Target) -> str:
    """Clear the caches of a target in one replica of serving; what went wrong, "" if nothing did."""
    document = {"targets": _TO_INVALIDATE, "surface": target.surface}
    return calls.post(_of_target(template, target), document, INVALIDATE_HEADERS, target.tenant)


def _of_target(template: str, target: Target) -> str:
    return template.replace("{tenant}", target.tenant).replace("{surface}", target.surface)


def _remaining(failed: Iterable[_Call]) -> dict[str, Owed]:
    """What is still owed for each target after calls for it failed."""
    owed: dict[str, dict[str, list[Any]]] = {}
    for call in failed:
        if not call.trouble:
            mine = owed.setdefault(str(call.target), {channel: [] for channel in CHANNELS})
            mine[call.channel].append(call.what)
    return {**owed}


def _report(call: _Call) -> str:
    """The key under which it is stored that a channel was told of the trouble of a target."""
    return f"{call.channel} {call.target}"


def _events_since(lineage: Lineage, held: Held | None, place: int) -> list[dict[str, Any]]:
    return list(_events(lineage, held, place, versions_served(held, lineage.target)))


def _events(lineage: Lineage, held: Held | None, place: int, was: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The events of a target from the pointer that serving has to the step at `place`, oldest first.

    Only a drift if main never had what serving has.
    """
    found: list[dict[str, Any]] = []
    oid = object_id("blob", held.data, len(lineage.tip or "")) if held is not None else None
    for step in lineage.since(place):
        if step.after is not None and step.after.oid == oid:
            break
        if step.place < place + _MOST_EVENTS:
            kind = "removal" if step.after is None else "ship" if step.is_ship else "rollback"
            found.append(_event(kind, lineage.target, step, step.versions_before, step.versions))
        if held is None or (step.before is not None and step.before.oid == oid):
            break
    else:
        gets = lineage.at(place)
        yield _event("drift", lineage.target, gets, gets.versions if gets is not None else {}, was)
        return
    yield from reversed(found)


def _event(
    kind: str, target: Target, step: Step | None, before: Mapping[str, str], after: Mapping[str, str]
) -> dict[str, Any]:
    commit, message = (step.commit, step.message) if step is not None else (None, None)
    return {
        "v": 1,
        "event": kind,
        "first": step is not None and step.before is None,
        "target": str(target),
        "commit": commit.oid if commit is not None else None,
        "at": rfc3339(commit.time) if commit is not None else None,
        "by": commit.author if commit is not None else None,
        "run": message.run if message is not None else "",
        "reason": message.reason if message is not None else "",
        "changes": {
            slot: [before.get(slot), after.get(slot)]
            for slot in sorted({*before, *after})
            if before.get(slot) != after.get(slot)
        },
        "faults": [],
    }


def _lasting_trouble(each: SyncedTarget) -> str:
    """A hash of the refusal or the kept drift of a target; "" if it has none."""
    if each.claim is not None:
        return hashlib.sha256(json.dumps(as_document(each.claim), sort_keys=True).encode()).hexdigest()
    if each.outcome != "refused" and not each.is_drift:
        return ""
    if each.lag_seconds is not None and each.lag_seconds < _LAG_SECONDS:
        return ""
    rules = [f"{fault.rule} {fault.says}" for fault in each.faults]
    what = json.dumps(as_document([each.outcome, each.refused, each.drift, rules]), sort_keys=True)
    return hashlib.sha256(what.encode()).hexdigest()


def _trouble_event(gate: Gate, main: Oid, target: Target, each: SyncedTarget) -> dict[str, Any]:
    last = gate.lineage(main, target).last
    if each.claim is not None:
        told = {"claim": as_document(each.claim)}
        return {**_event("claim" if each.claim.holds else "claim-end", target, last, {}, {}), **told}
    kind = "refusal" if each.outcome == "refused" else "drift"
    changes = as_document(each.drift.changes if each.drift is not None else {})
    return {**_event(kind, target, last, {}, {}), "changes": changes, "faults": as_document(each.faults)}
