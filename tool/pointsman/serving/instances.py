"""Instances: what each instance of recsys-service has loaded, as its log lines told.

Each has one small object beside the pointers. Logs can be forged, so nothing but `status` and its metrics looks at it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from itertools import islice

from msgspec import Struct, field

from pointsman.errors import Blocked, MovedFirst, Problem
from pointsman.state.documents import rfc3339
from pointsman.state.names import Target, is_name, is_version
from pointsman.state.strict_json import read
from pointsman.state.times import unix
from pointsman.store.base import Store
from pointsman.store.parallel import ask_all

DIRECTORY = ".pointsman/seen/"
MOST_INSTANCES = 1000  # of one place
MOST_TARGETS = 5000  # of one instance
FORGOTTEN = 7 * 86400  # seconds after which nothing is known any more of an instance, or of a target of it
_MOST_BYTES = 2 << 20
_TRIES = 5


class Load(Struct):
    """The manifest that an instance loaded last, and the first and the last time; seconds since 1970."""

    sha256: str
    first: int
    last: int


class Instance(Struct):
    """What one instance said, and the first and the last time that it was heard; seconds since 1970."""

    name: str
    first: int
    last: int
    loads: dict[Target, Load] = field(default_factory=dict)

    def hear(self, at: int) -> None:
        """It said something."""
        self.first, self.last = min(self.first, at), max(self.last, at)

    def load(self, target: Target, sha256: str, at: int) -> bool:
        """It loaded a manifest. False if it already has as many targets as are kept."""
        known = self.loads.get(target)
        if known is None:
            if len(self.loads) >= MOST_TARGETS:
                return False
            self.loads[target] = Load(sha256, at, at)
        elif at >= known.last and known.sha256 != sha256:
            self.loads[target] = Load(sha256, at, at)
        elif known.sha256 == sha256:
            known.first, known.last = min(known.first, at), max(known.last, at)
        return True

    def join(self, other: Instance) -> None:
        """Take over what was known of it before; of one second what was heard now counts."""
        self.hear(other.first)
        self.hear(other.last)
        for target, load in other.loads.items():
            known = self.loads.get(target)
            if known is None or known.sha256 == load.sha256 or load.last > known.last:
                self.load(target, load.sha256, load.first)
                self.load(target, load.sha256, load.last)

    def forget(self, now: int) -> None:
        """Drop what is too old."""
        self.loads = {target: load for target, load in self.loads.items() if now - load.last <= FORGOTTEN}

    def render(self) -> bytes:
        """The object that stands below the prefix of its place."""
        loads = {
            str(target): {"sha256": load.sha256, "first": rfc3339(load.first), "last": rfc3339(load.last)}
            for target, load in sorted(self.loads.items())
        }
        told = {"v": 1, "instance": self.name, "first": rfc3339(self.first), "last": rfc3339(self.last)}
        return json.dumps({**told, "targets": loads}, indent=1).encode() + b"\n"


def key_of(name: str) -> str:
    """The key of an instance's object below the root of its place."""
    return f"{DIRECTORY}{name}.json"


def read_instance(data: bytes, name: str, now: int) -> Instance | None:
    """The instance of an object; None if it is none of ours, or too old. No time of it is later than `now`."""
    document = read(data, "") if len(data) <= _MOST_BYTES else None
    if not isinstance(document, dict) or document.get("v") != 1 or document.get("instance") != name:
        return None
    first, last = _moment(document.get("first"), now), _moment(document.get("last"), now)
    targets = document.get("targets")
    if first is None or last is None or now - last > FORGOTTEN or not isinstance(targets, dict):
        return None
    found = Instance(name, first, last)
    for text, load in islice(targets.items(), MOST_TARGETS):
        target = target_of(*text.split("/")) if text.count("/") == 1 else None
        if target is not None and isinstance(load, dict):
            sha256, begun, ended = load.get("sha256"), _moment(load.get("first"), now), _moment(load.get("last"), now)
            if isinstance(sha256, str) and is_version(sha256) and begun is not None and ended is not None:
                found.loads[target] = Load(sha256, begun, ended)
    return found


def target_of(tenant: object, surface: object) -> Target | None:
    """The target of these names; None if they are none."""
    if not (isinstance(tenant, str) and isinstance(surface, str) and is_name(tenant) and is_name(surface)):
        return None
    try:
        return Target(tenant, surface)
    except Problem:
        return None


def _moment(text: object, now: int) -> int | None:
    seconds = unix(text) if isinstance(text, str) else None
    return min(seconds, now) if seconds is not None else None


def read_instances(store: Store, now: int) -> list[Instance]:
    """What is known of the instances of a place, by name, from one listing and one read of each."""
    names = list(islice(_names(store), MOST_INSTANCES))

    def look(name: str) -> bytes:
        try:
            held = store.read(key_of(name), _MOST_BYTES)
        except Blocked:  # something else stands there
            return b""
        return held.data if held is not None else b""

    found = zip(names, ask_all(look, names, at_once=store.at_once), strict=True)
    known = (read_instance(data, name, now) for name, data in found)
    return sorted((each for each in known if each is not None), key=lambda each: each.name)


def _names(store: Store) -> Iterator[str]:
    for key in store.keys(DIRECTORY, 1):
        name = key.rpartition("/")[2].removesuffix(".json")
        if key == key_of(name) and is_name(name):
            yield name


def write_instance(store: Store, instance: Instance, now: int) -> None:
    """Write what is known of an instance, with what others wrote of it before. MovedFirst if others never stop."""
    key = key_of(instance.name)
    for left in reversed(range(_TRIES)):
        held = store.read(key, _MOST_BYTES)
        known = read_instance(held.data, instance.name, now) if held is not None else None
        if known is not None:
            instance.join(known)
        instance.forget(now)
        data = instance.render()
        if held is not None and held.data == data:
            return
        try:
            store.replace(key, data, was=held.tag if held is not None else None)
        except MovedFirst:
            if not left:
                raise
        else:
            return


def drop_forgotten(store: Store, now: int) -> None:
    """Delete the objects of instances that nobody has heard for so long that nothing is known of them any more."""
    for name in islice(_names(store), MOST_INSTANCES):
        held = store.read(key_of(name), _MOST_BYTES)
        if held is not None and read_instance(held.data, name, now) is None and _is_ours(held.data, name):
            with contextlib.suppress(MovedFirst):  # it was heard just now
                store.delete(key_of(name), was=held.tag)


def _is_ours(data: bytes, name: str) -> bool:
    document = read(data, "")
    return isinstance(document, dict) and document.get("instance") == name and "targets" in document


class Having(Struct, frozen=True):
    """How the instances of a place stand to one manifest: names, and of those that have another, what they have."""

    current: tuple[str, ...]
    behind: Mapping[str, Load]
    unknown: tuple[str, ...]


def having(instances: list[Instance], target: Target, sha256: str, now: int, ttl: int) -> Having:
    """How the instances stand that were heard in the last `ttl` seconds. Those not heard are gone."""
    heard = [each for each in instances if now - each.last <= ttl]
    loads = {each.name: each.loads.get(target) for each in heard}
    return Having(
        tuple(name for name, load in loads.items() if load is not None and load.sha256 == sha256),
        {name: load for name, load in loads.items() if load is not None and load.sha256 != sha256},
        tuple(name for name, load in loads.items() if load is None),
    )
