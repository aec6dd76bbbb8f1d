"""What is to be done after a pointer was written: caches to invalidate, people to tell.

It is owed in one small object beside the fence from before the first pointer is written until it is done: who dies in
between leaves it to the next sync, and everything is done at least once. What lasts, a refusal or a drift that is kept,
stands there, too, once it was told.
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
_TRIES = 8
_MOST = 20  # commits of one target that are told, where serving was behind by more
_DONE = ("written", "healed", "pruned", "unchanged")

Difference: TypeAlias = tuple[Target, Held | None]  # and what serving has of it


@dataclass(frozen=True, slots=True)
class _State:
    """What is owed and what was told, by target, as it was read."""

    tag: str | None = None
    owed: dict[str, dict[str, Any]] = field(default_factory=dict)  # types whose cache is stale, events to tell
    told: dict[str, str] = field(default_factory=dict)


class Notices:
    """What one sync owes to those whom the settings name."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    @property
    def wanted(self) -> bool:
        """Whether anyone is named at all."""
        settings = self._settings
        return bool(settings.invalidate or settings.notify_command or settings.notify_webhook)

    def promise(self, gate: Gate, main: Oid, differing: Iterable[Difference]) -> None:
        """Write down what there will be to do for pointers that are going to be written; MovedFirst if it was raced."""
        if not self.wanted:
            return
        state = self._read()
        owed = {**state.owed, **{str(target): self._due(gate, main, target, held) for target, held in differing}}
        if owed != state.owed:
            self._write(state, owed, state.told)

    def deliver(self, gate: Gate, main: Oid, done: Mapping[Target, SyncedTarget]) -> list[CallResult]:
        """Do what is owed for targets that serving now has as main does, and tell what was refused or kept, once."""
        if not self.wanted:
            return []
        state, hooks = self._read(), Calls()
        settled: dict[str, dict[str, Any]] = {}
        told: dict[str, str] = {}
        results: list[CallResult] = []
        for target, each in done.items():
            name, lasting = str(target), _lasting(each)
            if lasting and state.told.get(name) != lasting:
                made = self._tell(hooks, target, [_trouble(gate, main, target, each)])
                results += made
                told |= {name: lasting} if _all_well(made) else {}
            elif name in state.owed and each.outcome in _DONE:
                due = state.owed[name]
                made = [*self._invalidate(hooks, target, due["types"]), *self._tell(hooks, target, due["events"])]
                results += made
                settled |= {name: due} if _all_well(made) else {}
        over = {str(target) for target, each in done.items() if not _lasting(each)}
        self._forget(settled, told, over, {str(target) for target, each in done.items() if _lasting(each)})
        return results

    # what there is to do

    def _due(self, gate: Gate, main: Oid, target: Target, held: Held | None) -> dict[str, Any]:
        lineage = gate.lineage(main, target)
        now = lineage.last.versions if lineage.last is not None else {}
        there = read_manifest(held.data, "") if held is not None else None
        was = there.versions if isinstance(there, Manifest) else {}
        types = sorted(slot for slot in {*was, *now} if was.get(slot) != now.get(slot)) or sorted(now)
        return {"types": types, "events": list(_events(lineage, held, was))}

    def _invalidate(self, hooks: Calls, target: Target, types: Sequence[str]) -> Iterator[CallResult]:
        if self._settings.invalidate and types:
            url = self._settings.invalidate.replace("{tenant}", target.tenant).replace("{surface}", target.surface)
            wrong = hooks.post(url, {"targets": list(types), "surface": target.surface}, INVALIDATE_HEADERS)
            yield CallResult("invalidate", str(target), not wrong, wrong)

    def _tell(self, hooks: Calls, target: Target, events: Sequence[Mapping[str, Any]]) -> list[CallResult]:
        made: list[CallResult] = []
        for event in events:
            if self._settings.notify_webhook:
                wrong = hooks.post(self._settings.notify_webhook, event, NOTIFY_HEADERS)
                made.append(CallResult("webhook", str(target), not wrong, wrong))
            if self._settings.notify_command:
                wrong = hooks.run(self._settings.notify_command, event)
                made.append(CallResult("command", str(target), not wrong, wrong))
        return made

    # the object

    def _read(self) -> _State:
        held = self._store.read(KEY)
        if held is None:
            return _State()
        try:
            document = json.loads(held.data)
            owed = {str(name): {"types": list(due["types"]), "events": list(due["events"])}
                    for name, due in document["owed"].items()}  # fmt: skip
            return _State(held.tag, owed, {str(name): str(text) for name, text in document["told"].items()})
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return _State(held.tag)  # of no use to anyone: it is written anew

    def _write(self, state: _State, owed: Mapping[str, Any], told: Mapping[str, str]) -> None:
        document = {"v": 1, "owed": owed, "told": told}
        self._store.replace(KEY, (json.dumps(document, sort_keys=True) + "\n").encode(), was=state.tag)

    def _forget(self, settled: Mapping[str, Any], told: dict[str, str], over: set[str], lasting: set[str]) -> None:
        """Take out what was done and what is over, leaving what others have added meanwhile."""
        for _ in range(_TRIES):
            with self._store.locked(""), contextlib.suppress(MovedFirst):
                state = self._read()
                owed = {
                    name: due for name, due in state.owed.items() if settled.get(name) != due and name not in lasting
                }
                still = {name: text for name, text in state.told.items() if name not in over} | told
                if (owed, still) != (state.owed, state.told):
                    self._write(state, owed, still)
                return


def _events(lineage: Lineage, held: Held | None, was: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """What happened to a target since what serving has, oldest first; a drift where main never had that."""
    found: list[dict[str, Any]] = []
    oid = object_id("blob", held.data, len(lineage.tip or "")) if held is not None else None
    for step in lineage:
        if step.after is not None and step.after.oid == oid:
            break
        if step.place < _MOST:
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


def _lasting(each: SyncedTarget) -> str:
    """What is wrong with a target as long as nobody mends it, "" if nothing is."""
    if each.outcome != "refused" and not each.is_drift:
        return ""
    rules = [f"{fault.rule} {fault.says}" for fault in each.faults]
    what = json.dumps(as_document([each.outcome, each.refused, each.drift, rules]), sort_keys=True)
    return hashlib.sha256(what.encode()).hexdigest()


def _trouble(gate: Gate, main: Oid, target: Target, each: SyncedTarget) -> dict[str, Any]:
    last = gate.lineage(main, target).last
    kind = "refusal" if each.outcome == "refused" else "drift"
    changes = as_document(each.drift.changes if each.drift is not None else {})
    return {**_event(kind, target, last, {}, {}), "changes": changes, "faults": as_document(each.faults)}


def _all_well(made: Sequence[CallResult]) -> bool:
    return all(each.ok for each in made)
