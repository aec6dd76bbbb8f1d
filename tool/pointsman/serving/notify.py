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
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pointsman.errors import MovedFirst
from pointsman.gate.gate import Gate
from pointsman.gate.lineage import Lineage, Step
from pointsman.outcome import as_document
from pointsman.serving.calls import INVALIDATE_HEADERS, NOTIFY_HEADERS, Calls
from pointsman.serving.outcomes import CallResult, SyncedTarget
from pointsman.settings import Settings
from pointsman.state.documents import Manifest, read_manifest, rfc3339
from pointsman.state.names import Target
from pointsman.state.objects import Oid, object_id
from pointsman.store.base import Held, Store

KEY = ".pointsman/aftermath.json"
_UPDATE_TRIES = 8
_MOST_EVENTS = 20  # of one target; serving may be behind by more commits
_DONE_OUTCOMES = ("written", "healed", "pruned", "unchanged")

Difference: TypeAlias = tuple[Target, Held | None]  # and the pointer that serving has of it


@dataclass(frozen=True, slots=True)
class _State:
    """The object as it was read."""

    tag: str | None = None
    pending: dict[str, dict[str, Any]] = field(default_factory=dict)  # target → types to invalidate, events to notify
    reported: dict[str, str] = field(default_factory=dict)  # target → hash of the lasting trouble that was reported


class Notices:
    """The calls of one sync, to those that the settings name."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    @property
    def wanted(self) -> bool:
        """Whether the settings name anyone."""
        settings = self._settings
        return bool(settings.invalidate or settings.notify_command or settings.notify_webhook)

    def promise(self, gate: Gate, main: Oid, differing: Iterable[Difference]) -> None:
        """Store the calls for pointers that will be written. MovedFirst if another sync stored something meanwhile."""
        if not self.wanted:
            return
        state = self._read()
        added = {str(target): self._calls_for(gate, main, target, held) for target, held in differing}
        pending = {**state.pending, **added}
        if pending != state.pending:
            self._write(state, pending, state.reported)

    def deliver(self, gate: Gate, main: Oid, done: Mapping[Target, SyncedTarget]) -> list[CallResult]:
        """Make the stored calls for targets whose pointer is now that of main. Report each lasting trouble once."""
        if not self.wanted:
            return []
        state, calls = self._read(), Calls()
        finished: dict[str, dict[str, Any]] = {}
        reported: dict[str, str] = {}
        results: list[CallResult] = []
        for target, each in done.items():
            name, trouble = str(target), _lasting_trouble(each)
            if trouble and state.reported.get(name) != trouble:
                answers = self._notify(calls, target, [_trouble_event(gate, main, target, each)])
                results += answers
                reported |= {name: trouble} if _all_well(answers) else {}
            elif name in state.pending and each.outcome in _DONE_OUTCOMES:
                todo = state.pending[name]
                answers = [
                    *self._invalidate(calls, target, todo["types"]),
                    *self._notify(calls, target, todo["events"]),
                ]
                results += answers
                finished |= {name: todo} if _all_well(answers) else {}
        in_trouble = {str(target) for target, each in done.items() if _lasting_trouble(each)}
        self._update(finished, reported, {str(target) for target in done} - in_trouble, in_trouble)
        return results

    # the calls

    def _calls_for(self, gate: Gate, main: Oid, target: Target, held: Held | None) -> dict[str, Any]:
        lineage = gate.lineage(main, target)
        now = lineage.last.versions if lineage.last is not None else {}
        there = read_manifest(held.data, "") if held is not None else None
        was = there.versions if isinstance(there, Manifest) else {}
        types = sorted(slot for slot in {*was, *now} if was.get(slot) != now.get(slot)) or sorted(now)
        return {"types": types, "events": list(_events(lineage, held, was))}

    def _invalidate(self, calls: Calls, target: Target, types: Sequence[str]) -> Iterator[CallResult]:
        if self._settings.invalidate and types:
            url = self._settings.invalidate.replace("{tenant}", target.tenant).replace("{surface}", target.surface)
            wrong = calls.post(url, {"targets": list(types), "surface": target.surface}, INVALIDATE_HEADERS)
            yield CallResult("invalidate", str(target), not wrong, wrong)

    def _notify(self, calls: Calls, target: Target, events: Sequence[Mapping[str, Any]]) -> list[CallResult]:
        answers: list[CallResult] = []
        for event in events:
            if self._settings.notify_webhook:
                wrong = calls.post(self._settings.notify_webhook, event, NOTIFY_HEADERS)
                answers.append(CallResult("webhook", str(target), not wrong, wrong))
            if self._settings.notify_command:
                wrong = calls.run(self._settings.notify_command, event)
                answers.append(CallResult("command", str(target), not wrong, wrong))
        return answers

    # the object

    def _read(self) -> _State:
        held = self._store.read(KEY)
        if held is None:
            return _State()
        try:
            document = json.loads(held.data)
            pending = {str(name): {"types": list(todo["types"]), "events": list(todo["events"])}
                       for name, todo in document["owed"].items()}  # fmt: skip
            return _State(held.tag, pending, {str(name): str(text) for name, text in document["told"].items()})
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return _State(held.tag)  # nobody can use it, so it is overwritten

    def _write(self, state: _State, pending: Mapping[str, Any], reported: Mapping[str, str]) -> None:
        document = {"v": 1, "owed": pending, "told": reported}
        self._store.replace(KEY, (json.dumps(document, sort_keys=True) + "\n").encode(), was=state.tag)

    def _update(
        self, finished: Mapping[str, Any], reported: dict[str, str], recovered: set[str], in_trouble: set[str]
    ) -> None:
        """Remove what is finished, and add what was reported. Keep what other syncs have stored meanwhile."""
        for _ in range(_UPDATE_TRIES):
            with self._store.locked(""), contextlib.suppress(MovedFirst):
                state = self._read()
                pending = {
                    name: todo
                    for name, todo in state.pending.items()
                    if finished.get(name) != todo and name not in in_trouble
                }
                known = {name: text for name, text in state.reported.items() if name not in recovered} | reported
                if (pending, known) != (state.pending, state.reported):
                    self._write(state, pending, known)
                return


def _events(lineage: Lineage, held: Held | None, was: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The events of a target since the pointer that serving has, oldest first; a drift if main never had it."""
    found: list[dict[str, Any]] = []
    oid = object_id("blob", held.data, len(lineage.tip or "")) if held is not None else None
    for step in lineage:
        if step.after is not None and step.after.oid == oid:
            break
        if step.place < _MOST_EVENTS:
            kind = "removal" if step.after is None else "ship" if step.is_ship else "rollback"
            found.append(_event(kind, lineage.target, step, step.versions_before, step.versions))
        if held is None or (step.before is not None and step.before.oid == oid):
            break
    else:
        now = lineage.last.versions if lineage.last is not None else {}
        yield _event("drift", lineage.target, lineage.last, now, was)
        return
    yield from reversed(found)


def _event(
    kind: str, target: Target, step: Step | None, before: Mapping[str, str], after: Mapping[str, str]
) -> dict[str, Any]:
    commit, message = (step.commit, step.message) if step is not None else (None, None)
    return {
        "v": 1,
        "event": kind,
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
    if each.outcome != "refused" and not each.is_drift:
        return ""
    rules = [f"{fault.rule} {fault.says}" for fault in each.faults]
    what = json.dumps(as_document([each.outcome, each.refused, each.drift, rules]), sort_keys=True)
    return hashlib.sha256(what.encode()).hexdigest()


def _trouble_event(gate: Gate, main: Oid, target: Target, each: SyncedTarget) -> dict[str, Any]:
    last = gate.lineage(main, target).last
    kind = "refusal" if each.outcome == "refused" else "drift"
    changes = as_document(each.drift.changes if each.drift is not None else {})
    return {**_event(kind, target, last, {}, {}), "changes": changes, "faults": as_document(each.faults)}


def _all_well(answers: Sequence[CallResult]) -> bool:
    return all(each.ok for each in answers)
