"""The start states: short histories of a manifest repository, written by hand: they owe nothing to the engine."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from attacks.plain_git import CLOCK, Files, Leaf, Objects, make_repository, set_ref

HOME = "grocer/home"
BAKERY = "bakery/home"
SLOTS = {
    HOME: ("popularity", "cooc", "implicit", "bundles"),
    BAKERY: ("popularity",),
}
# How many items the artifact of this number has; any other number has 120.
ITEMS = {1: 100, 2: 110, 5: 40, 6: 55, 7: 54}
MEASURES = {
    "popularity": ("items",),
    "cooc": ("rows", "neighbors"),
    "implicit": ("users", "items"),
    "bundles": ("bundles",),
}
# From 13 on each number is unusual in one way: its segment, its window, its size, the ids that it has.
WINDOW = ("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z")
SEGMENTS = {13: "night"}
WINDOWS = {
    14: ("2026-02-27T00:00:00Z", "2026-02-28T00:00:00Z"),
    15: ("2026-03-01T00:00:00Z", "2026-03-03T00:00:00Z"),
    22: ("2026-02-28T00:00:00Z", "2026-02-29T00:00:00Z"),  # a day that is in no calendar
    24: ("2062-03-01T00:00:00Z", "2062-03-02T00:00:00Z"),
}
PADDED = {16: 60_000, 17: 28_000}
# Of 18 number 19 keeps 30 %, 20 a little less, and 21 four of the twenty highest.
IDS = {18: range(120), 19: range(84, 204), 20: range(85, 205), 21: range(16, 136)}
GARBLED = (23,)  # cannot be read as an artifact
# Their bytes hash to their version, but say something else than their record; see `_forged`.
FORGED = {
    38: "its tenant", 25: "its surface", 26: "its segment", 27: "its type", 28: "its window", 29: "an item less",
    30: "an unknown member", 31: "an item twice named", 32: "blanks", 33: "a version of its own", 34: "an array",
    35: "a negative count", 36: "half", 37: "another end",
}  # fmt: skip
LAST_NUMBER = 38
SIGNER = b"ann@example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + b"A" * 42 + b"\n"
FUTURE, PAST = "2999-01-01T00:00:00.000000Z", "2026-02-01T00:00:00.000000Z"
SCHEMA = '{"type": "object", "properties": {"bundles": {"type": "array", "items": {"type": "string"}}}}\n'


def rendered(document: Mapping[str, Any]) -> bytes:
    """A state file as it must be written."""
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Artifact:
    """The artifact of one number: `popularity.3`, or `bakery/home popularity.3` where it is not grocer/home's."""

    target: str
    slot: str
    number: int

    @classmethod
    def named(cls, text: str) -> Artifact:
        *target, rest = text.split(" ")
        slot, _, number = rest.rpartition(".")
        return cls(target[0] if target else HOME, slot, int(number))

    @property
    def payload(self) -> bytes:
        if self.number in GARBLED:
            return f"popularity: see the attached sheet {self.target} {self.slot}".encode()
        body = self._with_ids(self._ids)
        missing = PADDED.get(self.number, 0) - len(body)
        return self._with_ids([*self._ids[:-1], f"{self._ids[-1]}{'x' * missing}"]) if missing > 0 else body

    @property
    def _ids(self) -> list[str]:
        return [f"item-{each:03}" for each in IDS.get(self.number, range(ITEMS.get(self.number, 120)))]

    def _with_ids(self, ids: list[str]) -> bytes:
        """The artifact in canonical form. Its counts differ from those of every other number."""
        tenant, surface = self.target.split("/")
        counts = [self.number * 1000 + 999 - place for place in range(len(ids))]
        pairs = list(zip(ids, counts, strict=True))
        bodies: dict[str, tuple[str, Any]] = {
            "popularity": ("items", [{"item_id": each, "count": count} for each, count in pairs]),
            "cooc": ("neighbors", [{"item_id": each, "items": [{"item_id": "near", "count": count}]}
                                   for each, count in pairs]),
            "implicit": ("users", [{"user_id": each, "items": [{"item_id": "near", "score": count}]}
                                   for each, count in pairs]),
            "bundles": ("bundles", [f"{each} {count}" for each, count in pairs]),
        }  # fmt: skip
        rows, body = bodies[self.slot]
        document = {
            "v": 1, "artifact_type": self.slot, "tenant": tenant, "surface": surface,
            "segment": SEGMENTS.get(self.number, "default"),
            "window": dict(zip(("start", "end"), WINDOWS.get(self.number, WINDOW), strict=True)),
            rows: body, "build": {"built_at": "", "version": ""},
        }  # fmt: skip
        data = json.dumps(document, separators=(",", ":"))
        return _forged(document, data, FORGED[self.number]).encode() if self.number in FORGED else data.encode()

    @functools.cached_property
    def version(self) -> str:
        return digest(self.payload)

    @property
    def key(self) -> str:
        return f"{self.target}/{self.slot}/{self.version}.json"

    @property
    def path(self) -> str:
        return f"registry/{self.key}"

    def record(self, store: str) -> dict[str, Any]:
        tenant, surface = self.target.split("/")
        return {
            "v": 1,
            "tenant": tenant,
            "surface": surface,
            "segment": SEGMENTS.get(self.number, "default"),
            "type": self.slot,
            "version": self.version,
            "window": dict(zip(("start", "end"), WINDOWS.get(self.number, WINDOW), strict=True)),
            "uri": f"{store}/{self.key}",
            "size": len(self.payload),
            "built_at": "2026-03-02T01:00:00Z",
            "source_hash": self.version,
            "summary": dict.fromkeys(sorted(MEASURES.get(self.slot, ("items",))), ITEMS.get(self.number, 120)),
            "recorded_at": f"2026-03-03T00:00:{self.number:02}.000000Z",
            "producer": {"run": f"https://ci.example/{self.number}", "commit": "", "tool": "pointsman 0.1"},
        }


def _forged(document: dict[str, Any], data: str, how: str) -> str:
    """The text of an artifact that is wrong in one way."""
    match how:
        case "its tenant" | "its surface" | "its segment":
            document[how.split()[1]] = "other"
        case "its type":
            return data.replace('"popularity"', '"content_sim"').replace('"bundles","tenant"', '"cooc","tenant"')
        case "its window":
            document["window"] = {"start": "2026-03-02T00:00:00Z", "end": "2026-03-03T00:00:00Z"}
        case "another end":
            document["window"] = {**document["window"], "end": "2026-03-02T01:00:00Z"}
        case "an item less":
            document[next(name for name in ("items", "neighbors", "users", "bundles") if name in document)].pop()
        case "an unknown member":
            document["extra"] = 1
        case "an item twice named":
            return data.replace('"v":1,', '"v":1,"V":1,')
        case "blanks":
            return json.dumps(document)
        case "a version of its own":
            document["build"]["version"] = "0" * 64
        case "an array":
            return f"[{data}]"
        case "a negative count":
            return data.replace('"count":', '"count":-') if '"count"' in data else data.replace('["', '[1,"')
        case "half":
            return f"{data[:-1]}" if '"count"' in data else "{}"
    return json.dumps(document, separators=(",", ":"))


def manifest_path(target: str) -> str:
    return f"manifests/{target}/manifest.json"


def manifest(target: str, current: Mapping[str, str], at: str) -> bytes:
    tenant, surface = target.split("/")
    slots = dict(sorted(current.items()))
    return rendered({"v": 1, "tenant": tenant, "surface": surface, "current": slots, "updated_at": at})


def read(data: bytes | None) -> dict[str, Any]:
    """A JSON object, or nothing where there is none."""
    try:
        document = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def slots_of(data: bytes | None) -> dict[str, str]:
    """Slot → URI of a manifest, as far as it can be read."""
    current = read(data).get("current")
    return {str(slot): str(uri) for slot, uri in current.items()} if isinstance(current, dict) else {}


def moment(time: int) -> str:
    at = datetime(2026, 3, 4, tzinfo=UTC) + timedelta(minutes=(time - CLOCK) // 60)
    return f"{at:%Y-%m-%dT%H:%M}:00.000000Z"


@dataclass(slots=True)
class State:
    """One start state: a bare origin with main, its commits by label, and the store that all states share."""

    root: Path
    store: Path
    settings: str = ""
    files: Files = field(default_factory=dict)
    tip: str = ""
    time: int = CLOCK
    labels: dict[str, str] = field(default_factory=dict)
    trees: dict[str, Files] = field(default_factory=dict)  # commit → all its files
    parents: dict[str, list[str]] = field(default_factory=dict)
    lasts: dict[str, str] = field(default_factory=dict)  # path → the commit that last changed it
    objects: Objects = field(init=False)

    def __post_init__(self) -> None:
        make_repository(self.root, {})
        self.objects = Objects(self.root / "objects")

    @property
    def url(self) -> str:
        return f"file://{self.store}"

    def content(self, leaf: Leaf | None) -> bytes | None:
        return self.objects.contents.get(leaf.oid) if leaf is not None else None

    def read(self, path: str) -> bytes | None:
        return self.content(self.files.get(path))

    def commit(self, label: str, message: str, files: Mapping[str, bytes | None]) -> str:
        """One more commit of main."""
        before = self.tip
        for path, data in files.items():
            if data is None:
                del self.files[path]
            else:
                self.files[path] = self.objects.blob(data)
        self.time += 60
        parents = [before] if before else []
        self.tip = self.objects.commit(self.objects.tree(self.files), parents, message, time=self.time)
        self.trees[self.tip], self.parents[self.tip] = dict(self.files), parents
        self.labels[label] = self.tip
        self.lasts.update(dict.fromkeys(files, self.tip))
        set_ref(self.root, "refs/heads/main", self.tip)
        return self.tip

    def lines(self, target: str, data: bytes, *more: str) -> str:
        """What a ship says: the lines that vouch for `data` on main as it stands."""
        before, after = slots_of(self.read(manifest_path(target))), slots_of(data)
        last = self.lasts.get(manifest_path(target), "none")
        lines = [f"Manifest: {target} sha256:{digest(data)}", f"Supersedes: {target} {last}"]
        lines += [f"Record: {target} {slot}@{uri[-69:-5]}" for slot, uri in sorted(after.items())
                  if before.get(slot) != uri and len(uri) > 69]  # fmt: skip
        lines += [f"Drop: {target} {slot}" for slot in sorted(before) if slot not in after]
        return "\n".join([*lines, *more])

    def current(self, *names: str) -> dict[str, str]:
        artifacts = [Artifact.named(name) for name in names]
        return {each.slot: f"{self.url}/{each.key}" for each in artifacts}

    # what a history is told in

    def begin(self) -> State:
        readme = b"# Files of the tool\n"
        settings = f'[store]\nurl = "{self.url}"\n{self.settings}'.encode()
        self.commit("settings", "Make a manifest repository", {
            "pointsman.toml": settings, "CODEOWNERS": b"manifests/ @reviewers\n* @maintainers\n",
            ".gitattributes": b"*.json text eol=lf\n", ".github/workflows/check.yml": b"name: check\n",
            "manifests/README.md": readme, "registry/README.md": readme, "tool/pointsman/check.py": b"# the gate\n",
        })  # fmt: skip
        return self

    def record(self, label: str, *names: str) -> State:
        artifacts = [Artifact.named(name) for name in names]
        self.commit(
            label, f"record: {', '.join(names)}", {each.path: rendered(each.record(self.url)) for each in artifacts}
        )
        return self

    def ship(self, label: str, target: str, *names: str, more: tuple[str, ...] = ()) -> State:
        data = manifest(target, self.current(*names), moment(self.time + 60))
        self.commit(label, f"ship: {target}\n\n{self.lines(target, data, *more)}\n", {manifest_path(target): data})
        return self

    def restore(self, label: str, target: str, to: str, message: str = "") -> State:
        """The bytes that a target had at an earlier commit."""
        path = manifest_path(target)
        there = self.content(self.trees[self.labels[to]].get(path))
        self.commit(label, message or f'Revert "ship: {target}"\n', {path: there})
        return self

    def hold(self, label: str, target: str, until: str) -> State:
        hold = {"v": 1, "target": target, "until": until, "reason": "the shelves are being rebuilt"}
        self.commit(label, f"hold: {target}", {f"holds/{target}.json": rendered(hold)})
        return self

    def retire(self, label: str, name: str, **more: Any) -> State:
        self.commit(label, f"retire: {name}", {tombstone_path(name): tombstone(name, **more)})
        return self

    def pass_by(self, days: int) -> State:
        """Nothing but records for a while."""
        self.time += days * 86400
        return self.record(f"after-{days}-days", f"cooc.{days % 20 + 10}")


def tombstone_path(name: str) -> str:
    return f"{Artifact.named(name).path.removesuffix('.json')}.retired.json"


def tombstone(name: str, **more: Any) -> bytes:
    artifact = Artifact.named(name)
    tenant, surface = artifact.target.split("/")
    return rendered({"v": 1, "tenant": tenant, "surface": surface, "type": artifact.slot, "version": artifact.version,
                     "reason": "built from test data", **more})  # fmt: skip


def _never_shipped(state: State) -> State:
    return state.begin().record("records", "popularity.1", "cooc.1", "popularity.2", "cooc.2", "popularity.5")


def _shipped_once(state: State) -> State:
    state.begin().record("first-records", "popularity.1", "cooc.1")
    state.ship("first-ship", HOME, "popularity.1", "cooc.1")
    return state.record("second-records", "popularity.2", "cooc.2", "popularity.3", "popularity.5")


def _shipped_twice(state: State) -> State:
    """Two ships of grocer/home and one of bakery/home; `popularity.3` to `.7` and `cooc.3` are recorded and wait."""
    _shipped_once(state).ship("second-ship", HOME, "popularity.2", "cooc.1")
    state.record("third-records", *(f"popularity.{number}" for number in (4, 6, 7)), "cooc.3", "implicit.1", "cooc.5")
    state.record("bakery-records", f"{BAKERY} popularity.1", f"{BAKERY} popularity.2")
    return state.ship("bakery-ship", BAKERY, f"{BAKERY} popularity.1")


def _rolled_back(state: State) -> State:
    """The second ship is reverted: `popularity.2` is taken out."""
    return _shipped_twice(state).restore("rollback", HOME, "first-ship")


def _reverted_revert(state: State) -> State:
    return _rolled_back(state).restore("revert-of-revert", HOME, "second-ship", 'Revert "Revert"\n')


def _shipped_thrice(state: State) -> State:
    return _shipped_twice(state).ship("third-ship", HOME, "popularity.3", "cooc.1")


def _on_hold(state: State) -> State:
    return _shipped_twice(state).hold("hold", HOME, FUTURE)


def _all_on_hold(state: State) -> State:
    return _shipped_twice(state).hold("hold", "all", FUTURE)


def _hold_over(state: State) -> State:
    """A hold that has expired still lies there."""
    return _shipped_twice(state).hold("hold", HOME, PAST)


def _retired(state: State) -> State:
    """`popularity.4`, never shipped, and `popularity.1`, of the first ship, have tombstones."""
    return _shipped_twice(state).retire("retire-4", "popularity.4").retire("retire-1", "popularity.1", erase=True)


def _taken_back(state: State) -> State:
    """`popularity.4` was retired, and that was reverted."""
    _retired(state).commit("taken-back", 'Revert "retire: popularity.4"', {tombstone_path("popularity.4"): None})
    return state


def _with_user_type(state: State) -> State:
    """A user's own type with a schema and a record, and another schema that nothing was recorded under."""
    _shipped_twice(state)
    state.commit("schemas", "declare two types", {
        "registry/schemas/bundles.schema.json": SCHEMA.encode(), "registry/schemas/unused.schema.json": SCHEMA.encode(),
    })  # fmt: skip
    return state.record("bundle-records", "bundles.1", "bundles.2")


def _hand_edited(state: State) -> State:
    """Someone pushed a hand edit past the gate: main's own manifest breaks a rule."""
    _shipped_twice(state)
    state.commit("hand-edit", "quick fix", {manifest_path(HOME): _mixed(state)})
    return state


def _mended(state: State) -> State:
    """The hand edit was reverted: its bytes are an earlier state, but not a good one."""
    return _hand_edited(state).restore("mend", HOME, "second-ship", 'Revert "quick fix"\n')


def _mixed(state: State) -> bytes:
    return manifest(HOME, state.current("popularity.3", "cooc.3"), "2026-03-04T20:00:00.000000Z")


def _moved_store(state: State) -> State:
    """Blobs stand elsewhere since the first ship; the settings name the former place."""
    _shipped_twice(state)
    serving = f"{state.url}/registry/current/{{tenant}}/{{surface}}/manifest.json"
    new = f'[store]\nurl = "{state.url}/moved"\nformer = ["{state.url}"]\n[serving]\nmanifest = "{serving}"\n'
    state.commit("move", "move the store", {"pointsman.toml": new.encode()})
    return state


def _shipped_twice_twice(state: State) -> State:
    """The bakery, too, shipped twice."""
    return _shipped_twice(state).ship("bakery-second", BAKERY, f"{BAKERY} popularity.2")


def _joint(state: State) -> State:
    """One commit ships the second manifest of the grocer and the first of the bakery."""
    _shipped_once(state).record("bakery-records", f"{BAKERY} popularity.1", f"{BAKERY} popularity.2")
    at = moment(state.time + 60)
    home = manifest(HOME, state.current("popularity.2", "cooc.1"), at)
    bakery = manifest(BAKERY, state.current(f"{BAKERY} popularity.1"), at)
    lines = "\n".join([state.lines(HOME, home), state.lines(BAKERY, bakery)])
    state.commit("joint", f"ship\n\n{lines}\n", {manifest_path(HOME): home, manifest_path(BAKERY): bakery})
    return state


def _joint_reverted(state: State) -> State:
    _joint(state)
    there = state.trees[state.labels["first-ship"]].get(manifest_path(HOME))
    gone = {manifest_path(HOME): state.content(there), manifest_path(BAKERY): None}
    state.commit("revert", 'Revert "ship"\n\nThis reverts a commit.\n', gone)
    return state


def _rolled_back_further(state: State) -> State:
    """From the third ship straight to the first: `popularity.3` is taken out."""
    return _shipped_thrice(state).restore("rollback", HOME, "first-ship")


def _shipped_after_rollback(state: State) -> State:
    return _rolled_back(state).ship("third-ship", HOME, "popularity.3", "cooc.1")


def _rolled_back_by_type(state: State) -> State:
    more = f"Restores: {HOME} popularity@{Artifact.named('popularity.1').version}"
    return _shipped_twice(state).ship("rollback", HOME, "popularity.1", "cooc.1", more=(more,))


def _dropped_after_rollback(state: State) -> State:
    return _rolled_back(state).ship("drop", HOME, "cooc.1").ship("again", HOME, "cooc.1", "popularity.3")


def _rolled_back_two(state: State) -> State:
    _shipped_once(state).ship("second-ship", HOME, "popularity.2", "cooc.2")
    return state.restore("rollback", HOME, "first-ship")


def _unusual(state: State, policy: str = "") -> State:
    """The unusual numbers are recorded; with `policy`, the settings have such a table."""
    if policy:
        state.settings = f"[policy]\n{policy}\n"
    numbers = (*SEGMENTS, *WINDOWS, *PADDED, *IDS, *GARBLED)
    return _shipped_twice(state).record("unusual-records", *(f"popularity.{number}" for number in numbers), "cooc.15")


def _forgeries(state: State) -> State:
    """Records of popularity and of a user's own type whose blobs say something else."""
    _with_user_type(state)
    return state.record("forged", *(f"{slot}.{number}" for number in FORGED for slot in ("popularity", "bundles")))


def _undeclared(state: State) -> State:
    """A record of a type that no schema declares."""
    return _shipped_twice(state).record("undeclared", "bundles.1")


def _served_undeclared(state: State) -> State:
    """A type that was served before its blobs were read, and is out of use since."""
    _undeclared(state).ship("bundles-ship", HOME, "popularity.2", "cooc.1", "bundles.1")
    return state.ship("fourth-ship", HOME, "popularity.3", "cooc.1")


def _catalogue(state: State) -> State:
    return _unusual(state, "size_jump = false").ship("third-ship", HOME, "popularity.18", "cooc.1")


def _later_window(state: State) -> State:
    return _unusual(state).ship("third-ship", HOME, "popularity.15", "cooc.1")


def _good_day_rolled_back(state: State) -> State:
    """A third ship, with half as many items and nothing to accept, was reverted."""
    _shipped_twice(state).ship("third-ship", HOME, "popularity.6", "cooc.1")
    return state.restore("rollback", HOME, "second-ship")


def _accepted_type(state: State) -> State:
    """The current state, shipped with an Accept: line, has a type that the last one shipped without lacks."""
    accept = f"Accept: {HOME} items-drop the catalogue is being rebuilt"
    return _shipped_twice(state).ship("third-ship", HOME, "popularity.5", "cooc.1", "implicit.1", more=(accept,))


def _hold_broken(state: State) -> State:
    """A hold went past the gate that says nothing."""
    _shipped_twice(state).commit("hold", "hold", {f"holds/{HOME}.json": b"until further notice\n"})
    return state


def _hold_over_all_on_hold(state: State) -> State:
    return _hold_over(state).hold("hold-all", "all", FUTURE)


def _rolled_back_and_held(state: State) -> State:
    return _rolled_back(state).hold("hold", HOME, FUTURE)


def _accepted_drop_and_back(state: State) -> State:
    return _accepted_drop(state).ship("fourth-ship", HOME, "popularity.3", "cooc.1")


def _tight(state: State) -> State:
    """State files may have 300 bytes from here on; those that are there have more."""
    _shipped_twice(state)
    settings = f'[store]\nurl = "{state.url}"\n[limits]\nstate_file_bytes = 300\n'
    state.commit("tight", "small files only", {"pointsman.toml": settings.encode()})
    return state


def _moved_store_recorded(state: State) -> State:
    """`popularity.8` is recorded where blobs stand now."""
    artifact = Artifact.named("popularity.8")
    record = rendered(artifact.record(f"{state.url}/moved"))
    _moved_store(state).commit("moved-record", "record", {artifact.path: record})
    return state


def _accepted_drop(state: State) -> State:
    """The current popularity is small, and that was accepted when it was shipped."""
    _shipped_twice(state)
    accept = f"Accept: {HOME} items-drop the catalogue is being rebuilt"
    return state.ship("third-ship", HOME, "popularity.5", "cooc.1", more=(accept,))


def _gone(state: State) -> State:
    """The manifest of grocer/home was taken away, which was accepted."""
    _shipped_twice(state)
    said = f"close the shop\n\nAccept: {HOME} manifest-removed the shop is closed\n"
    state.commit("removal", said, {manifest_path(HOME): None})
    return state


def _adopted(state: State) -> State:
    """Taken over from a registry that knew no rules; `[audit] since` says from where on they hold."""
    state.begin()
    old = manifest(HOME, {"popularity": "s3://old/grocer/popularity.json"}, "2025-01-01T00:00:00.000000Z")
    state.commit("junk", "old ways", {manifest_path(HOME): old, "manifests/notes.txt": b"by hand\n",
                                      "registry/grocer/home/popularity/latest.json": b"{}"})  # fmt: skip
    state.commit("cleared", "tidy up", {"manifests/notes.txt": None, manifest_path(HOME): None,
                                        "registry/grocer/home/popularity/latest.json": None})  # fmt: skip
    records = ("popularity.1", "cooc.1", "popularity.2", "popularity.3", "popularity.5")
    files = {Artifact.named(name).path: rendered(Artifact.named(name).record(state.url)) for name in records}
    files[manifest_path(HOME)] = manifest(HOME, state.current("popularity.1", "cooc.1"), moment(state.time + 60))
    since = state.commit("adoption", "adopt what recsys-pipelines wrote", files)
    settings = f'[store]\nurl = "{state.url}"\n[audit]\nsince = "{since}"\n'
    state.commit("since", "the rules hold from here on", {"pointsman.toml": settings.encode()})
    return state


def _adopted_and_shipped(state: State) -> State:
    return _adopted(state).ship("ship", HOME, "popularity.2", "cooc.1")


def _must_sign(state: State) -> State:
    """Manifests and holds must be signed from here on, by someone who is not here."""
    _shipped_twice(state)
    policy = '[audit]\nallowed_signers = "allowed_signers"\nsigned = ["manifests/", "holds/"]\n'
    settings = f'[store]\nurl = "{state.url}"\n{policy}'
    state.commit("policy", "whoever ships signs", {"pointsman.toml": settings.encode(), "allowed_signers": SIGNER})
    return state


def _clock_ahead(state: State) -> State:
    """The current manifest was shipped by a machine whose clock was five years ahead."""
    _shipped_twice(state)
    data = manifest(HOME, state.current("popularity.4", "cooc.1"), "2031-03-04T00:00:00.000000Z")
    kept, state.time = state.time, 1930348800
    state.commit("ahead", f"ship: {HOME}\n\n{state.lines(HOME, data)}\n", {manifest_path(HOME): data})
    state.time = kept + 60
    return state


def _rested(state: State, retention: str = "") -> State:
    """A hundred days after `popularity.1` gave way to the second ship. `retention`: such a table of the settings."""
    state.settings = f"[retention]\n{retention}\n" if retention else ""
    return _shipped_twice(state).pass_by(100)


def _kept(state: State, retention: str) -> State:
    """`popularity.1` has just given way, and a table of the settings says how long it is kept."""
    state.settings = f"[retention]\n{retention}\n"
    return _shipped_twice(state)


def _eleven_ships(state: State) -> State:
    """Nine more ships, a hundred days after the second one: `popularity.1` is of the eleventh from the last."""
    _rested(state).record("eleven-records", *(f"popularity.{number}" for number in range(8, 13)))
    for number in range(3, 12):
        state.ship(f"ship-{number}", HOME, f"popularity.{number}", "cooc.1")
    return state


def _by_a_clock_of(state: State, time: int) -> State:
    """The second ship, which took `popularity.1` out of use, was made by another clock."""
    state.settings = "[retention]\nkeep_days = 80\nkeep_ships = 1\n"
    _shipped_once(state)
    kept, state.time = state.time, time
    data = manifest(HOME, state.current("popularity.2", "cooc.1"), moment(kept + 120))
    state.commit("second-ship", f"ship: {HOME}\n\n{state.lines(HOME, data)}\n", {manifest_path(HOME): data})
    state.time = kept + 120
    return state.record("soon-after", "popularity.9")


def _bad_ship_mended(state: State, supersedes: str = "", record: str = "") -> State:
    """A ship that vouches for its bytes and broke a rule all the same was pushed, and taken back."""
    _shipped_twice(state)
    data = manifest(HOME, state.current("popularity.3", "cooc.1"), moment(state.time + 60))
    lines = state.lines(HOME, data)
    if supersedes:
        lines = lines.replace(state.lasts[manifest_path(HOME)], state.labels[supersedes])
    if record:
        lines = lines.replace(Artifact.named("popularity.3").version, Artifact.named(record).version)
    state.commit("bad-ship", f"ship: {HOME}\n\n{lines}\n", {manifest_path(HOME): data})
    return state.restore("mend", HOME, "second-ship")


def _long_gone(state: State) -> State:
    return _gone(state).pass_by(100)


STATES: dict[str, Callable[[State], State]] = {
    "rested": _rested,
    "rested, one ship kept": lambda state: _rested(state, "keep_ships = 1"),
    "kept by days": lambda state: _kept(state, "keep_days = 30000\nkeep_ships = 1"),
    "kept by ships": lambda state: _kept(state, "keep_days = 0\nkeep_ships = 2"),
    "kept not at all": lambda state: _kept(state, "keep_days = 0\nkeep_ships = 0"),
    "eleven-ships": _eleven_ships,
    "by a clock far behind": lambda state: _by_a_clock_of(state, 1),
    "by a clock far ahead, rested": lambda state: _by_a_clock_of(state, 32_440_000_000).pass_by(100),
    "long-gone": _long_gone,
    "stale ship, mended": lambda state: _bad_ship_mended(state, supersedes="first-ship"),
    "lying ship, mended": lambda state: _bad_ship_mended(state, record="popularity.4"),
    "clock-ahead": _clock_ahead,
    "must-sign": _must_sign,
    "never-shipped": _never_shipped,
    "shipped-once": _shipped_once,
    "shipped-twice": _shipped_twice,
    "shipped-thrice": _shipped_thrice,
    "rolled-back": _rolled_back,
    "reverted-revert": _reverted_revert,
    "on-hold": _on_hold,
    "all-on-hold": _all_on_hold,
    "hold-over": _hold_over,
    "retired": _retired,
    "taken-back": _taken_back,
    "with-user-type": _with_user_type,
    "hand-edited": _hand_edited,
    "mended": _mended,
    "moved-store": _moved_store,
    "moved-store-recorded": _moved_store_recorded,
    "accepted-drop": _accepted_drop,
    "tight": _tight,
    "shipped-twice-twice": _shipped_twice_twice,
    "forged": _forgeries,
    "undeclared": _undeclared,
    "served-undeclared": _served_undeclared,
    "joint": _joint,
    "joint-reverted": _joint_reverted,
    "rolled-back-further": _rolled_back_further,
    "shipped-after-rollback": _shipped_after_rollback,
    "rolled-back-by-type": _rolled_back_by_type,
    "accepted-drop-and-back": _accepted_drop_and_back,
    "dropped-after-rollback": _dropped_after_rollback,
    "rolled-back-two": _rolled_back_two,
    "hold-broken": _hold_broken,
    "hold-over-all-on-hold": _hold_over_all_on_hold,
    "rolled-back-and-held": _rolled_back_and_held,
    "gone": _gone,
    "unusual": _unusual,
    "catalogue": _catalogue,
    "later-window": _later_window,
    "good-day-rolled-back": _good_day_rolled_back,
    "accepted-type": _accepted_type,
    "policy overlap_low": lambda state: _unusual(state, "kept_low = false\noverlap_low = 0.1\nsize_jump = false").ship(
        "third-ship", HOME, "popularity.18", "cooc.1"
    ),
    "adopted": _adopted,
    "adopted-and-shipped": _adopted_and_shipped,
}


class Ground:
    """Where one worker's cases are played: every state made once, and one store for all of them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = root / "store"
        for target, slots in SLOTS.items():
            for slot in slots:
                for number in range(1, LAST_NUMBER + 1):
                    artifact = Artifact(target, slot, number)
                    path = self.store / artifact.key
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(artifact.payload)
        (self.store / "moved").symlink_to(".")  # for the state whose store moved
        self.state = functools.cache(self._state)

    def _state(self, name: str) -> State:
        """A state of the table; "policy" and a line of `[policy]` is the unusual one under that limit, "approved by"
        and names is one where these have approved the next ship.
        """
        state = State(self.root / "states" / f"{name}.git", self.store)
        if name.startswith("approved by "):
            from attacks.approvals import approved

            return approved(_shipped_twice(state), name.removeprefix("approved by "))
        if name.startswith("attested by "):
            from attacks.attestations import attested

            return attested(_shipped_twice(state), name.removeprefix("attested by "))
        return STATES[name](state) if name in STATES else _unusual(state, name.removeprefix("policy "))
